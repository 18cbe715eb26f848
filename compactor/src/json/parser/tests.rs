use super::*;
use crate::json::{Value, number};
use proptest::prelude::*;

fn parse(text: &str) -> Step {
    let mut parser = Parser::new(128);
    parser.begin();
    parser.resume(text.as_bytes())
}

/// The value as serde_json would hold it, so that both parsers can be compared.
fn rebuild(value: Value<'_>) -> serde_json::Value {
    use serde_json::Value as Json;
    match value.kind() {
        Kind::Null => Json::Null,
        Kind::True => Json::Bool(true),
        Kind::False => Json::Bool(false),
        Kind::Int => match number::integer(value.source()) {
            Some(int) => Json::from(int),
            None => serde_json::from_str(value.source()).expect("a number"),
        },
        Kind::Float => Json::from(number::double(value.source()).expect("a double")),
        Kind::Text | Kind::EscapedText => Json::from(value.text().0.into_owned()),
        Kind::Object => value.members().map(|(key, value)| (key.text().0.into_owned(), rebuild(value))).collect(),
        Kind::Array => value.elements().map(rebuild).collect(),
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value as Json;
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        (-1e300f64..1e300).prop_map(Json::from),
        ".{0,12}".prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map(".{0,6}", inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

#[test]
fn good_objects_end_where_they_end() {
    for text in [
        "{}",
        r#"{"a":1}"#,
        r#"{"a":[],"b":{},"c":[1,[2,{"d":null}]]}"#,
        "{ \"a\" : -0.5e+10 ,\r\n\t\"b\":[ true , false ] }",
        r#"{"":"\u12aF\\"}"#,
    ] {
        assert_eq!(parse(text), Step::Complete(text.len()), "{text}");
        assert_eq!(parse(&format!("{text}{{")), Step::Complete(text.len()), "{text} and more");
    }
}

#[test]
fn bad_texts_are_refused_at_the_byte() {
    for (text, at) in [
        (r#"{"a" 1}"#, 5),
        (r#"{"a":1,}"#, 7),
        (r#"{"a":01}"#, 6),
        (r#"{"a":1.}"#, 7),
        (r#"{"a":.5}"#, 5),
        (r#"{"a":-}"#, 6),
        (r#"{"a":1e}"#, 7),
        (r#"{"a":+1}"#, 5),
        (r#"{"a":[1,]}"#, 8),
        (r#"{"a":[1}"#, 7),
        (r#"{"a":1]"#, 6),
        (r#"{a:1}"#, 1),
        (r#"{,}"#, 1),
        (r#"{"a":nul}"#, 5),
        (r#"{"a":NaN}"#, 5),
        ("{\"a\":\"x\ny\"}", 7),
        (r#"{"a":"\x"}"#, 6),
        (r#"{"a":"\u12g4"}"#, 6),
        ("{\"a\":1\n{\"a\":2}", 7),
    ] {
        let Step::Bad { at: found, .. } = parse(text) else { panic!("{text} was taken") };
        assert_eq!(found, at, "{text}");
        assert!(serde_json::from_str::<serde_json::Value>(text).is_err(), "{text}");
    }
}

#[test]
fn depth_is_bounded_without_recursion() {
    let deep = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    assert_eq!(parse(&deep(128)), Step::Complete(deep(128).len()));
    assert_eq!(parse(&deep(129)), Step::Bad { at: 640, why: Syntax::TooDeep(128) });
    assert!(matches!(parse(&format!("{{\"a\":{}", "[".repeat(1_000_000))), Step::Bad { .. }));
}

#[test]
fn a_number_without_end_is_refused() {
    assert!(matches!(parse(&format!("{{\"a\":{}", "1".repeat(5000))), Step::Bad { why: Syntax::LongNumber, .. }));
}

#[test]
fn minus_zero_is_a_double() {
    let mut parser = Parser::new(8);
    let text = r#"{"a":-0,"b":0}"#;
    assert_eq!(parser.resume(text.as_bytes()), Step::Complete(text.len()));
    let kinds: Vec<Kind> = Value::root(text, parser.tape()).members().map(|(_, value)| value.kind()).collect();
    assert_eq!(kinds, [Kind::Float, Kind::Int]);
}

proptest! {
    #[test]
    fn agrees_with_serde_json(value in json(), pretty: bool) {
        let row = serde_json::json!({ "row": value });
        let text = if pretty { serde_json::to_string_pretty(&row) } else { serde_json::to_string(&row) }.expect("JSON");
        let mut parser = Parser::new(128);
        parser.begin();
        prop_assert_eq!(parser.resume(text.as_bytes()), Step::Complete(text.len()));
        prop_assert_eq!(rebuild(Value::root(&text, parser.tape())), row);
    }

    /// One byte changed: both parsers take the text, or neither does. Only what follows the object may differ.
    #[test]
    fn takes_what_serde_json_takes(value in json(), at: prop::sample::Index, byte in prop::sample::select(b"{}[]\",:\\ 0-.e\nax".to_vec())) {
        let mut text = serde_json::to_vec(&serde_json::json!({ "row": value })).expect("JSON");
        let at = 1 + at.index(text.len() - 1);
        text[at] = byte;
        if let Ok(text) = String::from_utf8(text) {
            let mut parser = Parser::new(128);
            let ours = match parser.resume(text.as_bytes()) {
                Step::Complete(end) => text[end..].trim_matches([' ', '\n', '\t', '\r']).is_empty(),
                Step::Incomplete | Step::Bad { .. } => false,
            };
            // serde_json refuses half surrogates and infinite doubles; this parser leaves both to the columns.
            let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
            prop_assert_eq!(ours, theirs, "{}", text);
        }
    }

    #[test]
    fn pieces_of_any_size_give_the_same_tape(value in json(), step in 1usize..7) {
        let text = serde_json::json!({ "row": value }).to_string();
        let mut whole = Parser::new(128);
        whole.begin();
        prop_assert_eq!(whole.resume(text.as_bytes()), Step::Complete(text.len()));
        let mut pieces = Parser::new(128);
        pieces.begin();
        let mut last = Step::Incomplete;
        for end in (0..text.len()).step_by(step).chain([text.len()]) {
            prop_assert_eq!(last, Step::Incomplete, "complete before the end");
            last = pieces.resume(&text.as_bytes()[..end]);
        }
        prop_assert_eq!(last, Step::Complete(text.len()));
        prop_assert_eq!(rebuild(Value::root(&text, pieces.tape())), rebuild(Value::root(&text, whole.tape())));
    }
}
