//! What a person may choose about an emulator.

use crate::server::Http2;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// How to run one emulator.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where data and the CA certificate lie. Created if missing. S3 and DynamoDB keep their data here from one run to
    /// the next; only one emulator may use a folder at a time.
    pub dir: PathBuf,
    /// The address to listen on: 127.0.0.1 unless others are to reach the emulator, which has no security worth the name.
    pub host: IpAddr,
    /// The TLS port; 0 takes any free one.
    pub port: u16,
    /// The plaintext port; 0 takes any free one.
    pub plain_port: u16,
    /// How many times faster than real time the emulated clock runs; 0 stands still. It drives subscription expiry,
    /// heartbeats, retention, Firehose buffering and limits on rates.
    pub clock_speed: f64,
    /// The emulated time at the start; the machine's own if it is not given.
    pub starts_at: Option<SystemTime>,
    /// What ids and random parts of names follow from; no two runs are alike if it is not given.
    pub seed: Option<u64>,
    /// What HTTP/2 connections begin with.
    pub http2: Http2,
    /// Whether AWS's limits on rates are enforced, by the emulated clock: into and out of each shard, to each fan-out
    /// consumer, into Firehose, and on calls. A client that asks too much is refused or waits, as on AWS. Without them
    /// nothing is throttled.
    pub limits: bool,
    /// How long streams, consumers and delivery streams stay in `CREATING`, `UPDATING` and `DELETING`, in emulated time;
    /// zero has every change done when it is answered.
    pub state_delay: Duration,
    /// The fault plan in force from the start, TOML; empty for none.
    pub faults: String,
    /// Whether accepted Firehose records and writes to DynamoDB are kept on disk, for the control path to read.
    pub truth: bool,
    /// Whether Kinesis streams and their records are kept in `dir`, as S3 and DynamoDB keep their data, for the next run
    /// that asks for it. What was answered survives the death of the process, not that of the machine.
    pub persist: bool,
}

impl Settings {
    /// Free loopback ports, real time, no limits on rates, no faults, no ground truth and streams that go with the process, with
    /// data in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            plain_port: 0,
            clock_speed: 1.0,
            starts_at: None,
            seed: None,
            http2: Http2::default(),
            limits: false,
            state_delay: Duration::ZERO,
            faults: String::new(),
            truth: false,
            persist: false,
        }
    }
}
