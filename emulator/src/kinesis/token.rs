//! Opaque tokens: shard iterators and paging tokens. They carry their own content, so the emulator keeps no table of them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// How long a shard iterator or a paging token stays usable: 300 seconds.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetShardIterator.html>, API_ListShards.
pub(crate) const LIFETIME_MILLIS: u64 = 300_000;

const CHECK_BYTES: usize = 8;

/// Where GetRecords goes on reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShardIterator {
    /// The stream's name.
    pub(crate) stream: String,
    /// When the stream was created, so that an iterator does not fit a later stream of that name.
    pub(crate) stream_created: u64,
    /// The shard's number.
    pub(crate) shard: u32,
    /// The index of the first record to read.
    pub(crate) cursor: u64,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// We did not write it, or wrote it for another purpose.
    Foreign,
    /// It was written at this time, in milliseconds since 1970, too long ago.
    Expired(u64),
}

#[derive(Serialize, Deserialize)]
struct Dated<T> {
    issued: u64,
    content: T,
}

/// Writes `content` as a token for `purpose`, issued `now`.
pub(crate) fn seal<T: Serialize>(purpose: &str, content: T, now_millis: u64) -> String {
    let body = serde_json::to_vec(&Dated { issued: now_millis, content }).unwrap_or_default();
    let mut token = check(purpose, &body).to_vec();
    token.extend_from_slice(&body);
    STANDARD.encode(token)
}

/// Reads a token that [`seal`] wrote for the same `purpose`.
///
/// # Errors
/// [`Refused`] says why not.
pub(crate) fn open<T: DeserializeOwned>(purpose: &str, token: &str, now_millis: u64) -> Result<T, Refused> {
    let bytes = STANDARD.decode(token).map_err(|_| Refused::Foreign)?;
    let (sum, body) = bytes.split_at_checked(CHECK_BYTES).ok_or(Refused::Foreign)?;
    if sum != check(purpose, body) {
        return Err(Refused::Foreign);
    }
    let Dated { issued, content } = serde_json::from_slice(body).map_err(|_| Refused::Foreign)?;
    if now_millis.saturating_sub(issued) > LIFETIME_MILLIS { Err(Refused::Expired(issued)) } else { Ok(content) }
}

/// Tells our tokens from other text. No protection against forgers, who would only deceive themselves.
fn check(purpose: &str, body: &[u8]) -> [u8; CHECK_BYTES] {
    let digest = Md5::new().chain_update(purpose).chain_update([0]).chain_update(body).finalize();
    digest.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
