//! Which records of a stream count as encrypted, and by which key.
//!
//! Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StartStreamEncryption.html>. Nothing is encrypted in truth.

use serde::{Deserialize, Serialize};

/// The word for a record or a stream with encryption.
pub(crate) const KMS: &str = "KMS";

/// The keys of one stream over time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Encryption {
    /// From when on, in milliseconds since 1970, which key holds, if one does. In order.
    changes: Vec<(u64, Option<String>)>,
}

impl Encryption {
    /// The key that the stream has, even if it does not hold yet.
    pub(crate) fn key(&self) -> Option<&str> {
        self.changes.last()?.1.as_deref()
    }

    /// The type of a record that arrived at `arrival_millis`: `KMS`, or nothing if it is not encrypted, which AWS leaves out.
    pub(crate) fn of(&self, arrival_millis: u64) -> Option<&'static str> {
        // Most streams never had a key, and most records are newer than the last change.
        let change = self.changes.iter().rev().find(|(from, _)| *from <= arrival_millis)?;
        change.1.as_ref().map(|_| KMS)
    }

    /// Lets `key`, or none, hold for records that arrive at `from_millis` or later. Changes that no record can ask for,
    /// because all that arrived before `horizon_millis` is trimmed, are forgotten.
    pub(crate) fn change(&mut self, from_millis: u64, key: Option<String>, horizon_millis: u64) {
        self.changes.retain(|(from, _)| *from < from_millis);
        self.changes.push((from_millis, key));
        let last_before = self.changes.iter().rposition(|(from, _)| *from <= horizon_millis).unwrap_or(0);
        self.changes.drain(..last_before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_keeps_the_type_of_its_arrival() {
        let mut encryption = Encryption::default();
        assert_eq!((encryption.key(), encryption.of(5)), (None, None));
        encryption.change(100, Some("a".to_owned()), 0);
        encryption.change(200, None, 0);
        encryption.change(300, Some("b".to_owned()), 0);
        assert_eq!(encryption.key(), Some("b"));
        let types = [99, 100, 199, 200, 299, 300].map(|arrival| encryption.of(arrival));
        assert_eq!(types, [None, Some(KMS), Some(KMS), None, None, Some(KMS)]);
    }

    #[test]
    fn only_changes_that_a_record_can_ask_for_are_kept() {
        let mut encryption = Encryption::default();
        for (from, horizon) in [(100, 0), (200, 150), (300, 250)] {
            encryption.change(from, Some(from.to_string()), horizon);
        }
        assert_eq!(encryption.changes, [(200, Some("200".to_owned())), (300, Some("300".to_owned()))]);
        encryption.change(300, None, 250);
        assert_eq!((encryption.changes.len(), encryption.key()), (2, None));
    }
}
