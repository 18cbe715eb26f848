//! Sequence numbers: 186-bit numbers, written as 56 decimal digits.
//!
//! The layout is Kinesis's version 2, from the highest bit down: version (2 bits, from bit 184), the second in which the shard was created (36),
//! the low bits of the shard's number (4), a counter (64), a mark (8), the second of arrival (36), the shard's number (32, from bit 4), version (4).
//! Version and shard number are where KCL's `SequenceNumberValidator` reads them; the fields between were worked out by the authors of kinesalite,
//! and numbers printed in the documentation of AWS have them too.
//! So numbers grow within a shard with the counter, and those of a child shard lie above its parents', because it was created in a later second.

/// Digits of a sequence number.
pub(crate) const DIGITS: usize = 56;

/// The counter of a closed shard's ending number: above every record's.
const LAST_INDEX: u64 = i64::MAX as u64;
/// 10^19, the highest power of ten in a `u64`.
const CHUNK: u128 = 10_000_000_000_000_000_000;
const SECONDS_MASK: u64 = (1 << 36) - 1;
const VERSION: u64 = 2;

/// The shard that numbers belong to: their parts that never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The second, since 1970, in which the shard was created. At most 36 bits count.
    pub(crate) created_secs: u64,
    /// The shard's number within its stream.
    pub(crate) shard: u32,
}

/// A sequence number in its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sequence {
    /// The shard.
    pub(crate) origin: Origin,
    /// Counts a shard's records from 1; 0 is the shard's beginning.
    pub(crate) index: u64,
    /// 0 for a record, 1 for a position just behind it.
    pub(crate) mark: u8,
    /// The second, since 1970, of arrival.
    pub(crate) secs: u64,
}

impl Origin {
    /// The number at which the shard begins, below every record's.
    pub(crate) fn start(self) -> Sequence {
        Sequence { origin: self, index: 0, mark: 0, secs: self.created_secs }
    }

    /// The number of the record that arrived as the shard's `index`th, counted from 1.
    pub(crate) fn record(self, index: u64, arrival_millis: u64) -> Sequence {
        Sequence { origin: self, index, mark: 0, secs: arrival_millis / 1_000 }
    }

    /// A number above that of record `index` and below that of the next one: progress without a record.
    pub(crate) fn behind(self, index: u64, now_millis: u64) -> Sequence {
        Sequence { origin: self, index, mark: 1, secs: now_millis / 1_000 }
    }

    /// The number at which the shard ended, above every record's.
    pub(crate) fn end(self, closed_millis: u64) -> Sequence {
        Sequence { origin: self, index: LAST_INDEX, mark: 0, secs: closed_millis / 1_000 }
    }
}

impl Sequence {
    /// Whether this is the number at which a shard ends.
    pub(crate) fn is_end(&self) -> bool {
        self.index == LAST_INDEX
    }

    /// The decimal digits.
    pub(crate) fn digits(&self) -> [u8; DIGITS] {
        let (high, low) = self.bits();
        let (middle, low) = (low >> 64, low & u128::from(u64::MAX));
        // Long division by 10^19 of the number held as 64-bit digits, twice. `high` has 58 bits, less than 10^19.
        let upper = (u128::from(high) << 64) | middle;
        let lower = ((upper % CHUNK) << 64) | low;
        let quotient = ((upper / CHUNK) << 64) | (lower / CHUNK);
        let mut digits = [b'0'; DIGITS];
        let (head, tail) = digits.split_at_mut(DIGITS - 38);
        let (tail, last) = tail.split_at_mut(19);
        write_decimal(quotient / CHUNK, head);
        write_decimal(quotient % CHUNK, tail);
        write_decimal(lower % CHUNK, last);
        digits
    }

