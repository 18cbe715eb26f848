use super::effect::{Effect, Span};
use super::engine::Faults;
use super::plan::Plan;
use super::subject::{Names, Service, Subject};
use crate::clock::Clock;
use std::time::{Duration, SystemTime};

const LEASES: &str = r#"
seed = 7

[[fault]]
name = "lease written, answer lost"
on = { service = "dynamodb", operation = "UpdateItem", table = "orders-*", key = "shardId-000000000001" }
when = { nth = 2 }
effect = { lose_response = { how = "tcp_reset" } }

[[fault]]
on = { service = "dynamodb" }
when = { from = "1m", until = "1m30s", probability = 0.5 }
effect = { error = { code = "ThrottlingException" } }
"#;

fn update(table: &str, key: &str) -> Subject {
    let names = Names { table: Some(table.to_owned()), key: Some(key.to_owned()), ..Names::default() };
    Subject { service: Service::DynamoDb, operation: "UpdateItem".to_owned(), names }
}

fn effects(faults: &Faults, subject: Subject) -> Vec<&'static str> {
    faults.fire(subject).iter().filter_map(|shot| shot.effect().map(Effect::name)).collect()
}

fn refusal(fault: &str) -> String {
    Plan::parse(fault).expect_err(fault).to_string()
}

#[test]
fn a_plan_says_what_it_was_given() {
    let plan = Plan::parse(LEASES).unwrap();
    assert_eq!((plan.seed, plan.rules.len()), (7, 2));
    assert_eq!(plan.rules[0].name(), "lease written, answer lost");
    assert_eq!(plan.rules[1].name(), "error");
    assert_eq!(plan.rules[1].when.until, Some(Span(Duration::from_secs(90))));
    assert_eq!(Plan::parse("").unwrap(), Plan::default());
}

#[tokio::test(start_paused = true)]
async fn a_rule_fires_on_what_it_is_about_and_when_it_says() {
    let clock = Clock::starting_at(SystemTime::UNIX_EPOCH, 1.0).unwrap();
    let faults = Faults::new(clock.clone());
    faults.set(Plan::parse(LEASES).unwrap());
    let shard = "shardId-000000000001";
    assert!(faults.may_concern(Service::DynamoDb, "PutItem") && !faults.may_concern(Service::S3, "PutObject"));
    for (table, key) in [("orders-app", shard), ("other", shard), ("orders-app", "shardId-000000000002")] {
        assert_eq!(effects(&faults, update(table, key)), [""; 0]);
    }
    assert_eq!(effects(&faults, update("orders-app", shard)), ["lose_response"]);
    assert_eq!(effects(&faults, update("orders-app", shard)), [""; 0]);
    clock.advance(Duration::from_secs(60)).unwrap();
    let draw = |faults: &Faults| (0..20).map(|_| effects(faults, update("a", "b")).len()).collect::<Vec<_>>();
    let drawn = draw(&faults);
    assert!(drawn.contains(&0) && drawn.contains(&1), "{drawn:?}");
    faults.set(Plan::parse(LEASES).unwrap());
    clock.advance(Duration::from_secs(60)).unwrap();
    assert_eq!(draw(&faults), drawn, "a seed repeats its faults");
}

#[tokio::test]
async fn the_log_has_what_took_effect_and_nothing_else() {
    let faults = Faults::new(Clock::starting_at(SystemTime::UNIX_EPOCH, 0.0).unwrap());
    faults.set(Plan::parse("[[fault]]\non = { service = \"dynamodb\" }\neffect = { duplicate = {} }").unwrap());
    let shots = faults.fire(update("leases", "a"));
    assert_eq!(faults.log().0, b"");
    faults.took_effect(&shots[0]);
    let entry: serde_json::Value = serde_json::from_slice(&faults.log().0).unwrap();
    assert_eq!((entry["fault"].as_str(), entry["operation"].as_str()), (Some("duplicate"), Some("UpdateItem")));
    assert_eq!((entry["table"].as_str(), entry["time_millis"].as_u64()), (Some("leases"), Some(0)));
    assert_eq!(faults.describe()["fault"][0]["fired"], 1);
}

#[test]
fn a_bad_plan_is_refused_with_its_place_and_its_remedy() {
    let on = "[[fault]]\non = { service = \"kinesis\", operation = \"SubscribeToShard\" }\n";
    let cases = [
        ("[[fault]]\non = { service = \"sqs\" }\neffect = { cut = {} }".to_owned(), "unknown variant `sqs`"),
        (format!("{on}effect = {{ cut = {{ hwo = \"fin\" }} }}"), "unknown field `hwo`"),
        (format!("{on}effect = {{ delay = {{ for = \"soon\" }} }}"), "write \"90s\""),
        (format!("{on}when = {{ nth = 0 }}\neffect = {{ cut = {{}} }}"), "fault 1 of the plan (cut): nth and every"),
        (format!("{on}when = {{ probability = 2.0 }}\neffect = {{ cut = {{}} }}"), "must be from 0 to 1"),
        (format!("{on}when = {{ from = \"2s\", until = \"1s\" }}\neffect = {{ cut = {{}} }}"), "later than from"),
        (format!("{on}effect = {{ cut = {{ in_frame = true }} }}"), "in_frame needs after_events"),
        (format!("{on}effect = {{ stall = {{ after_events = 1, after_bytes = 1 }} }}"), "not both"),
        (format!("{on}effect = {{ partial = {{ code = \"X\" }} }}"), "operation = \"PutRecords\""),
        (format!("{on}effect = {{ error = {{ code = \"X\", status = 99 }} }}"), "status 99"),
        (format!("{on}effect = {{ clock = {{}} }}"), "give advance, speed or both"),
        ("[[fault]]\non = { service = \"s3\", table = \"a\" }\neffect = { cut = {} }".to_owned(), "names no table"),
        ("[[fault]]\non = { service = \"s3\" }\neffect = { duplicate = {} }".to_owned(), "not applied twice"),
        (
            "[[fault]]\non = { service = \"firehose\", operation = \"Deliver\" }\neffect = { cut = {} }".to_owned(),
            "Deliver knows error, delay",
        ),
        (
            "[[fault]]\non = { service = \"s3\" }\neffect = { cut = { after_events = 1 } }".to_owned(),
            "SubscribeToShard",
        ),
    ];
    for (plan, expected) in cases {
        let refusal = refusal(&plan);
        assert!(refusal.contains(expected), "{plan}\n{refusal}");
    }
    assert!(refusal("[[fault]]\n").contains("line 1"));
}
