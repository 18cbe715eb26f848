use super::*;
use crate::columns::Builder;
use proptest::prelude::*;

const BOUNDS: Bounds = Bounds { max_columns: 100, max_nesting: 8 };

fn table(rows: &[&str], bounds: Bounds) -> Table {
    let mut builder = Builder::new(bounds, 64, 100_000);
    for row in rows {
        builder.append(row).unwrap_or_else(|refusal| panic!("{row}: {refusal:?}"));
    }
    builder.finish().expect("a batch").table
}

/// The type of the column `a` over these values.
fn column(values: &[&str]) -> String {
    let rows: Vec<String> = values.iter().map(|value| format!("{{\"a\":{value}}}")).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    data_type(&Schema::of(table(&rows, BOUNDS), BOUNDS).columns.first().expect("a column").1).to_string()
}

#[test]
fn scalars_take_the_narrowest_type_that_loses_nothing() {
    assert_eq!(column(&["true", "null", "false"]), "Boolean");
    assert_eq!(column(&["1", "9223372036854775807", "-9223372036854775808"]), "Int64");
    assert_eq!(column(&["1", "9223372036854775808"]), "Utf8");
    assert_eq!(column(&["1.5", "1e10", "-0"]), "Float64");
    assert_eq!(column(&["1", "9007199254740992", "0.5"]), "Float64");
    assert_eq!(column(&["1", "9007199254740993", "0.5"]), "Utf8");
    assert_eq!(column(&["1.5", "1e400"]), "Utf8");
    assert_eq!(column(&["1", "\"1\""]), "Utf8");
    assert_eq!(column(&["true", "1"]), "Utf8");
    assert_eq!(column(&["null"]), "Utf8");
}

#[test]
fn containers_merge_and_anything_mixed_is_text() {
    assert_eq!(column(&["{\"y\":1}", "{\"x\":true,\"y\":1.5}", "null"]), "Struct(\"x\": Boolean, \"y\": Float64)");
    assert_eq!(column(&["{}"]), "Utf8");
    assert_eq!(column(&["{}", "{\"x\":1}"]), "Struct(\"x\": Int64)");
    assert_eq!(column(&["[]"]), "List(Utf8, field: 'element')");
    assert_eq!(column(&["[]", "[1,null]", "[2.5]"]), "List(Float64, field: 'element')");
    assert_eq!(column(&["[{\"x\":1},{\"y\":2}]"]), "List(Struct(\"x\": Int64, \"y\": Int64), field: 'element')");
    assert_eq!(column(&["[1]", "{\"x\":1}"]), "Utf8");
    assert_eq!(column(&["1", "{\"x\":1}"]), "Utf8");
    assert_eq!(column(&["[1,[2]]"]), "List(Utf8, field: 'element')");
}

#[test]
fn what_lies_too_deep_is_text() {
    let nested = format!("{}1{}", "[".repeat(8), "]".repeat(8));
    assert_eq!(column(&[&nested]).matches("List").count(), 8);
    let deeper = format!("{}1{}", "[".repeat(9), "]".repeat(9));
    assert_eq!(column(&[&deeper]).matches("List").count(), 8);
    assert!(column(&[&deeper]).contains("Utf8"));
}

#[test]
fn too_many_fields_of_the_row_overflow_by_name() {
    let bounds = Bounds { max_columns: 3, max_nesting: 8 };
    let names = |rows: &[&str]| {
        let schema = Schema::of(table(rows, bounds), bounds);
        (schema.columns.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>(), schema.overflow)
    };
    assert_eq!(names(&["{\"c\":1,\"b\":1,\"a\":1}"]), (vec!["a".into(), "b".into(), "c".into()], false));
    let many = ["{\"z\":1,\"y\":1,\"x\":1,\"w\":1}", "{\"v\":1,\"u\":1,\"t\":1,\"s\":1}", "{\"a\":1,\"z\":1}"];
    let expected = (vec!["a".into(), "s".into(), "t".into()], true);
    assert_eq!(names(&many), expected);
    assert_eq!(names(&[many[2], many[0], many[1]]), expected);
}

#[test]
fn too_many_nested_columns_make_the_widest_struct_text() {
    let row = "{\"a\":{\"p\":1,\"q\":1},\"b\":{\"p\":1,\"q\":1,\"r\":{\"s\":1}},\"c\":1}";
    let bounds = Bounds { max_columns: 4, ..BOUNDS };
    let schema = Schema::of(table(&[row], bounds), bounds);
    let types: Vec<String> = schema.types().into_values().collect();
    assert_eq!(types, ["Struct(\"p\": Int64, \"q\": Int64)", "Utf8", "Int64"]);
    let map = format!("{{\"m\":{{{}}}}}", (0..200).map(|key| format!("\"{key}\":1")).collect::<Vec<_>>().join(","));
    assert_eq!(Schema::of(table(&[&map], BOUNDS), BOUNDS).types()["m"], "Utf8");
}

#[test]
fn rows_without_fields_still_have_a_column() {
    let schema = Schema::of(table(&["{}"], BOUNDS), BOUNDS);
    assert_eq!(schema.types().into_keys().collect::<Vec<_>>(), [OVERFLOW]);
}

fn value() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec!["null", "true", "1", "9007199254740993", "0.5", "1e999", "\"s\"", "{}", "[]"]);
    leaf.prop_map(str::to_owned).prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::btree_map("[a-f]", inner, 0..4).prop_map(|map| {
                let members: Vec<String> = map.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    /// However the rows are ordered and grouped, the schema is the same.
    #[test]
    fn the_schema_is_a_function_of_the_set_of_rows(
        values in prop::collection::vec(("[a-f]{1,2}", value()), 0..10),
        cut in any::<prop::sample::Index>(),
        max_columns in 1usize..8,
    ) {
        let bounds = Bounds { max_columns, max_nesting: 2 };
        let rows: Vec<String> = values.iter().map(|(name, value)| format!("{{\"{name}\":{value}}}")).collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let all = table(&rows, bounds);
        let (left, right) = rows.split_at(if rows.is_empty() { 0 } else { cut.index(rows.len()) });
        let other_way = table(right, bounds).join(table(left, bounds), bounds);
        let schema = Schema::of(all, bounds);
        prop_assert_eq!(&schema, &Schema::of(other_way, bounds));
        let leaves: usize = schema.columns.iter().map(|(_, column)| column.leaves()).sum();
        prop_assert!(leaves <= max_columns);
    }
}
