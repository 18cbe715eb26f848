//! What a request is about, and whether a rule is about it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A service of the emulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Service {
    /// Kinesis Data Streams.
    Kinesis,
    /// Firehose.
    Firehose,
    /// S3.
    S3,
    /// DynamoDB.
    DynamoDb,
}

/// One request, as far as a rule can ask about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Subject {
    /// Who is asked.
    pub(crate) service: Service,
    /// The operation, as the API reference names it.
    pub(crate) operation: String,
    /// What it names.
    #[serde(flatten)]
    pub(crate) names: Names,
}

/// What a request names; what it does not name is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Names {
    /// A Kinesis stream's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stream: Option<String>,
    /// A shard's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shard: Option<String>,
    /// A fan-out consumer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) consumer: Option<String>,
    /// A delivery stream's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delivery_stream: Option<String>,
    /// A DynamoDB table's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) table: Option<String>,
    /// A bucket's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bucket: Option<String>,
    /// An object's key, or a string in the key of a DynamoDB item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
}

/// The requests that a rule is about. A text matches itself; with `*` at its end, whatever begins with the rest of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct On {
    /// Who is asked.
    pub(crate) service: Service,
    /// The operation; all of them if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) operation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stream: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shard: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) consumer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delivery_stream: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) table: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bucket: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
}

impl On {
    /// Whether the operation of a request could be meant, before what it names is read.
    pub(crate) fn may_be(&self, service: Service, operation: &str) -> bool {
        self.service == service && matches(self.operation.as_deref(), Some(operation))
    }

    /// Whether the rule is about `subject`.
    pub(crate) fn is_about(&self, subject: &Subject) -> bool {
        let Names { stream, shard, consumer, delivery_stream, table, bucket, key } = &subject.names;
        let pairs = [
            (&self.stream, stream),
            (&self.shard, shard),
            (&self.consumer, consumer),
            (&self.delivery_stream, delivery_stream),
            (&self.table, table),
            (&self.bucket, bucket),
            (&self.key, key),
        ];
        self.may_be(subject.service, &subject.operation)
            && pairs.iter().all(|(pattern, name)| matches(pattern.as_deref(), name.as_deref()))
    }

    /// The names that a request to this service never has, by their keys in a plan.
    pub(crate) fn foreign(&self) -> Option<&'static str> {
        let kinesis = [("stream", &self.stream), ("shard", &self.shard), ("consumer", &self.consumer)];
        let firehose = [("delivery_stream", &self.delivery_stream)];
        let (dynamodb, s3) = ([("table", &self.table)], [("bucket", &self.bucket)]);
        let key = [("key", &self.key)];
        let given = |names: &[(&'static str, &Option<String>)]| {
            names.iter().find(|(_, pattern)| pattern.is_some()).map(|(name, _)| *name)
        };
        let groups: [(&[_], &[Service]); 5] = [
            (&kinesis, &[Service::Kinesis]),
            (&firehose, &[Service::Firehose]),
            (&dynamodb, &[Service::DynamoDb]),
            // Firehose's own writes have a bucket and a key.
            (&s3, &[Service::S3, Service::Firehose]),
            (&key, &[Service::S3, Service::DynamoDb, Service::Firehose]),
        ];
        groups.iter().filter(|(_, owners)| !owners.contains(&self.service)).find_map(|(names, _)| given(names))
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kinesis => "kinesis",
            Self::Firehose => "firehose",
            Self::S3 => "s3",
            Self::DynamoDb => "dynamodb",
        })
    }
}

/// Whether `name` is what `pattern` asks for; no pattern asks for nothing.
pub(crate) fn matches(pattern: Option<&str>, name: Option<&str>) -> bool {
    match (pattern, name) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(pattern), Some(name)) => match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == pattern,
        },
    }
}
