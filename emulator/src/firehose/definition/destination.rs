//! Where a delivery stream writes and how: the members of an S3 destination, checked.

use super::{invalid, lacks, unreadable};
use crate::api::ApiError;
use crate::firehose::buffer::Hints;
use crate::firehose::compress::Compression;
use crate::firehose::lane::Stage;
use crate::firehose::prefix::{ErrorPrefix, Prefix};
use crate::firehose::processing::{Pipeline, Processing};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime};

/// What Firehose calls an MB in `SizeInMBs`.
pub(in crate::firehose) const MIB: usize = 1024 * 1024;

/// Buffering hints: defaults and bounds
/// (<https://docs.aws.amazon.com/firehose/latest/APIReference/API_BufferingHints.html>).
const DEFAULT_SIZE_MIB: i64 = 5;
const DEFAULT_INTERVAL_SECONDS: i64 = 300;
const MAX_SIZE_MIB: i64 = 128;
const MAX_INTERVAL_SECONDS: i64 = 900;

/// Characters of a prefix after it is evaluated (<https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html>).
const MAX_EVALUATED_CHARS: usize = 512;

/// The members that say whether there is a backup, and where.
const MODE: &str = "S3BackupMode";
pub(in crate::firehose) const BACKUP: &str = "S3BackupConfiguration";

/// Characters of a file extension (<https://docs.aws.amazon.com/firehose/latest/dev/s3-object-name.html>) and of the name
/// of a time zone
/// (<https://docs.aws.amazon.com/firehose/latest/APIReference/API_ExtendedS3DestinationConfiguration.html>).
const MAX_EXTENSION_CHARS: usize = 128;
const MAX_TIME_ZONE_CHARS: usize = 50;

/// An S3 destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::firehose) struct Destination {
    pub(in crate::firehose) bucket: String,
    pub(in crate::firehose) role_arn: String,
    pub(in crate::firehose) prefix: Prefix,
    pub(in crate::firehose) hints: Hints,
    pub(in crate::firehose) compression: Compression,
    pub(in crate::firehose) error_prefix: ErrorPrefix,
    pub(in crate::firehose) pipeline: Pipeline,
    /// Where records go as they arrive, before they are processed.
    pub(in crate::firehose) backup: Option<Box<Destination>>,
    time_zone: TimeZone,
    extension: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    #[serde(rename = "RoleARN")]
    role_arn: Option<String>,
    #[serde(rename = "BucketARN")]
    bucket_arn: Option<String>,
    prefix: Option<String>,
    error_output_prefix: Option<String>,
    buffering_hints: Option<HintsRequest>,
    compression_format: Option<String>,
    custom_time_zone: Option<String>,
    file_extension: Option<String>,
    processing_configuration: Option<Processing>,
    s3_backup_mode: Option<String>,
    s3_backup_configuration: Option<Map<String, Value>>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
struct HintsRequest {
    #[serde(rename = "SizeInMBs")]
    size: Option<i64>,
    #[serde(rename = "IntervalInSeconds")]
    interval: Option<i64>,
}

impl Destination {
    /// Reads the members of a destination that was asked for at `now`.
    ///
    /// # Errors
    /// `InvalidArgumentException` with the member that is wrong, or that the emulator lacks;
    /// `SerializationException` if one has the wrong type.
    pub(super) fn check(members: &Map<String, Value>, now: SystemTime) -> Result<Self, ApiError> {
        let request: Request = serde_json::from_value(Value::Object(members.clone())).map_err(unreadable)?;
        refuse_rest(&request.rest)?;
        let error_prefix = request.error_output_prefix.as_deref();
        let prefix = request.prefix.as_deref().unwrap_or_default();
        let destination = Self {
            bucket: bucket_of(request.bucket_arn.as_deref())?,
            role_arn: request.role_arn.ok_or_else(|| null("roleARN"))?,
            prefix: Prefix::check(prefix, error_prefix)?,
            error_prefix: ErrorPrefix::check(error_prefix, prefix)?,
            hints: check_hints(request.buffering_hints)?,
            compression: check_compression(request.compression_format.as_deref())?,
            pipeline: request.processing_configuration.map_or(Ok(Pipeline::default()), |given| given.pipeline())?,
            backup: check_backup(request.s3_backup_mode.as_deref(), request.s3_backup_configuration, now)?,
            time_zone: check_time_zone(request.custom_time_zone.as_deref().unwrap_or_default())?,
            extension: check_extension(request.file_extension)?,
        };
        destination.check_lengths(now, error_prefix.is_some_and(|given| !given.is_empty()))?;
        Ok(destination)
    }

