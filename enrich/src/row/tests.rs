use super::*;
use proptest::prelude::*;

fn rendered(row: &Row<'_>) -> String {
    let mut line = Vec::new();
    row.render(&mut line);
    String::from_utf8(line).unwrap()
}

fn parse(text: &str) -> Row<'_> {
    Row::parse(text.as_bytes()).unwrap()
}

fn value(json: &str) -> Arc<str> {
    json.into()
}

#[test]
fn an_appended_field_changes_no_other_byte() {
    let text = r#"{ "b" : 1.10 , "a":[1, 2],"\u0061\n":"x\ud83d\ude00" }"#;
    let mut row = parse(text);
    row.set(&value("site"), value(r#"{"country":"NO"}"#));
    let expected = format!("{},\"site\":{{\"country\":\"NO\"}}}}\n", &text[..text.len() - 1]);
    assert_eq!(rendered(&row), expected);
}

#[test]
fn an_empty_object_takes_a_field_without_a_comma() {
    let mut row = parse("{}");
    row.set(&value("a"), value("1"));
    row.set(&value("b"), value("2"));
    assert_eq!(rendered(&row), "{\"a\":1,\"b\":2}\n");
}

#[test]
fn a_field_that_exists_is_replaced_where_it_stands() {
    let mut row = parse(r#"{"a":1,"b":{"c":2},"d":3}"#);
    row.set(&value("b"), value("null"));
    assert_eq!(row.get("b"), Some("null"));
    assert_eq!(rendered(&row), "{\"a\":1,\"b\":null,\"d\":3}\n");
}

#[test]
fn a_name_that_occurs_twice_is_replaced_once_and_gone_elsewhere() {
    let mut row = parse(r#"{"a":1,"b":0,"a":2}"#);
    assert_eq!(row.get("a"), Some("2"), "the last one counts");
    row.set(&value("a"), value("9"));
    assert_eq!(rendered(&row), "{\"a\":9,\"b\":0}\n");
}

#[test]
fn removal_takes_the_comma_along_wherever_the_field_stands() {
    for (name, expected) in [("a", "{\"b\":2,\"c\":3}\n"), ("b", "{\"a\":1,\"c\":3}\n"), ("c", "{\"a\":1,\"b\":2}\n")] {
        let mut row = parse(r#"{"a":1, "b":2, "c":3}"#);
        row.remove(name);
        assert_eq!(rendered(&row), expected, "without {name}");
        assert_eq!(row.get(name), None);
    }
    let mut row = parse(r#"{"a":1}"#);
    row.remove("a");
    assert_eq!(rendered(&row), "{}\n");
    row.set(&value("a"), value("2"));
    assert_eq!(rendered(&row), "{\"a\":2}\n", "a field that was removed may come again");
}

#[test]
fn a_row_is_one_line_even_when_the_object_was_written_on_several() {
    let row = parse("{\r\n  \"a\": \"x\\ny\"\n}\n");
    assert_eq!(rendered(&row), "{    \"a\": \"x\\ny\" }\n");
}

#[test]
fn paths_reach_into_nested_objects() {
    let row = parse(r#"{"device":{"id":"d-7","tags":{"x":1}},"n":5}"#);
    let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(row.get_path(&path("device.id")).as_deref(), Some("\"d-7\""));
    assert_eq!(row.get_path(&path("device.tags.x")).as_deref(), Some("1"));
    assert_eq!(row.get_path(&path("n.x")), None);
    assert_eq!(row.get_path(&path("device.none")), None);
}

#[test]
fn what_is_no_object_is_refused_with_a_reason() {
    for bad in [
        "",
        "[]",
        "1",
        "\"x\"",
        "null",
        "{",
        "{\"a\":}",
        "{\"a\":1}}",
        "{\"a\":1}{\"b\":2}",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\":01}",
        "{\"a\":\"\u{1}\"}",
    ] {
        assert!(matches!(Row::parse(bad.as_bytes()), Err(Reason::NotAnObject(_))), "{bad:?}");
    }
    assert_eq!(Row::parse(b"{\"a\":\"\xff\"}").unwrap_err(), Reason::NotText(6));
}

#[test]
fn a_payload_deeper_than_readers_take_is_refused_and_brackets_in_strings_do_not_count() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(Row::parse(nested(128).as_bytes()).is_ok());
    for depth in [129, 200_000] {
        assert_eq!(Row::parse(nested(depth).as_bytes()).unwrap_err(), Reason::TooDeep);
    }
    let text = format!("{{\"a\":\"\\\"{}\",\"b\":{}}}", "[".repeat(500), "[1],".repeat(0) + "[[1],[2]]");
    assert!(Row::parse(text.as_bytes()).is_ok());
}

#[test]
fn no_reason_quotes_the_payload() {
    let secret = "4111111111111111";
    for payload in [
        format!("\"{{\\\"card\\\": \\\"{secret}\\\"}}\""),
        secret.to_owned(),
        format!("{{\"card\":{secret}"),
        format!("[{secret}]"),
        format!("{{{secret}:1}}"),
    ] {
        let reason = Row::parse(payload.as_bytes()).unwrap_err().to_string();
        assert!(!reason.contains(secret), "{reason}");
    }
}

fn json(depth: u32) -> BoxedStrategy<serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(|number| serde_json::json!(number)),
        "\\PC{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(depth, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::btree_map("\\PC{0,4}", inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
    .boxed()
}

proptest! {
    /// Model: edits of a `serde_json` map.
    #[test]
    fn edits_mean_what_they_mean_for_a_map(
        map in proptest::collection::btree_map("[a-e]{1,2}", json(3), 0..6),
        edits in proptest::collection::vec(("[a-e]{1,2}", proptest::option::of(json(1))), 0..8),
        pretty: bool,
    ) {
        let mut model: serde_json::Map<_, _> = map.into_iter().collect();
        let object = serde_json::Value::Object(model.clone());
        let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) }.unwrap();
        let mut row = parse(&text);
        for (name, edit) in edits {
            match edit {
                Some(new) => {
                    row.set(&value(&name), value(&new.to_string()));
                    model.insert(name, new);
                }
                None => {
                    row.remove(&name);
                    model.remove(&name);
                }
            }
        }
        let line = rendered(&row);
        prop_assert_eq!(line.matches('\n').count(), 1);
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(read, serde_json::Value::Object(model));
    }
}
