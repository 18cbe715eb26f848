//! What a gzip member says of its rows: the label that makes objects auditable, and repeated members recognisable.

use crate::Position;

/// The subfield of a member's extra field that holds the label (RFC 1952, section 2.3.1.1): "al". No registered
/// identifier is like it.
const IDENTIFIER: [u8; 2] = *b"al";

/// Fields of the label's text.
const FIELDS: usize = 7;

/// Digits of all numbers of a label, with what separates them: three positions of 78 and 20 digits, and the rows.
const NUMBER_BYTES: usize = 3 * (78 + 1 + 20) + 20 + FIELDS;

/// Which part of a shard a member's rows come from.
///
/// A member covers every record from `first` to `last`, those included that left no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberLabel {
    /// The application that read the shard: others may make other rows of the same records.
    pub application: String,
    /// Name of the stream.
    pub stream: String,
    /// The shard.
    pub shard: String,
    /// The last record that the member before it covers, if the same reader made one: nothing lies between.
    pub after: Option<Position>,
    /// The first record that it covers.
    pub first: Position,
    /// The last record that it covers.
    pub last: Position,
    /// Rows in it.
    pub rows: u64,
}

impl MemberLabel {
    /// The extra field of a member, without its length: one subfield.
    ///
    /// Its data is a text of seven fields with NUL between them: application, stream, shard, after (or nothing), first,
    /// last, rows. Positions are decimal sequence numbers, with `/` and a sub-sequence number where that is not 0.
    pub fn to_extra(&self) -> Vec<u8> {
        let text = self.to_text();
        // Names have at most 128 characters, and numbers 78 digits.
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        let mut extra = IDENTIFIER.to_vec();
        extra.extend_from_slice(&length.to_le_bytes());
        extra.extend_from_slice(&text.as_bytes()[..usize::from(length)]);
        extra
    }

    /// The label as a text: see [`MemberLabel::to_extra`].
    pub fn to_text(&self) -> String {
        let Self { application, stream, shard, after, first, last, rows } = self;
        let after = after.map(|after| after.to_string()).unwrap_or_default();
        format!("{application}\0{stream}\0{shard}\0{after}\0{first}\0{last}\0{rows}")
    }

    /// Bytes of the extra field of any label with these names, at most.
    pub fn max_extra_bytes(application: &str, stream: &str, shard: &str) -> usize {
        IDENTIFIER.len() + 2 + application.len() + stream.len() + shard.len() + NUMBER_BYTES
    }

    /// The label in an extra field, without its length; none, where there is none, or none that can be read.
    pub fn from_extra(mut extra: &[u8]) -> Option<Self> {
        loop {
            let (head, rest) = extra.split_first_chunk::<4>()?;
            let (data, next) = rest.split_at_checked(usize::from(u16::from_le_bytes([head[2], head[3]])))?;
            if head[..2] == IDENTIFIER {
                return Self::from_text(std::str::from_utf8(data).ok()?);
            }
            extra = next;
        }
    }

    /// Reads what [`MemberLabel::to_text`] has written.
    pub fn from_text(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split('\0').collect();
        let [application, stream, shard, after, first, last, rows] = <[&str; FIELDS]>::try_from(fields).ok()?;
        let label = Self {
            application: application.to_owned(),
            stream: stream.to_owned(),
            shard: shard.to_owned(),
            after: if after.is_empty() { None } else { Some(Position::from_text(after)?) },
            first: Position::from_text(first)?,
            last: Position::from_text(last)?,
            rows: rows.parse().ok()?,
        };
        let in_order = label.first <= label.last && label.after.is_none_or(|after| after < label.first);
        in_order.then_some(label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label() -> MemberLabel {
        let at = |text: &str| Position::from_text(text).expect("a position");
        MemberLabel {
            application: "orders to s3".to_owned(),
            stream: "orders".to_owned(),
            shard: "shardId-000000000001".to_owned(),
            after: Some(at("49590338271490256608559692538361571095921575989136588801/7")),
            first: at("49590338271490256608559692538361571095921575989136588802"),
            last: at("49590338271490256608559692538361571095921575989136588899/2"),
            rows: 98,
        }
    }

    #[test]
    fn labels_read_back_beside_other_subfields() {
        for label in [label(), MemberLabel { after: None, ..label() }] {
            let extra = label.to_extra();
            let most = MemberLabel::max_extra_bytes(&label.application, &label.stream, &label.shard);
            assert!(extra.len() <= most);
            assert_eq!(MemberLabel::from_extra(&extra), Some(label.clone()));
            let beside = [b"BC\x02\0\x01\x02".as_slice(), &extra, b"XY\0\0"].concat();
            assert_eq!(MemberLabel::from_extra(&beside), Some(label));
        }
    }

    #[test]
    fn what_is_no_label_is_none() {
        let extra = label().to_extra();
        for length in 0..extra.len() {
            assert_eq!(MemberLabel::from_extra(&extra[..length]), None);
        }
        assert_eq!(MemberLabel::from_extra(b"BC\x02\0\x01\x02"), None);
        let (after, first) = (label().last, label().last);
        for bad in
            [MemberLabel { after: Some(after), ..label() }, MemberLabel { last: label().first, first, ..label() }]
        {
            assert_eq!(MemberLabel::from_extra(&bad.to_extra()), None);
        }
        assert_eq!(MemberLabel::from_extra(b"al\x03\0a\0b"), None);
    }
}
