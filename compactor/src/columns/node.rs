//! One column while it is being filled: it takes values as they stand in the row, and widens in place.

use super::column::{Bounds, Column};
use super::cursor::{Cursor, Number, Stop};
use super::fields::Fields;
use super::render::{JSON, STRING, to_text};
use super::schema::{data_type, field};
use super::time;
use crate::json::{number, unescape};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringArray, StructArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use std::sync::Arc;

/// What holds for a row while it is appended.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) bounds: Bounds,
    /// Objects and arrays within each other, in all.
    pub(super) max_depth: usize,
    /// Strings that are times become times.
    pub(super) times: bool,
    /// The row is known to be good, so it may add and widen columns.
    pub(super) may_change: bool,
    /// Places that may still be added.
    pub(super) places_left: usize,
    /// Halves of surrogate pairs that were replaced.
    pub(super) replaced: u64,
    /// For keys and strings with escapes.
    pub(super) scratch: String,
}

/// Values of one column. `len` may lag behind the rows: what is missing at the end is null.
#[derive(Debug)]
pub(super) struct Node {
    len: usize,
    valid: NullBufferBuilder,
    data: Data,
}

#[derive(Debug)]
enum Data {
    Null,
    Bool(BooleanBufferBuilder),
    Int {
        values: Vec<i64>,
        wide: bool,
    },
    Double(Vec<f64>),
    Time {
        values: Vec<i64>,
        digits: u8,
    },
    Text(Strings),
    /// Each value behind its tag.
    Mixed(Strings),
    Struct(Box<Fields>),
    List(Box<List>),
}

#[derive(Debug)]
struct List {
    offsets: Vec<i32>,
    items: Node,
}

/// Strings, end to end.
#[derive(Debug)]
struct Strings {
    offsets: Vec<i32>,
    bytes: Vec<u8>,
}

impl Strings {
    fn new() -> Self {
        Self { offsets: vec![0], bytes: Vec::new() }
    }

    /// Ends the value whose bytes were appended last. A batch is far smaller than 2 GiB, and so are its rows.
    fn close(&mut self) -> Result<(), Stop> {
        self.offsets.push(i32::try_from(self.bytes.len()).map_err(|_| Stop::Slow)?);
        Ok(())
    }

    fn pad(&mut self, len: usize) {
        let end = self.offsets.last().copied().unwrap_or(0);
        self.offsets.resize(len + 1, end);
    }

    fn truncate(&mut self, len: usize) {
        self.offsets.truncate(len + 1);
        self.bytes.truncate(usize::try_from(self.offsets.last().copied().unwrap_or(0)).unwrap_or(0));
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let mut offsets = Vec::with_capacity(self.offsets.len());
        offsets.push(0);
        let bytes = Vec::with_capacity(self.bytes.len());
        let offsets = std::mem::replace(&mut self.offsets, offsets);
        (OffsetBuffer::new(ScalarBuffer::from(offsets)), Buffer::from_vec(std::mem::replace(&mut self.bytes, bytes)))
    }
}

impl From<&StringArray> for Strings {
    fn from(array: &StringArray) -> Self {
        Self { offsets: array.value_offsets().to_vec(), bytes: array.value_data().to_vec() }
    }
}

impl Node {
    pub(super) fn new() -> Self {
        Self { len: 0, valid: NullBufferBuilder::new(0), data: Data::Null }
    }

    /// Appends the number or string at the cursor as number `at`, if the column and the value are of the usual kind;
    /// else does nothing. Most values go this way, which is short enough to be a part of the loop over fields.
    #[inline(always)]
    pub(super) fn append_usual(&mut self, cursor: &mut Cursor<'_>, at: usize) -> bool {
        if self.len != at {
            return false;
        }
        match &mut self.data {
            Data::Int { values, .. } => match cursor.short_integer() {
                Some(value) => values.push(value),
                None => return false,
            },
            Data::Double(values) => match cursor.decimal() {
                Some(value) => values.push(value),
                None => return false,
            },
            Data::Text(strings) => match cursor.plain_string() {
                Some(text) => {
                    let Ok(end) = i32::try_from(strings.bytes.len() + text.len()) else { return false };
                    strings.bytes.extend_from_slice(text);
                    strings.offsets.push(end);
                    cursor.at += text.len() + 2;
                }
                None => return false,
            },
            _ => return false,
        }
        self.valid.append_non_null();
        self.len += 1;
        true
    }

