use super::*;
use crate::columns::render::write_cell;
use crate::json::{Parser, Step};

const DDL: &str = "ok boolean, small tinyint, n bigint, x double, f float, name string, day date, at timestamp, \
    amount decimal(6,2), tags array<int>, user struct<id:int,Mail:string>, counts map<string,int>";

fn append(builder: &mut FixedBuilder, row: &str) -> Result<(), Misfit> {
    let mut parser = Parser::new(64);
    assert_eq!(parser.resume(row.as_bytes()), Step::Complete(row.len()), "{row}");
    builder.append(Value::root(row, parser.tape()))
}

/// The row as its cells have it, as JSON, and its overflow.
fn kept(row: &str) -> (String, Option<String>) {
    let mut builder = FixedBuilder::new(&FixedSchema::parse(DDL).expect("a schema"), true);
    append(&mut builder, row).expect("kept");
    let batch = builder.finish().expect("a batch");
    let mut members = Vec::new();
    for ((name, column), array) in batch.table.columns.iter().zip(batch.columns.columns()) {
        let mut text = String::new();
        write_cell(column, array, 0, &mut text);
        members.push((name.to_string(), text));
    }
    let overflow = arrow_array::cast::AsArray::as_string::<i32>(batch.columns.columns().last().expect("a column"));
    let rest = arrow_array::Array::is_valid(overflow, 0).then(|| overflow.value(0).to_owned());
    (object(members).unwrap_or_default(), rest)
}

fn refused(row: &str) -> String {
    let mut builder = FixedBuilder::new(&FixedSchema::parse(DDL).expect("a schema"), false);
    let misfit = append(&mut builder, row).expect_err(row);
    assert_eq!(builder.rows(), 0);
    misfit.to_string()
}

#[test]
fn values_that_fit_are_columns_of_the_types_given() {
    let row = r#"{"ok":true,"small":-128,"n":9223372036854775807,"x":0.1,"f":0.5,"name":"é","day":"2026-11-23",
        "at":"2026-11-23T06:00:00.25+01:00","amount":"12.30","tags":[1,null,3],"user":{"id":7,"mail":"a@b"},
        "counts":{"b":2,"a":1}}"#;
    let expected = r#"{"amount":12.30,"at":"2026-11-23T05:00:00.250000Z","counts":{"a":1,"b":2},"day":"2026-11-23","f":0.5,"n":9223372036854775807,"name":"é","ok":true,"small":-128,"tags":[1,null,3],"user":{"id":7,"Mail":"a@b"},"x":0.1}"#;
    assert_eq!(kept(row), (expected.to_owned(), None));
    // Numbers are the same however they are written, and text holds everything.
    assert_eq!(kept(r#"{"n":1.0,"x":3,"name":{"b":1,"a":[]}}"#).0, r#"{"n":1,"name":"{\"a\":[],\"b\":1}","x":3}"#);
    assert_eq!(kept(r#"{"N":5,"at":1795410000}"#).0, r#"{"at":"2026-11-23T05:00:00.000000Z","n":5}"#);
}

#[test]
fn what_does_not_fit_goes_to_the_overflow_and_no_further() {
    for (row, cells, rest) in [
        (r#"{"small":128,"n":1}"#, r#"{"n":1}"#, r#"{"small":128}"#),
        (r#"{"n":1.5}"#, "", r#"{"n":1.5}"#),
        (r#"{"n":9223372036854775808}"#, "", r#"{"n":9223372036854775808}"#),
        (r#"{"x":9007199254740993}"#, "", r#"{"x":9007199254740993}"#),
        (r#"{"x":1e400}"#, "", r#"{"x":1e400}"#),
        (r#"{"ok":1}"#, "", r#"{"ok":1}"#),
        (r#"{"day":"2026-02-30"}"#, "", r#"{"day":"2026-02-30"}"#),
        (r#"{"at":"2026-11-23T05:00:00.0000001Z"}"#, "", r#"{"at":"2026-11-23T05:00:00.0000001Z"}"#),
        (r#"{"amount":1.005}"#, "", r#"{"amount":1.005}"#),
        (r#"{"tags":[1,"2"]}"#, "", r#"{"tags":[1,"2"]}"#),
        (r#"{"user":{"id":"x","mail":"m","age":3}}"#, r#"{"user":{"Mail":"m"}}"#, r#"{"user":{"age":3,"id":"x"}}"#),
        (r#"{"user":7}"#, "", r#"{"user":7}"#),
        (r#"{"counts":{"a":1,"b":"x"}}"#, "", r#"{"counts":{"a":1,"b":"x"}}"#),
        (r#"{"more":{"b":1,"a":2},"n":1}"#, r#"{"n":1}"#, r#"{"more":{"a":2,"b":1}}"#),
        (r#"{"N":1,"n":2}"#, r#"{"n":2}"#, r#"{"N":1}"#),
        (r#"{"n":2,"N":1}"#, r#"{"n":2}"#, r#"{"N":1}"#),
    ] {
        assert_eq!(kept(row), (cells.to_owned(), Some(rest.to_owned())), "{row}");
    }
    assert_eq!(kept(r#"{"n":1,"n":2,"more":null}"#), (r#"{"n":2}"#.to_owned(), None));
}

#[test]
fn a_row_that_is_refused_says_which_value_and_why() {
    for (row, says) in [
        (r#"{"n":"x"}"#, "n is \"x\", the schema wants bigint"),
        (r#"{"tags":[1,2.5]}"#, "tags[] is 2.5, the schema wants int"),
        (r#"{"user":{"id":[]}}"#, "user.id is [], the schema wants int"),
        (r#"{"user":{"age":1}}"#, "the schema has no field user.age (here 1)"),
        (r#"{"counts":{"a":true}}"#, "counts.a is true, the schema wants int"),
        (r#"{"more":1}"#, "the schema has no field more (here 1)"),
    ] {
        assert_eq!(refused(row), says, "{row}");
    }
    assert!(refused(&format!("{{\"n\":\"{}\"}}", "é".repeat(500))).len() < 200);
}

#[test]
fn batches_begin_anew() {
    let mut builder = FixedBuilder::new(&FixedSchema::parse(DDL).expect("a schema"), true);
    for round in 0..3 {
        for n in 0..10 {
            append(
                &mut builder,
                &format!("{{\"n\":{n},\"tags\":[{n},{n}],\"user\":{{\"id\":{n}}},\"counts\":{{\"k\":1}}}}"),
            )
            .expect("kept");
        }
        let batch = builder.finish().expect("a batch");
        assert_eq!((batch.columns.num_rows(), builder.rows(), builder.unfit()), (10, 0, 0), "{round}");
    }
}
