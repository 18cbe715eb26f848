//! Types in the words of engines.

use super::Type;

/// Whose words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Athena and Glue, and Hive.
    Athena,
    Spark,
    DuckDb,
}

impl Type {
    /// The type in the dialect's words.
    pub(crate) fn print(&self, dialect: Dialect) -> String {
        let duckdb = dialect == Dialect::DuckDb;
        match self {
            Self::Boolean => "boolean".to_owned(),
            Self::Int(8) => "tinyint".to_owned(),
            Self::Int(16) => "smallint".to_owned(),
            Self::Int(32) => if duckdb { "integer" } else { "int" }.to_owned(),
            Self::Int(_) => "bigint".to_owned(),
            Self::Float => "float".to_owned(),
            Self::Double => "double".to_owned(),
            Self::Text => if duckdb { "varchar" } else { "string" }.to_owned(),
            Self::Date => "date".to_owned(),
            Self::Timestamp => if duckdb { "timestamp with time zone" } else { "timestamp" }.to_owned(),
            Self::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
            Self::List(items) if duckdb => format!("{}[]", items.print(dialect)),
            Self::List(items) => format!("array<{}>", items.print(dialect)),
            Self::Map(values) if duckdb => format!("map(varchar, {})", values.print(dialect)),
            Self::Map(values) => format!("map<string,{}>", values.print(dialect)),
            Self::Struct(fields) => {
                let separator = if duckdb { " " } else { ":" };
                let named = |(name, kind): &(Box<str>, Self)| {
                    let name = if dialect == Dialect::Athena { bare(name) } else { quoted(name, dialect) };
                    format!("{name}{separator}{}", kind.print(dialect))
                };
                let fields: Vec<String> = fields.iter().map(named).collect();
                if duckdb { format!("struct({})", fields.join(", ")) } else { format!("struct<{}>", fields.join(",")) }
            }
        }
    }
}

/// A field's name within a Hive type, which has no quotes.
fn bare(name: &str) -> String {
    let plain = |text: &str| text.chars().all(|character| character.is_alphanumeric() || character == '_');
    if plain(name) { name.to_lowercase() } else { format!("`{}`", name.to_lowercase()) }
}

/// A name as the dialect quotes it; for Athena and Glue, which know no upper case, in lower case.
pub(crate) fn quoted(name: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::Athena => format!("`{}`", name.to_lowercase().replace('`', "``")),
        Dialect::Spark => format!("`{}`", name.replace('`', "``")),
        Dialect::DuckDb => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// `name type` for every column, a line each.
pub(crate) fn column_list<'a>(columns: impl Iterator<Item = (&'a str, &'a Type)>, dialect: Dialect) -> String {
    let lines = columns.map(|(name, kind)| format!("  {} {}", quoted(name, dialect), kind.print(dialect)));
    lines.collect::<Vec<_>>().join(",\n")
}