    /// Appends the value at the cursor as number `at`. `nesting` structs and lists are around it.
    #[inline]
    pub(super) fn append(
        &mut self,
        cursor: &mut Cursor<'_>,
        rules: &mut Rules,
        at: usize,
        nesting: usize,
    ) -> Result<(), Stop> {
        if self.len != at {
            self.settle(at);
        }
        let start = cursor.at;
        let fits = match (&mut self.data, cursor.peek()?) {
            (Data::Double(values), b'-' | b'0'..=b'9') => match cursor.number()? {
                Number::Double(value) => {
                    values.push(value);
                    true
                }
                Number::Int(value) if value.unsigned_abs() <= number::EXACT_IN_DOUBLE => {
                    values.push(exact(value));
                    true
                }
                _ => false,
            },
            (Data::Int { values, wide }, b'-' | b'0'..=b'9') => match cursor.number()? {
                Number::Int(value) if *wide || value.unsigned_abs() <= number::EXACT_IN_DOUBLE => {
                    values.push(value);
                    true
                }
                _ => false,
            },
            (Data::Time { values, digits }, b'"') => {
                let (range, escaped) = cursor.string()?;
                match time::parse(cursor.bytes(range)) {
                    Some((time, width)) if width == *digits && !escaped => {
                        values.push(time);
                        true
                    }
                    _ => false,
                }
            }
            (Data::Text(strings), b'"') => {
                append_string(strings, cursor, rules)?;
                true
            }
            (Data::Struct(fields), b'{') => match fields.append(cursor, rules, at, nesting) {
                Err(Stop::Crowded) => false,
                done => done.map(|()| true)?,
            },
            (Data::List(list), b'[') => {
                list.append(cursor, rules, nesting)?;
                true
            }
            (Data::Bool(values), b't') => {
                cursor.literal("true")?;
                values.append(true);
                true
            }
            (Data::Bool(values), b'f') => {
                cursor.literal("false")?;
                values.append(false);
                true
            }
            // What is not there will be null.
            (_, b'n') => return cursor.literal("null"),
            (Data::Mixed(strings), byte) => {
                append_mixed(strings, byte, cursor, rules, nesting)?;
                true
            }
            _ => false,
        };
        if fits {
            self.valid.append_non_null();
            self.len += 1;
            return Ok(());
        }
        cursor.at = start;
        self.widen(cursor, rules, at, nesting)?;
        self.append(cursor, rules, at, nesting)
    }

    /// Makes room for the value at the cursor.
    #[cold]
    fn widen(&mut self, cursor: &mut Cursor<'_>, rules: &mut Rules, at: usize, nesting: usize) -> Result<(), Stop> {
        if !rules.may_change {
            return Err(Stop::Slow);
        }
        self.truncate(at);
        let start = cursor.at;
        let seen = match cursor.peek()? {
            b'"' => string_kind(cursor, rules)?,
            b't' | b'f' => Column::Bool,
            b'{' if nesting <= rules.bounds.max_nesting => Column::Struct(Vec::new()),
            b'[' if nesting <= rules.bounds.max_nesting => Column::List(Box::new(Column::Null)),
            b'{' | b'[' => Column::Mixed,
            _ => match cursor.number()? {
                Number::Int(value) => Column::Int { wide: value.unsigned_abs() > number::EXACT_IN_DOUBLE },
                Number::Double(_) => Column::Double,
                Number::Odd => Column::Mixed,
            },
        };
        cursor.at = start;
        let now = self.kind();
        // A struct that cannot take a struct has too many fields.
        let crowded = matches!((&now, &seen), (Column::Struct(_), Column::Struct(_)));
        let wider = if crowded { Column::Mixed } else { now.join(seen, rules.bounds) };
        self.become_column(&wider).map_err(|_| Stop::Slow)
    }

    /// The kind of column, without what is below.
    fn kind(&self) -> Column {
        match &self.data {
            Data::Null => Column::Null,
            Data::Bool(_) => Column::Bool,
            Data::Int { wide, .. } => Column::Int { wide: *wide },
            Data::Double(_) => Column::Double,
            Data::Time { digits, .. } => Column::Time { digits: *digits },
            Data::Text(_) => Column::Text,
            Data::Mixed(_) => Column::Mixed,
            Data::Struct(_) => Column::Struct(Vec::new()),
            Data::List(_) => Column::List(Box::new(Column::Null)),
        }
    }

