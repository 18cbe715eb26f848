//! Settings of the pipeline: as they are written, and as they were checked.

use crate::dead_letter::DeadLetters;
use crate::pack::PackLimits;
use crate::transform::{TransformSettings, Transforms};
use crate::units::{parse_bytes, parse_duration};
use alluvial_record::quota::FIREHOSE_RECORD_BYTES;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A setting that cannot be used: which, why, and what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {why}")]
pub struct InvalidSetting {
    setting: String,
    why: String,
}

impl InvalidSetting {
    /// A complaint about `setting`, a dotted name as in the file.
    pub fn new(setting: impl Into<String>, why: impl Into<String>) -> Self {
        Self { setting: setting.into(), why: why.into() }
    }
}

/// The pipeline as it is written in the settings file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineSettings {
    /// What happens to each record, in this order.
    #[serde(default)]
    pub transform: Vec<TransformSettings>,
    /// How rows are packed.
    #[serde(default)]
    pub pack: PackSettings,
    /// Where rows go.
    pub sink: SinkSettings,
    /// What happens to records that cannot be delivered.
    pub on_error: OnErrorSettings,
}

/// Columns that the pipeline adds to every row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metadata {
    /// None: rows hold what the records and the transforms say.
    #[default]
    None,
    /// `_shard`, `_sequence` and `_sub_sequence`: where the row comes from. Together they name a record, so that a
    /// repeated delivery can be told from two equal records.
    Columns,
}

/// How rows are packed into gzip members.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PackSettings {
    /// Size of one Firehose record, compressed: 10KiB to 1000KiB.
    pub target_bytes: String,
    /// Longest wait of a row for more rows, 10ms to 15m. Longer packs more rows into a record, which costs less.
    pub max_wait: String,
    /// Compression level, 1 (fast) to 9 (small).
    pub level: u32,
    /// Columns added to every row.
    pub metadata: Metadata,
}

impl Default for PackSettings {
    fn default() -> Self {
        Self { target_bytes: "1000KiB".into(), max_wait: "1s".into(), level: 2, metadata: Metadata::None }
    }
}

/// Where rows go.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkSettings {
    /// Which service.
    #[serde(rename = "type")]
    pub kind: SinkKind,
    /// Name of the Firehose delivery stream.
    pub delivery_stream: String,
    /// PutRecordBatch calls under way at one time, 1 to 64.
    #[serde(default = "default_calls")]
    pub concurrent_calls: usize,
}

fn default_calls() -> usize {
    8
}

/// The services that rows can go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkKind {
    /// Amazon Data Firehose.
    Firehose,
}

/// What happens to records that cannot be delivered.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnErrorSettings {
    /// The dead-letter store: `s3://bucket/prefix/`, or a folder.
    pub dead_letter: String,
}

/// The pipeline, checked.
#[derive(Debug)]
pub struct PipelineLimits {
    /// The transforms, their tables read.
    pub transforms: Transforms,
    /// When members close.
    pub pack: PackLimits,
    /// Longest wait of a row for more rows.
    pub max_wait: Duration,
    /// Columns added to every row.
    pub metadata: Metadata,
    /// Name of the delivery stream.
    pub delivery_stream: String,
    /// PutRecordBatch calls under way at one time.
    pub concurrent_calls: usize,
    /// Where rejected records go: a folder, or bucket and prefix.
    pub dead_letter: DeadLetterPlace,
}

/// Where rejected records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadLetterPlace {
    /// A folder.
    Local(PathBuf),
    /// A prefix in a bucket.
    S3 {
        /// The bucket.
        bucket: String,
        /// What keys start with; empty or ending in a slash.
        prefix: String,
    },
}

impl DeadLetterPlace {
    fn parse(text: &str, base: &Path) -> Result<Self, InvalidSetting> {
        let invalid = |why: &str| InvalidSetting::new("on_error.dead_letter", format!("{text:?} {why}"));
        if text.is_empty() {
            return Err(invalid("is empty; write s3://bucket/prefix/ or a folder"));
        }
        let Some(rest) = text.strip_prefix("s3://") else {
            return if text.contains("://") {
                Err(invalid("is neither s3://bucket/prefix/ nor a folder"))
            } else {
                Ok(Self::Local(base.join(text)))
            };
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(invalid("names no bucket; write s3://bucket/prefix/"));
        }
        let slash = if prefix.is_empty() || prefix.ends_with('/') { "" } else { "/" };
        Ok(Self::S3 { bucket: bucket.into(), prefix: format!("{prefix}{slash}") })
    }

