//! The names of streams and consumers in ARN form.
//!
//! Source: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonkinesisdatastreams.html>.

use crate::api::{ACCOUNT, REGION};

/// A stream's ARN.
pub(crate) fn stream(name: &str) -> String {
    format!("arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{name}")
}

/// A consumer's ARN, which names the second of its registration: a consumer registered anew has another one.
pub(crate) fn consumer(stream_name: &str, consumer_name: &str, registered_secs: u64) -> String {
    format!("{}/consumer/{consumer_name}:{registered_secs}", stream(stream_name))
}

/// The stream that an ARN of ours names, whether it is a stream's or a consumer's.
pub(crate) fn stream_name(arn: &str) -> Option<&str> {
    let prefix_length = stream("").len();
    let (prefix, rest) = arn.split_at_checked(prefix_length)?;
    let name = rest.split_once('/').map_or(rest, |(name, _)| name);
    (prefix == stream("") && !name.is_empty()).then_some(name)
}

/// The consumer that an ARN of ours names.
pub(crate) fn consumer_name(arn: &str) -> Option<&str> {
    let (_, rest) = arn.split_once("/consumer/")?;
    rest.rsplit_once(':').map(|(name, _)| name)
}

#[cfg(test)]
mod tests;
