use super::*;
use fastrand::Rng;
use proptest::prelude::*;

fn text(decimal: Decimal, seed: u64) -> String {
    let mut out = BytesMut::new();
    decimal.write(&mut Rng::with_seed(seed), &mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn both_bounds_are_reached_and_none_is_passed() {
    let die = Decimal::new(1.0, 3.0, 1.0).unwrap();
    let seen: std::collections::BTreeSet<_> = (0..200).map(|seed| text(die, seed)).collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["1", "2", "3"]);
}

#[test]
fn decimals_are_written_in_full() {
    assert_eq!(text(Decimal::new(-0.5, -0.5, 0.01).unwrap(), 1), "-0.50");
    assert_eq!(text(Decimal::new(0.07, 0.07, 0.01).unwrap(), 1), "0.07");
    assert_eq!(text(Decimal::new(15.0, 19.0, 5.0).unwrap(), 1), "15");
    assert_eq!(text(Decimal::new(-7.0, -7.0, 1.0).unwrap(), 1), "-7");
}

#[test]
fn impossible_ranges_are_named() {
    assert!(Decimal::new(2.0, 1.0, 1.0).unwrap_err().contains("above max"));
    assert!(Decimal::new(1.0, 2.0, 0.0).unwrap_err().contains("precision"));
    assert!(Decimal::new(1.0, 2.0, -1.0).unwrap_err().contains("precision"));
    assert!(Decimal::new(1.1, 1.9, 1.0).unwrap_err().contains("no multiple"));
    assert!(Decimal::new(0.0, 1e18, 1.0).unwrap_err().contains("digits"));
}

proptest! {
    #[test]
    fn a_drawn_value_lies_between_its_bounds(min in -1e6..1e6_f64, span in 1.0..1e6_f64, seed: u64) {
        let drawn: f64 = text(Decimal::new(min, min + span, 0.01).unwrap(), seed).parse().unwrap();
        prop_assert!(drawn >= min - 1e-6 && drawn <= min + span + 1e-6, "{drawn}");
    }

    #[test]
    fn numbers_are_written_as_the_standard_library_does(value: u64, width in 1_usize..20) {
        let mut out = BytesMut::new();
        push_number(&mut out, value, width);
        prop_assert_eq!(String::from_utf8_lossy(&out), format!("{value:0width$}"));
    }
}
