//! MD5 of one message and of many at once.
//!
//! One MD5 is a chain in which every step waits for the one before it. Sixteen of them side by side, one in each lane of a
//! vector, keep the processor busy.

mod lanes;

use fearless_simd::Level;
use md5::{Digest as _, Md5};

/// Messages that are hashed side by side.
const LANES: usize = lanes::LANES;

/// Sixteen lanes take as long as about this many single messages, at most: measured with SSE2, on others it is fewer.
const LANES_COST: usize = 4;

/// The MD5 of `message`.
pub(super) fn digest(message: &[u8]) -> [u8; 16] {
    Md5::digest(message).into()
}

/// The MD5 of each message, in order.
pub(super) fn digests(messages: &[&[u8]]) -> Vec<[u8; 16]> {
    digests_at(Level::new(), messages)
}

/// As [`digests`], with the vectors of `level`.
fn digests_at(level: Level, messages: &[&[u8]]) -> Vec<[u8; 16]> {
    let mut digests = vec![[0; 16]; messages.len()];
    // Messages of about one length share a round, so that no lane waits long for the others.
    let mut order: Vec<usize> = (0..messages.len()).collect();
    order.sort_unstable_by_key(|at| std::cmp::Reverse(length(messages, *at)));
    let mut rest = order.as_slice();
    while let Some((longest, others)) = rest.split_first() {
        let (round, later) = rest.split_at(rest.len().min(LANES));
        let blocks = |at: &usize| lanes::blocks(length(messages, *at));
        let alone = LANES_COST * blocks(longest) > round.iter().map(blocks).sum();
        if alone {
            set(&mut digests, *longest, digest(messages.get(*longest).copied().unwrap_or_default()));
            rest = others;
        } else {
            let mut side_by_side = [&[][..]; LANES];
            for (lane, at) in side_by_side.iter_mut().zip(round) {
                *lane = messages.get(*at).copied().unwrap_or_default();
            }
            for (at, digest) in round.iter().zip(lanes::digests(level, &side_by_side)) {
                set(&mut digests, *at, digest);
            }
            rest = later;
        }
    }
    digests
}

fn length(messages: &[&[u8]], at: usize) -> usize {
    messages.get(at).map_or(0, |message| message.len())
}

fn set(digests: &mut [[u8; 16]], at: usize, digest: [u8; 16]) {
    if let Some(slot) = digests.get_mut(at) {
        *slot = digest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one_by_one(messages: &[&[u8]]) -> Vec<[u8; 16]> {
        messages.iter().map(|message| digest(message)).collect()
    }

    #[test]
    fn the_test_vectors_of_rfc_1321_come_out_of_every_lane() {
        let vectors: [(&[u8], u128); 4] = [
            (b"", 0xd41d_8cd9_8f00_b204_e980_0998_ecf8_427e),
            (b"abc", 0x9001_5098_3cd2_4fb0_d696_3f7d_28e1_7f72),
            (b"message digest", 0xf96b_697d_7cb7_938d_525a_2f31_aaf1_61d0),
            (b"abcdefghijklmnopqrstuvwxyz", 0xc3fc_d3d7_6192_e400_7dfb_496c_ca67_e13b),
        ];
        for (message, digest) in vectors {
            assert_eq!(digests(&[message; LANES]), [digest.to_be_bytes(); LANES]);
        }
    }

    #[test]
    fn lengths_around_the_ends_of_blocks_are_padded_right() {
        let text = [b'x'; 200];
        let messages: Vec<&[u8]> = (0..200).map(|length| &text[..length]).collect();
        for level in [Level::new(), Level::baseline()] {
            assert_eq!(digests_at(level, &messages), one_by_one(&messages));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn many_at_once_are_what_each_is_alone(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..500), 0..40),
            large in prop::collection::vec(any::<u8>(), 0..10_000),
        ) {
            let mut messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
            messages.push(&large);
            for level in [Level::new(), Level::baseline()] {
                prop_assert_eq!(digests_at(level, &messages), one_by_one(&messages));
            }
        }
    }
}
