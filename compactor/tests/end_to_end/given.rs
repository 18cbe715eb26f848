//! Schemas that are given, in place of those that are found.

use crate::support::{World, batches, gzip, rows};
use alluvial_compactor::{ErrorKind, FixedSchema, Mismatch, Report, Settings};
use arrow_schema::DataType;
use serde_json::{Value, json};

const DDL: &str = "id int, amount decimal(8,2), user struct<name:string>, at timestamp, tags array<string>";

const ROWS: [&str; 4] = [
    r#"{"id":1,"amount":"1.50","user":{"name":"a"},"at":"2026-11-23T05:00:00Z","tags":["x"]}"#,
    r#"{"id":2,"user":{"name":"b","age":7}}"#,
    r#"{"id":"three","amount":2}"#,
    r#"{"id":4,"more":[1]}"#,
];

fn settings(world: &World, mismatch: Mismatch) -> Settings {
    Settings { schema: Some(FixedSchema::parse(DDL).expect("a schema")), mismatch, ..world.settings() }
}

async fn compact(mismatch: Mismatch) -> (World, Report) {
    let world = World::with(gzip(ROWS.join("\n")));
    let report = world.try_compact(&settings(&world, mismatch)).await.expect("compacted");
    (world, report)
}

fn column(world: &World, name: &str) -> (DataType, Vec<Value>) {
    let batch = batches(&world.dst()).remove(0);
    let field = batch.schema().field_with_name(name).expect("a column").clone();
    let mut ids: Vec<Value> = Vec::new();
    let array = batch.column_by_name(name).expect("a column").clone();
    for at in 0..batch.num_rows() {
        use arrow_array::cast::AsArray as _;
        use arrow_array::types::{Decimal128Type, Int32Type};
        let null = array.is_null(at);
        ids.push(match field.data_type() {
            _ if null => Value::Null,
            DataType::Int32 => array.as_primitive::<Int32Type>().value(at).into(),
            DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(at).into(),
            DataType::Utf8 => array.as_string::<i32>().value(at).into(),
            other => panic!("{other}"),
        });
    }
    (field.data_type().clone(), ids)
}

#[tokio::test]
async fn what_has_no_place_goes_to_the_overflow() {
    let (world, report) = compact(Mismatch::Overflow).await;
    assert_eq!((report.rows, report.unfit_rows, report.is_complete()), (4, 3, true));
    assert_eq!(report.schema.len(), 6);
    assert_eq!(report.schema["at"], "Timestamp(µs, \"UTC\")");
    assert_eq!(column(&world, "id"), (DataType::Int32, vec![json!(1), json!(2), Value::Null, json!(4)]));
    assert_eq!(column(&world, "amount").1, [json!("1.50"), Value::Null, json!("2.00"), Value::Null]);
    let (_, rest) = column(&world, "_overflow");
    let texts = [r#"{"user":{"age":7}}"#, r#"{"id":"three"}"#, r#"{"more":[1]}"#];
    assert_eq!(rest, [Value::Null, json!(texts[0]), json!(texts[1]), json!(texts[2])]);
}

#[tokio::test]
async fn rows_with_what_has_no_place_are_quarantined_whole() {
    let (world, report) = compact(Mismatch::Quarantine).await;
    assert_eq!((report.rows, report.quarantined_rows, report.is_complete()), (1, 3, false));
    assert!(!report.schema.contains_key("_overflow"));
    let lines = world.quarantine();
    let raw: Vec<&str> = lines.iter().filter_map(|line| line["raw"].as_str()).collect();
    assert_eq!(raw, ROWS[1..]);
    assert_eq!(lines[1]["reason"], "id is \"three\", the schema wants int");
    assert_eq!(lines[1]["text_offset"], ROWS[0].len() + ROWS[1].len() + 2);
}

#[tokio::test]
async fn a_row_that_does_not_fit_stops_the_run_if_asked_to() {
    let world = World::with(gzip(ROWS.join("\n")));
    let error = world.try_compact(&settings(&world, Mismatch::Reject)).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("the schema has no field user.age (here 7)"), "{error}");
    assert!(crate::support::files(&world.dst()).is_empty());
    let good = World::with(gzip(ROWS[0]));
    let report = good.try_compact(&settings(&good, Mismatch::Reject)).await.expect("compacted");
    assert_eq!((report.rows, report.schema.len()), (1, 5));
}

#[tokio::test]
async fn the_schema_is_the_same_whatever_the_rows_are() {
    let mut schemas = Vec::new();
    for text in ["{}", r#"{"id":1}"#, r#"{"other":{}}"#] {
        let world = World::with(gzip(text));
        schemas.push(world.try_compact(&settings(&world, Mismatch::Overflow)).await.expect("compacted").schema);
    }
    assert!(schemas.iter().all(|schema| *schema == schemas[0] && schema.len() == 6), "{schemas:?}");
}

#[tokio::test]
async fn given_columns_partition_and_survive_damage_and_many_units() {
    let world = World::new();
    for object in 0..5 {
        let text: String =
            (0..2000).map(|n| format!("{{\"id\":{n},\"user\":{{\"name\":\"u{}\"}}}}\n", n % 3)).collect();
        let mut bytes = gzip(&text);
        if object == 4 {
            let at = bytes.len() - 6;
            bytes[at] ^= 1;
        }
        world.put(&format!("2026/11/23/05/{object}"), bytes);
    }
    let partition_by = vec!["user.name".parse().expect("a field")];
    let settings = Settings { unit_bytes: 1, partition_by, ..settings(&world, Mismatch::Overflow) };
    let report = world.try_compact(&settings).await.expect("compacted");
    assert_eq!((report.rows, report.quarantined_members, report.partitions, report.unfit_rows), (8000, 1, 3, 0));
    let total: usize = batches(&world.dst()).iter().map(arrow_array::RecordBatch::num_rows).sum();
    assert_eq!(total, 8000);
    assert!(world.dst().join("name=u2").is_dir());
    // Found columns and given ones are two tables; reading back what was found is unaffected.
    let plain = World::with(gzip("{\"id\":1}"));
    plain.compact().await;
    assert_eq!(rows(&plain.dst()), [json!({"id": 1})]);
}
