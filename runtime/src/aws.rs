//! AWS clients from settings and the environment.
//!
//! Every `AWS_*` variable means what it means to the AWS CLI. The SDK reads all of them but `AWS_CA_BUNDLE`,
//! which is honoured here (aws-sdk-rust issue 1362).

use crate::exit::{Failure, chain};
use crate::http2;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_smithy_http_client::tls::{self, TrustStore};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::timeout::TimeoutConfig;
use clap::Args;
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait for a TCP and TLS handshake on the control plane.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for the first byte of an answer on the control plane.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Where AWS is and who we are there; what is unset comes from the environment and the profile.
#[derive(Debug, Clone, Default, Args)]
pub struct AwsArgs {
    /// AWS region [default: AWS_REGION, then the profile]
    #[arg(long, global = true, value_name = "REGION")]
    pub region: Option<String>,

    /// Profile of the shared AWS configuration files [default: AWS_PROFILE]
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,

    /// Endpoint for every service, such as that of `alluvial emulator` [default: AWS_ENDPOINT_URL]
    #[arg(long, global = true, value_name = "URL")]
    pub endpoint_url: Option<String>,
}

/// Which certificate authorities are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Those of the operating system.
    System,
    /// Those in this PEM file, and no others; what `AWS_CA_BUNDLE` names.
    Bundle(PathBuf),
}

impl Trust {
    /// `AWS_CA_BUNDLE` when it is set and not empty, the system's otherwise.
    pub fn from_env() -> Self {
        match std::env::var_os("AWS_CA_BUNDLE").filter(|value| !value.is_empty()) {
            Some(path) => Self::Bundle(path.into()),
            None => Self::System,
        }
    }

    fn read(path: &Path) -> Result<Vec<u8>, Failure> {
        std::fs::read(path).map_err(|error| {
            Failure::usage(format!(
                "cannot read the CA bundle {}: {error}; AWS_CA_BUNDLE must name a PEM file",
                path.display()
            ))
        })
    }

    /// The roots for our own TLS connections.
    ///
    /// # Errors
    /// [`crate::exit::Exit::Usage`] when the bundle cannot be read or holds no certificate.
    pub fn roots(&self) -> Result<RootCertStore, Failure> {
        let mut roots = RootCertStore::empty();
        match self {
            Self::System => {
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
            }
            Self::Bundle(path) => {
                let pem = Self::read(path)?;
                let certificates = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok);
                let (added, _) = roots.add_parsable_certificates(certificates);
                if added == 0 {
                    return Err(Failure::usage(format!("the CA bundle {} holds no certificate", path.display())));
                }
            }
        }
        Ok(roots)
    }

    fn control_plane_client(&self) -> Result<SharedHttpClient, Failure> {
        let store = match self {
            Self::System => TrustStore::default(),
            Self::Bundle(path) => {
                self.roots()?;
                TrustStore::empty().with_pem_certificate(Self::read(path)?)
            }
        };
        let context = tls::TlsContext::builder()
            .with_trust_store(store)
            .build()
            .map_err(|error| Failure::usage(format!("TLS settings: {}", chain(&error))))?;
        Ok(aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .tls_context(context)
            .build_https())
    }
}

/// AWS as this process sees it: one configuration, two ways to connect.
#[derive(Debug, Clone)]
pub struct Aws {
    /// For every call but SubscribeToShard: the SDK's own HTTP client.
    pub control: SdkConfig,
    /// For SubscribeToShard: our HTTP/2 pool, of which [`Aws::subscriptions`] makes clients.
    trust: Trust,
}

impl AwsArgs {
    /// Resolves region, credentials source and trust, without calling AWS.
    ///
    /// # Errors
    /// [`crate::exit::Exit::Usage`] when no region is set or the CA bundle is unusable.
    pub async fn connect(&self) -> Result<Aws, Failure> {
        self.connect_trusting(Trust::from_env()).await
    }

