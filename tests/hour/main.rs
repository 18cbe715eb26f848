//! The scripted hour: three worker processes against an emulator on a fast clock, an hour of faults from a seed, and proofs.
//!
//! **What is scaled.** The emulator's clock runs 15 times as fast as the machine's: the five minutes of a subscription, heartbeats,
//! Kinesis's five seconds between two subscriptions, Firehose's buffers, and the times of its fault plan. An hour takes four minutes.
//! **What is not**: all timers of the workers (renewals, failover, checkpoints, watchdogs, backoff, drains), DynamoDB, S3, TLS and the
//! rate of the producer. The failover time is set to 3 s instead of 10 s, so that it is met as often as subscriptions end, and
//! subscriptions are renewed at ages that lie on both sides of their end.
//!
//! `HOUR_SEED=7` plays another script; it is printed first. The processes' own timing is not part of the seed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is a test that failed")]
#![allow(clippy::print_stderr, reason = "a run of minutes says how it goes")]

mod checks;
mod fleet;
mod history;
mod journal;
mod producer;
mod run;
mod script;

use script::Script;

/// The seed, unless `HOUR_SEED` gives another.
const SEED: u64 = 1;
/// Three slots meet every kind of step once: 42 s. Seventeen are an hour, less half a minute.
const SHORT: u32 = 3;
const HOUR: u32 = 17;

fn script(slots: u32) -> Script {
    let seed = match std::env::var("HOUR_SEED") {
        Ok(text) => text.parse().unwrap_or_else(|error| panic!("HOUR_SEED={text}: {error}; a number is wanted")),
        Err(_) => SEED,
    };
    Script::generate(seed, slots)
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_minutes_of_faults_lose_nothing_and_repeat_no_more_than_they_must() {
    Box::pin(run::run(&script(SHORT))).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes five minutes: cargo test -p alluvial-tests --test hour -- --ignored --nocapture"]
async fn an_hour_of_faults_loses_nothing_and_repeats_no_more_than_it_must() {
    Box::pin(run::run(&script(HOUR))).await;
}
