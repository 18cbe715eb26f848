//! The emulator as its users run it: `alluvial emulator` in a process of its own.

use crate::client::{Connection, Protocol, Windows};
use crate::machine::Core;
use crate::{Result, bin};
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

/// Clock ticks of `/proc/PID/stat` in a second. Linux has fixed them for user space, whatever the kernel counts in.
///
/// Source: <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>, <https://man7.org/linux/man-pages/man7/time.7.html>.
const TICKS_PER_SECOND: f64 = 100.0;

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

/// The memory of a process, in MiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// The most that it had in RAM so far.
    pub peak_mib: f64,
    /// What it has in RAM.
    pub now_mib: f64,
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

    /// The CPU time that the process has used so far, user and system together.
    ///
    /// # Errors
    /// Where there is no `/proc`.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name in parentheses may hold spaces. utime and stime are the 14th and 15th fields, 12th and 13th behind it.
        let behind = stat.rsplit_once(") ").ok_or("an unknown /proc/PID/stat")?.1;
        let ticks: Vec<f64> = behind.split(' ').skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
        Ok(ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
    }

    /// The memory of the process.
    ///
    /// # Errors
    /// Where there is no `/proc`.
    pub fn memory(&self) -> Result<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let mib = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name))?.trim_start_matches(':');
            value.trim().trim_end_matches(" kB").parse::<f64>().ok().map(|kib| kib / 1024.0)
        };
        let (peak, now) = (mib("VmHWM"), mib("VmRSS"));
        Ok(Memory { peak_mib: peak.ok_or("no VmHWM")?, now_mib: now.ok_or("no VmRSS")? })
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
