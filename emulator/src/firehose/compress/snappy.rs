//! The two framings of Snappy that Firehose writes, neither of which is Snappy's own framing format.

use bytes::Bytes;
use snap::raw::Encoder;
use std::io;

/// Bytes of one block before compression: what snappy-java, which AWS uses, has by default
/// (<https://github.com/xerial/snappy-java>, `SnappyOutputStream`).
const BLOCK_BYTES: usize = 32 * 1024;

/// How a stream of snappy-java begins: its magic, its version and the oldest version that can read it.
const JAVA_HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

/// The records as a stream of snappy-java: a header, then blocks, each after its compressed length.
///
/// AWS's `Snappy` is this (<https://github.com/floci-io/floci/issues/2328>).
pub(super) fn java_stream(records: &[Bytes]) -> io::Result<Vec<u8>> {
    let (mut encoder, mut stream) = (Encoder::new(), JAVA_HEADER.to_vec());
    each_block(records, |block| {
        let compressed = encoder.compress_vec(block)?;
        stream.extend_from_slice(&in_four_bytes(compressed.len())?);
        stream.extend_from_slice(&compressed);
        Ok(())
    })?;
    Ok(stream)
}

/// The records as Hadoop's `SnappyCodec` has them: blocks, each after its plain and its compressed length.
pub(super) fn hadoop_blocks(records: &[Bytes]) -> io::Result<Vec<u8>> {
    let (mut encoder, mut blocks) = (Encoder::new(), Vec::new());
    each_block(records, |block| {
        let compressed = encoder.compress_vec(block)?;
        blocks.extend_from_slice(&in_four_bytes(block.len())?);
        blocks.extend_from_slice(&in_four_bytes(compressed.len())?);
        blocks.extend_from_slice(&compressed);
        Ok(())
    })?;
    Ok(blocks)
}

/// Calls `each` with the joined records in blocks, all full but the last.
fn each_block(records: &[Bytes], mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    for record in records {
        let mut rest: &[u8] = record;
        while !rest.is_empty() {
            let (taken, left) = rest.split_at(rest.len().min(BLOCK_BYTES - block.len()));
            block.extend_from_slice(taken);
            rest = left;
            if block.len() == BLOCK_BYTES {
                each(&block)?;
                block.clear();
            }
        }
    }
    if block.is_empty() { Ok(()) } else { each(&block) }
}

fn in_four_bytes(number: usize) -> io::Result<[u8; 4]> {
    u32::try_from(number).map(u32::to_be_bytes).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use snap::raw::Decoder;

    fn take_number(rest: &mut &[u8]) -> usize {
        let (number, left) = rest.split_first_chunk().expect("four bytes");
        *rest = left;
        usize::try_from(u32::from_be_bytes(*number)).expect("a size")
    }

    /// The blocks of either framing, and whether each has its plain length before it.
    fn read(mut rest: &[u8], has_plain_length: bool) -> Vec<Vec<u8>> {
        let mut blocks = Vec::new();
        while !rest.is_empty() {
            let plain = has_plain_length.then(|| take_number(&mut rest));
            let length = take_number(&mut rest);
            let (compressed, left) = rest.split_at(length);
            let block = Decoder::new().decompress_vec(compressed).expect("a block");
            assert!(plain.is_none_or(|plain| plain == block.len()));
            blocks.push(block);
            rest = left;
        }
        blocks
    }

    proptest! {
        #[test]
        fn both_framings_hold_the_records_in_full_blocks(
            lengths in prop::collection::vec((any::<u8>(), 0_usize..50_000), 0..6),
        ) {
            let records: Vec<_> = lengths.iter().map(|(fill, length)| Bytes::from(vec![*fill; *length])).collect();
            let java = java_stream(&records).expect("a stream");
            prop_assert_eq!(&java[..8], b"\x82SNAPPY\0");
            let hadoop = hadoop_blocks(&records).expect("blocks");
            for blocks in [read(&java[16..], false), read(&hadoop, true)] {
                prop_assert_eq!(blocks.concat(), records.concat());
                for (index, block) in blocks.iter().enumerate() {
                    prop_assert!(index + 1 == blocks.len() || block.len() == BLOCK_BYTES);
                    prop_assert!(!block.is_empty());
                }
            }
        }
    }
}
