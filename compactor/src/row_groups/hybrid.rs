//! Parquet's hybrid of run lengths and bit packing, for levels and for indexes into a dictionary.
//!
//! <https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE>

/// Values of a group: a run of packed values has whole groups.
const GROUP: usize = 8;

/// Groups of a packed run: its header is then one byte, as in all that other writers make.
const MAX_GROUPS: usize = 63;

/// The bits that hold `max`.
pub(super) fn width(max: u32) -> u8 {
    // At most 32.
    u8::try_from(u32::BITS - max.leading_zeros()).unwrap_or(32)
}

/// Appends `values`, of `width` bits each, to `out`.
///
/// What is alike is looked for a group at a time: a run begins where one is all of one value.
pub(super) fn encode<T: Copy + Eq + Into<u32>>(values: &[T], width: u8, out: &mut Vec<u8>) {
    let (groups, _) = values.as_chunks::<GROUP>();
    let (mut packed_from, mut at) = (0, 0);
    while let Some(group) = groups.get(at) {
        let value = group[0];
        if *group != [value; GROUP] {
            at += 1;
            continue;
        }
        let whole = groups[at..].iter().take_while(|group| **group == [value; GROUP]).count();
        let start = at * GROUP;
        let mut run = whole * GROUP;
        run += values[start + run..].iter().take_while(|other| **other == value).count();
        // Groups go on where a run ends, so that it takes part of one only at the end.
        if start + run < values.len() {
            run = whole * GROUP;
        }
        pack(&values[packed_from..start], width, out);
        repeat(run, value.into(), width, out);
        packed_from = start + run;
        at += whole;
    }
    pack(&values[packed_from..], width, out);
}

fn repeat(count: usize, value: u32, width: u8, out: &mut Vec<u8>) {
    varint(count << 1, out);
    let bytes = usize::from(width).div_ceil(8);
    out.extend_from_slice(value.to_le_bytes().get(..bytes).unwrap_or_default());
}

/// Zeros fill the last group.
fn pack<T: Copy + Into<u32>>(values: &[T], width: u8, out: &mut Vec<u8>) {
    for run in values.chunks(MAX_GROUPS * GROUP) {
        let groups = run.len().div_ceil(GROUP);
        varint((groups << 1) | 1, out);
        let end = out.len() + groups * usize::from(width);
        let (mut bits, mut count) = (0u64, 0u8);
        for value in run {
            let value: u32 = (*value).into();
            bits |= u64::from(value) << count;
            count += width;
            if count >= 32 {
                out.extend_from_slice(&bits.to_le_bytes()[..4]);
                bits >>= 32;
                count -= 32;
            }
        }
        out.extend_from_slice(&bits.to_le_bytes());
        out.resize(end, 0);
    }
}

/// ULEB128.
fn varint(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As the specification says.
    fn decode(mut bytes: &[u8], width: u8, count: usize) -> Vec<u32> {
        let mut values = Vec::new();
        while values.len() < count {
            let (mut header, mut shift) = (0usize, 0);
            loop {
                let (first, rest) = bytes.split_first().expect("a header");
                bytes = rest;
                header |= usize::from(first & 0x7f) << shift;
                shift += 7;
                if first & 0x80 == 0 {
                    break;
                }
            }
            if header & 1 == 0 {
                let (value, rest) = bytes.split_at(usize::from(width).div_ceil(8));
                bytes = rest;
                let value = value.iter().rev().fold(0u32, |all, byte| (all << 8) | u32::from(*byte));
                values.extend(std::iter::repeat_n(value, header >> 1));
            } else {
                let (packed, rest) = bytes.split_at((header >> 1) * usize::from(width));
                bytes = rest;
                let bit = |at: usize| u32::from(packed[at / 8] >> (at % 8) & 1);
                let value =
                    |at: usize| (0..usize::from(width)).fold(0, |all, b| all | (bit(at * usize::from(width) + b) << b));
                values.extend((0..(header >> 1) * GROUP).map(value));
            }
        }
        assert!(bytes.is_empty());
        assert!(values[count..].iter().all(|value| *value == 0) && values.len() - count < GROUP);
        values.truncate(count);
        values
    }

    proptest! {
        #[test]
        fn values_come_back(
            runs in prop::collection::vec((0u32.., 0usize..40), 0..200),
            width in 0u8..=32,
        ) {
            let mask = u32::try_from((1u64 << width) - 1).expect("32 bits");
            let values: Vec<u32> =
                runs.iter().flat_map(|(value, count)| std::iter::repeat_n(value & mask, *count)).collect();
            let mut out = vec![7];
            encode(&values, width, &mut out);
            prop_assert_eq!(decode(&out[1..], width, values.len()), values);
        }
    }

    #[test]
    fn runs_are_short() {
        let mut out = Vec::new();
        encode(&[1u8; 20_000], 1, &mut out);
        assert_eq!(out, [0xc0, 0xb8, 0x02, 1]);
        assert_eq!([0, 1, 2, 255, 256, u32::MAX].map(width), [0, 1, 2, 8, 9, 32]);
    }
}
