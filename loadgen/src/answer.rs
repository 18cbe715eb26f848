//! What the answer to a PutRecords call means for each of its records. Pure.

use crate::batcher::Verdict;
use alluvial_runtime::exit::chain;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::put_records::PutRecordsOutput;
use aws_sdk_kinesis::types::PutRecordsResultEntry;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use std::error::Error;
use std::io::{self, ErrorKind};

/// A call's result, for each record or for all of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// One for each record, in the order of the call, and the first reason of a refusal.
    Each(Vec<Verdict>, Option<String>),
    /// The same for all, and why.
    All(Verdict, String),
    /// Every later call would end the same way. Says why, and the fix.
    Fatal(String),
}

/// Reads the result of a call that carried `sent` records to `stream`.
pub(crate) fn judge<E>(result: Result<PutRecordsOutput, SdkError<E, HttpResponse>>, sent: usize, stream: &str) -> Answer
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match result {
        Ok(output) if output.records.len() == sent => {
            let mut reason = None;
            let verdicts = output.records.into_iter().map(|entry| verdict(entry, &mut reason)).collect();
            Answer::Each(verdicts, reason)
        }
        Ok(output) => {
            let text = format!("the answer has {} records for {sent} sent", output.records.len());
            Answer::All(Verdict::Unknown, text)
        }
        Err(error) => failure(&error, stream),
    }
}

fn verdict(entry: PutRecordsResultEntry, reason: &mut Option<String>) -> Verdict {
    if let (Some(shard), Some(sequence_number), None) = (entry.shard_id, entry.sequence_number, &entry.error_code) {
        return Verdict::Accepted { shard, sequence_number };
    }
    let code = entry.error_code.unwrap_or_else(|| "an answer without sequence number or error".to_owned());
    let throttled = is_throttle(&code);
    reason.get_or_insert_with(|| with_message(&code, entry.error_message.as_deref()));
    if throttled { Verdict::Throttled } else { Verdict::Failed }
}

fn is_throttle(code: &str) -> bool {
    matches!(
        code,
        "ProvisionedThroughputExceededException"
            | "LimitExceededException"
            | "ThrottlingException"
            | "Throttling"
            | "RequestLimitExceeded"
            | "TooManyRequestsException"
            | "KMSThrottlingException"
    )
}

/// What a call that failed as a whole means.
pub(crate) fn failure<E>(error: &SdkError<E, HttpResponse>, stream: &str) -> Answer
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(context) => {
            let code = context.err().code().unwrap_or("an error without code");
            classify(code, context.err().message(), context.raw().status().as_u16(), stream)
        }
        SdkError::ConstructionFailure(_) => Answer::Fatal(format!("cannot make the call: {}", chain(error))),
        SdkError::DispatchFailure(dispatch) if dispatch.is_user() => {
            Answer::Fatal(format!("cannot send the call: {}", chain(error)))
        }
        SdkError::DispatchFailure(_) if never_connected(error) => Answer::All(Verdict::Failed, chain(error)),
        _ => Answer::All(Verdict::Unknown, chain(error)),
    }
}

/// Kinesis's errors by what the caller does next.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html#API_PutRecords_Errors> and
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/CommonErrors.html>.
fn classify(code: &str, message: Option<&str>, status: u16, stream: &str) -> Answer {
    let text = with_message(code, message);
    match code {
        _ if is_throttle(code) => Answer::All(Verdict::Throttled, text),
        "ServiceUnavailable" | "ServiceUnavailableException" => Answer::All(Verdict::Failed, text),
        _ if status >= 500 => Answer::All(Verdict::Unknown, text),
        _ => Answer::Fatal(explain(code, message, stream)),
    }
}

/// A refusal that stays one, with the fix where there is one.
pub(crate) fn explain(code: &str, message: Option<&str>, stream: &str) -> String {
    match code {
        "ResourceNotFoundException" => format!(
            "stream `{stream}` does not exist in this account and region; create it with \
             `aws kinesis create-stream --stream-name {stream} --shard-count 4`, or name another one with --stream"
        ),
        "AccessDeniedException" => {
            format!("{}; allow kinesis:PutRecords on stream `{stream}`", with_message(code, message))
        }
        "UnrecognizedClientException" | "InvalidSignatureException" | "ExpiredTokenException" => {
            format!("{}; renew the credentials or name others with --profile", with_message(code, message))
        }
        _ => format!("Kinesis refused: {}", with_message(code, message)),
    }
}

fn with_message(code: &str, message: Option<&str>) -> String {
    message.map_or_else(|| code.to_owned(), |message| format!("{code}: {message}"))
}

/// True when no byte of the request can have arrived: there was nobody to connect to.
fn never_connected(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(
            kind,
            Some(
                ErrorKind::ConnectionRefused
                    | ErrorKind::HostUnreachable
                    | ErrorKind::NetworkUnreachable
                    | ErrorKind::AddrNotAvailable
            )
        ) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests;
