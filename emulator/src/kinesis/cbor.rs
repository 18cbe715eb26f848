//! CBOR at the edge: requests become the JSON that the operations read, and their JSON becomes CBOR.
//!
//! The dialect is the AWS SDK for Java's (`application/x-amz-cbor-1.1`): the names and nesting of AWS JSON 1.1, but blobs are byte
//! strings, and a timestamp is a count of milliseconds since 1970, tagged 1. The tag's own meaning
//! (<https://www.rfc-editor.org/rfc/rfc8949#section-3.4.2>) would be seconds; the SDK neither writes nor reads those here.

mod decode;
mod encode;

pub(crate) use decode::to_json;
pub(crate) use encode::from_json;

/// The tag of a time.
const EPOCH_TAG: u64 = 1;

/// What the name of a member says about its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    /// The same in both formats.
    Plain,
    /// Base64 in JSON, a byte string in CBOR.
    Blob,
    /// Seconds in JSON, milliseconds in CBOR.
    Timestamp,
}

impl Member {
    /// What a member of this name holds in any shape of the service.
    fn named(name: &str) -> Self {
        match name {
            "Data" => Self::Blob,
            "StartedAt" | "EndedAt" | "EarliestAllowedEndAt" => Self::Timestamp,
            _ if name.ends_with("Timestamp") => Self::Timestamp,
            _ => Self::Plain,
        }
    }
}

#[cfg(test)]
mod tests;
