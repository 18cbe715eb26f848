//! The one question to Kinesis before a run: is the stream there, and how large may its records be?

use crate::answer::explain;
use crate::load::Error;
use crate::rate::Rate;
use alluvial_record::quota::KINESIS_RECORD_BYTES;
use alluvial_runtime::exit::chain;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_kinesis::operation::describe_stream_summary::DescribeStreamSummaryError;
use aws_sdk_kinesis::types::{StreamDescriptionSummary, StreamMode, StreamStatus};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

/// Largest record, data and key, of a stream that nobody asked to take more: 1 MiB.
///
/// Source: <https://docs.aws.amazon.com/streams/latest/dev/large-records.html>.
const DEFAULT_RECORD_BYTES: usize = 1_024 * 1_024;
/// What one shard takes each second.
///
/// Source: <https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html>.
const SHARD_RECORDS_PER_SECOND: f64 = 1_000.0;

/// What a run needs to know about its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Data and key of one record.
    pub(crate) max_record_bytes: usize,
    /// Open shards of a stream with a fixed number of them; `None` when it scales by itself, or is unknown.
    pub(crate) shards: Option<i32>,
}

impl Facts {
    /// Those of a stream that we may write to but not describe.
    const UNKNOWN: Self = Self { max_record_bytes: DEFAULT_RECORD_BYTES, shards: None };
}

/// Asks once, with the client's own retries.
///
/// # Errors
/// [`Error::Remote`] when the stream does not exist or takes no records, or Kinesis is out of reach.
pub(crate) async fn stream(client: &Client, name: &str) -> Result<Facts, Error> {
    let region = client.config().region().map_or("no region", |region| region.as_ref()).to_owned();
    match Box::pin(client.describe_stream_summary().stream_name(name).send()).await {
        Ok(output) => output.stream_description_summary.map_or(Ok(Facts::UNKNOWN), |summary| facts(&summary, name)),
        Err(error) => refused(&error, name, &region),
    }
}

fn facts(summary: &StreamDescriptionSummary, name: &str) -> Result<Facts, Error> {
    match summary.stream_status() {
        StreamStatus::Creating => Err(Error::Remote(format!(
            "stream `{name}` is still being created; wait with `aws kinesis wait stream-exists --stream-name {name}`"
        ))),
        StreamStatus::Deleting => Err(Error::Remote(format!("stream `{name}` is being deleted"))),
        _ => {
            let kib = summary.max_record_size_in_kib().and_then(|kib| usize::try_from(kib).ok()).filter(|kib| *kib > 0);
            let max = kib.map_or(DEFAULT_RECORD_BYTES, |kib| kib.saturating_mul(1_024).min(KINESIS_RECORD_BYTES));
            let mode = summary.stream_mode_details().map(|details| details.stream_mode());
            let shards = (mode != Some(&StreamMode::OnDemand)).then(|| summary.open_shard_count());
            Ok(Facts { max_record_bytes: max, shards: shards.filter(|shards| *shards > 0) })
        }
    }
}

/// A caller that may only write is let through: PutRecords will tell. Everything else ends the run here.
fn refused(
    error: &SdkError<DescribeStreamSummaryError, HttpResponse>,
    name: &str,
    region: &str,
) -> Result<Facts, Error> {
    let Some(service) = error.as_service_error() else {
        let fix = "check --endpoint-url (or AWS_ENDPOINT_URL), --region, AWS_CA_BUNDLE and the network";
        return Err(Error::Remote(format!("cannot reach Kinesis in {region}: {}; {fix}", chain(error))));
    };
    let code = service.code().unwrap_or("an error without code");
    match code {
        "AccessDeniedException" | "UnknownOperationException" | "LimitExceededException" => {
            tracing::debug!(code, "the stream cannot be described; going on with the limits of every stream");
            Ok(Facts::UNKNOWN)
        }
        _ => Err(Error::Remote(explain(code, service.message(), name))),
    }
}

/// What to tell someone who offers more than the shards take: it will be throttled, which may be what they want.
pub(crate) fn advice(facts: Facts, rate: Rate) -> Option<String> {
    let shards = facts.shards?;
    let capacity = f64::from(shards) * SHARD_RECORDS_PER_SECOND;
    let offered = rate.records_per_second().filter(|offered| *offered > capacity)?;
    Some(format!("{offered:.0} records/s is more than {shards} shards take ({capacity:.0}/s): expect throttling"))
}

#[cfg(test)]
mod tests;
