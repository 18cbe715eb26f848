use super::*;

fn columns(text: &str) -> Vec<(String, Type)> {
    let schema = FixedSchema::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    schema.columns().iter().map(|(name, kind)| (name.to_string(), kind.clone())).collect()
}

fn error(text: &str) -> String {
    FixedSchema::parse(text).expect_err(text).to_string()
}

#[test]
fn ddl_of_every_engine_says_the_same() {
    let athena = "CREATE EXTERNAL TABLE IF NOT EXISTS db.orders (
        `id` bigint COMMENT 'the key', -- a comment
        amount decimal(10,2), tags array<string>,
        `user` struct<name:string,age:int,places:array<struct<x:double,y:float>>>,
        counts map<string,smallint>, at timestamp, day date, ok boolean
    ) PARTITIONED BY (dt string) STORED AS PARQUET LOCATION 's3://lake/orders/'";
    let spark = "id LONG, amount DECIMAL(10, 2) NOT NULL, tags ARRAY<STRING>, \
        user STRUCT<name: STRING, age: INT, places: ARRAY<STRUCT<x: DOUBLE, y: FLOAT>>>, \
        counts MAP<STRING, SMALLINT>, at TIMESTAMP, day DATE, ok BOOLEAN";
    let duckdb = "create table orders (id bigint, amount numeric(10,2), tags varchar[], \
        \"user\" struct(name varchar, age integer, places struct(x double, y real)[]), \
        counts map(varchar, smallint), at timestamp with time zone, \"day\" date /* a
        comment */, ok bool not null);";
    let expected = columns(athena);
    assert_eq!(expected.len(), 8);
    assert_eq!(columns(spark), expected);
    assert_eq!(columns(duckdb), expected);
    assert_eq!(expected[1], ("at".to_owned(), Type::Timestamp), "sorted by name");
}

#[test]
fn what_is_printed_reads_back() {
    let all = "a tinyint, b smallint, c int, d bigint, e float, f double, g string, h date, i timestamp, \
        j decimal(38,10), k array<array<int>>, l struct<x:int,y:struct<z:string>>, m map<string,array<double>>, n boolean";
    let schema = FixedSchema::parse(all).expect("a schema");
    for dialect in [Dialect::Athena, Dialect::Spark, Dialect::DuckDb] {
        let list = column_list(schema.columns().iter().map(|(name, kind)| (&**name, kind)), dialect);
        assert_eq!(FixedSchema::parse(&list).unwrap_or_else(|error| panic!("{list}: {error}")), schema);
    }
}

#[test]
fn a_type_reads_back_from_json_with_any_names_and_64_deep() {
    let names = ["", "`", "``", "a b", "A", "struct", "x:y", "'", "\"", "\n", "--", "/*", "ø😀", "not", "a,b>", "\\"];
    let fields: Vec<(Box<str>, Type)> = names.iter().map(|name| ((*name).into(), Type::Double)).collect();
    let mut deep = Type::Struct(fields);
    for depth in 0..63 {
        deep = if depth % 2 == 0 { Type::List(Box::new(deep)) } else { Type::Struct(vec![("s".into(), deep)]) };
    }
    let text = serde_json::to_string(&deep).expect("JSON");
    assert_eq!(serde_json::from_str::<Type>(&text).expect("a type"), deep);
    assert!(serde_json::from_str::<Type>("\"bigint, b\"").is_err());
}

#[test]
fn arrow_json_is_read() {
    let text = r#"{"schema": {"fields": [
        {"name": "n", "nullable": true, "type": {"name": "int", "bitWidth": 32, "isSigned": true}, "children": []},
        {"name": "x", "type": {"name": "floatingpoint", "precision": "DOUBLE"}},
        {"name": "s", "type": {"name": "utf8"}, "children": []},
        {"name": "d", "type": {"name": "decimal", "precision": 12, "scale": 3}},
        {"name": "t", "type": {"name": "timestamp", "unit": "MICROSECOND", "timezone": "UTC"}},
        {"name": "l", "type": {"name": "list"}, "children": [
            {"name": "item", "type": {"name": "struct"}, "children": [{"name": "b", "type": {"name": "bool"}}]}]},
        {"name": "m", "type": {"name": "map", "keysSorted": false}, "children": [
            {"name": "entries", "type": {"name": "struct"}, "children": [
                {"name": "key", "type": {"name": "utf8"}}, {"name": "value", "type": {"name": "utf8"}}]}]}
    ]}}"#;
    let ddl =
        "n int, x double, s string, d decimal(12,3), t timestamp, l array<struct<b:boolean>>, m map<string,string>";
    assert_eq!(columns(text), columns(ddl));
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (text, says) in [
        ("a bigint,\nb strng", "line 2, before \"strng\": this is no type"),
        ("a", "a type is missing"),
        ("a array<int", "> is missing"),
        ("a bigint b", "a comma or the end is missing"),
        ("", "the name of a column is missing"),
        ("create table x", "without a list of columns"),
        ("a decimal(39,2)", "1 to 38 digits"),
        ("a map<int,int>", "keys of a map are strings"),
        ("a int, A int", "Athena and Glue take them for one"),
        ("a struct<>", "a struct without fields"),
        ("`a int", "is not closed"),
        ("{\"fields\": 1}", "is no Arrow JSON"),
        (
            "{\"fields\": [{\"name\": \"u\", \"type\": {\"name\": \"int\", \"bitWidth\": 8, \"isSigned\": false}}]}",
            "field u",
        ),
        (&format!("a {}int{}", "array<".repeat(100), ">".repeat(100)), "more than 64 types"),
    ] {
        assert!(error(text).contains(says), "{text}: {}", error(text));
    }
}
