//! Checks of request fields, refused as Kinesis refuses them.
//!
//! Bounds are those of the API reference: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_Operations.html>.

use super::arn;
use crate::api::{ACCOUNT, ApiError};
use std::fmt::Display;
use std::ops::RangeInclusive;

/// A field outside its documented constraint.
pub(crate) fn violation(field: &str, value: impl Display, constraint: &str) -> ApiError {
    ApiError::client(
        "ValidationException",
        format!("1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: {constraint}"),
    )
}

/// An argument that is well-formed but cannot be used here.
pub(crate) fn invalid_argument(message: impl Into<String>) -> ApiError {
    ApiError::client("InvalidArgumentException", message)
}

/// Something named in the request does not exist.
pub(crate) fn not_found(message: impl Into<String>) -> ApiError {
    ApiError::client("ResourceNotFoundException", message)
}

/// A stream that does not exist, or cannot be used yet.
pub(crate) fn no_stream(name: &str) -> ApiError {
    not_found(format!("Stream {name} under account {ACCOUNT} not found."))
}

/// A shard that does not exist, or whose retention is over.
pub(crate) fn no_shard(id: &str, stream: &str) -> ApiError {
    not_found(format!("Shard {id} in stream {stream} under account {ACCOUNT} does not exist"))
}

/// Something is in a state that forbids the request for now.
pub(crate) fn in_use(message: impl Into<String>) -> ApiError {
    ApiError::client("ResourceInUseException", message)
}

/// A field that must be there.
pub(crate) fn required<T>(field: &str, value: Option<T>) -> Result<T, ApiError> {
    value.ok_or_else(|| {
        let message = format!(
            "1 validation error detected: Value null at '{field}' failed to satisfy constraint: Member must not be null"
        );
        ApiError::client("ValidationException", message)
    })
}

/// The name of a stream, a shard or a consumer: 1 to 128 of the characters `[a-zA-Z0-9_.-]`.
pub(crate) fn name(field: &str, value: &str) -> Result<(), ApiError> {
    length(field, value, 1..=128)?;
    if is_name(value) { Ok(()) } else { Err(no_match(field, value, "[a-zA-Z0-9_.-]+")) }
}

/// A stream's ARN, or one that goes on behind a stream's name.
pub(crate) fn stream_arn(field: &str, value: &str) -> Result<(), ApiError> {
    length(field, value, 1..=2_048)?;
    let pattern = r"arn:aws.*:kinesis:.*:\d{12}:stream/\S+";
    arn::any_stream(value).map(|_| ()).ok_or_else(|| no_match(field, value, pattern))
}

/// A consumer's ARN.
pub(crate) fn consumer_arn(field: &str, value: &str) -> Result<(), ApiError> {
    length(field, value, 1..=2_048)?;
    let consumer = arn::any_stream(value).and_then(|rest| rest.split_once("/consumer/")?.1.split_once(':'));
    if consumer.is_some_and(|(name, second)| is_name(name) && second.parse::<u64>().is_ok()) {
        return Ok(());
    }
    let pattern = r"^(arn):aws.*:kinesis:.*:\d{12}:.*stream\/[a-zA-Z0-9_.-]+\/consumer\/[a-zA-Z0-9_.-]+:[0-9]+";
    Err(no_match(field, value, pattern))
}

fn no_match(field: &str, value: &str, pattern: &str) -> ApiError {
    violation(field, value, &format!("Member must satisfy regular expression pattern: {pattern}"))
}

