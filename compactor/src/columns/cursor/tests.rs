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
