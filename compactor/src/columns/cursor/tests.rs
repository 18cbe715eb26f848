use super::*;
use proptest::prelude::*;

fn number_of(text: &str) -> Option<(Number, usize)> {
    let text = format!("{text},");
    let mut cursor = Cursor::new(text.as_bytes());
    cursor.number().ok().map(|number| (number, cursor.at))
}

#[test]
fn numbers_end_where_they_end_and_nothing_else_is_one() {
    assert_eq!(number_of("12"), Some((Number::Int(12), 2)));
    assert_eq!(number_of("-9223372036854775808"), Some((Number::Int(i64::MIN), 20)));
    assert_eq!(number_of("9223372036854775808"), Some((Number::Odd, 19)));
    assert_eq!(number_of("1e400"), Some((Number::Odd, 5)));
    assert_eq!(number_of("1e-400"), Some((Number::Odd, 6)));
    assert_eq!(number_of("0.0e-400"), Some((Number::Double(0.0), 8)));
    assert!(matches!(number_of("-0"), Some((Number::Double(zero), 2)) if zero.to_bits() == (-0.0f64).to_bits()));
    for bad in ["", "-", "+1", "01", "-01", ".5", "-.5", "1.", "1.e5", "inf", "nan", "-inf", "Infinity"] {
        assert_eq!(number_of(bad), None, "{bad}");
    }
    // An exponent without digits is left where it is, and nothing takes it.
    assert_eq!(number_of("1e+"), Some((Number::Double(1.0), 1)));
    assert_eq!(number_of(&format!("0.{}", "1".repeat(MAX_NUMBER))), None);
}

#[test]
fn a_special_byte_is_found_wherever_it_lies() {
    for length in 0..40 {
        for special_byte in [b'"', b'\\', b'\n', 0, 0x1f] {
            for at in 0..length {
                let mut bytes = vec![b'a'; length];
                bytes[length - 1] = 0xff;
                bytes[at] = special_byte;
                assert_eq!(special(&bytes, 0), Some(at), "{length} {at}");
            }
        }
        assert_eq!(special(&vec![0x7f; length], 0), None);
        assert_eq!(special(&vec![b' '; length], 0), None);
    }
}

proptest! {
    #[test]
    fn doubles_are_those_of_the_standard_library(value in any::<f64>(), digits in "-?(0|[1-9][0-9]{0,25})\\.[0-9]{1,30}(e[+-]?[0-9]{1,2})?") {
        for text in [format!("{value:?}"), format!("{value:e}"), digits] {
            if let Some(expected) = number::double(&text) {
                let text = text.as_str();
                if !text.contains(['.', 'e']) || text.contains("inf") { continue; }
                let (number, length) = number_of(text).expect("a number");
                prop_assert_eq!(length, text.len());
                let Number::Double(found) = number else { panic!("{text}: {number:?}") };
                prop_assert_eq!(found.to_bits(), expected.to_bits(), "{}", text);
            }
        }
    }

    #[test]
    fn integers_are_those_of_the_standard_library(value in any::<i64>(), shift in 0u32..64) {
        let text = (value >> shift).to_string();
        prop_assert_eq!(number_of(&text), Some((Number::Int(value >> shift), text.len())));
    }
}

#[test]
fn usual_numbers_are_those_of_the_standard_library_and_others_are_left() {
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..200_000 {
        let sign = if random.bool() { "-" } else { "" };
        let below = 10u64.pow(random.u32(0..12));
        let (whole, fraction) = (random.u64(..below), random.usize(1..20));
        let digits: String = std::iter::repeat_with(|| random.digit(10)).take(fraction).collect();
        let text = format!("{sign}{whole}.{digits}");
        let row = format!("{text},\"next\":1}}");
        let mut cursor = Cursor::new(row.as_bytes());
        match cursor.decimal() {
            Some(value) => {
                let expected: f64 = text.parse().expect("a number");
                assert_eq!((value.to_bits(), cursor.at), (expected.to_bits(), text.len()), "{text}");
            }
            None => assert!(whole.to_string().len() + fraction > 19 && cursor.at == 0, "{text}"),
        }
        let (text, row) = (format!("{sign}{whole}"), format!("{sign}{whole}}}"));
        let mut cursor = Cursor::new(row.as_bytes());
        assert_eq!(cursor.short_integer().is_some(), text != "-0");
        assert_eq!(cursor.at, if text == "-0" { 0 } else { text.len() });
    }
    let others =
        ["1.5e3", "1.5E3", "01.5", "-01.5", "1.", ".5", "-.5", "-", "", "1.x", "x", "\"1.5\"", "null", "+1.5", "1"];
    for text in others {
        let row = format!("{text},\"next\":1}}");
        let mut cursor = Cursor::new(row.as_bytes());
        assert_eq!((cursor.decimal(), cursor.at), (None, 0), "{text}");
    }
    let others = ["1.5", "1e3", "01", "-01", "-0", "-", "", "1234567890123456", "x", "\"1\"", "true", "+1"];
    for text in others {
        let row = format!("{text},\"next\":1}}");
        let mut cursor = Cursor::new(row.as_bytes());
        assert_eq!((cursor.short_integer(), cursor.at), (None, 0), "{text}");
        // What ends with the text may go on.
        assert_eq!(Cursor::new(b"12").short_integer(), None);
        assert_eq!(Cursor::new(b"1.2").decimal(), None);
    }
    assert_eq!(Cursor::new(b"-0.0,        ").decimal().map(f64::to_bits), Some((-0.0f64).to_bits()));
    assert_eq!(Cursor::new(b"999999999999999]").short_integer(), Some(999_999_999_999_999));
}

#[test]
fn plain_strings_are_those_without_escapes() {
    let plain = |text: &str| Cursor::new(text.as_bytes()).plain_string().map(<[u8]>::to_vec);
    assert_eq!(plain("\"\","), Some(Vec::new()));
    assert_eq!(plain("\"a longer text than a word\","), Some(b"a longer text than a word".to_vec()));
    for other in ["\"a\\n\"", "\"a\n\"", "\"open", "7", ""] {
        assert_eq!(plain(other), None, "{other}");
    }
}
