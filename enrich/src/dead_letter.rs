//! The dead-letter store: records that cannot be rows, with payload, position and reason.
//!
//! One object for the rejected records of one batch, NDJSON, named after the first and the last of them:
//! `<stream>/<shard>/<sequence>-<sub sequence>_<sequence>-<sub sequence>.ndjson`. An object is only ever replaced by one with
//! the same records; records that are read again after a crash may lie in two.

use crate::row::Reason;
use alluvial_record::{Position, ShardId};
use aws_sdk_s3::primitives::ByteStream;
use base64::Engine as _;
use bytes::Bytes;
use serde::Serialize;
use std::io;
use std::path::PathBuf;

/// A record that was refused.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// Where it stood.
    pub position: Position,
    /// Its partition key.
    pub partition_key: String,
    /// When Kinesis took it, in milliseconds since 1970.
    pub arrived_millis: u64,
    /// Its payload.
    pub payload: Bytes,
    /// Why it was refused.
    pub reason: Reason,
}

/// One line of the store.
#[derive(Serialize)]
struct Line<'a> {
    shard: &'a str,
    sequence: String,
    sub_sequence: u64,
    partition_key: &'a str,
    arrived_millis: u64,
    reason: String,
    /// The payload, where it is UTF-8 text.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a str>,
    /// The payload in base64, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
}

/// Where dead letters go.
#[derive(Debug, Clone)]
pub enum DeadLetters {
    /// A folder of this machine.
    Local(PathBuf),
    /// A prefix in S3.
    S3 {
        /// Client for the bucket.
        client: aws_sdk_s3::Client,
        /// The bucket.
        bucket: String,
        /// What keys start with; empty or ending in a slash.
        prefix: String,
    },
}

