//! What was seen of the values at one place of the rows.

use crate::json::{Kind, Value, number};
use std::collections::HashMap;

/// How much of the rows' structure becomes columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Columns of the rows, and fields of one object. Of the row itself, the first fields by name are kept; a nested
    /// object that has more is no struct.
    pub(crate) max_columns: usize,
    /// Structs and lists within each other; what lies deeper is text.
    pub(crate) max_nesting: usize,
}

/// What was seen of the values at one place of the rows. Null leaves no trace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shape {
    pub(crate) bool: bool,
    /// An integer that 64 bits hold.
    pub(crate) int: bool,
    /// An integer that a double does not hold exactly.
    pub(crate) wide_int: bool,
    pub(crate) double: bool,
    /// A number that is neither a 64-bit integer nor near a finite double.
    pub(crate) odd_number: bool,
    pub(crate) text: bool,
    pub(crate) object: bool,
    pub(crate) array: bool,
    /// An object or array that lies too deep, or has too many fields, for columns.
    pub(crate) opaque: bool,
    pub(crate) fields: Fields,
    pub(crate) items: Option<Box<Shape>>,
}

/// The fields of the objects at one place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields {
    /// In order of first appearance.
    entries: Vec<(Box<str>, Shape)>,
    index: HashMap<Box<str>, usize>,
    /// Some fields were left out. Only ever set of the row itself.
    pub(crate) overflow: bool,
}

impl Fields {
    /// The names and shapes, by name.
    pub(crate) fn sorted(&self) -> Vec<(&str, &Shape)> {
        let mut sorted: Vec<_> = self.entries.iter().map(|(name, shape)| (&**name, shape)).collect();
        sorted.sort_unstable_by_key(|(name, _)| *name);
        sorted
    }

    /// The shape of a field. `guess` is where the last row's order of fields lets it be.
    fn entry(&mut self, name: &str, guess: usize) -> (usize, &mut Shape) {
        let at = match self.entries.get(guess) {
            Some((known, _)) if **known == *name => guess,
            _ => match self.index.get(name) {
                Some(at) => *at,
                None => {
                    self.entries.push((name.into(), Shape::default()));
                    self.index.insert(name.into(), self.entries.len() - 1);
                    self.entries.len() - 1
                }
            },
        };
        (at, &mut self.entries[at].1)
    }

    /// Keeps the first `max` fields by name. A field that is dropped now would be dropped by any later call too, so
    /// it does not matter when this is done.
    fn keep_first(&mut self, max: usize) {
        self.overflow = true;
        self.entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        self.entries.truncate(max);
        self.index = self.entries.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
    }
}

impl Shape {
    /// Sees one row.
    pub(crate) fn observe_row(&mut self, row: Value<'_>, bounds: Bounds) {
        self.observe(row, bounds, 0);
        self.bound_row(bounds);
    }

    /// Sees all that `other` has seen; both are shapes of whole rows.
    pub(crate) fn merge_rows(&mut self, other: Self, bounds: Bounds) {
        self.merge(other, bounds, 0);
        self.bound_row(bounds);
    }

    /// The number of places that are distinguished: a measure of memory.
    pub(crate) fn places(&self) -> usize {
        let fields: usize = self.fields.entries.iter().map(|(_, shape)| shape.places()).sum();
        1 + fields + self.items.as_ref().map_or(0, |items| items.places())
    }

    /// Whether there are more fields in the row itself than columns.
    pub(crate) fn crowded(&self, bounds: Bounds) -> bool {
        self.fields.overflow || self.fields.entries.len() > bounds.max_columns
    }

    fn observe(&mut self, value: Value<'_>, bounds: Bounds, nesting: usize) {
        match value.kind() {
            Kind::Null => {}
            Kind::True | Kind::False => self.bool = true,
            Kind::Text | Kind::EscapedText => self.text = true,
            Kind::Int => match number::integer(value.source()) {
                Some(int) => {
                    self.int = true;
                    self.wide_int |= int.unsigned_abs() > number::EXACT_IN_DOUBLE;
                }
                None => self.odd_number = true,
            },
            Kind::Float if number::fits_double(value.source()) => self.double = true,
            Kind::Float => self.odd_number = true,
            Kind::Object | Kind::Array if nesting > bounds.max_nesting => self.opaque = true,
            Kind::Object => {
                self.object = true;
                let mut guess = 0;
                for (key, value) in value.members() {
                    let (at, shape) = self.fields.entry(&key.text().0, guess);
                    shape.observe(value, bounds, nesting + 1);
                    guess = at + 1;
                }
                self.bound_fields(bounds, nesting);
            }
            Kind::Array => {
                self.array = true;
                for element in value.elements() {
                    self.items.get_or_insert_default().observe(element, bounds, nesting + 1);
                }
            }
        }
    }

    fn merge(&mut self, other: Self, bounds: Bounds, nesting: usize) {
        self.bool |= other.bool;
        self.int |= other.int;
        self.wide_int |= other.wide_int;
        self.double |= other.double;
        self.odd_number |= other.odd_number;
        self.text |= other.text;
        self.object |= other.object;
        self.array |= other.array;
        self.opaque |= other.opaque;
        self.fields.overflow |= other.fields.overflow;
        let mut guess = 0;
        for (name, shape) in other.fields.entries {
            let (at, known) = self.fields.entry(&name, guess);
            known.merge(shape, bounds, nesting + 1);
            guess = at + 1;
        }
        self.bound_fields(bounds, nesting);
        if let Some(items) = other.items {
            self.items.get_or_insert_default().merge(*items, bounds, nesting + 1);
        }
    }

    /// A nested object with too many fields is no struct; nothing below it needs to be known.
    fn bound_fields(&mut self, bounds: Bounds, nesting: usize) {
        if nesting > 0 && (self.opaque || self.fields.entries.len() > bounds.max_columns) {
            self.opaque = true;
            self.fields = Fields::default();
        }
    }

    /// The row's own fields are cut late, and then in one go, as cutting sorts them.
    fn bound_row(&mut self, bounds: Bounds) {
        if self.fields.entries.len() > bounds.max_columns.saturating_mul(2) {
            self.fields.keep_first(bounds.max_columns);
        }
    }
}
