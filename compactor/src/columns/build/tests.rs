use super::*;
use arrow_array::Array as _;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type};
use proptest::prelude::*;

/// The rows as a table of its own: in batches of these sizes, each brought to the schema of all.
fn batches(rows: &[&str], bounds: Bounds, sizes: &[usize]) -> (Vec<RecordBatch>, u64) {
    let mut builder = Builder::new(bounds, 128, 100_000).with_timestamps(bounds.max_nesting != 2);
    let mut built = Vec::new();
    let mut sizes = sizes.iter().cycle();
    let mut left = *sizes.next().expect("a size");
    for row in rows {
        if left == 0 || builder.is_full() {
            built.push(builder.finish().expect("a batch"));
            left = *sizes.next().expect("a size");
        }
        if builder.try_append(row.as_bytes()) != Some(row.len()) {
            builder.append(row).unwrap_or_else(|refusal| panic!("{row}: {refusal:?}"));
        }
        left -= 1;
    }
    built.push(builder.finish().expect("a batch"));
    let table = built.iter().fold(Table::default(), |table, batch| table.join(batch.table.clone(), bounds));
    let schema = Schema::of(table, bounds);
    let conformed = built.iter().map(|batch| {
        assert_eq!(conform::fits(&batch.table, batch.has_overflow, &schema).len(), schema.to_arrow().fields().len());
        conform::conform(&batch.table, &batch.columns, &schema).expect("conforms")
    });
    (conformed.collect(), builder.replaced())
}