    fn become_column(&mut self, wider: &Column) -> Result<(), ArrowError> {
        let len = self.len;
        let data = match (wider, &mut self.data) {
            (Column::Bool, _) => {
                let mut values = BooleanBufferBuilder::new(0);
                values.append_n(len, false);
                Data::Bool(values)
            }
            (Column::Int { .. }, Data::Int { wide, .. }) => {
                *wide = true;
                return Ok(());
            }
            (Column::Int { wide }, _) => Data::Int { values: vec![0; len], wide: *wide },
            (Column::Double, Data::Int { values, .. }) => Data::Double(values.iter().map(|int| exact(*int)).collect()),
            (Column::Double, _) => Data::Double(vec![0.0; len]),
            (Column::Struct(_), _) => Data::Struct(Box::new(Fields::new())),
            (Column::List(_), _) => Data::List(Box::new(List { offsets: vec![0; len + 1], items: Self::new() })),
            (Column::Time { digits }, _) => Data::Time { values: vec![0; len], digits: *digits },
            (Column::Text, Data::Time { .. }) => {
                let column = self.kind();
                Data::Text(Strings::from(&self.rendered(&column, false)?))
            }
            (Column::Text, _) => {
                let mut strings = Strings::new();
                strings.pad(len);
                Data::Text(strings)
            }
            (_, _) => {
                let column = self.column();
                Data::Mixed(Strings::from(&self.rendered(&column, true)?))
            }
        };
        self.data = data;
        Ok(())
    }

    /// The values as text. They are taken out; which of them are null stays.
    fn rendered(&mut self, column: &Column, tagged: bool) -> Result<StringArray, ArrowError> {
        let len = self.len;
        let array = self.finish(len)?;
        self.len = len;
        self.valid = NullBufferBuilder::new(0);
        match array.nulls() {
            Some(nulls) => self.valid.append_buffer(nulls),
            None => self.valid.append_n_non_nulls(len),
        }
        Ok(to_text(column, &array, tagged))
    }

    /// Makes `len` be `at`: what is missing is null; what is too much is a value of the same row, by the same key.
    fn settle(&mut self, at: usize) {
        if self.len > at {
            self.truncate(at);
            return;
        }
        self.valid.append_n_nulls(at - self.len);
        match &mut self.data {
            Data::Null => {}
            Data::Bool(values) => values.append_n(at - self.len, false),
            Data::Int { values, .. } | Data::Time { values, .. } => values.resize(at, 0),
            Data::Double(values) => values.resize(at, 0.0),
            Data::Text(strings) | Data::Mixed(strings) => strings.pad(at),
            // Its fields are as long as they need to be.
            Data::Struct(_) => {}
            Data::List(list) => {
                let end = list.offsets.last().copied().unwrap_or(0);
                list.offsets.resize(at + 1, end);
            }
        }
        self.len = at;
    }

    /// Forgets all from value `len` on, and what a row that was left half read has left below.
    pub(super) fn truncate(&mut self, len: usize) {
        let len = len.min(self.len);
        self.len = len;
        self.valid.truncate(len);
        match &mut self.data {
            Data::Null => {}
            Data::Bool(values) => values.truncate(len),
            Data::Int { values, .. } | Data::Time { values, .. } => values.truncate(len),
            Data::Double(values) => values.truncate(len),
            Data::Text(strings) | Data::Mixed(strings) => strings.truncate(len),
            Data::Struct(fields) => fields.truncate(len),
            Data::List(list) => {
                list.offsets.truncate(len + 1);
                let items = list.count();
                list.items.truncate(items);
            }
        }
    }

    /// What was seen here.
    pub(super) fn column(&self) -> Column {
        match &self.data {
            Data::Struct(fields) => Column::Struct(fields.columns()),
            Data::List(list) => Column::List(Box::new(list.items.column())),
            _ => self.kind(),
        }
    }

