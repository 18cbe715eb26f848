use super::*;
use crate::columns::{Bounds, Shape};
use crate::json::{Parser, Step};
use arrow_array::Array;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type};

fn batch(rows: &[&str], max_columns: usize) -> (RecordBatch, u64) {
    let bounds = Bounds { max_columns, max_nesting: 64 };
    let mut shape = Shape::default();
    let parsed: Vec<Parser> = rows
        .iter()
        .map(|row| {
            let mut parser = Parser::new(128);
            assert_eq!(parser.resume(row.as_bytes()), Step::Complete(row.len()), "{row}");
            parser
        })
        .collect();
    for (row, parser) in rows.iter().zip(&parsed) {
        shape.observe_row(Value::root(row, parser.tape()), bounds);
    }
    let mut builder = Builder::new(&Schema::of(&shape, bounds));
    for (row, parser) in rows.iter().zip(&parsed) {
        builder.append(Value::root(row, parser.tape())).expect("fits");
    }
    (builder.finish().expect("a batch"), builder.replaced())
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<Option<String>> {
    let array = batch.column_by_name(column).expect("a column").as_string::<i32>();
    array.iter().map(|text| text.map(str::to_owned)).collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn mixed_values_keep_their_text() {
    let rows = [
        r#"{"a":1.50}"#,
        r#"{"a":"x\ny"}"#,
        r#"{"a":{"k": [1, "é"]}}"#,
        r#"{"a":true}"#,
        r#"{"a":123456789012345678901234567890}"#,
        r#"{"a":null}"#,
        r#"{}"#,
    ];
    let (batch, _) = batch(&rows, 100);
    let expected = ["1.50", "x\ny", "{\"k\": [1, \"é\"]}", "true", "123456789012345678901234567890"];
    assert_eq!(texts(&batch, "a")[..5], expected.map(some));
    assert_eq!(texts(&batch, "a")[5..], [None, None]);
}

#[test]
fn nested_values_keep_the_difference_between_null_empty_and_missing() {
    let (batch, _) =
        batch(&[r#"{"s":{"x":[1,null]}}"#, r#"{"s":{"x":[]}}"#, r#"{"s":{}}"#, r#"{"s":null}"#, "{}"], 100);
    let structs = batch.column_by_name("s").expect("a column").as_struct();
    assert_eq!((0..5).map(|row| structs.is_valid(row)).collect::<Vec<_>>(), [true, true, true, false, false]);
    let lists = structs.column_by_name("x").expect("a column").as_list::<i32>();
    assert_eq!((0..3).map(|row| lists.is_valid(row)).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(lists.value(0).as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(1), None]);
    assert_eq!(lists.value(1).len(), 0);
}

#[test]
fn the_last_of_two_equal_keys_counts() {
    let (batch, _) = batch(&[r#"{"a":1,"a":2}"#, r#"{"a":3,"\u0061":4}"#], 100);
    let ints = batch.column_by_name("a").expect("a column").as_primitive::<Int64Type>();
    assert_eq!(ints.values(), &[2, 4]);
}

#[test]
fn integers_among_doubles_are_exact() {
    let (batch, _) = batch(&[r#"{"a":9007199254740992}"#, r#"{"a":0.1}"#, r#"{"a":-0}"#], 100);
    let doubles = batch.column_by_name("a").expect("a column").as_primitive::<Float64Type>();
    let bits: Vec<u64> = doubles.values().iter().map(|double| double.to_bits()).collect();
    assert_eq!(bits, [9_007_199_254_740_992f64, 0.1, -0.0].map(f64::to_bits));
}

#[test]
fn names_are_kept_as_they_are() {
    let (batch, replaced) = batch(&[r#"{"":1,"a.b":2,"A":3,"a":4,"sp ace":5,"\u00e9\n":6,"\ud800":"\udc00"}"#], 100);
    let schema = batch.schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["", "A", "a", "a.b", "sp ace", "é\n", "\u{fffd}"]);
    assert_eq!(replaced, 2);
}

#[test]
fn fields_without_a_column_go_to_the_overflow() {
    let (batch, _) = batch(&[r#"{"a":1,"b":2,"c":"x\n","d":{"e":1}}"#, r#"{"b":3}"#, r#"{"_overflow":1}"#], 2);
    // `_overflow` sorts first and is not kept as a column of the data.
    assert_eq!(batch.num_columns(), 2);
    assert_eq!(texts(&batch, "_overflow")[0], some(r#"{"b":2,"c":"x\n","d":{"e":1}}"#));
    assert_eq!(texts(&batch, "_overflow")[1..], [some(r#"{"b":3}"#), some(r#"{"_overflow":1}"#)]);
}

#[test]
fn a_builder_starts_over_after_each_batch() {
    let row = r#"{"l":[[1],[2,3]],"s":{"t":"x"}}"#;
    let mut parser = Parser::new(128);
    parser.resume(row.as_bytes());
    let bounds = Bounds { max_columns: 10, max_nesting: 64 };
    let mut shape = Shape::default();
    shape.observe_row(Value::root(row, parser.tape()), bounds);
    let mut builder = Builder::new(&Schema::of(&shape, bounds));
    let mut batches = Vec::new();
    for _ in 0..2 {
        builder.append(Value::root(row, parser.tape())).expect("fits");
        batches.push(builder.finish().expect("a batch"));
    }
    assert_eq!(batches[0], batches[1]);
    assert_eq!(builder.rows(), 0);
}

#[test]
fn a_row_of_another_shape_is_a_misfit() {
    let bounds = Bounds { max_columns: 10, max_nesting: 64 };
    let mut parser = Parser::new(128);
    let row = r#"{"a":1}"#;
    parser.resume(row.as_bytes());
    let mut shape = Shape::default();
    shape.observe_row(Value::root(row, parser.tape()), bounds);
    for other in [r#"{"a":"x"}"#, r#"{"b":1}"#, r#"{"a":1.5}"#, r#"{"a":[1]}"#] {
        let mut parser = Parser::new(128);
        parser.resume(other.as_bytes());
        let mut builder = Builder::new(&Schema::of(&shape, bounds));
        assert_eq!(builder.append(Value::root(other, parser.tape())), Err(Misfit), "{other}");
    }
}