    /// As [`AwsArgs::connect`], for commands that need no subscriptions.
    ///
    /// # Errors
    /// As [`AwsArgs::connect`].
    pub async fn load(&self) -> Result<SdkConfig, Failure> {
        Ok(self.connect().await?.control)
    }

    /// As [`AwsArgs::connect`], with the trusted roots as an argument.
    ///
    /// # Errors
    /// As [`AwsArgs::connect`].
    pub async fn connect_trusting(&self, trust: Trust) -> Result<Aws, Failure> {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).build();
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(trust.control_plane_client()?)
            .timeout_config(timeouts);
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(url) = &self.endpoint_url {
            check_endpoint(url)?;
            loader = loader.endpoint_url(url);
        }
        let control = loader.load().await;
        if control.region().is_none() {
            return Err(Failure::usage(
                "no AWS region: pass --region, set AWS_REGION, or add `region` to the profile in ~/.aws/config",
            ));
        }
        Ok(Aws { control, trust })
    }
}

impl Aws {
    /// The emulator or another endpoint given by hand, with fixed credentials: for `demo` and tests.
    ///
    /// # Errors
    /// When `ca_bundle` cannot be used.
    pub async fn local(endpoint_url: &str, region: &str, ca_bundle: &Path) -> Result<Self, Failure> {
        let trust = Trust::Bundle(ca_bundle.to_path_buf());
        let control = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(trust.control_plane_client()?)
            .region(Region::new(region.to_owned()))
            .credentials_provider(aws_credential_types::Credentials::new("test", "test", None, None, "emulator"))
            .endpoint_url(endpoint_url)
            .load()
            .await;
        Ok(Self { control, trust })
    }

    /// The configuration for a client whose every call is a subscription, over our own HTTP/2 pool.
    ///
    /// # Errors
    /// When the trusted roots cannot be used.
    pub fn subscriptions(&self, settings: http2::Settings) -> Result<SdkConfig, Failure> {
        let pool = http2::Pool::new(settings, self.trust.roots()?);
        Ok(self.control.to_builder().http_client(pool.into_http_client()).build())
    }

    /// Fetches credentials once, so that a process without any says so at its start and not under load.
    ///
    /// # Errors
    /// [`crate::exit::Exit::Usage`] with what was tried and what to set.
    pub async fn check_credentials(&self) -> Result<(), Failure> {
        let Some(provider) = self.control.credentials_provider() else {
            return Err(Failure::usage("no AWS credentials are configured"));
        };
        provider.provide_credentials().await.map(drop).map_err(|error| {
            Failure::usage(format!(
                "no AWS credentials: {}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or run with a role",
                chain(&error)
            ))
        })
    }
}

fn check_endpoint(url: &str) -> Result<(), Failure> {
    let parsed: Result<http::Uri, _> = url.parse();
    match parsed {
        Ok(uri) if uri.authority().is_some() && matches!(uri.scheme_str(), Some("http" | "https")) => Ok(()),
        _ => Err(Failure::usage(format!("--endpoint-url {url}: not a URL; write it as https://HOST:PORT"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn an_endpoint_without_scheme_is_a_usage_error() {
        assert!(check_endpoint("https://127.0.0.1:4566").is_ok());
        for bad in ["127.0.0.1:4566", "localhost", "ftp://x", ""] {
            let failure = check_endpoint(bad).unwrap_err();
            assert_eq!(failure.exit(), Exit::Usage, "{bad}");
        }
    }

    #[test]
    fn a_missing_or_empty_ca_bundle_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("none.pem");
        let failure = Trust::Bundle(missing).roots().unwrap_err();
        assert!(failure.to_string().contains("none.pem") && failure.to_string().contains("AWS_CA_BUNDLE"));
        let empty = dir.path().join("empty.pem");
        std::fs::write(&empty, "no certificate here").unwrap();
        assert!(Trust::Bundle(empty).roots().unwrap_err().to_string().contains("no certificate"));
    }
}
