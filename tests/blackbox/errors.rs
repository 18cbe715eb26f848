//! What goes wrong, and what a person then reads.

use crate::restart::records;
use alluvial_tests::{RawRow, World, finish, names};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn bad_and_oversize_records_go_to_the_dead_letter_store_and_the_rest_is_delivered() {
    let world = World::start(1).await;
    let daemon = world.daemon();
    let mut random = fastrand::Rng::with_seed(5);
    let noise: String = std::iter::repeat_with(|| random.alphanumeric()).take(3_000_000).collect();
    let bad: [(&str, Vec<u8>); 6] = [
        ("text", b"not json".to_vec()),
        ("array", b"[1,2]".to_vec()),
        ("quoted", b"\"{\\\"card\\\":4111111111111111}\"".to_vec()),
        ("binary", b"\xff\xfe\x00".to_vec()),
        ("two", b"{\"a\":1}{\"b\":2}".to_vec()),
        ("oversize", format!("{{\"noise\":\"{noise}\"}}").into_bytes()),
    ];
    world.put(records(0..100)).await;
    world.put(bad.iter().map(|(key, data)| ((*key).to_owned(), data.clone()))).await;
    world.put(records(100..200)).await;
    world.until_checkpointed(Duration::from_secs(30)).await;
    let finished = daemon.terminate(Duration::from_secs(25)).await;
    assert_eq!(finished.code, Some(3), "dead letters make it done in part: {}", finished.log);
    for payload in [&noise[..50], "4111111111111111", "not json"] {
        assert!(!finished.log.contains(payload), "payloads are not logged");
    }
    world.flush_firehose().await;
    let rows = RawRow::read_all(&world.raw());
    assert_eq!((rows.len(), names(&rows).len()), (200, 200));

    let mut letters = Vec::new();
    for file in world.dead_letters().join("orders/shardId-000000000000").read_dir().unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        letters.extend(text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()));
    }
    assert_eq!(letters.len(), 6);
    let put = world.stream_records().await;
    for (key, reason) in [
        ("text", "not a JSON object"),
        ("array", "not a JSON object"),
        ("quoted", "not a JSON object"),
        ("binary", "not UTF-8"),
        ("two", "not a JSON object"),
        ("oversize", "too large"),
    ] {
        let letter = letters.iter().find(|letter| letter["partition_key"] == key).unwrap();
        let record = put.iter().find(|record| record.partition_key == key).unwrap();
        assert!(letter["reason"].as_str().unwrap().contains(reason), "{key}: {}", letter["reason"]);
        assert_eq!(letter["sequence"], record.sequence.as_str());
        match letter["payload"].as_str() {
            Some(payload) => assert!(payload.as_bytes() == record.data, "{key}"),
            None => assert_eq!(letter["payload_base64"], "//4A"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_end_with_2_and_name_the_fix() {
    let world = World::start(1).await;
    let config = world.path("wrong.toml");
    let good = "[source]\nstream = \"orders\"\napplication = \"a\"\n[sink]\ntype = \"firehose\"\ndelivery_stream = \"orders-raw\"\n[on_error]\ndead_letter = \"dead\"\n";
    for (from, to, wanted) in [
        ("stream = \"orders\"", "streem = \"orders\"", "did you mean `stream`?"),
        ("[sink]", "[pack]\ntarget_bytes = \"2MiB\"\n[sink]", "outside of 10KiB to 1000KiB"),
        ("[sink]", "[pack]\nmax_wait = \"5\"\n[sink]", "write 500ms, 1s, 2m or 1h"),
        ("application", "start = \"soon\"\napplication", "trim_horizon"),
    ] {
        std::fs::write(&config, good.replace(from, to)).unwrap();
        for command in ["check", "run"] {
            let finished = finish(world.command("alluvial").args([command, "--config"]).arg(&config));
            assert_eq!(finished.code, Some(2), "{}", finished.log);
            assert!(
                finished.log.contains(wanted) && finished.log.contains("wrong.toml"),
                "{command}: {}",
                finished.log
            );
        }
    }
    std::fs::write(&config, good).unwrap();
    let run = |change: &dyn Fn(&mut std::process::Command)| {
        let mut command = world.command("alluvial");
        command.args(["run", "--config"]).arg(&config);
        change(&mut command);
        finish(&mut command)
    };
    let finished = run(&|command| {
        command.env("AWS_CA_BUNDLE", "/none.pem");
    });
    assert_eq!(finished.code, Some(2), "{}", finished.log);
    assert!(finished.log.contains("/none.pem"), "{}", finished.log);
    let finished = run(&|command| {
        command.env_remove("AWS_REGION").env_remove("AWS_DEFAULT_REGION").env("AWS_EC2_METADATA_DISABLED", "true");
    });
    assert_eq!(finished.code, Some(2), "{}", finished.log);
    assert!(finished.log.contains("--region"), "{}", finished.log);
    let finished = run(&|command| {
        command.args(["--endpoint-url", "localhost"]);
    });
    assert_eq!(finished.code, Some(2), "{}", finished.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_in_aws_ends_with_4_and_is_named() {
    let world = World::start(1).await;
    let config = world.path("missing.toml");
    let settings = |stream: &str, delivery_stream: &str| {
        format!(
            "[source]\nstream = \"{stream}\"\napplication = \"a\"\n[sink]\ntype = \"firehose\"\ndelivery_stream = \"{delivery_stream}\"\n[on_error]\ndead_letter = \"dead\"\n"
        )
    };
    for (stream, delivery_stream, wanted) in [
        ("nowhere", "orders-raw", "stream \"nowhere\" does not exist"),
        ("orders", "nowhere", "delivery stream \"nowhere\" does not exist"),
    ] {
        std::fs::write(&config, settings(stream, delivery_stream)).unwrap();
        let finished = finish(world.command("alluvial").args(["run", "--config"]).arg(&config));
        assert_eq!(finished.code, Some(4), "{}", finished.log);
        assert!(finished.log.contains(wanted), "{}", finished.log);
    }
    std::fs::write(&config, settings("orders", "orders-raw")).unwrap();
    // Port 9 (discard) of this machine: nothing listens there.
    let finished = finish(
        world.command("alluvial").args(["run", "--endpoint-url", "https://127.0.0.1:9", "--config"]).arg(&config),
    );
    assert_eq!(finished.code, Some(4), "{}", finished.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named() {
    let world = World::start(1).await;
    let taken = world.aws.control.endpoint_url().unwrap().rsplit(':').next().unwrap().to_owned();
    let finished =
        finish(world.command("alluvial").args(["emulator", "--dir", "other", "--plain-port", "0", "--port", &taken]));
    assert_eq!(finished.code, Some(2), "{}", finished.log);
    assert!(finished.log.contains(&taken) && finished.log.contains("--port"), "{}", finished.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_fault_plan_is_named_with_its_file_and_its_fix() {
    let world = World::start(1).await;
    let plan = world.path("faults.toml");
    let run = || finish(world.command("alluvial").args(["emulator", "--dir", "other", "--faults"]).arg(&plan));
    let missing = run();
    assert_eq!(missing.code, Some(2), "{}", missing.log);
    assert!(missing.log.contains("faults.toml"), "{}", missing.log);
    std::fs::write(&plan, "[[fault]]\non = { service = \"kinesis\" }\neffect = { cut = { in_frame = true } }\n")
        .unwrap();
    let wrong = run();
    assert_eq!(wrong.code, Some(2), "{}", wrong.log);
    assert!(wrong.log.contains("faults.toml") && wrong.log.contains("in_frame needs after_events"), "{}", wrong.log);
    assert!(!world.path("other").exists(), "nothing is written for a plan that is refused");
}
