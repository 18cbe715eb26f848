//! Values and rows of a batch, picked out of it.

use super::build::Batch;
use super::column::Column;
use super::render::{to_text, untagged};
use super::schema::stored;
use crate::field_path::FieldPath;
use crate::json::{Parser, Step, Value, write_canonical};
use crate::types::Type;
use arrow_array::cast::AsArray as _;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, UInt32Array};
use arrow_schema::ArrowError;

impl Batch {
    /// The field's value in every row, as text: of a string its characters, of anything else its JSON. A function of
    /// the row alone, whatever the columns of its neighbours have become. Null where it is null or missing.
    pub(crate) fn texts(&self, path: &FieldPath) -> StringArray {
        let columns = stored(&self.table.columns).zip(self.columns.columns());
        let names = path.names();
        let Some((first, rest)) = names.split_first() else { return nulls(self.columns.num_rows()) };
        match columns.into_iter().find(|((name, _), _)| *name == &**first) {
            Some(((_, column), array)) => below(column, array, rest),
            // It may be among the fields that have no column.
            None if self.has_overflow => match self.columns.columns().last() {
                Some(overflow) => within(overflow.as_string::<i32>().iter(), names),
                None => nulls(self.columns.num_rows()),
            },
            None => nulls(self.columns.num_rows()),
        }
    }

    /// The rows of these indexes.
    ///
    /// # Errors
    /// An index out of range.
    pub(crate) fn pick(&self, rows: &UInt32Array) -> Result<Self, ArrowError> {
        let columns = self.columns.columns().iter().map(|column| arrow_select::take::take(column, rows, None));
        let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
        let columns = RecordBatch::try_new(self.columns.schema(), columns)?;
        Ok(Self { columns, table: self.table.clone(), has_overflow: self.has_overflow })
    }
}

/// The value at `path` below a column.
fn below(column: &Column, array: &ArrayRef, path: &[Box<str>]) -> StringArray {
    let Some((name, rest)) = path.split_first() else { return to_text(column, array, false) };
    match column {
        Column::Struct(fields) if !column.is_hollow() => {
            let mut children = stored(fields).zip(array.as_struct().columns());
            match children.find(|((known, _), _)| *known == &**name) {
                Some(((_, column), values)) => below(column, values, rest),
                None => nulls(array.len()),
            }
        }
        Column::Fixed(kind) => match &**kind {
            Type::Struct(fields) => {
                let mut children = fields.iter().zip(array.as_struct().columns());
                match children.find(|((known, _), _)| known == name) {
                    Some(((_, kind), values)) => below(&Column::Fixed(Box::new(kind.clone())), values, rest),
                    None => nulls(array.len()),
                }
            }
            Type::Text => within(array.as_string::<i32>().iter(), path),
            _ => nulls(array.len()),
        },
        Column::Mixed => {
            let json = |value| match untagged(value) {
                (false, json) => Some(json),
                (true, _) => None,
            };
            within(array.as_string::<i32>().iter().map(|value| value.and_then(json)), path)
        }
        _ => nulls(array.len()),
    }
}

/// The value at `path` within values that are JSON text.
fn within<'a>(values: impl Iterator<Item = Option<&'a str>>, path: &[Box<str>]) -> StringArray {
    values.map(|json| member(json?, path)).collect()
}

fn member(json: &str, path: &[Box<str>]) -> Option<String> {
    // Only objects have members; and only they and arrays are what the parser parses.
    if !json.starts_with('{') {
        return None;
    }
    let mut parser = Parser::new(usize::MAX);
    if !matches!(parser.resume(json.as_bytes()), Step::Complete(_)) {
        return None;
    }
    let mut value = Value::root(json, parser.tape());
    for name in path {
        value = value.members().filter(|(key, _)| key.text().0 == **name).last()?.1;
    }
    value.as_text()
}

fn nulls(len: usize) -> StringArray {
    StringArray::new_null(len)
}

impl Value<'_> {
    /// A string's characters, or the JSON text of anything else; nothing of null.
    fn as_text(self) -> Option<String> {
        use crate::json::Kind;
        match self.kind() {
            Kind::Null => None,
            Kind::Text | Kind::EscapedText => Some(self.text().0.into_owned()),
            _ => {
                let mut text = String::new();
                write_canonical(self, &mut text);
                Some(text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::{Bounds, Builder};

    fn batch(rows: &[&str], max_columns: usize) -> Batch {
        let mut builder = Builder::new(Bounds { max_columns, max_nesting: 8 }, 64, 1000).with_timestamps(true);
        rows.iter().for_each(|row| builder.append(row).expect("a row"));
        builder.finish().expect("a batch")
    }

    fn texts(batch: &Batch, path: &str) -> Vec<Option<String>> {
        let path: FieldPath = path.parse().expect("a path");
        batch.texts(&path).iter().map(|text| text.map(str::to_owned)).collect()
    }

    #[test]
    fn a_value_has_one_text_whatever_its_neighbours_are() {
        let rows = [
            r#"{"a":"x"}"#,
            r#"{"a":7}"#,
            r#"{"a":1.50}"#,
            r#"{"a":null}"#,
            r#"{"a":{"b":[1, 2]}}"#,
            r#"{"a":"2026-11-23T05:00:00Z"}"#,
            r#"{"a":true}"#,
            r#"{"b":1}"#,
        ];
        let together = texts(&batch(&rows, 10), "a");
        let alone: Vec<Option<String>> = rows.iter().flat_map(|row| texts(&batch(&[row], 10), "a")).collect();
        assert_eq!(together, alone);
        let expected = [Some("x"), Some("7"), Some("1.5"), None, Some(r#"{"b":[1,2]}"#)];
        assert_eq!(together.iter().take(5).map(Option::as_deref).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn nested_fields_are_found_in_structs_in_text_and_in_the_overflow() {
        let rows = [r#"{"a":{"b":{"c":"x"}}}"#, r#"{"a":{"b":null}}"#, r#"{"a":{}}"#, r#"{}"#];
        let found = vec![Some("x".to_owned()), None, None, None];
        assert_eq!(texts(&batch(&rows, 10), "a.b.c"), found);
        let mixed = [rows[0], rows[1], rows[2], rows[3], r#"{"a":"{\"b\":{\"c\":\"no\"}}"}"#, r#"{"a":[1]}"#];
        assert_eq!(texts(&batch(&mixed, 10), "a.b.c"), [found, vec![None, None]].concat());
        let members: Vec<String> = (0..30).map(|n| format!("\"c{n:02}\":{{\"d\":{n}}}")).collect();
        let wide = format!("{{{}}}", members.join(","));
        let wide = batch(&[&wide, &wide], 10);
        assert!(wide.has_overflow);
        assert_eq!(texts(&wide, "c29.d"), [Some("29".to_owned()), Some("29".to_owned())]);
        assert_eq!(texts(&wide, "c05.d"), [Some("5".to_owned()), Some("5".to_owned())]);
        assert_eq!(texts(&wide, "c31"), [None, None]);
    }

    #[test]
    fn rows_are_picked_whole() {
        let batch = batch(&[r#"{"a":1,"b":[1]}"#, r#"{"a":2}"#, r#"{"a":3,"b":[]}"#], 10);
        let picked = batch.pick(&UInt32Array::from(vec![2, 0])).expect("rows");
        assert_eq!(texts(&picked, "a"), [Some("3".to_owned()), Some("1".to_owned())]);
        assert_eq!(texts(&picked, "b"), [Some("[]".to_owned()), Some("[1]".to_owned())]);
    }
}
