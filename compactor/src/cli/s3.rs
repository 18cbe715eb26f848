//! The S3 client.

use alluvial_runtime::aws::AwsArgs;
use alluvial_runtime::exit::Failure;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::config::interceptors::InterceptorContext;
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction, RetryConfig};

/// Times that the SDK asks unless it is told otherwise
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>).
const SDK_ATTEMPTS: u32 = 3;

/// Times that we ask: nobody waits for a single answer, and to begin the whole run anew costs more. With the SDK's
/// pauses, up to about a minute.
const ATTEMPTS: u32 = 8;

/// A client as `aws` says.
///
/// # Errors
/// The settings or the environment are wrong.
pub(super) async fn client(aws: &AwsArgs) -> Result<Client, Failure> {
    let config = aws.load().await?;
    // Emulators have no DNS names for buckets.
    let path_style = config.endpoint_url().is_some();
    let retry = match config.retry_config() {
        // Someone has set it.
        Some(retry) if retry.max_attempts() != SDK_ATTEMPTS => retry.clone(),
        _ => RetryConfig::standard().with_max_attempts(ATTEMPTS),
    };
    let config = Builder::from(&config).force_path_style(path_style).retry_config(retry);
    Ok(Client::from_conf(config.retry_classifier(BrokenStream).build()))
}

/// Asks again where an HTTP/2 stream or its connection ended before the answer, which the SDK takes for no kind of error
/// that is worth it. All that is asked of S3 here may be asked twice: a write either replaces what is there with the
/// same, or has a condition, and where that fails it is looked at what is there.
#[derive(Debug)]
struct BrokenStream;

impl ClassifyRetry for BrokenStream {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context.output_or_error().and_then(Result::err);
        match error.and_then(|error| error.as_connector_error()) {
            Some(error) if error.is_other() => RetryAction::transient_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "broken HTTP/2 streams"
    }
}
