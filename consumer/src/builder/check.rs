//! Settings that cannot be, found before anything is called. Pure.

use super::ConsumerBuilder;
use crate::error::Error;
use crate::lease::StreamId;
use std::collections::BTreeSet;
use std::time::Duration;

/// The byte budget is counted in 32 bits.
const BUDGET_BYTES: std::ops::RangeInclusive<usize> = 1024 * 1024..=u32::MAX as usize;
/// Longest name of a stream or consumer, in characters.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_RegisterStreamConsumer.html>.
const STREAM_NAME: (usize, usize) = (1, 128);
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html>.
const TABLE_NAME: (usize, usize) = (3, 255);
/// Ours: what fits well into a row.
const WORKER_NAME: (usize, usize) = (1, 256);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl ConsumerBuilder {
    /// Refuses what cannot be.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.check_names()?;
        self.check_times()?;
        let settings = &self.settings;
        if !BUDGET_BYTES.contains(&settings.budget_bytes) {
            let wanted = format!("{} to {} bytes", BUDGET_BYTES.start(), BUDGET_BYTES.end());
            return Err(Error::setting("budget_bytes", settings.budget_bytes, wanted));
        }
        for (field, value) in [
            ("max_records", self.limits.max_records),
            ("max_bytes", self.limits.max_bytes),
            ("max_leases", settings.max_leases),
        ] {
            if value == 0 {
                return Err(Error::setting(field, value, "1 or more"));
            }
        }
        let given =
            [("region", &self.aws.region), ("profile", &self.aws.profile), ("endpoint_url", &self.aws.endpoint_url)];
        if let Some((field, Some(value))) =
            given.into_iter().find(|(_, value)| self.config.is_some() && value.is_some())
        {
            return Err(Error::setting(field, format!("{value:?} beside aws(…)"), "one of the two"));
        }
        self.on_error.check()
    }

    fn check_names(&self) -> Result<(), Error> {
        if self.streams.is_empty() {
            return Err(Error::setting("stream", "missing", "the name of a stream"));
        }
        let mut known = BTreeSet::new();
        for stream in &self.streams {
            check_stream(stream)?;
            if !known.insert(stream) {
                return Err(Error::setting("stream", format!("{stream:?} twice"), "each stream once"));
            }
        }
        if self.multi_stream_leases == Some(false) && self.streams.len() > 1 {
            return Err(Error::setting("multi_stream_leases", "false with several streams", "true"));
        }
        if self.application.is_empty() {
            return Err(Error::setting("application", "missing", "a name that all workers of the application share"));
        }
        let consumer = self.consumer_name.as_ref().unwrap_or(&self.application);
        let field = if self.consumer_name.is_some() { "consumer_name" } else { "application" };
        check_name(field, consumer, STREAM_NAME)?;
        if self.leases.is_none() {
            let table = self.lease_table.as_ref().unwrap_or(&self.application);
            let field = if self.lease_table.is_some() { "lease_table" } else { "application" };
            check_name(field, table, TABLE_NAME)?;
        } else if let Some(table) = &self.lease_table {
            return Err(Error::setting("lease_table", format!("{table:?} beside leases(…)"), "one of the two"));
        }
        if let Some(worker) = &self.worker {
            let (least, most) = WORKER_NAME;
            let length = worker.chars().count();
            if !(least..=most).contains(&length) || worker.chars().any(char::is_control) {
                let wanted = format!("{least} to {most} characters, none of them a control character,");
                return Err(Error::setting("worker", shown(worker), wanted));
            }
        }
        Ok(())
    }

    fn check_times(&self) -> Result<(), Error> {
        let (settings, short) = (&self.settings, Duration::from_millis(10));
        let times = [
            ("failover", settings.failover, seconds(1), seconds(300)),
            ("handoff_timeout", settings.handoff_timeout, seconds(1), seconds(600)),
            ("list_interval", settings.list_interval, short, seconds(600)),
            ("cleanup_interval", settings.cleanup_interval, seconds(1), seconds(86_400)),
            ("checkpoint_interval", settings.checkpoint_interval, short, seconds(600)),
            ("sync_interval", settings.sync_interval, Duration::from_millis(100), seconds(3600)),
            ("open_deadline", settings.open_deadline, seconds(1), seconds(120)),
            // Below two heartbeats nothing could be told from silence.
            ("silence_deadline", settings.silence_deadline, seconds(6), seconds(300)),
            ("held_back_limit", settings.held_back_limit, seconds(1), seconds(3600)),
            // Kinesis takes a new subscription of a shard five seconds after the last.
            ("renew_between, from", settings.renew_between.0, seconds(5), settings.renew_between.1),
            ("renew_between, to", settings.renew_between.1, seconds(5), seconds(86_400)),
            ("registration_deadline", settings.registration_deadline, seconds(1), seconds(3600)),
            ("fan_out_retry", settings.fan_out_retry, seconds(1), seconds(86_400)),
            ("drain_grace", settings.drain_grace, Duration::ZERO, seconds(600)),
        ];
        match times.into_iter().find(|(_, time, least, most)| !(*least..=*most).contains(time)) {
            None => Ok(()),
            Some((field, time, least, most)) => {
                Err(Error::setting(field, format!("{time:?}"), format!("{least:?} to {most:?}")))
            }
        }
    }
}

/// A value for a message: quoted, and not endless.
fn shown(text: &str) -> String {
    let start: String = text.chars().take(100).collect();
    if start.len() < text.len() { format!("{start:?}…") } else { format!("{start:?}") }
}

/// A name, or an ARN with one.
fn check_stream(stream: &str) -> Result<(), Error> {
    if !stream.starts_with("arn:") {
        return check_name("stream", stream, STREAM_NAME);
    }
    match StreamId::of_arn(stream, 0).filter(|_| stream.split(':').nth(2) == Some("kinesis")) {
        Some(_) => Ok(()),
        None => Err(Error::setting("stream", shown(stream), "a name, or arn:aws:kinesis:REGION:ACCOUNT:stream/NAME")),
    }
}

fn check_name(field: &str, name: &str, (least, most): (usize, usize)) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if (least..=most).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(());
    }
    let hint = if name.starts_with("arn:") { " (the name, not the ARN)" } else { "" };
    let wanted = format!("a name of {least} to {most} letters, digits, '_', '.' and '-'{hint}");
    Err(Error::setting(field, shown(name), wanted))
}
