//! Statements that make the table known to an engine.

use crate::error::Error;
use crate::location::Location;
use crate::store::Store;
use crate::table::TableSchema;
use crate::types::{Dialect, Type, column_list, quoted};
use std::collections::HashSet;
use std::fmt::Write as _;

/// An engine that reads tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Athena, whose tables are Glue's; also Hive.
    Athena,
    /// Spark SQL.
    Spark,
    /// DuckDB.
    DuckDb,
}

/// The statements that make the table at `dst` known to `engine` as `name`.
///
/// # Errors
/// [`Error::Usage`] where no run has written a table.
pub async fn ddl(dst: &Location, s3: Option<aws_sdk_s3::Client>, engine: Engine, name: &str) -> Result<String, Error> {
    let store = Store::open(dst, s3.as_ref())?;
    match TableSchema::read(&store).await? {
        Some(table) => Ok(print(&table, dst, engine, name)),
        None => Err(Error::Usage(format!("{dst} is no table yet; compact run SRC {dst} makes one"))),
    }
}

fn print(table: &TableSchema, dst: &Location, engine: Engine, name: &str) -> String {
    match engine {
        Engine::Athena => athena(table, dst, name),
        Engine::Spark => spark(table, dst, name),
        Engine::DuckDb => duckdb(table, dst, name),
    }
}

/// The columns without those that differ from an earlier one in case only, and the names of these.
fn told_apart(table: &TableSchema) -> (Vec<(&str, &Type)>, Vec<&str>) {
    let mut seen: HashSet<String> = table.partitions.iter().map(|name| name.to_lowercase()).collect();
    let (mut kept, mut left) = (Vec::new(), Vec::new());
    for (name, kind) in &table.columns {
        if seen.insert(name.to_lowercase()) { kept.push((&**name, kind)) } else { left.push(&**name) }
    }
    (kept, left)
}

/// Comments on columns that the statement cannot have. Writing to a string cannot fail.
fn comments(left: &[&str], out: &mut String) {
    for name in left {
        writeln!(out, "-- {name:?} is left out: another column or a partition has its name, but for the case").ok();
    }
}

fn partition_list(table: &TableSchema, dialect: Dialect) -> String {
    let text = Type::Text;
    column_list(table.partitions.iter().map(|name| (name.as_str(), &text)), dialect)
}

