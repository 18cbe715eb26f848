//! Sixteen MD5 side by side, by RFC 1321, section 3.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u32x16};

pub(super) const LANES: usize = 16;
const BLOCK: usize = 64;

const INITIAL: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// `floor(2^32 × |sin(i + 1)|)`.
#[rustfmt::skip]
const SINES: [u32; 64] = [
    0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee, 0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
    0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be, 0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821,
    0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa, 0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
    0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed, 0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a,
    0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c, 0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
    0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05, 0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
    0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039, 0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
    0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1, 0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
];

/// Blocks of a message of `length` bytes with its padding: a bit, and eight bytes for the length.
pub(super) fn blocks(length: usize) -> usize {
    (length + 9).div_ceil(BLOCK)
}

/// The MD5 of each message. It takes as long as the longest one.
pub(super) fn digests(level: Level, messages: &[&[u8]; LANES]) -> [[u8; 16]; LANES] {
    dispatch!(level, simd => digests_with(simd, messages))
}

#[inline(always)]
fn digests_with<S: Simd>(simd: S, messages: &[&[u8]; LANES]) -> [[u8; 16]; LANES] {
    simd.vectorize(
        #[inline(always)]
        || {
            let ends = messages.map(end);
            let whole = messages.map(
                #[inline(always)]
                |message| message.as_chunks::<BLOCK>().0,
            );
            let blocks = messages.map(
                #[inline(always)]
                |message| blocks(message.len()),
            );
            let common = whole
                .iter()
                .map(
                    #[inline(always)]
                    |blocks| blocks.len(),
                )
                .min()
                .unwrap_or(0);
            let most = blocks.iter().copied().max().unwrap_or(0);
            let mut state = INITIAL.map(
                #[inline(always)]
                |word| u32x16::splat(simd, word),
            );
            let mut digests = [[0; 16]; LANES];
            let mut lanes = [&[0; BLOCK]; LANES];
            // No message ends within the blocks that all have.
            for at in 0..common {
                for (lane, blocks) in lanes.iter_mut().zip(&whole) {
                    *lane = &blocks[at];
                }
                compress(simd, &mut state, &lanes);
            }
            for at in common..most {
                for ((lane, blocks), end) in lanes.iter_mut().zip(&whole).zip(&ends) {
                    *lane = block(blocks, end, at);
                }
                compress(simd, &mut state, &lanes);
                for (lane, (blocks, digest)) in blocks.iter().zip(&mut digests).enumerate() {
                    if *blocks == at + 1 {
                        *digest = column(&state, lane);
                    }
                }
            }
            digests
        },
    )
}

/// The last blocks of a message, one or two: what is left of it, and the padding.
#[inline(always)]
fn end(message: &[u8]) -> [[u8; BLOCK]; 2] {
    let (_, rest) = message.as_chunks::<BLOCK>();
    let mut end = [0; 2 * BLOCK];
    for (byte, value) in end.iter_mut().zip(rest.iter().chain(&[0x80])) {
        *byte = *value;
    }
    let bits = u64::try_from(message.len()).unwrap_or(u64::MAX).wrapping_mul(8).to_le_bytes();
    let length_at = if rest.len() < BLOCK - 8 { BLOCK - 8 } else { 2 * BLOCK - 8 };
    for (byte, value) in end.iter_mut().skip(length_at).zip(bits) {
        *byte = value;
    }
    let mut blocks = [[0; BLOCK]; 2];
    blocks.as_flattened_mut().copy_from_slice(&end);
    blocks
}

/// Block `at` of a message that has these whole ones. Past its end it is one that does not matter.
#[inline(always)]
fn block<'a>(whole: &'a [[u8; BLOCK]], end: &'a [[u8; BLOCK]; 2], at: usize) -> &'a [u8; BLOCK] {
    whole.get(at).unwrap_or_else(
        #[inline(always)]
        || if at == whole.len() { &end[0] } else { &end[1] },
    )
}

#[inline(always)]
fn column<S: Simd>(state: &[u32x16<S>; 4], lane: usize) -> [u8; 16] {
    let mut digest = [0; 16];
    for (bytes, words) in digest.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = words.as_slice().get(lane).copied().unwrap_or_default().to_le_bytes();
    }
    digest
}

/// A step: `b + ((a + f + m + sine) <<< TURN)`.
#[inline(always)]
fn step<S: Simd, const TURN: u32>(f: u32x16<S>, a: u32x16<S>, b: u32x16<S>, m: u32x16<S>, sine: u32) -> u32x16<S> {
    let sum = a + f + m + sine;
    ((sum << TURN) | (sum >> (32 - TURN))) + b
}

/// Sixteen steps of a round: step `i` takes word `(mul × i + add) mod 16`.
macro_rules! round {
    ($f:expr, [$a:ident $b:ident $c:ident $d:ident], $words:ident, $round:literal, $mul:literal, $add:literal,
     [$s0:literal $s1:literal $s2:literal $s3:literal]) => {
        for i in (0..16).step_by(4) {
            let word = |step: usize| $words[($mul * (i + step) + $add) % 16];
            let sine = |step: usize| SINES[16 * $round + i + step];
            $a = step::<S, $s0>($f($b, $c, $d), $a, $b, word(0), sine(0));
            $d = step::<S, $s1>($f($a, $b, $c), $d, $a, word(1), sine(1));
            $c = step::<S, $s2>($f($d, $a, $b), $c, $d, word(2), sine(2));
            $b = step::<S, $s3>($f($c, $d, $a), $b, $c, word(3), sine(3));
        }
    };
}

#[inline(always)]
fn compress<S: Simd>(simd: S, state: &mut [u32x16<S>; 4], lanes: &[&[u8; BLOCK]; LANES]) {
    let mut words = [[0; LANES]; 16];
    for (lane, block) in lanes.iter().enumerate() {
        for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
            word[lane] = u32::from_le_bytes(*bytes);
        }
    }
    let words = words.map(
        #[inline(always)]
        |word| u32x16::from_slice(simd, &word),
    );
    let [mut a, mut b, mut c, mut d] = *state;
    round!(|b: u32x16<S>, c, d| ((c ^ d) & b) ^ d, [a b c d], words, 0, 1, 0, [7 12 17 22]);
    round!(|b: u32x16<S>, c, d| ((b ^ c) & d) ^ c, [a b c d], words, 1, 5, 1, [5 9 14 20]);
    round!(|b: u32x16<S>, c, d| b ^ c ^ d, [a b c d], words, 2, 3, 5, [4 11 16 23]);
    round!(|b: u32x16<S>, c: u32x16<S>, d: u32x16<S>| c ^ (b | !d), [a b c d], words, 3, 7, 0, [6 10 15 21]);
    for (word, new) in state.iter_mut().zip([a, b, c, d]) {
        *word += new;
    }
}