    /// An error prefix that is not given has no length of its own.
    fn check_lengths(&self, now: SystemTime, has_error_prefix: bool) -> Result<(), ApiError> {
        // Random strings are all of one length, so any will do. No error output type is longer than this one.
        let (now, mut rng) = (self.local_time(now), fastrand::Rng::with_seed(0));
        let longest = Stage::Decompression.error_output_type();
        let prefix = self.prefix.evaluate(now, &mut rng);
        let error_prefix = has_error_prefix.then(|| self.error_prefix.evaluate(now, longest, &mut rng));
        for (member, evaluated) in [("Prefix", Some(prefix)), ("ErrorOutputPrefix", error_prefix)] {
            if evaluated.is_some_and(|evaluated| evaluated.chars().count() > MAX_EVALUATED_CHARS) {
                return Err(invalid(format!(
                    "{member} has more than {MAX_EVALUATED_CHARS} characters when it is evaluated"
                )));
            }
        }
        Ok(())
    }

    /// What a clock in the destination's time zone shows at `time`.
    pub(in crate::firehose) fn local_time(&self, time: SystemTime) -> DateTime {
        // Only a clock some nine thousand years off lies outside of what a timestamp holds.
        self.time_zone.to_datetime(Timestamp::try_from(time).unwrap_or_default())
    }

    /// The name of the time zone.
    pub(in crate::firehose) fn time_zone(&self) -> &str {
        self.time_zone.iana_name().unwrap_or("UTC")
    }

    /// What an object's name ends in.
    pub(in crate::firehose) fn extension(&self) -> &str {
        self.extension.as_deref().unwrap_or_else(|| self.compression.extension())
    }
}

/// Refuses what would change the objects. What is given but switched off is nothing.
fn refuse_rest(rest: &Map<String, Value>) -> Result<(), ApiError> {
    let harmless = |member: &str, value: &Value| match member {
        "CloudWatchLoggingOptions" => true,
        "EncryptionConfiguration" => value.get("KMSEncryptionConfig").is_none_or(Value::is_null),
        _ => value.get("Enabled") == Some(&Value::Bool(false)),
    };
    match rest.iter().find(|(member, value)| !value.is_null() && !harmless(member, value)) {
        Some((member, _)) => Err(lacks(member)),
        None => Ok(()),
    }
}

/// `members` with `changes` in place of what they name. What is `null` names nothing.
///
/// # Errors
/// `InvalidArgumentException` if the backup is to be switched off, which AWS refuses
/// (<https://docs.aws.amazon.com/firehose/latest/APIReference/API_ExtendedS3DestinationUpdate.html>).
pub(super) fn merged(
    members: &Map<String, Value>,
    changes: Map<String, Value>,
) -> Result<Map<String, Value>, ApiError> {
    let mut merged = members.clone();
    for (member, value) in changes.into_iter().filter(|(_, value)| !value.is_null()) {
        let enabled = merged.get(MODE).is_some_and(|mode| mode == "Enabled");
        match (member.as_str(), value) {
            (MODE, value) if enabled && value != "Enabled" => {
                return Err(invalid("S3BackupMode is Enabled, and cannot be changed to Disabled"));
            }
            ("S3BackupUpdate", Value::Object(changes)) => {
                let before = merged.get(BACKUP).and_then(Value::as_object).cloned().unwrap_or_default();
                merged.insert(BACKUP.to_owned(), Value::Object(self::merged(&before, changes)?));
            }
            (_, value) => drop(merged.insert(member, value)),
        }
    }
    Ok(merged)
}

/// The backup, if `mode` asks for one. A backup has none of its own.
fn check_backup(
    mode: Option<&str>,
    members: Option<Map<String, Value>>,
    now: SystemTime,
) -> Result<Option<Box<Destination>>, ApiError> {
    let enabled = match mode {
        Some("Enabled") => true,
        None | Some("Disabled") => false,
        Some(other) => return Err(invalid(format!("S3BackupMode must be Enabled or Disabled, and is {other:?}"))),
    };
    let Some(members) = members.filter(|_| enabled) else {
        let missing = || invalid("S3BackupConfiguration must be given with the S3BackupMode Enabled");
        return if enabled { Err(missing()) } else { Ok(None) };
    };
    if let Some(member) = [MODE, BACKUP, "ProcessingConfiguration"].iter().find(|member| members.contains_key(**member))
    {
        return Err(invalid(format!("S3BackupConfiguration has no member {member}")));
    }
    Ok(Some(Box::new(Destination::check(&members, now)?)))
}

