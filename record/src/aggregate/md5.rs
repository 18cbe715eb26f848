//! MD5 of one message and of many.

use md5::{Digest as _, Md5};

/// The MD5 of `message`.
pub(super) fn digest(message: &[u8]) -> [u8; 16] {
    Md5::digest(message).into()
}

/// The MD5 of each message, in order.
pub(super) fn digests(messages: &[&[u8]]) -> Vec<[u8; 16]> {
    messages.iter().map(|message| digest(message)).collect()
}
