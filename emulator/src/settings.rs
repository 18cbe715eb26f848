//! What a person may choose about an emulator.

use std::path::PathBuf;
use std::time::Duration;

/// How to run one emulator.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where data and the CA certificate lie. Created if missing. S3 and DynamoDB keep their data here from one run to
    /// the next; only one emulator may use a folder at a time.
    pub dir: PathBuf,
    /// The TLS port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// The plaintext port on 127.0.0.1; 0 takes any free one.
    pub plain_port: u16,
    /// How many times faster than real time the emulated clock runs. It drives subscription expiry, heartbeats and
    /// Firehose buffering.
    pub clock_speed: f64,
    /// Streams that a client may have open at a time on one HTTP/2 connection. Requests past it wait in the client.
    pub max_concurrent_streams: u32,
    /// Whether Kinesis enforces AWS's limits on rates, by the emulated clock: into and out of each shard, to each fan-out
    /// consumer, and on calls. A client that asks too much is refused or waits, as on AWS. Without them nothing is
    /// throttled.
    pub limits: bool,
    /// How long a Kinesis stream or consumer is `CREATING`, `UPDATING` or `DELETING`, in emulated time. On AWS it is seconds
    /// to minutes. Zero, the default, is at once: nobody ever sees those states.
    pub state_delay: Duration,
}

impl Settings {
    /// Free ports, real time, 1,000 streams a connection, no limits on rates and no waiting for states, with data in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            port: 0,
            plain_port: 0,
            clock_speed: 1.0,
            max_concurrent_streams: 1_000,
            limits: false,
            state_delay: Duration::ZERO,
        }
    }
}
