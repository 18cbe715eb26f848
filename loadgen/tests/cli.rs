//! The `loadgen` command from the outside: what a wrong call prints, and the codes it ends with.

use std::process::{Command, Output};

/// Runs the command with test credentials and no configuration of this machine.
#[allow(clippy::unwrap_used, reason = "a part of the tests that is not itself a test")]
fn loadgen(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(arguments)
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn assert_usage(arguments: &[&str], expected: &[&str]) {
    let output = loadgen(arguments);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    assert!(output.stdout.is_empty(), "stdout is for the report");
    for part in expected {
        assert!(text.contains(part), "{part:?} in {text}");
    }
}

#[test]
fn wrong_options_end_with_2_and_say_what_is_right() {
    assert_usage(&[], &["--stream"]);
    assert_usage(&["--stream", "o", "--rate", "quick"], &["quick", "1000/s", "max"]);
    assert_usage(&["--stream", "o", "--records", "0"], &["count above 0"]);
    assert_usage(&["--stream", "o", "--template", "builtin:iit"], &["did you mean builtin:iot?"]);
    assert_usage(&["--stream", "o", "--template", "/nowhere/t"], &["/nowhere/t"]);
    assert_usage(&["--stream", "arn:aws:kinesis:us-east-1:1:stream/orders"], &["use `orders`"]);
    assert_usage(&["--stream", "o", "--endpoint-url", "localhost"], &["https://HOST:PORT"]);
}

#[test]
fn a_wrong_template_names_file_line_column_and_the_nearest_token() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("orders.txt");
    std::fs::write(&path, "{\"id\": \"{{random.uuid}}\",\n \"n\": {{random.nunber(5)}}}").unwrap();
    let path = path.to_str().unwrap();
    let expected = ["orders.txt: line 2, column 7", "`random.nunber`", "did you mean `random.number`?"];
    assert_usage(&["--stream", "o", "--template", path], &expected);
}

#[test]
fn an_input_that_cannot_be_read_ends_with_2() {
    assert_usage(&["--stream", "o", "--input", "/nowhere/in.ndjson"], &["/nowhere/in.ndjson"]);
}

#[test]
fn an_endpoint_out_of_reach_ends_with_4_and_names_it() {
    // Port 1 (tcpmux, RFC 1078) is one that nothing listens on and no test is given.
    let url = "http://127.0.0.1:1";
    let output = loadgen(&["--stream", "orders", "--endpoint-url", url, "--records", "10", "--json"]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("cannot reach Kinesis") && text.contains(url) && text.contains("--endpoint-url"), "{text}");
    assert!(output.stdout.is_empty());
}

#[test]
fn help_shows_what_to_type() {
    let output = loadgen(&["--help"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    for part in [
        "loadgen --stream orders --rate 5k/s",
        "builtin:sensor-batch",
        "{{random.uuid}}",
        "--endpoint-url",
        "--aggregate[=<SIZE>]",
        "Exit codes",
    ] {
        assert!(text.contains(part), "{part}");
    }
}
