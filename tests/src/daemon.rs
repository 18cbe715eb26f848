//! A daemon process, from its start to its end.

use std::io::Read as _;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;
use tokio::time::Instant;

/// A running daemon. Killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: tempfile::NamedTempFile,
}

/// How a command ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code.
    pub code: Option<i32>,
    /// Its log, or what it wrote to stderr.
    pub log: String,
    /// What it wrote to stdout.
    pub stdout: String,
    /// How long its end took.
    pub took: Duration,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Daemon {
    /// Starts `command`, and keeps what it logs.
    pub fn start(command: Command) -> Self {
        Self::start_printing(command, Stdio::null())
    }

    /// Starts a program that prints to `stdout`.
    pub fn start_printing(mut command: Command, stdout: impl Into<Stdio>) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let child = command.stdout(stdout).stderr(log.reopen().unwrap()).spawn().unwrap();
        Self { child, log }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        let mut text = String::new();
        self.log.reopen().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    /// Ends it as a power cut would.
    pub fn kill_9(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends it a signal, such as STOP.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Ends it as ECS would, and waits at most `limit`.
    ///
    /// # Panics
    /// When it is still there after `limit`.
    pub async fn terminate(mut self, limit: Duration) -> Finished {
        let began = Instant::now();
        let term = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(term.success());
        let status = self.wait(limit).await;
        Finished { code: status.code(), log: self.log(), stdout: String::new(), took: began.elapsed() }
    }

    /// Waits for it to end by itself.
    ///
    /// # Panics
    /// When it is still there after `limit`.
    pub async fn wait(&mut self, limit: Duration) -> ExitStatus {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "still running after {limit:?}:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Runs a command to its end.
pub fn finish(command: &mut Command) -> Finished {
    let began = Instant::now();
    let Output { status, stdout, stderr } = command.output().unwrap();
    Finished {
        code: status.code(),
        log: String::from_utf8_lossy(&stderr).into_owned(),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        took: began.elapsed(),
    }
}
