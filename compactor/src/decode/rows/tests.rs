use super::*;
use proptest::prelude::*;

/// The rows of a text pushed in pieces of `step` bytes: good ones as they are, bad ones behind a `!`.
fn rows_of(text: &[u8], step: usize) -> Vec<String> {
    let mut rows = Rows::new(1000, 16);
    let mut seen = Vec::new();
    rows.begin_segment(0, true);
    for piece in text.chunks(step.max(1)) {
        rows.push(piece);
        collect(&mut rows, &mut seen);
    }
    rows.finish(RowFault::CutByEnd);
    collect(&mut rows, &mut seen);
    seen
}

fn collect(rows: &mut Rows, seen: &mut Vec<String>) {
    while let Some(row) = rows.next(|_| None) {
        seen.push(match row {
            Row::Object { text } => text.to_owned(),
            Row::Taken { .. } => panic!("nothing is taken"),
            Row::Bad { raw, .. } => format!("!{}", String::from_utf8_lossy(raw)),
        });
    }
}

fn check(text: &str, expected: &[&str]) {
    for step in [1, 2, 3, 7, text.len()] {
        assert_eq!(rows_of(text.as_bytes(), step), expected, "{text:?} in pieces of {step}");
    }
}

#[test]
fn rows_need_no_separator() {
    check("{\"a\":1}\n{\"b\":2}\r\n\n  \n{\"c\":3}", &["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]);
    check("{}{\"a\":{}}{}", &["{}", "{\"a\":{}}", "{}"]);
    check("{\n  \"a\": [\n    {\n    }\n  ]\n}\n{}\n", &["{\n  \"a\": [\n    {\n    }\n  ]\n}", "{}"]);
    check("\u{feff}{\"a\":1}\0\0\0", &["{\"a\":1}"]);
    check("", &[]);
}

#[test]
fn a_bad_row_takes_no_good_neighbour_with_it() {
    check("{}\nnonsense\n[1]\n12\n{}\n", &["{}", "!nonsense", "![1]", "!12", "{}"]);
    check("{\"a\":1\n{\"b\":2}\n{\"c\":3}\n", &["!{\"a\":1", "{\"b\":2}", "{\"c\":3}"]);
    check("{\"a\":\"x\n{\"b\":2}\n", &["!{\"a\":\"x", "{\"b\":2}"]);
    check("{\"a\" 1}\n{\"b\":2}\n", &["!{\"a\" 1}", "{\"b\":2}"]);
    check("{\"a\":1}junk\n{\"b\":2}\n", &["{\"a\":1}", "!junk", "{\"b\":2}"]);
    check("{\"a\":1", &["!{\"a\":1"]);
}

#[test]
fn a_bad_row_over_several_lines_gives_no_false_rows() {
    let text = "{\n  \"a\": [\n    {\"x\": 1},\n    {\"y\": 2}\n  ],\n  bad\n}\n{\"b\":2}\n";
    let (bad, good) = text.split_at(text.len() - 8);
    check(text, &[&format!("!{}", bad.trim_end()), good.trim_end()]);
}

#[test]
fn invalid_utf8_is_a_bad_row() {
    let text = b"{\"a\":\"\xff\"}\n{\"b\":2}\n{\"c\":\"\xed\xa0\x80\"}\n";
    let rows = rows_of(text, 4);
    assert_eq!(rows.len(), 3);
    assert!(rows[0].starts_with('!') && rows[2].starts_with('!'));
    assert_eq!(rows[1], "{\"b\":2}");
}

#[test]
fn a_row_that_is_too_long_is_cut_and_skipped() {
    let text = format!("{{\"a\":\"{}\"}}\n{{\"b\":2}}\n{}\n{{\"c\":3}}", "x".repeat(5000), "y".repeat(5000));
    for step in [1, 100, 20_000] {
        let rows = rows_of(text.as_bytes(), step);
        let good: Vec<&String> = rows.iter().filter(|row| !row.starts_with('!')).collect();
        assert_eq!(good, ["{\"b\":2}", "{\"c\":3}"], "in pieces of {step}");
        assert_eq!(rows.len(), 4, "in pieces of {step}");
    }
}

#[test]
fn members_separate_bad_rows_and_not_good_ones() {
    let mut rows = Rows::new(1000, 16);
    let mut seen = Vec::new();
    for (offset, member) in [(0, "{\"a\""), (10, ":1}{\"b\":"), (20, "{\"c\":2}"), (30, "}{bad"), (40, "{\"d\":3}")] {
        rows.begin_segment(offset, false);
        rows.push(member.as_bytes());
        collect(&mut rows, &mut seen);
        rows.end_segment();
        collect(&mut rows, &mut seen);
    }
    assert_eq!(seen, ["{\"a\":1}", "{\"b\":{\"c\":2}}", "!{bad", "{\"d\":3}"]);
}

#[test]
fn a_bad_row_knows_where_it_comes_from() {
    let mut rows = Rows::new(1000, 16);
    let origins = |rows: &mut Rows| {
        let mut origins = Vec::new();
        while let Some(row) = rows.next(|_| None) {
            if let Row::Bad { origin, .. } = row {
                origins.push((origin.offset, origin.text_offset));
            }
        }
        origins
    };
    rows.begin_segment(100, false);
    rows.push(b"{}\nbad\n");
    rows.end_segment();
    assert_eq!(origins(&mut rows), [(100, 3)]);
    rows.begin_segment(500, true);
    rows.push(b"{}\nbad\n");
    assert_eq!(origins(&mut rows), [(503, 10)]);
    rows.push(b"{\"open");
    rows.finish(RowFault::CutByLoss);
    assert_eq!(origins(&mut rows), [(507, 14)]);
    rows.restart();
    rows.begin_segment(900, true);
    rows.push(b"x\n");
    assert_eq!(origins(&mut rows), [(900, 20)]);
}

proptest! {
    /// Any mix of good rows and lines of noise, in pieces of any size: every good row comes out once, in order.
    #[test]
    fn good_rows_survive_noise(
        parts in prop::collection::vec(("[a-z\\[\\]0-9\",:]{0,8}", any::<u16>(), any::<bool>()), 0..20),
        step in 1usize..40,
    ) {
        let mut text = String::new();
        let mut expected = Vec::new();
        for (noise, number, noisy) in parts {
            if noisy {
                text.push_str(&noise);
                text.push('\n');
            } else {
                let row = format!("{{\"n\":{number}}}");
                text.push_str(&row);
                text.push('\n');
                expected.push(row);
            }
        }
        let rows = rows_of(text.as_bytes(), step);
        let good: Vec<&String> = rows.iter().filter(|row| !row.starts_with('!')).collect();
        prop_assert_eq!(good, expected.iter().collect::<Vec<_>>());
    }
}

#[test]
fn an_array_of_rows_is_read_like_rows() {
    check("[{\"a\":1},{\"b\":[2]}]", &["{\"a\":1}", "{\"b\":[2]}"]);
    check(" [ \n {\"a\":1} , {\"b\":2}\n]\n[]\n{\"c\":3}\n", &["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]);
    check("[1,{\"a\":1}]\n{}", &["![1,{\"a\":1}]", "{}"]);
    check("[", &["!["]);
}

#[test]
fn a_row_may_be_taken_from_the_text() {
    let mut rows = Rows::new(1000, 16);
    rows.push(b"{\"a\":1}\n{\"b\":2}\n{\"\xff\":3}\n{\"c\":4}");
    let mut shown = Vec::new();
    let mut seen = Vec::new();
    while let Some(row) = rows.next(|text| {
        shown.push(text.len());
        text.starts_with(b"{\"a").then_some(7)
    }) {
        seen.push(match row {
            Row::Taken { bytes } => format!("{bytes}"),
            Row::Object { text } => text.to_owned(),
            Row::Bad { .. } => "bad".to_owned(),
        });
    }
    assert_eq!(seen, ["7", "{\"b\":2}", "bad", "{\"c\":4}"]);
    // Nobody is shown what is not UTF-8.
    assert_eq!(shown, [18, 10, 2, 7]);
}
