//! Where reading a shard begins, for GetShardIterator and SubscribeToShard alike.

use super::sequence::Sequence;
use super::validate::{invalid_argument, one_of, sequence_number};
use super::wire;
use crate::api::{ACCOUNT, ApiError};

/// The words for the kinds of position.
const KINDS: [&str; 5] = ["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER", "TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"];

/// How far ahead of our clock a client's may be before AT_TIMESTAMP counts as in the future. Our own choice.
const CLOCK_TOLERANCE_MILLIS: u64 = 5_000;

/// A starting position, checked but for its shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Position {
    /// At the oldest record.
    TrimHorizon,
    /// Behind the newest record.
    Latest,
    /// At the first record that arrived at this time, in milliseconds since 1970, or later.
    AtTimestamp(u64),
    /// At the record with this number, or behind this number if no record has it.
    At(Sequence),
    /// Behind this number.
    After(Sequence),
}

/// A position as a request gives it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The fields that hold the kind and the sequence number, for messages.
    pub(crate) fields: [&'static str; 2],
    /// The kind.
    pub(crate) kind: &'a str,
    /// The sequence number, if given.
    pub(crate) sequence: Option<&'a str>,
    /// The time in seconds since 1970, if given.
    pub(crate) timestamp: Option<f64>,
}

impl Position {
    /// Reads a position for `shard` of `stream`.
    ///
    /// # Errors
    /// `ValidationException` for another kind or what is no number, `InvalidArgumentException` for what is missing, malformed, or in the future.
    pub(crate) fn parse(asked: Asked<'_>, shard: u32, stream: &str, now_millis: u64) -> Result<Self, ApiError> {
        let [kind_field, sequence_field] = asked.fields;
        one_of(kind_field, asked.kind, &KINDS)?;
        asked.sequence.map_or(Ok(()), |text| sequence_number(sequence_field, text))?;
        let sequence = || {
            let text = asked.sequence.ok_or_else(|| {
                invalid_argument(format!("{} needs a sequence number, and the request gives none.", asked.kind))
            })?;
            Sequence::parse(text).ok_or_else(|| invalid_sequence(text, shard, stream, "is invalid."))
        };
        match asked.kind {
            "AT_SEQUENCE_NUMBER" => sequence().map(Self::At),
            "AFTER_SEQUENCE_NUMBER" => sequence().map(Self::After),
            "AT_TIMESTAMP" => at_timestamp(asked.timestamp, now_millis),
            kind if asked.sequence.is_some() => {
                Err(invalid_argument(format!("{kind} takes no sequence number, and the request gives one.")))
            }
            "LATEST" => Ok(Self::Latest),
            _ => Ok(Self::TrimHorizon),
        }
    }
}

fn at_timestamp(timestamp: Option<f64>, now_millis: u64) -> Result<Position, ApiError> {
    let seconds =
        timestamp.ok_or_else(|| invalid_argument("AT_TIMESTAMP needs a Timestamp, and the request gives none."))?;
    let millis = wire::millis(seconds)?;
    if millis > now_millis.saturating_add(CLOCK_TOLERANCE_MILLIS) {
        return Err(invalid_argument(format!(
            "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: {millis}, currentTimestampInMillis: {now_millis}"
        )));
    }
    Ok(Position::AtTimestamp(millis))
}

/// A sequence number that cannot be used on a shard; `why` ends the sentence.
pub(crate) fn invalid_sequence(sequence: &str, shard: u32, stream: &str, why: &str) -> ApiError {
    let shard = wire::shard_id(shard);
    invalid_argument(format!(
        "StartingSequenceNumber {sequence} used on shard {shard} in stream {stream} under account {ACCOUNT} {why}"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::sequence::Origin;
    use super::*;

    fn parse(kind: &str, sequence: Option<&str>, timestamp: Option<f64>) -> Result<Position, &'static str> {
        let fields = ["startingPosition.type", "startingPosition.sequenceNumber"];
        let asked = Asked { fields, kind, sequence, timestamp };
        Position::parse(asked, 0, "orders", 10_000).map_err(|error| error.code)
    }

    #[test]
    fn each_kind_takes_what_it_needs_and_nothing_else() {
        let sequence = Origin { created_secs: 9, shard: 0 }.record(3, 9_500);
        let text = sequence.to_string();
        assert_eq!(parse("TRIM_HORIZON", None, None), Ok(Position::TrimHorizon));
        assert_eq!(parse("LATEST", None, None), Ok(Position::Latest));
        assert_eq!(parse("AT_SEQUENCE_NUMBER", Some(&text), None), Ok(Position::At(sequence)));
        assert_eq!(parse("AFTER_SEQUENCE_NUMBER", Some(&text), None), Ok(Position::After(sequence)));
        assert_eq!(parse("AT_TIMESTAMP", None, Some(9.5)), Ok(Position::AtTimestamp(9_500)));
        assert_eq!(parse("TOMORROW", None, None), Err("ValidationException"));
        for malformed in ["", "x", "-1", "012"] {
            assert_eq!(parse("AFTER_SEQUENCE_NUMBER", Some(malformed), None), Err("ValidationException"));
        }
        for (kind, sequence, timestamp) in [
            ("AT_SEQUENCE_NUMBER", None, None),
            ("AFTER_SEQUENCE_NUMBER", Some("123"), None),
            ("LATEST", Some(text.as_str()), None),
            ("AT_TIMESTAMP", None, None),
            ("AT_TIMESTAMP", None, Some(15.001)),
        ] {
            assert_eq!(parse(kind, sequence, timestamp), Err("InvalidArgumentException"), "{kind}");
        }
    }
}