/// A dead letter could not be stored; it is tried again, and its record is not acknowledged meanwhile.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// The folder cannot be written.
    #[error("dead-letter store {path}")]
    Local {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// S3 refused or is out of reach.
    #[error("dead-letter store s3://{bucket}/{key}")]
    S3 {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A line could not be written as JSON.
    #[error("dead letter as JSON")]
    Json(#[source] serde_json::Error),
}

impl DeadLetters {
    /// Looks whether the store is there and may be written, so that a wrong place is found at the start and not at the
    /// first bad record, which would hold up its shard.
    ///
    /// # Errors
    /// [`DeadLetterError`] with the place.
    pub async fn check(&self) -> Result<(), DeadLetterError> {
        match self {
            Self::Local(root) => {
                let (path, root) = (root.clone(), root.clone());
                let probed = tokio::task::spawn_blocking(move || probe(&root)).await;
                probed
                    .unwrap_or_else(|died| Err(io::Error::other(died)))
                    .map_err(|source| DeadLetterError::Local { path, source })
            }
            Self::S3 { client, bucket, prefix } => match client.head_bucket().bucket(bucket).send().await {
                // Writing may be allowed where looking is not.
                Err(error) if error.raw_response().is_some_and(|raw| raw.status().as_u16() == 403) => {
                    tracing::warn!(
                        bucket,
                        "not allowed to look at the bucket of the dead-letter store (s3:ListBucket)"
                    );
                    Ok(())
                }
                Err(error) => {
                    Err(DeadLetterError::S3 { bucket: bucket.clone(), key: prefix.clone(), source: error.into() })
                }
                Ok(_) => Ok(()),
            },
        }
    }

    /// Stores rejected records of one shard, durably: when this returns, they may be acknowledged.
    ///
    /// # Errors
    /// [`DeadLetterError`]; storing them again is safe.
    pub async fn store(&self, stream: &str, shard: &ShardId, rejected: &[Rejected]) -> Result<(), DeadLetterError> {
        let (Some(first), Some(last)) = (rejected.first(), rejected.last()) else {
            return Ok(());
        };
        let end = |record: &Rejected| format!("{}-{}", record.position.sequence, record.position.sub_sequence);
        let name = format!("{stream}/{shard}/{}_{}.ndjson", end(first), end(last));
        let body = lines(shard, rejected)?;
        match self {
            Self::Local(root) => {
                let path = root.join(&name);
                let written = {
                    let path = path.clone();
                    tokio::task::spawn_blocking(move || write_whole(&path, &body)).await
                };
                written
                    .unwrap_or_else(|died| Err(io::Error::other(died)))
                    .map_err(|source| DeadLetterError::Local { path, source })
            }
            Self::S3 { client, bucket, prefix } => {
                let key = format!("{prefix}{name}");
                let put = client
                    .put_object()
                    .bucket(bucket)
                    .key(&key)
                    .content_type("application/x-ndjson")
                    .body(ByteStream::from(body));
                put.send().await.map(drop).map_err(|error| DeadLetterError::S3 {
                    bucket: bucket.clone(),
                    key,
                    source: error.into(),
                })
            }
        }
    }
}

fn lines(shard: &ShardId, rejected: &[Rejected]) -> Result<Vec<u8>, DeadLetterError> {
    let mut body = Vec::new();
    for record in rejected {
        let text = std::str::from_utf8(&record.payload).ok();
        let line = Line {
            shard: shard.as_str(),
            sequence: record.position.sequence.to_string(),
            sub_sequence: record.position.sub_sequence,
            partition_key: &record.partition_key,
            arrived_millis: record.arrived_millis,
            reason: record.reason.to_string(),
            payload: text,
            payload_base64: text.is_none().then(|| base64::engine::general_purpose::STANDARD.encode(&record.payload)),
        };
        serde_json::to_writer(&mut body, &line).map_err(DeadLetterError::Json)?;
        body.push(b'\n');
    }
    Ok(body)
}

/// Makes the folder, and a file in it that is removed again.
fn probe(root: &std::path::Path) -> io::Result<()> {
    std::fs::create_dir_all(root)?;
    let path = root.join(format!(".probe-{}", std::process::id()));
    std::fs::write(&path, b"")?;
    std::fs::remove_file(path)
}

/// Writes a file that appears whole or not at all, and survives a power cut once this returns.
fn write_whole(path: &std::path::Path, body: &[u8]) -> io::Result<()> {
    use io::Write as _;
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)?;
    let partial = path.with_extension("partial");
    let mut file = std::fs::File::create(&partial)?;
    file.write_all(body)?;
    file.sync_all()?;
    std::fs::rename(&partial, path)?;
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_letter_holds_payload_position_and_reason() {
        let dir = tempfile::tempdir().unwrap();
        let store = DeadLetters::Local(dir.path().to_path_buf());
        let rejected = |sequence: &str, payload: &'static [u8], reason| Rejected {
            position: Position { sequence: sequence.parse().unwrap(), sub_sequence: 2 },
            partition_key: "k".into(),
            arrived_millis: 5,
            payload: Bytes::from_static(payload),
            reason,
        };
        let two = [
            rejected("495", b"not json", Reason::NotAnObject("expected value".into())),
            rejected("496", b"\xff\x00", Reason::NotText(0)),
        ];
        store.store("orders", &"shardId-000000000001".into(), &two).await.unwrap();
        store.store("orders", &"shardId-000000000001".into(), &two).await.unwrap();
        let text = std::fs::read_to_string(dir.path().join("orders/shardId-000000000001/495-2_496-2.ndjson")).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "storing again replaces");
        assert_eq!(lines[0]["payload"], "not json");
        assert_eq!(lines[0]["sequence"], "495");
        assert!(lines[0]["reason"].as_str().unwrap().contains("not a JSON object"));
        assert_eq!(lines[1]["payload_base64"], "/wA=");
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let one = [Rejected {
            position: Position::of("1".parse().unwrap()),
            partition_key: String::new(),
            arrived_millis: 0,
            payload: Bytes::new(),
            reason: Reason::NotText(0),
        }];
        let error = DeadLetters::Local(file).store("s", &"a".into(), &one).await.unwrap_err();
        assert!(error.to_string().contains("file/s/a/1-0_1-0.ndjson"), "{error}");
    }
}
