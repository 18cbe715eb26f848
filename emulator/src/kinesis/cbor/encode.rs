//! JSON to CBOR, without building a tree in between.

use super::{EPOCH_TAG, Member};
use crate::kinesis::wire;
use base64_simd::STANDARD;
use ciborium_ll::{Encoder, Header, simple};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// The CBOR of our own `json`. No JSON at all is no CBOR at all.
///
/// # Errors
/// If it is no JSON, or a blob in it no base64.
pub(crate) fn from_json(json: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    let mut cbor = Vec::with_capacity(json.len());
    if !json.is_empty() {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        Writer { cbor: &mut cbor, member: Member::Plain }.deserialize(&mut deserializer)?;
        deserializer.end()?;
    }
    Ok(cbor)
}

/// Writes the one value that it is given.
struct Writer<'a> {
    cbor: &'a mut Vec<u8>,
    member: Member,
}

/// Writes the one key that it is given.
struct Key<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    fn header<E: Error>(self, header: Header) -> Result<(), E> {
        push(self.cbor, header)
    }

    fn time<E: Error>(self, seconds: f64) -> Result<(), E> {
        let millis = wire::millis(seconds).map_err(E::custom)?;
        push(self.cbor, Header::Tag(EPOCH_TAG))?;
        push(self.cbor, Header::Positive(millis))
    }
}

impl<'de> DeserializeSeed<'de> for Writer<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Writer<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value of Kinesis")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.header(Header::Simple(simple::NULL))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.header(Header::Simple(if value { simple::TRUE } else { simple::FALSE }))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        if self.member == Member::Timestamp { self.time(value as f64) } else { self.header(Header::Positive(value)) }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        match u64::try_from(value) {
            Ok(value) => self.visit_u64(value),
            Err(_) if self.member == Member::Timestamp => self.time(value as f64),
            Err(_) => self.header(Header::Negative((!value).cast_unsigned())),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        if self.member == Member::Timestamp { self.time(value) } else { self.header(Header::Float(value)) }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if self.member != Member::Blob {
            return Encoder::from(self.cbor).text(text, None).map_err(E::custom);
        }
        let blob = STANDARD.decode_to_vec(text).map_err(E::custom)?;
        Encoder::from(self.cbor).bytes(&blob, None).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        push(self.cbor, Header::Array(None))?;
        while items.next_element_seed(Writer { cbor: &mut *self.cbor, member: Member::Plain })?.is_some() {}
        push(self.cbor, Header::Break)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        push(self.cbor, Header::Map(None))?;
        while let Some(member) = entries.next_key_seed(Key(&mut *self.cbor))? {
            entries.next_value_seed(Writer { cbor: &mut *self.cbor, member })?;
        }
        push(self.cbor, Header::Break)
    }
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Member;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Member, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Member, E> {
        Encoder::from(self.0).text(name, None).map_err(E::custom)?;
        Ok(Member::named(name))
    }
}

fn push<E: Error>(cbor: &mut Vec<u8>, header: Header) -> Result<(), E> {
    Encoder::from(cbor).push(header).map_err(E::custom)
}
