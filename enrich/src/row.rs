//! A JSON object that is edited by cutting and splicing its text: what is not edited stays byte for byte as it was.

use alluvial_record::aggregate::Corruption;
use serde::Deserialize as _;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Why a record cannot become a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The record begins as one that the Kinesis Producer Library packed, and cannot be unpacked.
    #[error("corrupt aggregate of the Kinesis Producer Library: {0}")]
    CorruptAggregate(Corruption),
    /// The payload is not UTF-8 text.
    #[error("not UTF-8 text: invalid byte at offset {0}")]
    NotText(usize),
    /// The payload is no JSON object, or more than one.
    #[error("not a JSON object: {0}")]
    NotAnObject(String),
    /// The payload is nested deeper than `compact` and other readers take.
    #[error("nested deeper than {MOST_DEPTH} objects and arrays")]
    TooDeep,
    /// The row does not fit into one Firehose record even when it is alone and compressed.
    #[error(
        "too large: {row_bytes} bytes of JSON do not compress to the {limit_bytes} bytes that a Firehose record may have"
    )]
    TooLarge {
        /// The row after the transforms.
        row_bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// The lookup key of the record is not in the table, and the settings refuse such records.
    #[error("lookup: {table} has no row for the value of {field}")]
    NoMatch {
        /// The field that was looked up.
        field: String,
        /// The table.
        table: String,
    },
}

/// Objects and arrays within each other in one row; the default of `compact`.
const MOST_DEPTH: usize = 128;

/// How deep objects and arrays lie within each other.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// One member of the object: its name, and where its value lies in the text.
#[derive(Debug)]
struct Field<'a> {
    name: Cow<'a, str>,
    value: Range<usize>,
    edit: Edit,
}

#[derive(Debug)]
enum Edit {
    Keep,
    Remove,
    Replace(Arc<str>),
}

/// A JSON object and its edits.
#[derive(Debug)]
pub struct Row<'a> {
    text: &'a str,
    fields: Vec<Field<'a>>,
    /// Members added at the end: name and JSON value.
    added: Vec<(Arc<str>, Arc<str>)>,
    edited: bool,
}

impl<'a> Row<'a> {
    /// Reads one JSON object; white space around it is dropped.
    ///
    /// # Errors
    /// [`Reason::NotText`], [`Reason::NotAnObject`] with the place, and [`Reason::TooDeep`]. None quotes the payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Reason> {
        let text = std::str::from_utf8(payload).map_err(|error| Reason::NotText(error.valid_up_to()))?;
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        // Said here, because serde_json would quote a payload that is a string, and reasons are logged.
        if !text.starts_with('{') {
            return Err(Reason::NotAnObject("it does not begin with {".into()));
        }
        // A scan of its own only where there are enough brackets to be too deep.
        let brackets = text.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count();
        if brackets > MOST_DEPTH && depth(text) > MOST_DEPTH {
            return Err(Reason::TooDeep);
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        let not_an_object = |error: serde_json::Error| Reason::NotAnObject(error.to_string());
        let fields = reader.deserialize_map(Fields { text }).map_err(not_an_object)?;
        reader.end().map_err(not_an_object)?;
        Ok(Self { text, fields, added: Vec::new(), edited: false })
    }

    /// The JSON text of a field's value; of the last one where a name occurs twice.
    pub fn get(&self, name: &str) -> Option<&str> {
        if let Some((_, value)) = self.added.iter().rev().find(|(added, _)| &**added == name) {
            return Some(value);
        }
        let field = self.fields.iter().rev().find(|field| field.name == name && !matches!(field.edit, Edit::Remove))?;
        match &field.edit {
            Edit::Replace(value) => Some(value),
            _ => self.text.get(field.value.clone()),
        }
    }

