//! Positions within a shard, and the checkpoints that a lease holds.

use crate::SequenceNumber;
use std::fmt;
use std::str::FromStr;

/// A place in a shard: a record, or one user record inside an aggregated record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The Kinesis record.
    pub sequence: SequenceNumber,
    /// Index of the user record within an aggregated record, from 0; 0 for a plain record; the index of the last user
    /// record for an aggregate as a whole. So a checkpoint is passed by what comes after it, whoever wrote it.
    pub sub_sequence: u64,
}

impl Position {
    /// The position of a plain record.
    pub fn of(sequence: SequenceNumber) -> Self {
        Self { sequence, sub_sequence: 0 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.sequence)?;
        if self.sub_sequence > 0 {
            write!(f, "/{}", self.sub_sequence)?;
        }
        Ok(())
    }
}

impl Position {
    /// Reads what it displays: a sequence number, and a sub-sequence number behind `/` where that is not 0.
    pub fn from_text(text: &str) -> Option<Self> {
        let (sequence, sub_sequence) = match text.split_once('/') {
            Some((sequence, sub)) => (sequence, sub.parse().ok()?),
            None => (text, 0),
        };
        Some(Self { sequence: sequence.parse().ok()?, sub_sequence })
    }
}

/// How far a shard has been processed, as the lease table of the Kinesis Client Library writes it.
///
/// Source: `ExtendedSequenceNumber` and `SentinelCheckpoint` of the Kinesis Client Library. The sub-sequence number of
/// [`Checkpoint::At`] is kept in an attribute of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Checkpoint {
    /// Nothing yet: start at the oldest record that is kept.
    TrimHorizon,
    /// Nothing yet: start at the newest record.
    Latest,
    /// Nothing yet: start at the first record that arrived at this time or later, in milliseconds since 1970.
    AtTimestamp(u64),
    /// Everything up to and including this position is processed.
    At(Position),
    /// Everything in the shard is processed, and the shard is closed.
    ShardEnd,
}

/// A text that is no checkpoint. A lease row with one must stop the shard: it never means "start at LATEST".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a checkpoint: a sequence number, TRIM_HORIZON, LATEST, AT_TIMESTAMP or SHARD_END is wanted")]
pub struct InvalidCheckpoint {
    text: String,
}

impl Checkpoint {
    /// The text and the sub-sequence number as the lease table keeps them.
    /// For [`Checkpoint::AtTimestamp`] the number is the time in milliseconds.
    pub fn to_attributes(self) -> (String, u64) {
        match self {
            Self::TrimHorizon => ("TRIM_HORIZON".into(), 0),
            Self::Latest => ("LATEST".into(), 0),
            Self::AtTimestamp(millis) => ("AT_TIMESTAMP".into(), millis),
            Self::At(position) => (position.sequence.to_string(), position.sub_sequence),
            Self::ShardEnd => ("SHARD_END".into(), 0),
        }
    }

    /// Reads what [`Checkpoint::to_attributes`] and the Kinesis Client Library write.
    ///
    /// # Errors
    /// [`InvalidCheckpoint`] with the text.
    pub fn from_attributes(text: &str, sub_sequence: u64) -> Result<Self, InvalidCheckpoint> {
        match text {
            "TRIM_HORIZON" => Ok(Self::TrimHorizon),
            "LATEST" => Ok(Self::Latest),
            "AT_TIMESTAMP" => Ok(Self::AtTimestamp(sub_sequence)),
            "SHARD_END" => Ok(Self::ShardEnd),
            number => SequenceNumber::from_str(number)
                .map(|sequence| Self::At(Position { sequence, sub_sequence }))
                .map_err(|_| InvalidCheckpoint { text: number.chars().take(100).collect() }),
        }
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(position) => position.fmt(f),
            Self::AtTimestamp(millis) => write!(f, "AT_TIMESTAMP {millis}"),
            other => f.write_str(&other.to_attributes().0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_checkpoint_survives_the_lease_table() {
        let at = Position { sequence: "495".parse().unwrap(), sub_sequence: 3 };
        for checkpoint in [
            Checkpoint::TrimHorizon,
            Checkpoint::Latest,
            Checkpoint::AtTimestamp(1_795_000_000_123),
            Checkpoint::At(at),
            Checkpoint::ShardEnd,
        ] {
            let (text, sub_sequence) = checkpoint.to_attributes();
            assert_eq!(Checkpoint::from_attributes(&text, sub_sequence), Ok(checkpoint));
        }
    }

    #[test]
    fn a_garbled_checkpoint_is_an_error_and_never_latest() {
        assert!(Checkpoint::from_attributes("latest?", 0).unwrap_err().to_string().contains("latest?"));
        assert!(Checkpoint::from_attributes("", 0).is_err());
    }

    #[test]
    fn positions_order_by_sequence_then_by_user_record() {
        let at = |sequence: &str, sub_sequence| Position { sequence: sequence.parse().unwrap(), sub_sequence };
        assert!(at("9", 5) < at("10", 0));
        assert!(at("10", 0) < at("10", 1));
    }
}
