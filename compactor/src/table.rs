//! What the whole table is: the columns that files of all runs have, and the names of its partitions.
//!
//! A file beside the data, `_schema.json`, says so. Each run adds what it found, and tells what is new.

use crate::columns::Schema;
use crate::error::Error;
use crate::ledger;
use crate::store::Store;
use crate::types::{Dialect, Type};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The file's name below the destination.
pub(crate) const NAME: &str = "_schema.json";

/// The version of the file.
const FORMAT: u32 = 1;

/// The columns and partitions of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TableSchema {
    format: u32,
    /// By name.
    pub(crate) columns: Vec<(Box<str>, Type)>,
    /// The levels of the folders, from the outermost.
    pub(crate) partitions: Vec<String>,
}

impl TableSchema {
    pub(crate) fn new(schema: &Schema, partitions: &[String]) -> Self {
        Self { format: FORMAT, columns: schema.column_types(), partitions: partitions.to_vec() }
    }

    /// What the table at `store` is, if a run has said so.
    ///
    /// # Errors
    /// [`Error::Manifest`] where the file is none of ours.
    pub(crate) async fn read(store: &Store) -> Result<Option<Self>, Error> {
        ledger::read(store, NAME).await
    }

    /// The table that holds the rows of both.
    pub(crate) fn with(&self, later: &Self) -> Self {
        Self { columns: join(&self.columns, &later.columns), ..later.clone() }
    }

    /// What differs between an earlier run's table and this run's files, a line each.
    pub(crate) fn changes(&self, later: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        if self.partitions != later.partitions {
            let levels =
                |table: &Self| if table.partitions.is_empty() { "none".into() } else { table.partitions.join("/") };
            changes.push(format!("partitions were {} and are {}", levels(self), levels(later)));
        }
        compare(&self.columns, &later.columns, "", &mut changes);
        changes
    }

    /// Names that some engines do not tell apart, or do not take, a line each.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        warn(&self.columns, "", &mut warnings);
        warnings
    }
}

fn join(a: &[(Box<str>, Type)], b: &[(Box<str>, Type)]) -> Vec<(Box<str>, Type)> {
    let mut all: BTreeMap<Box<str>, Type> = a.iter().cloned().collect();
    for (name, kind) in b {
        let joined = match all.remove(name) {
            Some(known) => wider(known, kind),
            None => kind.clone(),
        };
        all.insert(name.clone(), joined);
    }
    all.into_iter().collect()
}

/// The type that a reader should ask for, of files that have either.
fn wider(a: Type, b: &Type) -> Type {
    match (a, b) {
        (a, b) if a == *b => a,
        (Type::Int(a), Type::Int(b)) => Type::Int(a.max(*b)),
        (Type::Int(_) | Type::Float, Type::Double) | (Type::Double, Type::Int(_) | Type::Float) => Type::Double,
        (Type::Struct(a), Type::Struct(b)) => Type::Struct(join(&a, b)),
        (Type::List(a), Type::List(b)) => Type::List(Box::new(wider(*a, b))),
        (Type::Map(a), Type::Map(b)) => Type::Map(Box::new(wider(*a, b))),
        _ => Type::Text,
    }
}

fn compare(before: &[(Box<str>, Type)], now: &[(Box<str>, Type)], within: &str, changes: &mut Vec<String>) {
    let earlier: BTreeMap<&str, &Type> = before.iter().map(|(name, kind)| (&**name, kind)).collect();
    for (name, kind) in now {
        let path = format!("{within}{name}");
        let words = |kind: &Type| kind.print(Dialect::Spark);
        match (earlier.get(&**name), kind) {
            (None, kind) => changes.push(format!("{path} is new: {}", words(kind))),
            (Some(Type::Struct(before)), Type::Struct(now)) => compare(before, now, &format!("{path}."), changes),
            (Some(before), now) if *before != now => changes.push(format!(
                "{path} was {} and is {}; files of earlier runs keep their type",
                words(before),
                words(now)
            )),
            _ => {}
        }
    }
}

fn warn(fields: &[(Box<str>, Type)], within: &str, warnings: &mut Vec<String>) {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for (name, kind) in fields {
        if let Some(other) = seen.insert(name.to_lowercase(), name) {
            warnings.push(format!(
                "{within}{other} and {within}{name} differ in case only: Athena, Glue and Spark take them for one"
            ));
        }
        if name.is_empty() || name.chars().any(|character| matches!(character, ',' | ';' | '\0'..='\x1f')) {
            warnings.push(format!("{within}{name:?} is a name that Athena, Glue and DuckDB do not take as it is"));
        }
        let path = format!("{within}{name}.");
        let mut inner = kind;
        while let Type::List(items) | Type::Map(items) = inner {
            inner = items;
        }
        if let Type::Struct(fields) = inner {
            warn(fields, &path, warnings);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::FixedSchema;

    fn table(ddl: &str, partitions: &[&str]) -> TableSchema {
        let columns = FixedSchema::parse(ddl).expect("a schema").columns().to_vec();
        TableSchema { format: FORMAT, columns, partitions: partitions.iter().map(|name| (*name).to_owned()).collect() }
    }

    #[test]
    fn what_is_new_and_what_is_wider_is_told() {
        let before = table("a bigint, b struct<x:bigint>, c string", &["dt", "hour"]);
        let now = table("a double, b struct<x:bigint,y:string>, d array<int>", &["dt"]);
        assert_eq!(
            before.changes(&now),
            [
                "partitions were dt/hour and are dt",
                "a was bigint and is double; files of earlier runs keep their type",
                "b.y is new: string",
                "d is new: array<int>",
            ]
        );
        assert_eq!(before.changes(&before), Vec::<String>::new());
        let both = table("a double, b struct<x:bigint,y:string>, c string, d array<int>", &["dt"]);
        assert_eq!(before.with(&now), both);
        assert_eq!(table("a bigint", &[]).with(&table("a boolean", &[])), table("a string", &[]));
    }

    #[test]
    fn names_that_engines_do_not_tell_apart_are_told() {
        let fields = |names: &[&str]| names.iter().map(|name| ((*name).into(), Type::Int(64))).collect::<Vec<_>>();
        let mut table = table("a bigint", &[]);
        table.columns = fields(&["Id", "id", "x;y"]);
        table.columns.push(("s".into(), Type::List(Box::new(Type::Struct(fields(&["A", "a"]))))));
        let warnings = table.warnings();
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        assert!(warnings[0].starts_with("Id and id differ in case only"), "{warnings:?}");
        assert!(warnings[2].starts_with("s.A and s.a differ"), "{warnings:?}");
    }
}
