//! What columns hold, and how two answers to that question are put together.

use super::flat::Node;
use crate::types::Type;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What was seen of the values at one place of the rows, and so what a column of them holds.
///
/// The kinds form a lattice: [`Column::join`] is commutative, associative and idempotent, so that the schema is a
/// function of the set of rows, however they are ordered and grouped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<Node>", try_from = "Vec<Node>")]
pub(crate) enum Column {
    /// Nothing but nulls.
    Null,
    Bool,
    /// Integers that 64 bits hold; `wide` if a double does not hold all of them exactly.
    Int {
        wide: bool,
    },
    /// Doubles, and integers that are exact as such.
    Double,
    /// Strings that are all times with so many digits of a second's fraction.
    Time {
        digits: u8,
    },
    /// Strings. In a file's schema, also what stands in place of every kind that has no type of its own.
    Text,
    /// Values that no other kind holds together. Which of them are strings is kept until the schema is settled.
    Mixed,
    /// Sorted by name. Without fields, where only `{}` was seen.
    Struct(Vec<(Box<str>, Column)>),
    List(Box<Column>),
    /// What a schema that was given says.
    Fixed(Box<Type>),
}

/// How much of the rows' structure becomes columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Columns of the rows, and fields of one object. Of the row itself, the first fields by name are kept; a nested
    /// object that has more is text.
    pub(crate) max_columns: usize,
    /// Structs and lists within each other; what lies deeper is text.
    pub(crate) max_nesting: usize,
}

impl Column {
    /// The narrowest column that holds what either holds.
    pub(crate) fn join(self, other: Self, bounds: Bounds) -> Self {
        match (self, other) {
            (Self::Null, column) | (column, Self::Null) => column,
            (Self::Bool, Self::Bool) => Self::Bool,
            (Self::Time { digits: a }, Self::Time { digits: b }) if a == b => Self::Time { digits: a },
            (Self::Text | Self::Time { .. }, Self::Text | Self::Time { .. }) => Self::Text,
            (Self::Int { wide: a }, Self::Int { wide: b }) => Self::Int { wide: a || b },
            (Self::Double, Self::Double | Self::Int { wide: false }) | (Self::Int { wide: false }, Self::Double) => {
                Self::Double
            }
            (Self::Struct(a), Self::Struct(b)) => {
                let fields = join_fields(a, b, bounds);
                if fields.len() > bounds.max_columns { Self::Mixed } else { Self::Struct(fields) }
            }
            (Self::List(a), Self::List(b)) => Self::List(Box::new(a.join(*b, bounds))),
            (Self::Fixed(a), Self::Fixed(b)) if a == b => Self::Fixed(a),
            _ => Self::Mixed,
        }
    }

    /// Whether a struct has no field that needs a column: Parquet has no such structs.
    pub(crate) fn is_hollow(&self) -> bool {
        matches!(self, Self::Struct(fields) if fields.iter().all(|(_, column)| *column == Self::Null))
    }

    /// What a file's column is: of mixed values, or nothing but nulls or `{}`, text.
    pub(crate) fn settled(self) -> Self {
        match self {
            Self::Null | Self::Mixed => Self::Text,
            Self::Int { .. } => Self::Int { wide: false },
            Self::Struct(fields) if fields.is_empty() => Self::Text,
            Self::Struct(fields) => {
                Self::Struct(fields.into_iter().map(|(name, column)| (name, column.settled())).collect())
            }
            Self::List(items) => Self::List(Box::new(items.settled())),
            other => other,
        }
    }

    /// The type of a file's column.
    pub(crate) fn kind(&self) -> Type {
        match self {
            Self::Bool => Type::Boolean,
            Self::Int { .. } => Type::Int(64),
            Self::Double => Type::Double,
            Self::Time { .. } => Type::Timestamp,
            Self::Null | Self::Text | Self::Mixed => Type::Text,
            column if column.is_hollow() => Type::Text,
            Self::Struct(fields) => {
                Type::Struct(fields.iter().map(|(name, column)| (name.clone(), column.kind())).collect())
            }
            Self::List(items) => Type::List(Box::new(items.kind())),
            Self::Fixed(kind) => (**kind).clone(),
        }
    }

    /// The number of places that are told apart: a measure of memory.
    pub(crate) fn places(&self) -> usize {
        match self {
            Self::Struct(fields) => 1 + fields.iter().map(|(_, column)| column.places()).sum::<usize>(),
            Self::List(items) => 1 + items.places(),
            _ => 1,
        }
    }

    /// The columns that a Parquet file has for this one.
    pub(crate) fn leaves(&self) -> usize {
        match self {
            Self::Struct(columns) => columns.iter().map(|(_, column)| column.leaves()).sum(),
            Self::List(items) => items.leaves(),
            Self::Fixed(kind) => kind.leaves(),
            _ => 1,
        }
    }

    /// The struct with the most fields of its own, here or below, and their number; the first of several by name.
    pub(super) fn widest(&mut self) -> Option<(usize, &mut Self)> {
        match self {
            Self::List(items) => items.widest(),
            Self::Struct(columns) => {
                let own = columns.len();
                let below = columns.iter().map(|(_, column)| column.widest_fields()).max().unwrap_or(0);
                if own >= below {
                    return Some((own, self));
                }
                let Self::Struct(columns) = self else { return None };
                columns.iter_mut().find(|(_, column)| column.widest_fields() == below)?.1.widest()
            }
            _ => None,
        }
    }

    fn widest_fields(&self) -> usize {
        match self {
            Self::Struct(columns) => {
                columns.iter().map(|(_, column)| column.widest_fields()).max().unwrap_or(0).max(columns.len())
            }
            Self::List(items) => items.widest_fields(),
            _ => 0,
        }
    }
}

/// The fields of both, by name.
pub(super) fn join_fields(
    a: Vec<(Box<str>, Column)>,
    b: Vec<(Box<str>, Column)>,
    bounds: Bounds,
) -> Vec<(Box<str>, Column)> {
    if a.iter().map(|(name, _)| name).eq(b.iter().map(|(name, _)| name)) {
        return a.into_iter().zip(b).map(|((name, a), (_, b))| (name, a.join(b, bounds))).collect();
    }
    let mut fields: BTreeMap<Box<str>, Column> = a.into_iter().collect();
    for (name, column) in b {
        let joined = match fields.remove(&name) {
            Some(known) => known.join(column, bounds),
            None => column,
        };
        fields.insert(name, joined);
    }
    fields.into_iter().collect()
}