    /// The store; `client` is asked for only when it is in S3.
    pub fn open(&self, client: impl FnOnce() -> aws_sdk_s3::Client) -> DeadLetters {
        match self {
            Self::Local(path) => DeadLetters::Local(path.clone()),
            Self::S3 { bucket, prefix } => {
                DeadLetters::S3 { client: client(), bucket: bucket.clone(), prefix: prefix.clone() }
            }
        }
    }
}

impl PipelineSettings {
    /// Refuses what could not work, so that a bad value fails at the start and not under load. Reads the lookup tables;
    /// relative paths start at `base`, the folder of the settings file.
    ///
    /// # Errors
    /// [`InvalidSetting`] names the setting, the value and what to write instead.
    pub fn check(&self, base: &Path) -> Result<PipelineLimits, InvalidSetting> {
        let target_bytes =
            parse_bytes(&self.pack.target_bytes).map_err(|why| InvalidSetting::new("pack.target_bytes", why))?;
        if !(10 * 1024..=FIREHOSE_RECORD_BYTES).contains(&target_bytes) {
            let why = format!(
                "{:?} is outside of 10KiB to 1000KiB, the most that a Firehose record may have",
                self.pack.target_bytes
            );
            return Err(InvalidSetting::new("pack.target_bytes", why));
        }
        let max_wait = parse_duration(&self.pack.max_wait).map_err(|why| InvalidSetting::new("pack.max_wait", why))?;
        if !(Duration::from_millis(10)..=Duration::from_secs(900)).contains(&max_wait) {
            let why = format!("{:?} is outside of 10ms to 15m", self.pack.max_wait);
            return Err(InvalidSetting::new("pack.max_wait", why));
        }
        if !(1..=9).contains(&self.pack.level) {
            return Err(InvalidSetting::new("pack.level", format!("{} is outside of 1 to 9", self.pack.level)));
        }
        if self.sink.delivery_stream.is_empty() {
            return Err(InvalidSetting::new("sink.delivery_stream", "is empty; name the delivery stream"));
        }
        if !(1..=64).contains(&self.sink.concurrent_calls) {
            let why = format!("{} is outside of 1 to 64", self.sink.concurrent_calls);
            return Err(InvalidSetting::new("sink.concurrent_calls", why));
        }
        Ok(PipelineLimits {
            transforms: Transforms::check(&self.transform, base)?,
            pack: PackLimits { target_bytes, level: self.pack.level },
            max_wait,
            metadata: self.pack.metadata,
            delivery_stream: self.sink.delivery_stream.clone(),
            concurrent_calls: self.sink.concurrent_calls,
            dead_letter: DeadLetterPlace::parse(&self.on_error.dead_letter, base)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pack: serde_json::Value, dead_letter: &str) -> Result<PipelineLimits, InvalidSetting> {
        let settings: PipelineSettings = serde_json::from_value(serde_json::json!({
            "pack": pack,
            "sink": {"type": "firehose", "delivery_stream": "orders-raw"},
            "on_error": {"dead_letter": dead_letter},
        }))
        .unwrap();
        settings.check(Path::new("/etc/alluvial"))
    }

    #[test]
    fn defaults_work() {
        let limits = check(serde_json::json!({}), "dead").unwrap();
        assert_eq!(limits.pack.target_bytes, 1_024_000);
        assert_eq!(limits.dead_letter, DeadLetterPlace::Local("/etc/alluvial/dead".into()));
    }

    #[test]
    fn a_value_out_of_range_names_the_setting_the_value_and_the_range() {
        for (pack, wanted) in [
            (serde_json::json!({"target_bytes": "2MiB"}), "pack.target_bytes: \"2MiB\" is outside of 10KiB to 1000KiB"),
            (serde_json::json!({"max_wait": "5"}), "pack.max_wait: \"5\" is not a time"),
            (serde_json::json!({"level": 12}), "pack.level: 12 is outside of 1 to 9"),
        ] {
            let error = check(pack, "dead").unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{error}");
        }
    }

    #[test]
    fn a_dead_letter_store_is_a_folder_or_a_prefix_in_s3() {
        let place = |text: &str| check(serde_json::json!({}), text).map(|limits| limits.dead_letter);
        assert_eq!(place("s3://lake/dead"), Ok(DeadLetterPlace::S3 { bucket: "lake".into(), prefix: "dead/".into() }));
        assert_eq!(place("s3://lake"), Ok(DeadLetterPlace::S3 { bucket: "lake".into(), prefix: String::new() }));
        assert!(place("s3:///x").unwrap_err().to_string().contains("no bucket"));
        assert!(place("gs://lake/dead").unwrap_err().to_string().contains("s3://"));
        assert!(place("").is_err());
    }
}
