//! What a delivery stream writes side by side: records, copies of them, and those that could not be processed. Each has
//! buffers of its own.

use super::buffer::{Batch, Buffers, Step};
use super::definition::Definition;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// Where a record is on its way to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// The destination.
    Data,
    /// The backup, as it arrived.
    Backup,
    /// The destination's error prefix.
    Failed(Stage),
}

/// What failed, and so the error output type
/// (<https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html>,
/// <https://docs.aws.amazon.com/firehose/latest/dev/decomp-faq.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Decompression,
    Processing,
}

impl Stage {
    /// What `!{firehose:error-output-type}` becomes.
    pub(super) fn error_output_type(self) -> &'static str {
        match self {
            Self::Decompression => "decompression-failed",
            Self::Processing => "processing-failed",
        }
    }
}

/// What the delivery task does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Write this as one object.
    Write(Lane, Batch),
    /// Nothing is due before this emulated time, unless records arrive.
    WaitUntil(SystemTime),
    /// Nothing is buffered.
    WaitForRecords,
}

/// The buffers of one delivery stream.
#[derive(Debug, Default)]
pub(super) struct Lanes(BTreeMap<Lane, Buffers>);

impl Lanes {
    /// Adds what became of records that arrived at `arrival`, in their order. Buffers close as `definition` has it.
    pub(super) fn push(
        &mut self,
        items: Vec<(Lane, Bytes)>,
        arrival: SystemTime,
        now: SystemTime,
        definition: &Definition,
    ) {
        for (lane, item) in items {
            let hints = definition.destination_of(lane).hints;
            let buffers = self.0.entry(lane).or_insert_with(|| Buffers::new(hints.bytes));
            buffers.push(item, arrival, now, now + hints.interval);
        }
    }

    /// Buffers close as `definition` has it from the next record on.
    pub(super) fn set_limits(&mut self, definition: &Definition) {
        for (lane, buffers) in &mut self.0 {
            buffers.set_limit(definition.destination_of(*lane).hints.bytes);
        }
    }

    /// Takes the next batch that is to be written at `now`, the one with the oldest record first. `all` makes every
    /// buffer due.
    pub(super) fn next(&mut self, now: SystemTime, all: bool) -> Next {
        let due = self.0.iter().filter_map(|(lane, buffers)| Some((buffers.due(now, all)?, *lane)));
        if let Some((_, lane)) = due.min()
            && let Some(Step::Write(batch)) = self.0.get_mut(&lane).map(|buffers| buffers.next(now, all))
        {
            return Next::Write(lane, batch);
        }
        let waits = self.0.values().filter_map(Buffers::deadline);
        waits.min().map_or(Next::WaitForRecords, Next::WaitUntil)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firehose::tests::definition;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn lanes_fill_apart_and_the_oldest_is_written_first() {
        let hints = |seconds: u64| json!({ "SizeInMBs": 1, "IntervalInSeconds": seconds });
        let backup = json!({ "RoleARN": "r", "BucketARN": "arn:aws:s3:::pond", "BufferingHints": hints(60) });
        let definition = definition(
            "orders",
            json!({ "BufferingHints": hints(100), "S3BackupMode": "Enabled", "S3BackupConfiguration": backup }),
        );
        let at = |second: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let (mut lanes, item) = (Lanes::default(), Bytes::from_static(b"x"));
        let push = |lanes: &mut Lanes, second: u64, lane: Lane| {
            lanes.push(vec![(lane, item.clone())], at(second), at(second), &definition);
        };
        assert_eq!(lanes.next(at(0), true), Next::WaitForRecords);
        let failed = Lane::Failed(Stage::Processing);
        push(&mut lanes, 5, failed);
        push(&mut lanes, 10, Lane::Data);
        push(&mut lanes, 20, Lane::Backup);
        assert_eq!(lanes.next(at(79), false), Next::WaitUntil(at(80)), "the backup's own interval");
        let mut written = Vec::new();
        while let Next::Write(lane, _) = lanes.next(at(110), false) {
            written.push(lane);
        }
        assert_eq!(written, [failed, Lane::Data, Lane::Backup]);
    }
}
