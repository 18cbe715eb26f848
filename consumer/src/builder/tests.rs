use super::*;
use crate::lease::MemoryLeases;
use crate::processor::Then;

fn good() -> ConsumerBuilder {
    ConsumerBuilder::default().stream("orders").application("billing")
}

/// The text of the error; it must name what it is about.
fn refused(builder: ConsumerBuilder, field: &str, words: &[&str]) {
    let error = builder.check().expect_err(field);
    assert_eq!(error.kind(), crate::ErrorKind::Fatal);
    let text = error.to_string();
    assert!(text.starts_with(&format!("setting {field} is ")), "{text}");
    assert!(words.iter().all(|word| text.contains(word)), "{text}: {words:?}");
}

#[test]
fn stream_and_application_are_enough() {
    good().check().unwrap();
    refused(ConsumerBuilder::default().application("a"), "stream", &["missing", "name"]);
    refused(ConsumerBuilder::default().stream("s"), "application", &["missing"]);
}

#[test]
fn a_name_that_aws_would_refuse_is_named_with_what_it_may_be() {
    refused(good().stream("orders"), "stream", &["\"orders\" twice"]);
    refused(good().stream("a b"), "stream", &["\"a b\"", "1 to 128"]);
    refused(good().stream("arn:aws:s3:::bucket"), "stream", &["arn:aws:kinesis:REGION:ACCOUNT:stream/NAME"]);
    refused(good().stream("arn:aws:firehose:eu-west-1:1:stream/x"), "stream", &["arn:aws:kinesis:"]);
    refused(good().application("arn:aws:kinesis:eu-west-1:1:stream/x"), "application", &["not the ARN"]);
    good().stream("arn:aws:kinesis:eu-west-1:123456789012:stream/x").check().unwrap();
    refused(good().stream("x".repeat(129)), "stream", &["…", "1 to 128"]);
    refused(good().application("ab"), "application", &["3 to 255"]);
    refused(good().lease_table("ä"), "lease_table", &["\"ä\""]);
    refused(good().consumer_name(""), "consumer_name", &["\"\""]);
    refused(good().worker("a\nb"), "worker", &["1 to 256"]);
    // A table of our own makes a short name of the application possible.
    good().application("ab").leases(LeaseTable::Memory(MemoryLeases::default())).check().unwrap();
}

#[test]
fn every_number_has_a_range_that_its_error_names() {
    refused(good().budget_bytes(1), "budget_bytes", &["is 1:", "1048576", "4294967295"]);
    refused(good().max_records(0), "max_records", &["is 0:", "1 or more"]);
    refused(good().max_bytes(0), "max_bytes", &["1 or more"]);
    refused(good().max_leases(0), "max_leases", &["1 or more"]);
    let policy = |change: fn(&mut OnError)| {
        let mut policy = OnError::default();
        change(&mut policy);
        good().on_error(policy)
    };
    refused(policy(|p| p.retries = 1_001), "on_error.retries", &["1001", "0 to 1000"]);
    refused(
        policy(|p| p.backoff = (Duration::from_secs(2), Duration::from_secs(1))),
        "on_error.backoff",
        &["2s to 1s"],
    );
    refused(policy(|p| p.backoff.0 = Duration::ZERO), "on_error.backoff", &["0ns"]);
    policy(|p| p.then = Then::Skip).check().unwrap();
}

#[test]
fn every_time_has_a_range_that_its_error_names() {
    let day = Duration::from_secs(86_401);
    for (field, builder) in [
        ("failover", good().failover(day)),
        ("handoff_timeout", good().handoff_timeout(Duration::ZERO)),
        ("checkpoint_interval", good().checkpoint_interval(Duration::ZERO)),
        ("drain_grace", good().drain_grace(day)),
        ("silence_deadline", good().silence_deadline(Duration::from_secs(5))),
        ("list_interval", good().tune(|settings| settings.list_interval = Duration::ZERO)),
        ("sync_interval", good().tune(|settings| settings.sync_interval = day)),
        ("cleanup_interval", good().tune(|settings| settings.cleanup_interval = day)),
        ("open_deadline", good().tune(|settings| settings.open_deadline = day)),
        ("held_back_limit", good().tune(|settings| settings.held_back_limit = day)),
    ] {
        refused(builder, field, &[" to ", " is wanted"]);
    }
}

#[test]
fn what_is_said_twice_in_different_ways_is_refused() {
    let config = aws_types::SdkConfig::builder().build();
    refused(good().aws(config).region("eu-west-1"), "region", &["eu-west-1", "one of the two"]);
    let table = LeaseTable::Memory(MemoryLeases::default());
    refused(good().stream("audit").multi_stream_leases(false), "multi_stream_leases", &["several"]);
    refused(good().leases(table).lease_table("t-t"), "lease_table", &["one of the two"]);
}
