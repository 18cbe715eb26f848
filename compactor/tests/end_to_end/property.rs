//! Any rows, split in any way: what comes out of the Parquet is what went in, widened as documented.

use crate::support::{World, batches, gzip_at, rows};
use alluvial_compactor::Settings;
use arrow_schema::{DataType, Fields};
use proptest::prelude::*;
use serde_json::{Map, Value};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        2 => Just(Value::Null),
        2 => any::<bool>().prop_map(Value::from),
        4 => (-100i64..100).prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        4 => (-1e300f64..1e300).prop_map(Value::from),
        4 => ".{0,10}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-c]{0,2}|é", inner, 0..5).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// Rows whose fields have a kind each, with now and then a value of any other kind.
fn row() -> impl Strategy<Value = Value> {
    let maybe = |strategy: BoxedStrategy<Value>| prop::option::of(prop_oneof![9 => strategy, 1 => value()]);
    let fields = (
        maybe(any::<i64>().prop_map(Value::from).boxed()),
        maybe((-1e9f64..1e9).prop_map(Value::from).boxed()),
        maybe(any::<bool>().prop_map(Value::from).boxed()),
        maybe(".*".prop_map(Value::from).boxed()),
        maybe(prop::collection::vec(-9i64..9, 0..4).prop_map(Value::from).boxed()),
        prop::collection::btree_map("[a-d]{0,2}", value(), 0..4),
    );
    fields.prop_map(|(int, double, bool, text, list, rest)| {
        let mut row: Map<String, Value> = rest.into_iter().collect();
        let named = [("int", int), ("double", double), ("bool", bool), ("text", text), ("list", list)];
        row.extend(named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        Value::Object(row)
    })
}

/// What a text column shows of a value: members by name (as `Value` has them), none that are null, and no fraction
/// where there is none.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let members = object.iter().filter(|(_, value)| !value.is_null());
            let texts = members.map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), canonical(value)));
            format!("{{{}}}", texts.collect::<Vec<_>>().join(","))
        }
        Value::Array(elements) => format!("[{}]", elements.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Number(number) if number.is_f64() => {
            let text = format!("{:?}", number.as_f64().expect("a double"));
            text.strip_suffix(".0").unwrap_or(&text).to_owned()
        }
        other => other.to_string(),
    }
}

/// The value as a column of this type holds it, null members left out.
fn widened(value: &Value, column: &DataType) -> Value {
    match (column, value) {
        (_, Value::Null) => Value::Null,
        (DataType::Boolean, Value::Bool(_)) => value.clone(),
        (DataType::Int64, Value::Number(number)) if number.is_i64() => value.clone(),
        (DataType::Float64, Value::Number(number)) => {
            if let Some(int) = number.as_i64() {
                assert!(int.unsigned_abs() <= 1 << 53, "{int} would be rounded");
            }
            assert!(!number.is_u64() || number.is_i64(), "{number} would be rounded");
            Value::from(number.as_f64().expect("a double"))
        }
        (DataType::Utf8, Value::String(_)) => value.clone(),
        (DataType::Utf8, other) => Value::from(canonical(other)),
        (DataType::Struct(fields), Value::Object(object)) => widened_object(object, fields),
        (DataType::List(items), Value::Array(elements)) => {
            elements.iter().map(|element| widened(element, items.data_type())).collect()
        }
        _ => panic!("{value} in a column of type {column}"),
    }
}

fn widened_object(object: &Map<String, Value>, fields: &Fields) -> Value {
    for name in object.keys() {
        assert!(fields.iter().any(|field| field.name() == name), "no column for {name:?}");
    }
    let members = fields.iter().filter_map(|field| {
        let value = widened(object.get(field.name())?, field.data_type());
        (!value.is_null()).then(|| (field.name().clone(), value))
    });
    Value::Object(members.collect())
}

/// The type that the column must have, for columns whose values are all of one kind.
fn narrowest(rows: &[Value], name: &str) -> Option<DataType> {
    let values: Vec<&Value> = rows.iter().filter_map(|row| row.get(name)).filter(|value| !value.is_null()).collect();
    let all = |kind: fn(&Value) -> bool| !values.is_empty() && values.iter().all(|value| kind(value));
    if all(Value::is_boolean) {
        Some(DataType::Boolean)
    } else if all(Value::is_i64) {
        Some(DataType::Int64)
    } else if all(Value::is_f64) {
        Some(DataType::Float64)
    } else if values.iter().any(|value| value.is_string()) {
        Some(DataType::Utf8)
    } else {
        None
    }
}

/// Compacts `text` in objects and members of these sizes, in the order that `order` says.
fn compact(text: &[u8], objects: usize, member: usize, level: u32, order: &[usize]) -> (World, Vec<Value>) {
    let world = World::new();
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    for (at, lines) in lines.chunks(lines.len().div_ceil(objects).max(1)).enumerate() {
        let text = lines.concat();
        let object: Vec<u8> = text.chunks(member).flat_map(|part| gzip_at(level, part)).collect();
        world.put(&format!("2026/11/23/05/{:03}", order[at % order.len()]), object);
    }
    // Each object is a unit of its own, or all are one; row groups are put together, or kept and conformed.
    let settings = Settings {
        unit_bytes: if member.is_multiple_of(2) { 1 } else { 1 << 20 },
        row_group_bytes: if member.is_multiple_of(3) { 1 } else { 64 << 20 },
        ..world.settings()
    };
    let report = runtime().block_on(world.try_compact(&settings)).expect("compacted");
    assert!(report.is_complete(), "{report:?}");
    let rows = rows(&world.dst());
    (world, rows)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn parquet_holds_what_went_in_whatever_the_order_of_objects(
        input in prop::collection::vec(row(), 1..25),
        objects in 1usize..5,
        member in 1usize..400,
        level in 0u32..3,
        order in Just((0..5usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let text: String = input.iter().map(|row| row.to_string() + "\n").collect();
        let (world, found) = compact(text.as_bytes(), objects, member, level, &[0, 1, 2, 3, 4]);
        let batches = batches(&world.dst());
        let schema = batches[0].schema();
        let mut expected: Vec<Value> = input
            .iter()
            .map(|row| widened_object(row.as_object().expect("an object"), &without_overflow(schema.fields())))
            .collect();
        expected.sort_by_key(Value::to_string);
        prop_assert_eq!(&found, &expected);
        for field in schema.fields() {
            if let Some(narrowest) = narrowest(&input, field.name()) {
                prop_assert_eq!(field.data_type(), &narrowest, "{}", field.name());
            }
        }
        let (other, permuted) = compact(text.as_bytes(), objects, member, level, &order);
        prop_assert_eq!(&permuted, &expected);
        let other_schema = crate::support::batches(&other.dst())[0].schema();
        prop_assert_eq!(other_schema.fields(), schema.fields());
    }
}

/// The columns of the data: rows without any fields have one that is not.
fn without_overflow(fields: &Fields) -> Fields {
    fields.iter().filter(|field| field.name() != "_overflow").cloned().collect()
}
