//! Subscriptions that are replaced before their five minutes end.

use crate::reading::Site;
use alluvial_tests::eventually;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_are_renewed_before_they_end_without_gap_repetition_or_pause() {
    // Five minutes take five seconds, and fifteen minutes fifteen.
    let site = Site::start(2, |emulator| emulator.clock_speed = 60.0).await;
    let mut settings = site.settings();
    settings.renew_between = (Duration::from_millis(2_500), Duration::from_millis(4_000));
    let mut reading = site.read(settings).await;
    site.put(0..1).await;
    reading.until(1).await;
    let (began, mut put) = (Instant::now(), vec![Instant::now()]);
    while began.elapsed() < Duration::from_secs(15) {
        let next = put.len() as u64;
        put.push(Instant::now());
        site.put(next..next + 1).await;
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    let all = put.len() as u64;
    reading.until(put.len()).await;
    reading.assert_each_once(0..all);
    let reasons = reading.reasons();
    assert!(reasons.get("renewed").is_some_and(|times| *times >= 6), "two shards, three times each: {reasons:?}");
    assert_eq!(reasons.keys().collect::<Vec<_>>(), [&"renewed"], "no subscription came to its end");
    let seen = reading.seen();
    let put_at = |n: u64| put[usize::try_from(n).unwrap()];
    let mut waits: Vec<Duration> = seen.iter().skip(1).map(|seen| seen.at - put_at(seen.n)).collect();
    waits.sort_unstable();
    let (p99, longest) = (waits[waits.len() * 99 / 100], waits[waits.len() - 1]);
    eprintln!("{all} records, {reasons:?}: p99 {p99:?}, longest {longest:?}");
    assert!(longest < Duration::from_secs(2), "from put to handler: p99 {p99:?}, longest {longest:?}");
    reading.stop().await;
    site.emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_whose_successor_is_refused_goes_on_until_kinesis_ends_it() {
    let site = Site::start(1, |_| {}).await;
    let mut settings = site.settings();
    settings.renew_between = (Duration::from_secs(6), Duration::from_secs(6));
    let mut reading = site.read(settings).await;
    site.put(0..10).await;
    reading.until(10).await;
    site.faults(
        "[[fault]]\non = { service = \"kinesis\", operation = \"SubscribeToShard\" }\n\
         effect = { error = { code = \"InternalFailureException\", status = 500 } }\n",
    );
    eventually("a refused successor", Duration::from_secs(15), || async {
        (reading.reason("not_renewed") == 1).then_some(())
    })
    .await;
    site.put(10..20).await;
    reading.until(20).await;
    assert_eq!(reading.shard(0).subscriptions(), 1, "the first one goes on");
    site.faults("");
    site.control().expire_subscriptions();
    site.put(20..30).await;
    reading.until(30).await;
    reading.assert_each_once(0..30);
    assert_eq!(reading.reason("expired"), 1);
    reading.stop().await;
    site.emulator.stop().await;
}
