use super::*;
use proptest::prelude::*;

fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

#[test]
fn every_written_form_is_read() {
    assert_eq!(rate("1000/s"), Rate::per_second(1_000));
    assert_eq!(rate("5k/s"), Rate::per_second(5_000));
    assert_eq!(rate("1.5k/s"), Rate::per_second(1_500));
    assert_eq!(rate("60/min"), Rate::per_second(1));
    assert_eq!(rate("3600/h"), Rate::per_second(1));
    assert_eq!(rate("250"), Rate::per_second(250));
    assert_eq!(rate("max"), Rate::UNLIMITED);
    assert_eq!(rate("unlimited"), Rate::UNLIMITED);
}

#[test]
fn what_is_no_rate_is_refused_with_the_forms() {
    for bad in ["", "0/s", "-5/s", "ten", "5/day", "5x/s", "/s", "1e3/s", "2000000M/s"] {
        let error = bad.parse::<Rate>().unwrap_err().to_string();
        assert!(error.contains("1000/s") && error.contains("max"), "{bad}: {error}");
    }
}

#[test]
fn the_schedule_does_not_drift() {
    assert_eq!(rate("1000/s").due(1_000_000), Some(Duration::from_secs(1_000)));
    assert_eq!(rate("3/s").due(3_000_000_000), Some(Duration::from_secs(1_000_000_000)));
    assert_eq!(rate("60/min").due(0), Some(Duration::ZERO));
    assert_eq!(rate("max").due(7), None);
}

#[test]
fn a_minute_at_a_thousand_is_sixty_thousand() {
    assert_eq!(rate("1000/s").due_before(Duration::from_secs(60)), Some(60_000));
    assert_eq!(rate("1/min").due_before(Duration::from_secs(60)), Some(1));
    assert_eq!(rate("1/min").due_before(Duration::ZERO), Some(0));
}

#[test]
fn rates_print_as_they_are_written() {
    assert_eq!(rate("5k/s").to_string(), "5000/s");
    assert_eq!(rate("30/min").to_string(), "30.0/min");
    assert_eq!(rate("max").to_string(), "max");
}

proptest! {
    #[test]
    fn counting_and_scheduling_agree(per_second in 1_u32..200_000, millis in 0_u64..10_000_000) {
        let rate = Rate::per_second(per_second);
        let elapsed = Duration::from_millis(millis);
        let count = rate.due_before(elapsed).unwrap();
        // `due` rounds down to a nanosecond, so the next record may fall just before `elapsed`.
        prop_assert!(rate.due(count).unwrap() + Duration::from_nanos(1) >= elapsed);
        if let Some(last) = count.checked_sub(1) {
            prop_assert!(rate.due(last).unwrap() < elapsed);
        }
    }
}