    /// Reads a number that this module wrote.
    ///
    /// `None` if it has another length, other characters, another version, or fields that no number of ours can have.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (head, tail) = text.split_at_checked(DIGITS - 38)?;
        let (middle, last) = tail.split_at_checked(19)?;
        if text.len() != DIGITS || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (head, middle, last) =
            (head.parse::<u128>().ok()?, middle.parse::<u128>().ok()?, last.parse::<u128>().ok()?);
        // (head * 10^19 + middle) fits in 123 bits; times 10^19 in two halves.
        let upper = head * CHUNK + middle;
        let lower = (upper & u128::from(u64::MAX)) * CHUNK + last;
        let upper = (upper >> 64) * CHUNK + (lower >> 64);
        let high = u64::try_from(upper >> 64).ok()?;
        Self::from_bits(high, (upper << 64) | (lower & u128::from(u64::MAX)))
    }

    /// The bits from 128 on, and the 128 below.
    fn bits(&self) -> (u64, u128) {
        let nibble = u64::from(self.origin.shard & 15);
        let high =
            (VERSION << 56) | ((self.origin.created_secs & SECONDS_MASK) << 20) | (nibble << 16) | (self.index >> 48);
        let low = (u128::from(self.index) << 80)
            | (u128::from(self.mark) << 72)
            | (u128::from(self.secs & SECONDS_MASK) << 36)
            | (u128::from(self.origin.shard) << 4)
            | u128::from(VERSION);
        (high, low)
    }

    fn from_bits(high: u64, low: u128) -> Option<Self> {
        let seconds = u128::from(SECONDS_MASK);
        let shard = u32::try_from((low >> 4) & u128::from(u32::MAX)).ok()?;
        let sequence = Self {
            origin: Origin { created_secs: (high >> 20) & SECONDS_MASK, shard },
            index: ((high & 0xffff) << 48) | u64::try_from(low >> 80).ok()?,
            mark: u8::try_from((low >> 72) & 0xff).ok()?,
            secs: u64::try_from((low >> 36) & seconds).ok()?,
        };
        (sequence.index <= LAST_INDEX && sequence.bits() == (high, low)).then_some(sequence)
    }
}

impl std::fmt::Display for Sequence {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(std::str::from_utf8(&self.digits()).map_err(|_| std::fmt::Error)?)
    }
}

/// Writes `value`, which is below 10^19, in decimal to the end of `digits`, which hold zeros.
fn write_decimal(value: u128, digits: &mut [u8]) {
    let mut rest = u64::try_from(value).unwrap_or_default();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sequences() -> impl Strategy<Value = Sequence> {
        (0..1u64 << 36, any::<u32>(), 0..=LAST_INDEX, any::<u8>(), 0..1u64 << 36).prop_map(
            |(created_secs, shard, index, mark, secs)| Sequence {
                origin: Origin { created_secs, shard },
                index,
                mark,
                secs,
            },
        )
    }

    #[test]
    fn the_number_in_the_lambda_documentation_reads_as_its_parts() {
        // https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html: shardId-000000000006, arrival 1545084650.987.
        let text = "49590338271490256608559692538361571095921575989136588898";
        let sequence = Sequence::parse(text).unwrap();
        assert_eq!((sequence.origin.shard, sequence.secs, sequence.mark), (6, 1_545_084_650, 0));
        assert_eq!((sequence.origin.created_secs, sequence.index), (1_542_776_258, 1_734_642_199));
        assert_eq!(sequence.to_string(), text);
    }

    #[test]
    fn a_number_is_written_in_one_piece() {
        struct Pieces(usize);
        impl std::fmt::Write for Pieces {
            fn write_str(&mut self, _: &str) -> std::fmt::Result {
                self.0 += 1;
                Ok(())
            }
        }
        let mut pieces = Pieces(0);
        std::fmt::Write::write_fmt(&mut pieces, format_args!("{}", Origin { created_secs: 1, shard: 3 }.start()))
            .expect("a number");
        assert_eq!(pieces.0, 1);
    }

    #[test]
    fn foreign_text_is_no_sequence_number() {
        let ours = Origin { created_secs: 1_800_000_000, shard: 3 }.record(7, 1_800_000_001_000).to_string();
        for bad in ["", "0", "abc", &ours[1..], &format!("{ours}0"), &"9".repeat(DIGITS), &"0".repeat(DIGITS)] {
            assert_eq!(Sequence::parse(bad), None, "{bad}");
        }
        assert_eq!(Sequence::parse(&ours.replace('4', "é")), None);
    }

    proptest! {
        #[test]
        fn digits_read_back_as_the_same_number(sequence in sequences()) {
            let text = sequence.to_string();
            prop_assert_eq!(text.len(), DIGITS);
            prop_assert_eq!(Sequence::parse(&text), Some(sequence));
        }

        #[test]
        fn numbers_grow_within_a_shard(created in 0u64..1 << 35, shard: u32, index in 1u64..1 << 62, first in 0u64..1 << 45, later in 0u64..1 << 45) {
            let origin = Origin { created_secs: created, shard };
            let (start, record, behind) = (origin.start(), origin.record(index, first), origin.behind(index, first.max(later)));
            // The next record may even carry an earlier time.
            let (next, end) = (origin.record(index + 1, later), origin.end(first));
            let ordered = [start, record, behind, next, end].map(|sequence| sequence.to_string());
            prop_assert!(ordered.is_sorted_by(|low, high| low < high), "{ordered:?}");
        }

        #[test]
        fn numbers_of_a_child_lie_above_its_parents(created in 0u64..1 << 35, parent: u32, child: u32, millis in 0u64..1 << 45) {
            let parent = Origin { created_secs: created, shard: parent };
            let child = Origin { created_secs: created + 1, shard: child };
            prop_assert!(parent.end(millis).to_string() < child.start().to_string());
        }
    }
}