fn url(dst: &Location) -> String {
    match dst {
        Location::Local(path) => std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string(),
        Location::S3 { .. } => dst.to_string(),
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn athena(table: &TableSchema, dst: &Location, name: &str) -> String {
    let mut out = String::new();
    let (columns, left) = told_apart(table);
    comments(&left, &mut out);
    let location = format!("{}/", url(dst));
    writeln!(out, "CREATE EXTERNAL TABLE {} (", quoted(name, Dialect::Athena)).ok();
    writeln!(out, "{}\n)", column_list(columns.into_iter(), Dialect::Athena)).ok();
    if !table.partitions.is_empty() {
        writeln!(out, "PARTITIONED BY (\n{}\n)", partition_list(table, Dialect::Athena)).ok();
    }
    writeln!(out, "STORED AS PARQUET\nLOCATION {}", literal(&location)).ok();
    let mut properties = vec!["'parquet.compression' = 'ZSTD'".to_owned()];
    let projected: Option<Vec<[String; 2]>> = table.partitions.iter().map(|name| projection(name)).collect();
    if let Some(projected) = projected.as_ref().filter(|projected| !projected.is_empty()) {
        properties.push("'projection.enabled' = 'true'".to_owned());
        properties.extend(projected.iter().flatten().cloned());
    }
    writeln!(out, "TBLPROPERTIES (\n  {}\n);", properties.join(",\n  ")).ok();
    match projected {
        Some(projected) if !projected.is_empty() => {
            writeln!(out, "-- Partitions are computed. Rows without a time lie in __HIVE_DEFAULT_PARTITION__,").ok();
            writeln!(out, "-- which only a table without projection.* and with MSCK REPAIR TABLE shows.").ok();
        }
        _ if !table.partitions.is_empty() => {
            writeln!(out, "MSCK REPAIR TABLE {};", quoted(name, Dialect::Athena)).ok();
        }
        _ => {}
    }
    out
}

/// How Athena computes the values of a level, if it is one of time.
/// Source: <https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html>.
fn projection(name: &str) -> Option<[String; 2]> {
    let date = |format: &str, from: &str, unit: &str| {
        [
            format!("'projection.{name}.type' = 'date', 'projection.{name}.format' = '{format}'"),
            format!(
                "'projection.{name}.range' = '{from},NOW', 'projection.{name}.interval' = '1', \
                 'projection.{name}.interval.unit' = '{unit}'"
            ),
        ]
    };
    match name {
        "dt" => Some(date("yyyy-MM-dd", "2015-01-01", "DAYS")),
        "month" => Some(date("yyyy-MM", "2015-01", "MONTHS")),
        "year" => Some(date("yyyy", "2015", "YEARS")),
        "hour" => Some([
            "'projection.hour.type' = 'integer', 'projection.hour.range' = '0,23'".to_owned(),
            "'projection.hour.digits' = '2'".to_owned(),
        ]),
        _ => None,
    }
}

fn spark(table: &TableSchema, dst: &Location, name: &str) -> String {
    let mut out = String::new();
    let (mut columns, left) = told_apart(table);
    comments(&left, &mut out);
    let text = Type::Text;
    columns.extend(table.partitions.iter().map(|name| (name.as_str(), &text)));
    writeln!(out, "CREATE TABLE {} (", quoted(name, Dialect::Spark)).ok();
    writeln!(out, "{}\n)\nUSING PARQUET", column_list(columns.into_iter(), Dialect::Spark)).ok();
    if !table.partitions.is_empty() {
        let names: Vec<String> = table.partitions.iter().map(|name| quoted(name, Dialect::Spark)).collect();
        writeln!(out, "PARTITIONED BY ({})", names.join(", ")).ok();
    }
    writeln!(out, "LOCATION {};", literal(&url(dst))).ok();
    if !table.partitions.is_empty() {
        writeln!(out, "MSCK REPAIR TABLE {};", quoted(name, Dialect::Spark)).ok();
    }
    out
}

fn duckdb(table: &TableSchema, dst: &Location, name: &str) -> String {
    let mut out = String::new();
    let levels: String = table.partitions.iter().map(|name| format!("{name}=*/")).collect();
    let mut options = vec![literal(&format!("{}/{levels}*.parquet", url(dst))), "union_by_name = true".to_owned()];
    if !table.partitions.is_empty() {
        let types: Vec<String> = table.partitions.iter().map(|name| format!("{}: VARCHAR", literal(name))).collect();
        options.push(format!("hive_partitioning = true, hive_types = {{{}}}", types.join(", ")));
    }
    writeln!(out, "CREATE VIEW {} AS", quoted(name, Dialect::DuckDb)).ok();
    writeln!(out, "SELECT * FROM read_parquet({});", options.join(", ")).ok();
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::FixedSchema;

    fn table(partitions: &[&str]) -> TableSchema {
        let schema = FixedSchema::parse("id bigint, `a b` struct<x:double>, at timestamp").expect("a schema");
        let mut table = TableSchema::default();
        table.columns = schema.columns().to_vec();
        table.columns.push(("ID".into(), Type::Text));
        table.partitions = partitions.iter().map(|name| (*name).to_owned()).collect();
        table
    }

    fn ddl(engine: Engine, partitions: &[&str]) -> String {
        print(&table(partitions), &"s3://lake/orders".parse().expect("a location"), engine, "orders")
    }

    #[test]
    fn athena_computes_partitions_of_time_and_repairs_others() {
        let timed = ddl(Engine::Athena, &["dt", "hour"]);
        for part in [
            "-- \"ID\" is left out",
            "CREATE EXTERNAL TABLE `orders` (\n  `a b` struct<x:double>,\n  `at` timestamp,\n  `id` bigint\n)",
            "PARTITIONED BY (\n  `dt` string,\n  `hour` string\n)",
            "LOCATION 's3://lake/orders/'",
            "'projection.dt.format' = 'yyyy-MM-dd'",
            "'projection.hour.digits' = '2'",
        ] {
            assert!(timed.contains(part), "{part}\n{timed}");
        }
        assert!(!timed.contains("\nMSCK"), "{timed}");
        let named = ddl(Engine::Athena, &["dt", "site"]);
        assert!(named.contains("MSCK REPAIR TABLE `orders`;") && !named.contains("projection"), "{named}");
        assert!(!ddl(Engine::Athena, &[]).contains("PARTITIONED"));
        // What is printed is a schema that can be given.
        assert_eq!(FixedSchema::parse(&timed).expect("a schema").columns().len(), 3);
    }

    #[test]
    fn spark_and_duckdb_have_words_of_their_own() {
        let spark = ddl(Engine::Spark, &["site"]);
        assert!(spark.contains("`a b` struct<`x`:double>") && spark.contains("PARTITIONED BY (`site`)"), "{spark}");
        let duckdb = ddl(Engine::DuckDb, &["site"]);
        let expected = "CREATE VIEW \"orders\" AS\nSELECT * FROM read_parquet('s3://lake/orders/site=*/*.parquet', \
            union_by_name = true, hive_partitioning = true, hive_types = {'site': VARCHAR});\n";
        assert_eq!(duckdb, expected);
    }
}
