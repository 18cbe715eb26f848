//! A batch → parts that are no larger than the processor wants them. Pure.

use crate::feed::Record;
use std::ops::Range;

/// Most that is handed over at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) max_records: usize,
    /// Payload and keys. A record that is larger than this comes alone.
    pub(crate) max_bytes: usize,
}

impl Limits {
    /// As large as an event of Kinesis: no cutting.
    pub(crate) const NONE: Self = Self { max_records: usize::MAX, max_bytes: usize::MAX };
}

/// Cuts `records` into parts within `limits`, in order; none is empty, and each is as long as it may be.
pub(crate) fn cut(records: &[Record], limits: Limits) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut start, mut bytes) = (0, 0_usize);
    for (place, record) in records.iter().enumerate() {
        let size = record.data.len() + record.partition_key.len();
        let full = place - start >= limits.max_records || bytes.saturating_add(size) > limits.max_bytes;
        if full && place > start {
            parts.push(start..place);
            (start, bytes) = (place, 0);
        }
        bytes = bytes.saturating_add(size);
    }
    if start < records.len() {
        parts.push(start..records.len());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::Kind;
    use alluvial_record::Position;
    use proptest::prelude::*;

    fn records(sizes: &[usize]) -> Vec<Record> {
        let record = |(number, size): (usize, &usize)| Record {
            position: Position::of((number + 1).to_string().parse().unwrap()),
            partition_key: String::new().into(),
            data: vec![0; *size].into(),
            arrived_millis: 0,
            kind: Kind::Plain,
        };
        sizes.iter().enumerate().map(record).collect()
    }

    #[test]
    fn parts_are_as_long_as_they_may_be_and_an_oversize_record_comes_alone() {
        let limits = Limits { max_records: 3, max_bytes: 10 };
        assert_eq!(cut(&records(&[4, 4, 4, 1, 1, 1, 50, 2]), limits), [0..2, 2..5, 5..6, 6..7, 7..8]);
        assert_eq!(cut(&records(&[4; 9]), Limits::NONE).len(), 1);
        assert!(cut(&[], limits).is_empty());
    }

    proptest! {
        #[test]
        fn parts_cover_every_record_once_and_keep_the_limits(
            sizes in proptest::collection::vec(0_usize..20, 0..100),
            max_records in 1_usize..10,
            max_bytes in 1_usize..40,
        ) {
            let parts = cut(&records(&sizes), Limits { max_records, max_bytes });
            let covered: Vec<usize> = parts.iter().cloned().flatten().collect();
            prop_assert_eq!(covered, (0..sizes.len()).collect::<Vec<_>>());
            for part in parts {
                let bytes: usize = sizes[part.clone()].iter().sum();
                prop_assert!(!part.is_empty() && part.len() <= max_records);
                prop_assert!(bytes <= max_bytes || part.len() == 1);
            }
        }
    }
}
