//! An emulator on free ports, and SDK clients that trust its CA.

use alluvial_emulator::{Emulator, Settings};
use aws_credential_types::Credentials;
use aws_sdk_s3::config::{BehaviorVersion, Region, SharedHttpClient};
use aws_smithy_http_client::{Builder, tls};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) emulator: Emulator,
    pub(crate) dir: TempDir,
}

/// Settings and client of one SDK, which all SDK crates spell alike.
macro_rules! client {
    ($name:ident, $at:ident, $of:ident, $sdk:ident) => {
        pub(crate) fn $name(&self) -> $sdk::Client {
            self.$at(self.emulator.endpoint())
        }

        #[allow(dead_code, reason = "made for every SDK, used where the endpoint matters")]
        pub(crate) fn $at(&self, endpoint: String) -> $sdk::Client {
            Self::$of(endpoint, self.emulator.ca_bundle())
        }

        #[allow(dead_code, reason = "made for every SDK, used where the emulator is another process")]
        pub(crate) fn $of(endpoint: String, ca_bundle: &Path) -> $sdk::Client {
            let config = $sdk::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new("us-east-1"))
                .credentials_provider(Credentials::new("test", "test", None, None, "test"))
                .endpoint_url(endpoint)
                .http_client(http_client(ca_bundle))
                .build();
            $sdk::Client::from_conf(config)
        }
    };
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::at_speed(1.0).await
    }

    pub(crate) async fn at_speed(clock_speed: f64) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let settings = Settings { clock_speed, ..Settings::new(dir.path()) };
        Self { emulator: Emulator::start(settings).await.expect("an emulator"), dir }
    }

    /// Stops the emulator and starts another one on its data.
    pub(crate) async fn restart(self) -> Self {
        self.emulator.stop().await;
        let emulator = Emulator::start(Settings::new(self.dir.path())).await.expect("an emulator on the same data");
        Self { emulator, dir: self.dir }
    }

    client!(s3, s3_at, s3_of, aws_sdk_s3);
    client!(dynamodb, dynamodb_at, dynamodb_of, aws_sdk_dynamodb);
    client!(firehose, firehose_at, firehose_of, aws_sdk_firehose);
    client!(kinesis, kinesis_at, kinesis_of, aws_sdk_kinesis);

    /// An S3 client with a bucket `lake`.
    pub(crate) async fn s3_with_bucket(&self) -> aws_sdk_s3::Client {
        let s3 = self.s3();
        s3.create_bucket().bucket("lake").send().await.expect("a bucket");
        s3
    }
}

/// A client that trusts `ca_bundle` and nothing else.
pub(crate) fn http_client(ca_bundle: &Path) -> SharedHttpClient {
    let pem = std::fs::read(ca_bundle).expect("ca.pem");
    let trust = tls::TrustStore::empty().with_pem_certificate(pem);
    let context = tls::TlsContext::builder().with_trust_store(trust).build().expect("a TLS context");
    Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .tls_context(context)
        .build_https()
}