fn is_name(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// A decimal number without leading zeros, of so many digits at most: a hash key or a sequence number.
pub(crate) fn digits(field: &str, value: &str, most: usize) -> Result<(), ApiError> {
    let plain = value.bytes().all(|byte| byte.is_ascii_digit()) && (value == "0" || !value.starts_with('0'));
    if plain && (1..=most).contains(&value.len()) {
        return Ok(());
    }
    Err(no_match(field, value, &format!(r"0|([1-9]\d{{0,{}}})", most - 1)))
}

/// A hash key that is a number, whether or not 128 bits hold it.
pub(crate) fn hash_key(field: &str, value: &str) -> Result<(), ApiError> {
    digits(field, value, 39)
}

/// A sequence number that is a number, whoever gave it out.
pub(crate) fn sequence_number(field: &str, value: &str) -> Result<(), ApiError> {
    digits(field, value, 129)
}

/// A text's length in characters.
pub(crate) fn length(field: &str, value: &str, bounds: RangeInclusive<usize>) -> Result<(), ApiError> {
    // A character has at least one byte, so that short texts need no count.
    let count = if bounds.contains(&value.len()) && value.is_ascii() { value.len() } else { value.chars().count() };
    if count < *bounds.start() {
        return Err(violation(
            field,
            value,
            &format!("Member must have length greater than or equal to {}", bounds.start()),
        ));
    }
    if count > *bounds.end() {
        return Err(violation(
            field,
            value,
            &format!("Member must have length less than or equal to {}", bounds.end()),
        ));
    }
    Ok(())
}

/// A number within bounds.
pub(crate) fn within(field: &str, value: i64, bounds: RangeInclusive<u32>) -> Result<u32, ApiError> {
    if value < i64::from(*bounds.start()) {
        return Err(violation(
            field,
            value,
            &format!("Member must have value greater than or equal to {}", bounds.start()),
        ));
    }
    match u32::try_from(value) {
        Ok(value) if value <= *bounds.end() => Ok(value),
        _ => Err(violation(field, value, &format!("Member must have value less than or equal to {}", bounds.end()))),
    }
}

/// The size of a page: `asked`, at least 1 and held to `most`, or `most` if not given.
pub(crate) fn page(field: &str, asked: Option<i64>, most: u32) -> Result<usize, ApiError> {
    let asked = asked.map_or(Ok(most), |asked| within(field, asked, 1..=10_000))?;
    Ok(asked.min(most) as usize)
}

/// One of the words that a field allows.
pub(crate) fn one_of(field: &str, value: &str, words: &[&str]) -> Result<(), ApiError> {
    if words.contains(&value) {
        return Ok(());
    }
    Err(violation(field, value, &format!("Member must satisfy enum value set: [{}]", words.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_bounds_and_an_alphabet() {
        for good in ["a", "A.b_c-9", &"x".repeat(128)] {
            assert_eq!(name("streamName", good), Ok(()));
        }
        for bad in ["", "a b", "é", "a/b", &"x".repeat(129)] {
            assert_eq!(name("streamName", bad).unwrap_err().code, "ValidationException", "{bad}");
        }
    }

    #[test]
    fn numbers_have_digits_and_no_leading_zeros() {
        for good in ["0", "9", "10", &"9".repeat(39)] {
            assert_eq!(hash_key("explicitHashKey", good), Ok(()));
        }
        for bad in ["", "00", "01", "-1", "+1", "1 ", "x", &"9".repeat(40)] {
            assert_eq!(hash_key("explicitHashKey", bad).unwrap_err().code, "ValidationException", "{bad}");
        }
        assert_eq!(sequence_number("sequenceNumber", &"9".repeat(129)), Ok(()));
        assert!(sequence_number("sequenceNumber", &"9".repeat(130)).is_err());
    }

    #[test]
    fn arns_have_the_form_of_their_kind() {
        let (stream, consumer) = (arn::stream("orders"), arn::consumer("orders", "app", 5));
        assert_eq!((stream_arn("streamARN", &stream), stream_arn("streamARN", &consumer)), (Ok(()), Ok(())));
        assert_eq!(consumer_arn("consumerARN", &consumer), Ok(()));
        for bad in ["", "orders", &stream, &format!("{stream}/consumer/app"), &format!("{stream}/consumer/a b:5")] {
            assert_eq!(consumer_arn("consumerARN", bad).unwrap_err().code, "ValidationException", "{bad}");
        }
        let long = arn::stream(&"x".repeat(2_048));
        assert_eq!(stream_arn("streamARN", &long).unwrap_err().code, "ValidationException");
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        assert_eq!(length("partitionKey", &"é".repeat(256), 1..=256), Ok(()));
        let refused = length("partitionKey", &"é".repeat(257), 1..=256).unwrap_err();
        assert!(refused.message.ends_with("Member must have length less than or equal to 256"), "{refused}");
        assert!(length("partitionKey", "", 1..=256).is_err());
    }

    #[test]
    fn numbers_are_refused_on_either_side_of_their_bounds() {
        assert_eq!(within("limit", 1, 1..=10), Ok(1));
        assert_eq!(within("limit", 10, 1..=10), Ok(10));
        for bad in [0, 11, -1, i64::MAX, i64::MIN] {
            assert!(within("limit", bad, 1..=10).is_err(), "{bad}");
        }
        assert_eq!(page("limit", None, 100), Ok(100));
        assert_eq!(page("limit", Some(500), 100), Ok(100));
        assert!(page("limit", Some(0), 100).is_err());
    }

    #[test]
    fn messages_name_field_value_and_constraint() {
        let refused = one_of("streamMode", "FREE", &["PROVISIONED", "ON_DEMAND"]).unwrap_err();
        assert_eq!(
            refused.message,
            "1 validation error detected: Value 'FREE' at 'streamMode' failed to satisfy constraint: Member must satisfy enum value set: [PROVISIONED, ON_DEMAND]"
        );
    }
}