    /// The JSON text at a path of names, such as `device.id` as `["device", "id"]`.
    pub fn get_path(&self, path: &[String]) -> Option<Cow<'_, str>> {
        let (first, rest) = path.split_first()?;
        let mut value = Cow::Borrowed(self.get(first)?);
        for name in rest {
            let inner = Row::parse(value.as_bytes()).ok()?.get(name)?.to_owned();
            value = Cow::Owned(inner);
        }
        Some(value)
    }

    /// Gives a field a value: in its place where there is one, at the end of the object otherwise.
    pub fn set(&mut self, name: &Arc<str>, value: Arc<str>) {
        if let Some((_, added)) = self.added.iter_mut().find(|(added, _)| added == name) {
            *added = value;
            return;
        }
        let mut value = Some(value);
        let same_name = |field: &&mut Field<'_>| *field.name == **name && !matches!(field.edit, Edit::Remove);
        for field in self.fields.iter_mut().filter(same_name) {
            // A name that occurs twice would keep its old value for some readers.
            field.edit = value.take().map_or(Edit::Remove, Edit::Replace);
            self.edited = true;
        }
        self.added.extend(value.map(|value| (Arc::clone(name), value)));
    }

    /// Takes a field out.
    pub fn remove(&mut self, name: &str) {
        for field in self.fields.iter_mut().filter(|field| field.name == name) {
            field.edit = Edit::Remove;
            self.edited = true;
        }
        self.added.retain(|(added, _)| &**added != name);
    }

    /// Appends the row and a newline to `line`. Newlines between the tokens of the object become spaces, so that a row
    /// is one line; inside of strings JSON allows none.
    pub fn render(&self, line: &mut Vec<u8>) {
        let start = line.len();
        if self.edited {
            self.render_edited(line);
        } else {
            let close = self.text.len().saturating_sub(1);
            line.extend_from_slice(self.text.as_bytes().get(..close).unwrap_or_default());
            self.render_added(line, self.fields.is_empty());
        }
        line.push(b'}');
        // Hardly any record has one, so the search is made fast and not the mending.
        let mut from = start;
        while let Some(found) = line.get(from..).and_then(|rest| memchr::memchr2(b'\n', b'\r', rest)) {
            if let Some(byte) = line.get_mut(from + found) {
                *byte = b' ';
            }
            from += found + 1;
        }
        line.push(b'\n');
    }

    fn render_edited(&self, line: &mut Vec<u8>) {
        line.push(b'{');
        let mut empty = true;
        // A field's text runs from the end of the value before it to the end of its own value, less the comma.
        let mut end_before = 1;
        for field in &self.fields {
            let whole = self.text.get(end_before..field.value.end).unwrap_or_default();
            let whole = whole.trim_start_matches([',', ' ', '\t', '\r', '\n']);
            end_before = field.value.end;
            let name = whole.get(..whole.len().saturating_sub(field.value.len())).unwrap_or_default();
            match &field.edit {
                Edit::Remove => continue,
                Edit::Keep => push_member(line, &mut empty, &[whole]),
                Edit::Replace(value) => push_member(line, &mut empty, &[name, value]),
            }
        }
        self.render_added(line, empty);
    }

    fn render_added(&self, line: &mut Vec<u8>, mut empty: bool) {
        for (name, value) in &self.added {
            push_member(line, &mut empty, &[&quoted(name), ":", value]);
        }
    }
}

fn push_member(line: &mut Vec<u8>, empty: &mut bool, parts: &[&str]) {
    if !std::mem::replace(empty, false) {
        line.push(b',');
    }
    parts.iter().for_each(|part| line.extend_from_slice(part.as_bytes()));
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

struct Fields<'a> {
    text: &'a str,
}

impl<'a> Visitor<'a> for Fields<'a> {
    type Value = Vec<Field<'a>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(8);
        while let Some(name) = map.next_key_seed(Name)? {
            let value: &'a RawValue = map.next_value_seed(std::marker::PhantomData)?;
            let value = value.get();
            // Both are addresses within the same text.
            let start = value.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
            fields.push(Field { name, value: start..start + value.len(), edit: Edit::Keep });
        }
        Ok(fields)
    }
}

/// A member's name: borrowed unless it has escapes.
struct Name;

impl<'a> serde::de::DeserializeSeed<'a> for Name {
    type Value = Cow<'a, str>;

    fn deserialize<D: serde::Deserializer<'a>>(self, deserializer: D) -> Result<Cow<'a, str>, D::Error> {
        struct NameVisitor;
        impl<'a> Visitor<'a> for NameVisitor {
            type Value = Cow<'a, str>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, name: &'a str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(name))
            }
            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(name.to_owned()))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

/// A JSON value as plain text: strings without quotes and escapes, everything else as it is written.
pub(crate) fn plain_text(json: &str) -> Cow<'_, str> {
    if !json.starts_with('"') {
        return Cow::Borrowed(json);
    }
    let mut reader = serde_json::Deserializer::from_str(json);
    String::deserialize(&mut reader).map_or(Cow::Borrowed(json), Cow::Owned)
}

#[cfg(test)]
mod tests;
