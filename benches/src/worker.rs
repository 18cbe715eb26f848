//! A consumer in a process of its own: ours or a peer's, started the same way and saying the same lines.

use crate::{Core, Log, Result, Server};
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin};
use tokio::task::JoinSet;

/// A program that is started as `PROGRAM STREAM APPLICATION WORKER MODE …` with the variables of the emulator.
///
/// It says on stdout, with nanoseconds since 1970: in the mode `log` `record NANOS SHARD SEQUENCE KEY` for each record, before the
/// record is acknowledged; in the mode `count` `count NANOS RECORDS BYTES` now and then. SIGTERM stops it in order.
#[derive(Debug, Clone)]
pub struct Program {
    /// The program, and arguments before those above.
    pub command: Vec<OsString>,
    /// Its name in results.
    pub name: String,
}

/// A running worker. Dropping it kills it.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    stdin: ChildStdin,
    /// Held so that the lines are read as long.
    _reading: JoinSet<()>,
    errors: PathBuf,
}

impl Worker {
    /// Starts `name` of `application` on the clients' core; what it says goes to `log`, and its messages to a file in
    /// `target/bench/log`.
    ///
    /// # Errors
    /// When the program does not start.
    pub fn start(
        program: &Program,
        server: &Server,
        application: &str,
        name: &str,
        mode: &[&str],
        log: &Log,
    ) -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench/log");
        std::fs::create_dir_all(&folder)?;
        let errors = folder.join(format!("{}-{application}-{name}.log", program.name));
        let (first, arguments) = program.command.split_first().ok_or("no program")?;
        let mut command = Core::Client.command(first);
        command.args(arguments).args(["bench", application, name]).args(mode);
        // No settings of the person who runs this, and no search for a cloud's metadata service.
        for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(variable);
        }
        command.envs(server.exports().iter().map(|(name, value)| (name, value)));
        // Peers of Rust look for certificate authorities here.
        command.env("SSL_CERT_FILE", server.export("AWS_CA_BUNDLE")).env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&errors)?);
        let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn()?;
        let stdout = child.stdout.take().ok_or("no stdout")?;
        let stdin = child.stdin.take().ok_or("no stdin")?;
        let (name, log): (Arc<str>, _) = (name.into(), log.clone());
        let mut reading = JoinSet::new();
        reading.spawn(async move {
            let mut lines = BufReader::with_capacity(1 << 16, stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                log.hear(&name, &line);
            }
            log.end(&name);
        });
        Ok(Self { child, stdin, _reading: reading, errors })
    }

    /// The process.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pid(&self) -> Result<u32> {
        self.child.id().ok_or_else(|| format!("the worker ended; see {}", self.errors.display()).into())
    }

    /// Sends SIGTERM, which stops it in order.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn terminate(&self) -> Result<()> {
        let pid = self.pid()?.to_string();
        tokio::process::Command::new("kill").args(["-TERM", &pid]).status().await?;
        Ok(())
    }

    /// Sends SIGKILL.
    ///
    /// # Errors
    /// When it has ended.
    pub fn kill(&mut self) -> Result<()> {
        Ok(self.child.start_kill()?)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it goes on for longer than `patience`.
    pub async fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let ended = tokio::time::timeout(patience, self.child.wait()).await;
        let text = format!("the worker goes on after {patience:?}; see {}", self.errors.display());
        Ok(ended.map_err(|_| text)??)
    }

    /// Writes a line to its stdin.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn tell(&mut self, line: &str) -> Result<()> {
        Ok(self.stdin.write_all(format!("{line}\n").as_bytes()).await?)
    }
}
