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

/// The stream that a stream's ARN of ours names.
pub(crate) fn stream_name(arn: &str) -> Option<&str> {
    behind_prefix(arn).filter(|name| !name.is_empty() && !name.contains('/'))
}

/// The stream that a consumer's ARN of ours names.
pub(crate) fn consumers_stream_name(arn: &str) -> Option<&str> {
    let (name, _) = behind_prefix(arn)?.split_once("/consumer/")?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

fn behind_prefix(arn: &str) -> Option<&str> {
    let prefix = stream("");
    arn.strip_prefix(prefix.as_str())
}

/// What follows `stream/` in an ARN of any account's stream or consumer, if it has the form of one:
/// `arn:aws…:kinesis:REGION:ACCOUNT:stream/REST`.
pub(crate) fn any_stream(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(6, ':');
    let (scheme, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (_region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    let rest = resource.strip_prefix("stream/")?;
    let formed = scheme == "arn"
        && partition.starts_with("aws")
        && service == "kinesis"
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && !rest.is_empty()
        && !rest.contains(char::is_whitespace);
    formed.then_some(rest)
}

/// The consumer that an ARN of ours names.
pub(crate) fn consumer_name(arn: &str) -> Option<&str> {
    let (_, rest) = arn.split_once("/consumer/")?;
    rest.rsplit_once(':').map(|(name, _)| name)
}

#[cfg(test)]
mod tests;
