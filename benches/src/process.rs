//! The emulator as its users run it: `alluvial emulator` in a process of its own.

use crate::client::{Connection, Protocol, Windows};
use crate::machine::Core;
use crate::procfs::{self, Memory};
use crate::{Result, bin};
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

/// A running emulator. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    _stdout: BufReader<ChildStdout>,
    exports: Vec<(String, String)>,
    plain: String,
    tls: Arc<rustls::ClientConfig>,
    _dir: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Server {
    /// Starts an emulator on free ports, on the servers' core, with its data in a temporary folder.
    ///
    /// # Errors
    /// When it does not build or start.
    pub fn start(limits: bool) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut command = Core::Server.command(bin("alluvial")?);
        command.args(["emulator", "--port", "0", "--plain-port", "0", "--limits", if limits { "on" } else { "off" }]);
        let mut child = command.arg("--dir").arg(dir.path()).stdout(Stdio::piped()).spawn()?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let (mut exports, mut plain) = (Vec::new(), None);
        let mut line = String::new();
        while plain.is_none() {
            line.clear();
            if stdout.read_line(&mut line)? == 0 {
                return Err("the emulator did not start".into());
            }
            if let Some((name, value)) = line.trim().strip_prefix("export ").and_then(|rest| rest.split_once('=')) {
                exports.push((name.to_owned(), value.trim_matches('\'').to_owned()));
            }
            plain = line.split_once(" at ").and_then(|(_, rest)| rest.split_once(';')).map(|(url, _)| url.to_owned());
        }
        let plain = plain.unwrap_or_default();
        let ca = exports.iter().find(|(name, _)| name == "AWS_CA_BUNDLE").map(|(_, value)| PathBuf::from(value));
        let tls = Arc::new(tls_client(&ca.ok_or("no CA bundle")?)?);
        Ok(Self { child, _stdout: stdout, exports, plain, tls, _dir: dir })
    }

    /// The variables that point a client at the TLS port.
    pub fn exports(&self) -> &[(String, String)] {
        &self.exports
    }

    /// One of [`Server::exports`], or nothing.
    pub fn export(&self, name: &str) -> &str {
        self.exports.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The plaintext endpoint.
    pub fn plain(&self) -> &str {
        &self.plain
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// When the server does not take it.
    pub async fn connect(&self, protocol: Protocol, windows: Windows) -> Result<Connection> {
        let url = if protocol == Protocol::Tls { self.export("AWS_ENDPOINT_URL") } else { &self.plain };
        let (_, host) = url.split_once("://").ok_or("an endpoint without a scheme")?;
        Connection::open(host, protocol, Arc::clone(&self.tls), windows).await
    }

    /// Makes the stream `bench`.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub async fn create_stream(&self, connection: &mut Connection, shards: u32) -> Result<()> {
        connection.call("CreateStream", &json!({"StreamName": "bench", "ShardCount": shards})).await?;
        Ok(())
    }

    /// Registers a consumer of the stream `bench`; returns its ARN.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub async fn register(&self, connection: &mut Connection, name: &str) -> Result<String> {
        let stream = "arn:aws:kinesis:us-east-1:000000000000:stream/bench";
        let request = json!({"StreamARN": stream, "ConsumerName": name});
        let answer = connection.call("RegisterStreamConsumer", &request).await?;
        let arn = answer.pointer("/Consumer/ConsumerARN").and_then(Value::as_str);
        Ok(arn.ok_or("a registration without an ARN")?.to_owned())
    }

    /// Puts a fault plan (TOML) in force.
    ///
    /// # Errors
    /// When the emulator refuses it.
    pub async fn set_faults(&self, plan: &str) -> Result<()> {
        let (_, host) = self.plain.split_once("://").ok_or("an endpoint without a scheme")?;
        let mut connection = Connection::open(host, Protocol::Http1, Arc::clone(&self.tls), Windows::SDK).await?;
        connection.control("PUT", "/_emulator/faults", plan.to_owned().into()).await?;
        Ok(())
    }

    /// The CPU time that the process has used so far, user and system together.
    ///
    /// # Errors
    /// Where there is no `/proc`.
    pub fn cpu_seconds(&self) -> Result<f64> {
        procfs::cpu_seconds(self.child.id())
    }

    /// The memory of the process.
    ///
    /// # Errors
    /// Where there is no `/proc`.
    pub fn memory(&self) -> Result<Memory> {
        procfs::memory(self.child.id())
    }
}

fn tls_client(ca: &Path) -> Result<rustls::ClientConfig> {
    let mut roots = RootCertStore::empty();
    let certificates: Vec<_> = CertificateDer::pem_file_iter(ca)?.filter_map(std::result::Result::ok).collect();
    roots.add_parsable_certificates(certificates);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
