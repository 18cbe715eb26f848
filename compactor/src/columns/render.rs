//! Columns as JSON text, in the one form that every value has.
//!
//! A value that ends up in a text column must show the same text whether it was text from the start, or a number or a
//! struct first. So the text is a function of the value alone: no blanks, members by name, the last of several equal
//! keys, no null members, and numbers as [`number::write_double`] has them.

use super::column::Column;
use super::schema::stored;
use super::time;
use crate::json::{number, quote};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, StringArray, StructArray};
use std::fmt::Write as _;

/// Stands before a string in a column of mixed values.
pub(super) const STRING: char = 's';

/// Stands before any other value's JSON text in a column of mixed values.
pub(super) const JSON: char = 'j';

/// A column of a batch as text; `tagged`, as mixed values. Strings stay as they are.
pub(super) fn to_text(column: &Column, array: &dyn Array, tagged: bool) -> StringArray {
    let mut texts = arrow_array::builder::StringBuilder::with_capacity(array.len(), 0);
    let mut text = String::new();
    for at in 0..array.len() {
        if array.is_null(at) {
            texts.append_null();
            continue;
        }
        text.clear();
        match column {
            Column::Text => {
                text.extend(tagged.then_some(STRING));
                text.push_str(array.as_string::<i32>().value(at));
            }
            Column::Time { digits } => {
                text.extend(tagged.then_some(STRING));
                time::write(array.as_primitive::<TimestampMicrosecondType>().value(at), *digits, &mut text);
            }
            Column::Mixed => {
                let value = array.as_string::<i32>().value(at);
                text.push_str(if tagged { value } else { untagged(value).1 });
            }
            _ => {
                text.extend(tagged.then_some(JSON));
                write_cell(column, array, at, &mut text);
            }
        }
        texts.append_value(&text);
    }
    texts.finish()
}

/// Appends the JSON text of one value.
pub(super) fn write_cell(column: &Column, array: &dyn Array, at: usize, out: &mut String) {
    if array.is_null(at) {
        out.push_str("null");
        return;
    }
    match column {
        Column::Null => out.push_str("null"),
        Column::Bool => out.push_str(if array.as_boolean().value(at) { "true" } else { "false" }),
        // Writing to a string cannot fail.
        Column::Int { .. } => write!(out, "{}", array.as_primitive::<Int64Type>().value(at)).unwrap_or(()),
        Column::Double => number::write_double(array.as_primitive::<Float64Type>().value(at), out),
        Column::Time { digits } => {
            out.push('"');
            time::write(array.as_primitive::<TimestampMicrosecondType>().value(at), *digits, out);
            out.push('"');
        }
        Column::Text => quote(array.as_string::<i32>().value(at), out),
        Column::Mixed => match untagged(array.as_string::<i32>().value(at)) {
            (true, string) => quote(string, out),
            (false, json) => out.push_str(json),
        },
        column if column.is_hollow() => out.push_str("{}"),
        Column::Struct(fields) => write_struct(fields, array.as_struct(), at, out),
        Column::List(items) => {
            let elements = array.as_list::<i32>().value(at);
            out.push('[');
            for element in 0..elements.len() {
                if element > 0 {
                    out.push(',');
                }
                write_cell(items, &elements, element, out);
            }
            out.push(']');
        }
    }
}

fn write_struct(fields: &[(Box<str>, Column)], array: &StructArray, at: usize, out: &mut String) {
    let mut separator = '{';
    for ((name, column), values) in stored(fields).zip(array.columns()) {
        if values.is_null(at) {
            continue;
        }
        out.push(std::mem::replace(&mut separator, ','));
        quote(name, out);
        out.push(':');
        write_cell(column, values, at, out);
    }
    out.push_str(if separator == '{' { "{}" } else { "}" });
}

/// Whether a mixed value is a string, and its text.
pub(super) fn untagged(value: &str) -> (bool, &str) {
    match value.strip_prefix(JSON) {
        Some(json) => (false, json),
        None => (true, value.strip_prefix(STRING).unwrap_or(value)),
    }
}
