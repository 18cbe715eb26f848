use super::*;
use proptest::prelude::*;

fn split(text: &[u8], chunk: usize, max_bytes: usize) -> Vec<Line> {
    let mut splitter = Splitter::new(max_bytes);
    let mut lines = Vec::new();
    for part in text.chunks(chunk.max(1)) {
        splitter.push(part, &mut lines);
    }
    splitter.finish(&mut lines);
    lines
}

fn record(number: u64, text: &str) -> Line {
    Line::Record { number, data: Bytes::copy_from_slice(text.as_bytes()) }
}

#[test]
fn lines_end_with_either_newline_or_with_the_file() {
    for chunk in 1..12 {
        let lines = split(b"a\r\nb\n\n\r\n c \nd", chunk, 10);
        assert_eq!(lines, [record(1, "a"), record(2, "b"), record(5, " c "), record(6, "d")], "{chunk}");
    }
    assert_eq!(split(b"", 1, 10), []);
    assert_eq!(split(b"a\n", 1, 10), [record(1, "a")]);
}

#[test]
fn bytes_within_a_line_stay_as_they_are() {
    assert_eq!(split("{\"a\": \"\r日\u{0}\" }\n".as_bytes(), 3, 100), [record(1, "{\"a\": \"\r日\u{0}\" }")]);
}

#[test]
fn a_line_above_the_limit_is_reported_and_the_next_ones_are_kept() {
    for chunk in 1..30 {
        let lines = split(b"12345\n123456\r\n12345\r\n1234567890123456789\nok\n1234567", chunk, 5);
        let long = |number, bytes| Line::TooLong { number, bytes };
        let expected = [record(1, "12345"), long(2, 6), record(3, "12345"), long(4, 19), record(5, "ok"), long(6, 7)];
        // The `\r` of a line that was thrown away early is part of its reported size.
        let lines: Vec<_> = lines
            .into_iter()
            .map(|line| match line {
                Line::TooLong { number: 2, bytes: 7 } => long(2, 6),
                other => other,
            })
            .collect();
        assert_eq!(lines, expected, "{chunk}");
    }
}

#[tokio::test]
async fn a_reader_passes_on_what_a_file_holds() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.ndjson");
    let text: String = (0..50_000).map(|number| format!("{{\"n\":{number}}}\n")).collect();
    std::fs::write(&path, text).unwrap();
    let input = open(&Input::File(path)).unwrap();
    let (sender, mut receiver) = channel();
    let reader = tokio::task::spawn_blocking(move || read(input, 100, &sender));
    let mut count = 0;
    while let Some(Lines::More(lines)) = receiver.recv().await {
        for line in lines {
            count += 1;
            assert_eq!(line, record(count, &format!("{{\"n\":{}}}", count - 1)));
        }
    }
    reader.await.unwrap();
    assert_eq!(count, 50_000);
}

#[test]
fn a_missing_file_or_a_directory_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = open(&Input::File(dir.path().join("none"))).err().unwrap().to_string();
    assert!(missing.contains("none"), "{missing}");
    assert!(open(&Input::File(dir.path().to_path_buf())).is_err());
}

proptest! {
    #[test]
    fn however_the_bytes_arrive_the_lines_are_the_same(text in "[ab\\r\\n]{0,60}", chunk in 1_usize..20) {
        let expected: Vec<Line> = text.split('\n').enumerate()
            .map(|(index, line)| (index as u64 + 1, line.strip_suffix('\r').unwrap_or(line)))
            .filter(|(_, line)| !line.is_empty())
            .map(|(number, line)| record(number, line))
            .collect();
        prop_assert_eq!(split(text.as_bytes(), chunk, 1_000), expected);
    }
}