    /// The first `len` values, which are all there are, as a column of [`Node::column`] is stored.
    pub(super) fn finish(&mut self, len: usize) -> Result<ArrayRef, ArrowError> {
        self.settle(len);
        self.len = 0;
        let nulls = std::mem::replace(&mut self.valid, NullBufferBuilder::new(len)).finish();
        Ok(match &mut self.data {
            Data::Null => new_null_array(&data_type(&Column::Null), len),
            Data::Bool(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Data::Int { values, .. } => Arc::new(Int64Array::new(taken(values).into(), nulls)),
            Data::Time { values, .. } => {
                Arc::new(TimestampMicrosecondArray::new(taken(values).into(), nulls).with_timezone("UTC"))
            }
            Data::Double(values) => Arc::new(Float64Array::new(taken(values).into(), nulls)),
            Data::Text(strings) | Data::Mixed(strings) => {
                let (offsets, bytes) = strings.finish();
                Arc::new(StringArray::try_new(offsets, bytes, nulls)?)
            }
            Data::Struct(fields) => {
                let hollow = fields.is_hollow();
                let (fields, columns) = fields.finish(len)?;
                if hollow {
                    let texts =
                        (0..len).map(|at| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(at)).then_some("{}"));
                    Arc::new(texts.collect::<StringArray>())
                } else {
                    Arc::new(StructArray::try_new_with_length(fields, columns, nulls, len)?)
                }
            }
            Data::List(list) => {
                let count = list.count();
                let element = Arc::new(field("element", &list.items.column()));
                let mut offsets = Vec::with_capacity(list.offsets.len());
                offsets.push(0);
                let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut list.offsets, offsets)));
                Arc::new(ListArray::try_new(element, offsets, list.items.finish(count)?, nulls)?)
            }
        })
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.data, Data::Null)
    }
}

impl List {
    fn count(&self) -> usize {
        usize::try_from(self.offsets.last().copied().unwrap_or(0)).unwrap_or(0)
    }

    fn append(&mut self, cursor: &mut Cursor<'_>, rules: &mut Rules, nesting: usize) -> Result<(), Stop> {
        check_depth(rules, nesting)?;
        cursor.at += 1;
        let mut count = self.count();
        cursor.blank();
        if cursor.peek()? == b']' {
            cursor.at += 1;
        } else {
            loop {
                if !self.items.append_usual(cursor, count) {
                    self.items.append(cursor, rules, count, nesting + 1)?;
                }
                count += 1;
                cursor.blank();
                match cursor.next()? {
                    b',' => cursor.blank(),
                    b']' => break,
                    _ => return Err(Stop::Slow),
                }
            }
        }
        self.offsets.push(i32::try_from(count).map_err(|_| Stop::Slow)?);
        Ok(())
    }
}

/// The row itself is one of the objects that may lie within each other.
pub(super) fn check_depth(rules: &Rules, nesting: usize) -> Result<(), Stop> {
    if nesting < rules.max_depth { Ok(()) } else { Err(Stop::Slow) }
}

/// What kind of column the string at the cursor asks for.
fn string_kind(cursor: &mut Cursor<'_>, rules: &Rules) -> Result<Column, Stop> {
    let (range, escaped) = cursor.string()?;
    let time = time::parse(cursor.bytes(range)).filter(|_| rules.times && !escaped);
    Ok(time.map_or(Column::Text, |(_, digits)| Column::Time { digits }))
}

/// The values, with as much room for the next batch.
fn taken<T>(values: &mut Vec<T>) -> Vec<T> {
    let room = Vec::with_capacity(values.len());
    std::mem::replace(values, room)
}

#[allow(clippy::cast_precision_loss, reason = "callers look that a double holds it")]
fn exact(int: i64) -> f64 {
    int as f64
}

#[inline]
fn append_string(strings: &mut Strings, cursor: &mut Cursor<'_>, rules: &mut Rules) -> Result<(), Stop> {
    let (range, escaped) = cursor.string()?;
    if escaped {
        rules.scratch.clear();
        rules.replaced += unescape(cursor.slice(range)?, &mut rules.scratch);
        strings.bytes.extend_from_slice(rules.scratch.as_bytes());
    } else {
        strings.bytes.extend_from_slice(cursor.bytes(range));
    }
    strings.close()
}

fn append_mixed(
    strings: &mut Strings,
    first: u8,
    cursor: &mut Cursor<'_>,
    rules: &mut Rules,
    nesting: usize,
) -> Result<(), Stop> {
    let mut tag = [0; 4];
    if first == b'"' {
        strings.bytes.extend_from_slice(STRING.encode_utf8(&mut tag).as_bytes());
        let kept = strings.bytes.len();
        return append_string(strings, cursor, rules).inspect_err(|_| strings.bytes.truncate(kept - 1));
    }
    let mut text = String::new();
    rules.replaced += cursor.canonical(rules.max_depth.saturating_sub(nesting), &mut text)?;
    strings.bytes.extend_from_slice(JSON.encode_utf8(&mut tag).as_bytes());
    strings.bytes.extend_from_slice(text.as_bytes());
    strings.close()
}
