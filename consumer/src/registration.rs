//! How the stream is read, for all shards together: the ARN of the fan-out consumer, or polling where there is none.

use crate::error::Error;
use crate::settings::{Mode, Settings};
use crate::stream::{NoConsumer, Stream};
use alluvial_runtime::exit::chain;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::time::sleep;

/// How shards are read now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Via {
    /// By subscriptions of the consumer with this ARN.
    FanOut(Arc<str>),
    /// By GetRecords.
    Polling,
}

/// The ARN of the fan-out consumer, as it is now.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerArn(watch::Sender<Via>);

impl ConsumerArn {
    /// The ARN; `None` while there is no consumer.
    pub(crate) fn get(&self) -> Option<Arc<str>> {
        match &*self.0.borrow() {
            Via::FanOut(arn) => Some(Arc::clone(arn)),
            Via::Polling => None,
        }
    }

    /// An ARN that does not change.
    #[cfg(any(test, feature = "conformance"))]
    pub(crate) fn fixed(arn: &str) -> Self {
        Self(watch::Sender::new(Via::FanOut(arn.into())))
    }
}

/// Our registration with the stream. A consumer that is registered anew has a new ARN, which all shards learn here.
#[derive(Debug)]
pub(crate) struct Registration {
    stream: Stream,
    name: String,
    mode: Mode,
    deadline: Duration,
    retry: Duration,
    via: watch::Sender<Via>,
    /// Held while the service is asked: one question serves all shards that were told "not found" together.
    asking: Mutex<()>,
}

impl Registration {
    /// Registers as the settings say.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Fatal`] when fan-out is refused and must not be replaced by polling; [`crate::ErrorKind::Wait`] when AWS is
    /// out of reach or the consumer does not become ACTIVE.
    pub(crate) async fn establish(stream: &Stream, settings: &Settings) -> Result<Self, Error> {
        let (stream, name) = (stream.clone(), settings.consumer_name.clone());
        let (mode, deadline) = (settings.mode, settings.registration_deadline);
        let via = match mode {
            Mode::Polling => Via::Polling,
            Mode::Auto | Mode::FanOut => after(stream.ensure_consumer(&name, deadline).await, mode)?,
        };
        tracing::info!(stream = %stream.name(), by = via.name(), "reads");
        let (via, retry) = (watch::Sender::new(via), settings.fan_out_retry);
        Ok(Self { stream, name, mode, deadline, retry, via, asking: Mutex::default() })
    }

    /// How shards are read now.
    pub(crate) fn via(&self) -> Via {
        self.via.borrow().clone()
    }

    /// The ARN of the consumer, now and after changes.
    pub(crate) fn consumer_arn(&self) -> ConsumerArn {
        ConsumerArn(self.via.clone())
    }

    /// Tells of every change.
    pub(crate) fn watch(&self) -> watch::Receiver<Via> {
        self.via.subscribe()
    }

    /// Finds out what became of the consumer that was subscribed with as `failed`, and registers again if it is gone.
    ///
    /// # Errors
    /// As [`Registration::establish`].
    pub(crate) async fn ask_after(&self, failed: &Via) -> Result<(), Error> {
        let _asking = self.asking.lock().await;
        if self.via() != *failed {
            return Ok(());
        }
        let found = after(self.stream.ensure_consumer(&self.name, self.deadline).await, self.mode)?;
        self.change(found);
        Ok(())
    }

    /// Tries fan-out again, every now and then, for as long as polling stands in for it.
    pub(crate) async fn maintain<T>(&self) -> T {
        if self.mode != Mode::Auto {
            return pending().await;
        }
        let mut via = self.watch();
        loop {
            // The sender lives in `self`: it cannot be gone.
            via.wait_for(|via| *via == Via::Polling).await.ok();
            sleep(self.retry).await;
            let _asking = self.asking.lock().await;
            match self.stream.ensure_consumer(&self.name, self.deadline).await {
                Ok(arn) => self.change(Via::FanOut(arn.into())),
                Err(NoConsumer { error, .. }) => {
                    tracing::info!(error = %chain(&error), again_in = ?self.retry, "still no fan-out; polling goes on");
                }
            }
        }
    }

    fn change(&self, to: Via) {
        let changed = self.via.send_if_modified(|via| {
            let changed = *via != to;
            via.clone_from(&to);
            changed
        });
        if changed {
            tracing::warn!(stream = %self.stream.name(), by = to.name(), "reads by another consumer or way from now on");
        }
    }
}

impl Via {
    /// The name in logs.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::FanOut(_) => "fan_out",
            Self::Polling => "polling",
        }
    }
}

/// How to read after an attempt to register.
fn after(registered: Result<String, NoConsumer>, mode: Mode) -> Result<Via, Error> {
    match registered {
        Ok(arn) => Ok(Via::FanOut(arn.into())),
        Err(NoConsumer { may_poll: true, error }) if mode == Mode::Auto => {
            tracing::warn!(error = %chain(&error), "no fan-out: polling stands in for it");
            Ok(Via::Polling)
        }
        Err(NoConsumer { error, .. }) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn refused(may_poll: bool) -> Result<String, NoConsumer> {
        Err(NoConsumer { may_poll, error: Error::new(ErrorKind::Fatal, "no") })
    }

    #[test]
    fn polling_stands_in_only_where_it_may_and_fan_out_alone_is_refused() {
        assert_eq!(ConsumerArn::fixed("arn").get().as_deref(), Some("arn"));
        assert_eq!(after(Ok("arn".into()), Mode::Auto).ok(), Some(Via::FanOut("arn".into())));
        assert_eq!(after(refused(true), Mode::Auto).ok(), Some(Via::Polling));
        assert!(after(refused(true), Mode::FanOut).is_err());
        assert!(after(refused(false), Mode::Auto).is_err());
    }
}
