//! CBOR to JSON.

use super::Member;
use base64_simd::STANDARD;
use ciborium_ll::{Decoder, Error, Header, simple};
use std::io;

/// Arrays, maps and tags within one another. The deepest request has four.
const MOST_DEPTH: usize = 32;

/// Bytes that are copied at a time.
const CHUNK_BYTES: usize = 16 * 1024;

/// Why bytes are no request in CBOR.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    /// The bytes end within an item.
    #[error("it ends within an item: send all of it")]
    Truncated,
    /// No CBOR, or text that is no UTF-8.
    #[error("malformed at byte {0}")]
    Malformed(usize),
    /// CBOR that JSON has no word for.
    #[error("{what} at byte {at} has no meaning here")]
    Meaningless {
        /// What was met.
        what: &'static str,
        /// Behind which byte.
        at: usize,
    },
    /// Deeper than any request.
    #[error("more than {MOST_DEPTH} items within one another")]
    TooDeep,
    /// Something behind the end.
    #[error("bytes follow the request, from byte {0} on")]
    TrailingBytes(usize),
}

impl From<Error<io::Error>> for DecodeError {
    fn from(error: Error<io::Error>) -> Self {
        match error {
            Error::Io(_) => Self::Truncated,
            Error::Syntax(at) => Self::Malformed(at),
        }
    }
}

/// The JSON of a request in CBOR. No bytes at all are no JSON at all, which operations read as an empty request.
///
/// Bytes become base64 wherever they stand. The JSON has at most about eight times the bytes of the CBOR.
///
/// # Errors
/// [`DecodeError`] says what is wrong and where.
pub(crate) fn to_json(cbor: &[u8]) -> Result<Vec<u8>, DecodeError> {
    if cbor.is_empty() {
        return Ok(Vec::new());
    }
    let json = Vec::with_capacity(cbor.len() + cbor.len() / 2);
    let mut reader = Reader { cbor: Decoder::from(cbor), json, chunk: vec![0; CHUNK_BYTES] };
    let header = reader.cbor.pull()?;
    reader.item(header, Member::Plain, MOST_DEPTH)?;
    let end = reader.cbor.offset();
    if end < cbor.len() { Err(DecodeError::TrailingBytes(end)) } else { Ok(reader.json) }
}

struct Reader<'a> {
    cbor: Decoder<&'a [u8]>,
    json: Vec<u8>,
    chunk: Vec<u8>,
}

impl Reader<'_> {
    /// Writes the item that `header` begins. `depth` more may lie within one another.
    fn item(&mut self, header: Header, member: Member, depth: usize) -> Result<(), DecodeError> {
        let inner = depth.checked_sub(1).ok_or(DecodeError::TooDeep)?;
        match header {
            Header::Positive(number) => self.number(i128::from(number), member),
            Header::Negative(inverted) => self.number(!i128::from(inverted), member),
            Header::Float(number) => self.float(number, member),
            Header::Simple(simple::FALSE) => self.json.extend_from_slice(b"false"),
            Header::Simple(simple::TRUE) => self.json.extend_from_slice(b"true"),
            Header::Simple(simple::NULL | simple::UNDEFINED) => self.json.extend_from_slice(b"null"),
            Header::Simple(_) => return Err(self.meaningless("a simple value")),
            Header::Break => return Err(self.meaningless("a break")),
            Header::Tag(_) => {
                let tagged = self.cbor.pull()?;
                self.item(tagged, member, inner)?;
            }
            Header::Bytes(length) => self.bytes(length)?,
            Header::Text(length) => {
                let text = self.text(length)?;
                self.string(&text);
            }
            Header::Array(length) => {
                self.json.push(b'[');
                let mut items = Items::new(length);
                while let Some(header) = items.next(&mut self.cbor)? {
                    items.separate(&mut self.json);
                    self.item(header, Member::Plain, inner)?;
                }
                self.json.push(b']');
            }
            Header::Map(length) => {
                self.json.push(b'{');
                let mut items = Items::new(length);
                while let Some(header) = items.next(&mut self.cbor)? {
                    items.separate(&mut self.json);
                    self.entry(header, inner)?;
                }
                self.json.push(b'}');
            }
        }
        Ok(())
    }

    /// Writes the entry of a map whose key `header` begins.
    fn entry(&mut self, header: Header, depth: usize) -> Result<(), DecodeError> {
        let Header::Text(length) = header else { return Err(self.meaningless("a key that is no text")) };
        let name = self.text(length)?;
        self.string(&name);
        self.json.push(b':');
        let value = self.cbor.pull()?;
        self.item(value, Member::named(&name), depth)
    }

    fn number(&mut self, number: i128, member: Member) {
        match member {
            Member::Timestamp => self.float(number as f64, member),
            Member::Plain | Member::Blob => self.json.extend_from_slice(number.to_string().as_bytes()),
        }
    }

    /// What JSON cannot say, such as infinity, becomes `null`, as with all JSON writers of serde.
    fn float(&mut self, number: f64, member: Member) {
        let number = if member == Member::Timestamp { number / 1_000.0 } else { number };
        self.json.extend_from_slice(serde_json::Value::from(number).to_string().as_bytes());
    }

    fn bytes(&mut self, length: Option<usize>) -> Result<(), DecodeError> {
        let mut blob = Vec::new();
        let mut segments = self.cbor.bytes(length);
        while let Some(mut segment) = segments.pull()? {
            while let Some(bytes) = segment.pull(&mut self.chunk)? {
                blob.extend_from_slice(bytes);
            }
        }
        self.json.push(b'"');
        STANDARD.encode_append(blob, &mut self.json);
        self.json.push(b'"');
        Ok(())
    }

    fn text(&mut self, length: Option<usize>) -> Result<String, DecodeError> {
        let mut text = String::new();
        let mut segments = self.cbor.text(length);
        while let Some(mut segment) = segments.pull()? {
            while let Some(part) = segment.pull(&mut self.chunk)? {
                text.push_str(part);
            }
        }
        Ok(text)
    }

    fn string(&mut self, text: &str) {
        if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
            self.json.push(b'"');
            self.json.extend_from_slice(text.as_bytes());
            self.json.push(b'"');
        } else {
            self.json.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
        }
    }

    fn meaningless(&mut self, what: &'static str) -> DecodeError {
        DecodeError::Meaningless { what, at: self.cbor.offset() }
    }
}

/// Where in an array or a map the reader is.
struct Items {
    /// How many are left; `None` if a break says it.
    left: Option<usize>,
    first: bool,
}

impl Items {
    fn new(length: Option<usize>) -> Self {
        Self { left: length, first: true }
    }

    /// The header of the next item or key; `None` behind the last.
    fn next(&mut self, cbor: &mut Decoder<&[u8]>) -> Result<Option<Header>, DecodeError> {
        match &mut self.left {
            Some(0) => Ok(None),
            Some(left) => {
                *left -= 1;
                Ok(Some(cbor.pull()?))
            }
            None => match cbor.pull()? {
                Header::Break => Ok(None),
                header => Ok(Some(header)),
            },
        }
    }

    fn separate(&mut self, json: &mut Vec<u8>) {
        if !std::mem::take(&mut self.first) {
            json.push(b',');
        }
    }
}
