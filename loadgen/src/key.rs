//! Partition keys: where they come from, and the hash that lanes and observers know them by.

use fastrand::Rng;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::sync::Arc;

/// Longest partition key, in Unicode characters.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecordsRequestEntry.html>.
pub(crate) const MAX_KEY_CHARS: usize = 256;

/// How a record gets its partition key, which decides its shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionKey {
    /// One of so many keys made from the seed, each as likely as the others. Fewer keys mean more records in a
    /// row for each (order is easier to check) and a less even spread over the shards. 0 is read as 1.
    Random(u32),
    /// The value of this field at the top of each record, which must be a JSON object: a string as it is, a
    /// number or boolean as it is written. A record without it is rejected.
    Field(String),
}

impl Default for PartitionKey {
    /// 1,000 keys: enough to fill hundreds of shards, few enough that each has its order to keep.
    fn default() -> Self {
        Self::Random(1_000)
    }
}

/// The 64-bit FNV-1a hash of a partition key: the same for equal keys, on every machine and in every version.
///
/// Not the MD5 by which Kinesis places a record. Source: RFC draft-eastlake-fnv, section 2.
pub fn partition_key_hash(key: &str) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    key.bytes().fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

/// A key and its hash.
pub(crate) type Key = (Arc<str>, u64);

/// Hands out the keys of a run.
#[derive(Debug)]
pub(crate) enum Keys {
    Pool { keys: Vec<Key>, random: Rng },
    Field(String),
}

impl Keys {
    /// `random` is the source of the keys and of the choice among them.
    pub(crate) fn new(partition_key: &PartitionKey, mut random: Rng) -> Self {
        match partition_key {
            PartitionKey::Field(field) => Self::Field(field.clone()),
            PartitionKey::Random(count) => {
                let keys = (0..(*count).max(1)).map(|_| hashed(&format!("{:016x}", random.u64(..)))).collect();
                Self::Pool { keys, random }
            }
        }
    }

    /// The key for a record.
    ///
    /// # Errors
    /// Says why the record has none.
    pub(crate) fn key(&mut self, record: &[u8]) -> Result<Key, String> {
        match self {
            Self::Pool { keys, random } => {
                let key = random.choice(keys.iter()).cloned();
                key.ok_or_else(|| "no keys".to_owned())
            }
            Self::Field(field) => field_value(record, field).and_then(|value| checked(&value, field)),
        }
    }
}

fn hashed(key: &str) -> Key {
    (key.into(), partition_key_hash(key))
}

fn checked(value: &str, field: &str) -> Result<Key, String> {
    match value.chars().take(MAX_KEY_CHARS + 1).count() {
        0 => Err(format!("field `{field}` is empty; a partition key has 1 to {MAX_KEY_CHARS} characters")),
        1..=MAX_KEY_CHARS => Ok(hashed(value)),
        _ => Err(format!("field `{field}` has more than {MAX_KEY_CHARS} characters")),
    }
}

/// The first value of `field` at the top of a JSON object, as a key. Reads the whole record, builds nothing else.
fn field_value(record: &[u8], field: &str) -> Result<String, String> {
    let mut json = serde_json::Deserializer::from_slice(record);
    let found = json.deserialize_map(Finder(field)).map_err(|error| format!("not a JSON object: {error}"))?;
    let raw = found.ok_or_else(|| format!("no field `{field}`"))?.get();
    match raw.bytes().next() {
        Some(b'"') => serde_json::from_str(raw).map_err(|error| format!("field `{field}`: {error}")),
        Some(b'{' | b'[') | None => Err(format!("field `{field}` is a list or an object, not a value")),
        Some(_) if raw == "null" => Err(format!("field `{field}` is null")),
        Some(_) => Ok(raw.to_owned()),
    }
}

struct Finder<'f>(&'f str);

impl<'de> Visitor<'de> for Finder<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut found = None;
        while let Some(matches) = map.next_key_seed(IsKey(self.0))? {
            if matches && found.is_none() {
                found = Some(map.next_value::<&'de RawValue>().map_err(M::Error::custom)?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Compares a key in place of copying it.
struct IsKey<'f>(&'f str);

impl<'de> DeserializeSeed<'de> for IsKey<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsKey<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn by_field(record: &str) -> Result<String, String> {
        let mut keys = Keys::new(&PartitionKey::Field("id".into()), Rng::with_seed(1));
        keys.key(record.as_bytes()).map(|(key, _)| key.to_string())
    }

    #[test]
    fn random_keys_come_from_a_bounded_set_that_the_seed_decides() {
        let draw = |seed| {
            let mut keys = Keys::new(&PartitionKey::Random(10), Rng::with_seed(seed));
            (0..1_000).map(|_| keys.key(b"").unwrap().0.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_eq!(draw(1).into_iter().collect::<HashSet<_>>().len(), 10);
    }

    #[test]
    fn a_field_gives_its_value_as_text() {
        assert_eq!(by_field(r#"{"a":{"id":"inner"},"id":"x\u0041"}"#).as_deref(), Ok("xA"));
        assert_eq!(by_field(r#"{"id": 17.50}"#).as_deref(), Ok("17.50"));
        assert_eq!(by_field(r#"{"\u0069d": true}"#).as_deref(), Ok("true"));
        assert_eq!(by_field(r#"{"id":1,"id":2}"#).as_deref(), Ok("1"));
    }

    #[test]
    fn a_record_without_a_usable_key_says_why() {
        assert!(by_field(r#"{"a":1}"#).unwrap_err().contains("no field `id`"));
        assert!(by_field(r#"{"id":null}"#).unwrap_err().contains("null"));
        assert!(by_field(r#"{"id":{}}"#).unwrap_err().contains("object"));
        assert!(by_field(r#"{"id":""}"#).unwrap_err().contains("empty"));
        assert!(by_field(&format!(r#"{{"id":"{}"}}"#, "é".repeat(257))).unwrap_err().contains("256"));
        assert!(by_field("[1]").unwrap_err().contains("not a JSON object"));
        assert!(by_field(r#"{"id":1"#).unwrap_err().contains("not a JSON object"));
        assert!(by_field(&format!(r#"{{"id":"{}"}}"#, "é".repeat(256))).is_ok());
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        // Test vectors of the draft, appendix C.
        assert_eq!(partition_key_hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(partition_key_hash("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(partition_key_hash("foobar"), 0x8594_4171_f739_67e8);
    }
}
