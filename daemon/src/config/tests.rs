use super::*;

const MINIMAL: &str = r#"
[source]
stream = "orders"
application = "enricher"
[sink]
type = "firehose"
delivery_stream = "raw"
[on_error]
dead_letter = "dead"
"#;

fn error(text: &str) -> String {
    parse(text, Path::new("."), "w").unwrap_err()
}

#[test]
fn the_template_is_a_settings_file_that_works() {
    let checked = parse(TEMPLATE, Path::new("."), "w").unwrap();
    assert_eq!((checked.consumer.stream.as_str(), checked.lease_table.as_str()), ("orders", "orders-enricher"));
}

#[test]
fn every_default_that_the_template_shows_is_the_one_in_force() {
    let shown: String = TEMPLATE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(setting)
                if [
                    "start",
                    "budget",
                    "failover",
                    "lease_mode",
                    "balance",
                    "handoff_timeout",
                    "checkpoint_interval",
                    "drain_grace",
                    "deaggregate",
                    "subscription",
                    "renew_between",
                    "mode",
                    "on_loss",
                    "target_bytes",
                    "max_wait",
                    "level",
                    "metadata",
                    "concurrent_calls",
                ]
                .iter()
                .any(|name| setting.starts_with(&format!("{name} ="))) =>
            {
                format!("{setting}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    let (shown, default) = (parse(&shown, Path::new("."), "w").unwrap(), parse(TEMPLATE, Path::new("."), "w").unwrap());
    assert_eq!(format!("{:?}", shown.consumer), format!("{:?}", default.consumer));
    assert_eq!((shown.pipeline.pack, shown.pipeline.max_wait), (default.pipeline.pack, default.pipeline.max_wait));
    assert_eq!(shown.pipeline.concurrent_calls, default.pipeline.concurrent_calls);
}

#[test]
fn an_unknown_key_names_its_line_and_the_nearest_key() {
    let text = MINIMAL.replace("application", "aplication");
    let why = error(&text);
    assert!(why.contains("line 4") && why.contains("did you mean `application`?"), "{why}");
}

#[test]
fn a_wrong_value_names_the_setting_the_value_and_the_choices() {
    for (from, to, wanted) in [
        (
            "application =",
            "start = \"yesterday\"\napplication =",
            "source.start: \"yesterday\" is none of trim_horizon",
        ),
        ("application =", "failover = \"1h\"\napplication =", "source.failover: \"1h\" is outside"),
        ("application =", "lease_mode = \"zk\"\napplication =", "source.lease_mode: \"zk\" is none of kcl and compact"),
        (
            "application =",
            "balance = \"cpu\"\napplication =",
            "source.balance: \"cpu\" is none of count and throughput",
        ),
        ("application =", "max_leases = 0\napplication =", "source.max_leases"),
        (
            "application =",
            "subscription = \"java\"\napplication =",
            "source.subscription: \"java\" is none of direct and sdk",
        ),
        (
            "application =",
            "mode = \"pull\"\napplication =",
            "source.mode: \"pull\" is none of auto, fan-out and polling",
        ),
        ("application =", "on_loss = \"skip\"\napplication =", "source.on_loss: \"skip\" is none of halt and continue"),
        ("application =", "renew_between = [\"4s\", \"9s\"]\napplication =", "source.renew_between: [\"4s\", \"9s\"]"),
        ("application =", "renew_between = [\"9s\", \"8s\"]\napplication =", "the lesser age first"),
        ("application =", "renew_between = [\"9s\"]\napplication =", "renew_between"),
        ("application =", "handoff_timeout = \"1h\"\napplication =", "source.handoff_timeout"),
        ("application =", "budget = \"1KiB\"\napplication =", "source.budget"),
        ("\"orders\"", "\"arn:aws:kinesis:eu-west-1:0:stream/orders\"", "a name is wanted"),
        ("application =", "worker = \"\"\napplication =", "source.worker: is empty"),
        (
            "[sink]",
            "[[transform]]\ntype = \"append\"\nfield = \"d\"\nvalue = 2026-01-01T00:00:00Z\n[sink]",
            "write it as a string",
        ),
        ("[sink]", "[[transform]]\ntype = \"append\"\nfield = \"d\"\nvalue = [1.0, nan]\n[sink]", "nan"),
        ("[sink]", "[[transform]]\ntype = \"filter\"\nfield = \"d\"\none_of = []\n[sink]", "drop every record"),
        ("\"firehose\"", "\"kafka\"", "expected `firehose`"),
        ("dead_letter = \"dead\"", "dead_letter = \"gs://x\"", "on_error.dead_letter"),
    ] {
        let why = error(&MINIMAL.replace(from, to));
        assert!(why.contains(wanted), "{why}");
    }
    assert!(error("[source]").contains("missing field `stream`"));
}

#[test]
fn a_time_is_a_start_position() {
    let text = MINIMAL.replace("application =", "start = \"2026-11-23T00:00:00Z\"\napplication =");
    let checked = parse(&text, Path::new("."), "w").unwrap();
    assert_eq!(checked.consumer.start, StartPosition::AtTimestamp(1_795_392_000_000));
}

#[test]
fn the_sdk_can_be_left_to_read_subscriptions() {
    let text = MINIMAL.replace("application =", "subscription = \"sdk\"\napplication =");
    assert_eq!(parse(&text, Path::new("."), "w").unwrap().consumer.subscription, SubscriptionKind::Sdk);
    assert_eq!(parse(MINIMAL, Path::new("."), "w").unwrap().consumer.subscription, SubscriptionKind::Direct);
}

#[test]
fn polling_and_going_on_after_a_loss_are_settings() {
    let text = MINIMAL.replace("application =", "mode = \"polling\"\non_loss = \"continue\"\napplication =");
    let consumer = parse(&text, Path::new("."), "w").unwrap().consumer;
    assert_eq!((consumer.mode, consumer.on_loss), (Mode::Polling, OnLoss::Continue));
    let consumer = parse(MINIMAL, Path::new("."), "w").unwrap().consumer;
    assert_eq!((consumer.mode, consumer.on_loss), (Mode::Auto, OnLoss::Halt));
}

#[test]
fn the_age_at_which_subscriptions_are_renewed_is_a_setting() {
    let text = MINIMAL.replace("application =", "renew_between = [\"5s\", \"2m\"]\napplication =");
    let between = parse(&text, Path::new("."), "w").unwrap().consumer.renew_between;
    assert_eq!(between, (Duration::from_secs(5), Duration::from_secs(120)));
}
