//! Stopping: the first signal drains, the second ends the process at once.

use crate::exit::Exit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Tells the process to stop when SIGTERM or SIGINT arrives.
///
/// Dropping it stops the listening; keep it for the life of the command.
#[derive(Debug)]
pub struct Shutdown {
    token: CancellationToken,
    _listener: AbortOnDropHandle<()>,
}

impl Shutdown {
    /// Listens for SIGTERM and SIGINT. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub fn on_signals() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let token = CancellationToken::new();
        let cancelled = token.clone();
        #[allow(clippy::disallowed_methods, reason = "owned by the AbortOnDropHandle beside it")]
        let listener = tokio::spawn(async move {
            for round in 0.. {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                if round > 0 {
                    tracing::warn!(
                        signal = name,
                        "second signal: stopping at once, what was not checkpointed is read again"
                    );
                    std::process::exit(Exit::Partial as i32);
                }
                tracing::info!(signal = name, "stopping: draining what was read; a second signal stops at once");
                cancelled.cancel();
            }
        });
        Ok(Self { token, _listener: AbortOnDropHandle::new(listener) })
    }

    /// Cancelled at the first signal.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }
}
