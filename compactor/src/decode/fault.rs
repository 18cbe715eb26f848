//! What can be wrong with an object, and with a row.

use crate::json::Syntax;

/// Why a range of an object's bytes holds no rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MemberFault {
    #[error("bad gzip header: {0}")]
    Header(&'static str),
    #[error("the compressed data is damaged")]
    Deflate,
    #[error("CRC-32 is {found:08x}, the gzip member says {stored:08x}")]
    Checksum { stored: u32, found: u32 },
    #[error("{found} bytes (modulo 2^32) where the gzip member says {stored}")]
    Length { stored: u32, found: u32 },
    #[error("cut off by the end of the object; the rows before the cut are kept")]
    Truncated,
    #[error("the zstd frame is damaged")]
    Zstd,
    #[error("gzip within gzip: set CompressionFormat of the delivery stream to UNCOMPRESSED")]
    Nested,
    #[error("neither gzip nor JSON follows")]
    Junk,
    #[error("this is {0}, neither gzip nor JSON")]
    Foreign(&'static str),
    #[error("decompresses to more than {0} bytes; raise the limit for one object if this is no gzip bomb")]
    TooLarge(u64),
}

/// A range of an object that holds no rows we can trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loss {
    /// The first byte lost, from the start of the object.
    pub(crate) from: u64,
    /// The first byte after it that was read again, or the object's end.
    pub(crate) to: u64,
    pub(crate) fault: MemberFault,
}

/// Why a text is not a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RowFault {
    #[error("a row must be a JSON object, this is {0}")]
    NotAnObject(&'static str),
    #[error("{why}, at byte {at} of the row")]
    Json { at: usize, why: Syntax },
    #[error("not UTF-8, from byte {0} of the row")]
    NotUtf8(usize),
    #[error("a row of more than {0} bytes; what follows these bytes up to the next line is not kept")]
    TooLong(usize),
    #[error("the object ends within the row")]
    CutByEnd,
    #[error("the row goes on in bytes that are lost")]
    CutByLoss,
}

/// What a text that is no object looks like.
pub(crate) fn describe(first: u8) -> &'static str {
    match first {
        b'[' => "an array",
        b'"' => "a string",
        b'-' | b'0'..=b'9' => "a number",
        b't' | b'f' | b'n' => "a literal or a word",
        _ => "not JSON",
    }
}
