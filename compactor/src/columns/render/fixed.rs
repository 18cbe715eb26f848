//! Values of types that were given, as text.

use crate::columns::time;
use crate::json::{number, quote};
use crate::types::Type;
use arrow_array::Array;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use jiff::ToSpan as _;
use jiff::civil::Date;
use std::fmt::Write as _;

/// Appends the JSON text of one value; a decimal with all digits of its fraction, days and times as strings.
pub(super) fn write(kind: &Type, array: &dyn Array, at: usize, out: &mut String) {
    if array.is_null(at) {
        out.push_str("null");
        return;
    }
    match kind {
        Type::Text => quote(array.as_string::<i32>().value(at), out),
        Type::Date | Type::Timestamp => {
            out.push('"');
            write_bare(kind, array, at, out);
            out.push('"');
        }
        Type::List(items) => {
            let elements = array.as_list::<i32>().value(at);
            let texts = (0..elements.len()).map(|at| {
                let mut text = String::new();
                write(items, &elements, at, &mut text);
                text
            });
            let texts: Vec<String> = texts.collect();
            // Writing to a string cannot fail.
            write!(out, "[{}]", texts.join(",")).unwrap_or(());
        }
        Type::Struct(fields) => {
            let columns = array.as_struct().columns().iter();
            let members = fields.iter().zip(columns).map(|((name, kind), column)| (&**name, kind, column.as_ref(), at));
            write_members(members, out);
        }
        Type::Map(values) => {
            let entries = array.as_map().value(at);
            let (keys, cells) = (entries.column(0).as_string::<i32>(), entries.column(1).as_ref());
            write_members((0..keys.len()).map(|at| (keys.value(at), &**values, cells, at)), out);
        }
        _ => write_bare(kind, array, at, out),
    }
}

fn write_members<'a>(members: impl Iterator<Item = (&'a str, &'a Type, &'a dyn Array, usize)>, out: &mut String) {
    let mut separator = '{';
    for (name, kind, array, at) in members.filter(|(_, _, array, at)| array.is_valid(*at)) {
        out.push(std::mem::replace(&mut separator, ','));
        quote(name, out);
        out.push(':');
        write(kind, array, at, out);
    }
    out.push_str(if separator == '{' { "{}" } else { "}" });
}

/// Appends the text of a value that is not null, as a partition shows it: without quotes.
pub(super) fn write_bare(kind: &Type, array: &dyn Array, at: usize, out: &mut String) {
    // Writing to a string cannot fail.
    match kind {
        Type::Boolean => write!(out, "{}", array.as_boolean().value(at)),
        Type::Int(8) => write!(out, "{}", array.as_primitive::<Int8Type>().value(at)),
        Type::Int(16) => write!(out, "{}", array.as_primitive::<Int16Type>().value(at)),
        Type::Int(32) => write!(out, "{}", array.as_primitive::<Int32Type>().value(at)),
        Type::Int(_) => write!(out, "{}", array.as_primitive::<Int64Type>().value(at)),
        Type::Float => write!(out, "{}", array.as_primitive::<Float32Type>().value(at)),
        Type::Double => {
            number::write_double(array.as_primitive::<Float64Type>().value(at), out);
            Ok(())
        }
        Type::Decimal { .. } => write!(out, "{}", array.as_primitive::<Decimal128Type>().value_as_string(at)),
        Type::Text => out.write_str(array.as_string::<i32>().value(at)),
        Type::Date => {
            let days = array.as_primitive::<Date32Type>().value(at);
            match Date::constant(1970, 1, 1).checked_add(days.days()) {
                Ok(day) => write!(out, "{day}"),
                Err(_) => Ok(()),
            }
        }
        Type::Timestamp => {
            time::write(array.as_primitive::<TimestampMicrosecondType>().value(at), 6, out);
            Ok(())
        }
        Type::List(_) | Type::Struct(_) | Type::Map(_) => {
            write(kind, array, at, out);
            Ok(())
        }
    }
    .unwrap_or(());
}