fn batch(rows: &[&str], max_columns: usize) -> (RecordBatch, u64) {
    let (batches, replaced) = batches(rows, Bounds { max_columns, max_nesting: 64 }, &[usize::MAX]);
    (batches.into_iter().next().expect("a batch"), replaced)
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
    let expected = ["1.5", "x\ny", "{\"k\":[1,\"é\"]}", "true", "123456789012345678901234567890"];
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
    // The rows' own `_overflow` is not kept as a column of the data.
    assert_eq!(batch.num_columns(), 3);
    let expected = [some(r#"{"c":"x\n","d":{"e":1}}"#), None, some(r#"{"_overflow":1}"#)];
    assert_eq!(texts(&batch, "_overflow"), expected);
}

#[test]
fn a_builder_starts_over_after_each_batch() {
    let row = r#"{"l":[[1],[2,3]],"s":{"t":"x"}}"#;
    let (batches, _) = batches(&[row, row], Bounds { max_columns: 10, max_nesting: 64 }, &[1]);
    assert_eq!(batches[0], batches[1]);
}

#[test]
fn what_the_fast_path_refuses_leaves_no_trace() {
    let mut builder = Builder::new(Bounds { max_columns: 10, max_nesting: 64 }, 128, 100);
    let good = r#"{"a":1,"l":[{"b":"x"}],"s":{"t":[1.5]}}"#;
    builder.append(good).expect("good");
    for bad in [
        r#"{"a":2,"l":[{"b":"y"},{"b":"z"}],"s":{"t":[2.5,3.5"#,
        r#"{"a":2,"l":[{"b":"y"}],"s":{"t":[2.5],}}"#,
        r#"{"a":2,"new":1}"#,
        r#"{"a":2.5}"#,
        r#"{"a":01}"#,
        r#"{"s":{"t":[1.]}}"#,
        r#"{"l":[{"b":"\ud800"},x]}"#,
        r#"{"a":9007199254740993}"#,
        "",
        "{",
    ] {
        assert_eq!(builder.try_append(bad.as_bytes()), None, "{bad}");
    }
    assert_eq!(builder.try_append(b"{ \"s\" : { \"t\" : [ 7e0 , null ] } , \"a\" : 3 } rest"), Some(44));
    let batch = builder.finish().expect("a batch");
    assert_eq!(builder.replaced(), 0);
    let ints = batch.columns.column_by_name("a").expect("a column").as_primitive::<Int64Type>();
    assert_eq!(ints.values(), &[1, 3]);
    assert_eq!(batch.table.columns.len(), 3);
}

#[test]
fn a_mixed_value_that_becomes_part_of_a_text_is_still_a_string_or_not() {
    let rows = [r#"{"s":{"a":1}}"#, r#"{"s":{"a":"1"}}"#, r#"{"s":5}"#];
    let expected = [some(r#"{"a":1}"#), some(r#"{"a":"1"}"#), some("5")];
    let (all, _) = batch(&rows, 100);
    assert_eq!(texts(&all, "s"), expected);
    let (one_by_one, _) = batches(&rows, Bounds { max_columns: 100, max_nesting: 64 }, &[1]);
    assert_eq!(one_by_one.iter().flat_map(|batch| texts(batch, "s")).collect::<Vec<_>>(), expected);
}

#[test]
fn times_are_times_only_if_all_are() {
    let bounds = Bounds { max_columns: 100, max_nesting: 64 };
    let row = |a: &str, b: &str| format!(r#"{{"a":"{a}","b":"{b}"}}"#);
    let time = "2026-11-23T05:00:00.500Z";
    let rows = [row(time, time), r#"{"a":null}"#.to_owned(), row(time, "soon")];
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    for sizes in [[usize::MAX], [1]] {
        let (batches, _) = batches(&rows, bounds, &sizes);
        let types = batches[0].schema().fields().iter().map(|field| field.data_type().to_string()).collect::<Vec<_>>();
        assert_eq!(types, ["Timestamp(µs, \"UTC\")", "Utf8"]);
        let b: Vec<_> = batches.iter().flat_map(|batch| texts(batch, "b")).collect();
        assert_eq!(b, [some(time), None, some("soon")]);
        let a = batches[0].column(0).as_primitive::<arrow_array::types::TimestampMicrosecondType>();
        assert_eq!(a.value(0), 1_795_410_000_500_000);
    }
}

#[test]
fn too_many_fields_are_refused() {
    let mut builder = Builder::new(Bounds { max_columns: 10, max_nesting: 64 }, 128, 3);
    assert_eq!(builder.append(r#"{"a":1,"b":{"c":1}}"#), Ok(()));
    assert_eq!(builder.append(r#"{"d":1}"#), Err(Refusal::TooManyFields));
    assert_eq!(builder.rows(), 1);
}

fn value() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "null",
        "true",
        "1",
        "-7",
        "9007199254740993",
        "0.5",
        "1.0",
        "-0",
        "1e999",
        "1E2",
        "123456789012345678901",
        "\"s\"",
        "\"1\"",
        "\"\\u00e9\\n\"",
        "{}",
        "[]",
        "{ }",
        "[ ]",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::vec(("[a-e]", inner), 0..4).prop_map(|members| {
                let members: Vec<String> = members.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// However rows are ordered and cut into batches, each becomes the same.
    #[test]
    fn rows_do_not_depend_on_their_neighbours(
        rows in prop::collection::vec(prop::collection::vec(("[a-d]{1,2}|_overflow", value()), 0..5), 1..8),
        sizes in prop::collection::vec(1usize..4, 1..4),
        rotation in any::<prop::sample::Index>(),
        max_columns in 1usize..8,
        max_nesting in 1usize..4,
    ) {
        let bounds = Bounds { max_columns, max_nesting };
        let rows: Vec<String> = rows.iter().map(|members| {
            let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            format!("{{{}}}", members.join(","))
        }).collect();
        let mut rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let one = |batches: &[RecordBatch]| -> Vec<String> {
            batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| format!("{:?}", batch.slice(row, 1)))).collect()
        };
        let (together, replaced) = batches(&rows, bounds, &[usize::MAX]);
        let mut expected = one(&together);
        let (cut, replaced_in_cut) = batches(&rows, bounds, &sizes);
        prop_assert_eq!(&one(&cut), &expected);
        prop_assert_eq!(replaced, replaced_in_cut);
        let by = rotation.index(rows.len());
        rows.rotate_left(by);
        expected.rotate_left(by);
        let (rotated, _) = batches(&rows, bounds, &sizes);
        prop_assert_eq!(one(&rotated), expected);
    }
}
