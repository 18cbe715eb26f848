//! StartStreamEncryption and StopStreamEncryption.

use super::super::Kinesis;
use super::super::config::{Config, Daily};
use super::super::encryption::KMS;
use super::super::stream::Stream;
use super::super::validate::{invalid_argument, length, one_of, required};
use super::StreamOnly;
use crate::api::ApiError;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct ChangeEncryption {
    #[serde(flatten)]
    stream: StreamOnly,
    encryption_type: Option<String>,
    key_id: Option<String>,
}

impl Kinesis {
    /// Records that arrive once the stream is `ACTIVE` again count as encrypted.
    pub(in crate::kinesis) fn start_encryption(&self, request: &ChangeEncryption) -> Result<(), ApiError> {
        let (stream, key) = self.check_encryption(request)?;
        self.change(&stream, |config| {
            self.count_daily(config, Daily::KeyStart)?;
            self.encrypt(&stream, config, Some(key.to_owned()));
            Ok(())
        })
    }

    /// A stream without encryption stays without.
    pub(in crate::kinesis) fn stop_encryption(&self, request: &ChangeEncryption) -> Result<(), ApiError> {
        let (stream, _) = self.check_encryption(request)?;
        self.change(&stream, |config| {
            if config.encryption.key().is_some() {
                self.count_daily(config, Daily::KeyStop)?;
                self.encrypt(&stream, config, None);
            }
            Ok(())
        })
    }

    fn check_encryption<'a>(&self, request: &'a ChangeEncryption) -> Result<(Arc<Stream>, &'a str), ApiError> {
        let kind = required("encryptionType", request.encryption_type.as_deref())?;
        one_of("encryptionType", kind, &[KMS, "NONE"])?;
        let key = required("keyId", request.key_id.as_deref())?;
        length("keyId", key, 1..=2_048)?;
        let stream = self.stream_only(&request.stream)?;
        if kind != KMS {
            return Err(invalid_argument("EncryptionType must be KMS."));
        }
        Ok((stream, key))
    }

    fn encrypt(&self, stream: &Stream, config: &mut Config, key: Option<String>) {
        let now = self.now();
        let from = now.saturating_add(self.inner.state_delay_millis);
        Arc::make_mut(&mut config.encryption).change(from, key, stream.horizon(now));
    }
}