fn bucket_of(arn: Option<&str>) -> Result<String, ApiError> {
    let arn = arn.ok_or_else(|| null("bucketARN"))?;
    match arn.split_once(":s3:::") {
        Some((partition, bucket)) if partition.starts_with("arn:") && s3s::path::check_bucket_name(bucket) => {
            Ok(bucket.to_owned())
        }
        _ => Err(invalid(format!("BucketARN must be like arn:aws:s3:::bucket, and is {arn:?}"))),
    }
}

fn check_hints(request: Option<HintsRequest>) -> Result<Hints, ApiError> {
    let request = request.unwrap_or_default();
    if request.size.is_some() != request.interval.is_some() {
        return Err(invalid("BufferingHints must have both SizeInMBs and IntervalInSeconds, or neither"));
    }
    let size = in_range("SizeInMBs", request.size.unwrap_or(DEFAULT_SIZE_MIB), 1, MAX_SIZE_MIB)?;
    let interval = request.interval.unwrap_or(DEFAULT_INTERVAL_SECONDS);
    let interval = in_range("IntervalInSeconds", interval, 0, MAX_INTERVAL_SECONDS)?;
    Ok(Hints { bytes: usize::try_from(size).unwrap_or_default() * MIB, interval: Duration::from_secs(interval) })
}

fn in_range(member: &str, value: i64, least: i64, most: i64) -> Result<u64, ApiError> {
    match u64::try_from(value) {
        Ok(number) if (least..=most).contains(&value) => Ok(number),
        _ => Err(invalid(format!("{member} must be between {least} and {most}, and is {value}"))),
    }
}

fn check_compression(format: Option<&str>) -> Result<Compression, ApiError> {
    let Some(format) = format else { return Ok(Compression::Uncompressed) };
    Compression::named(format).ok_or_else(|| {
        invalid(format!("CompressionFormat {format:?} is none of UNCOMPRESSED, GZIP, ZIP, Snappy, HADOOP_SNAPPY"))
    })
}

/// The system's time zone of this name. An empty one is UTC, as on AWS.
fn check_time_zone(name: &str) -> Result<TimeZone, ApiError> {
    if matches!(name, "" | "UTC") {
        return Ok(TimeZone::UTC);
    }
    let legal = |c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '_');
    if name.len() > MAX_TIME_ZONE_CHARS || name.len() == 3 || !name.chars().all(legal) {
        return Err(invalid(format!(
            "CustomTimeZone must be UTC or the IANA name of a time zone, with more than three of the letters a-z, A-Z, / and _, and is {name:?}"
        )));
    }
    // The look-up does not tell capitals from small letters; AWS does.
    TimeZone::get(name).ok().filter(|zone| zone.iana_name() == Some(name)).ok_or_else(|| {
        invalid(format!("CustomTimeZone {name:?} is no time zone of the IANA database; write one such as Europe/Oslo"))
    })
}

/// An extension of the delivery stream's own. An empty one is none, as on AWS.
fn check_extension(extension: Option<String>) -> Result<Option<String>, ApiError> {
    let Some(extension) = extension.filter(|extension| !extension.is_empty()) else { return Ok(None) };
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "!-_.*'()".contains(c);
    match extension.strip_prefix('.') {
        Some(rest) if !rest.is_empty() && extension.len() <= MAX_EXTENSION_CHARS && rest.chars().all(legal) => {
            Ok(Some(extension))
        }
        _ => Err(invalid(format!(
            "FileExtension must begin with a period, have characters out of 0-9a-z!-_.*'() after it, and at most {MAX_EXTENSION_CHARS} in all; it is {extension:?}"
        ))),
    }
}

fn null(member: &str) -> ApiError {
    invalid(format!(
        "1 validation error detected: Value null at 's3DestinationConfiguration.{member}' failed to satisfy constraint: Member must not be null"
    ))
}
