//! The threads that decode and encode, the same ones for all of a job.
//!
//! Tokio's own threads for blocking work are many, and any of them may be next. Each keeps memory of what it has done,
//! which the next one takes anew: on a few that stay, a run needs little more than half of the memory.

use crate::error::Error;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

type Work = Box<dyn FnOnce() + Send>;

/// A number of threads. They end when the last copy is dropped, after what they are doing.
#[derive(Debug, Clone)]
pub(crate) struct Crew(SyncSender<Work>);

impl Crew {
    /// Starts `threads` threads. To be called within a runtime.
    ///
    /// # Errors
    /// The system has no more threads.
    pub(crate) fn new(threads: usize) -> Result<Self, Error> {
        let (sender, receiver) = sync_channel(threads);
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..threads {
            let (receiver, handle) = (Arc::clone(&receiver), Handle::current());
            let thread = std::thread::Builder::new().name(format!("compact-{number}"));
            thread
                .spawn(move || {
                    let _within = handle.enter();
                    while let Some(work) = next(&receiver) {
                        work();
                    }
                })
                .map_err(|source| Error::Io { action: "start", path: "a thread".to_owned(), source })?;
        }
        Ok(Self(sender))
    }

    /// Does `work` on one of the threads, of which there must be one for each call that is under way.
    ///
    /// # Errors
    /// [`Error::Panicked`] where `work` has.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let (done, result) = oneshot::channel();
        // Whoever waits may have left.
        let work: Work = Box::new(move || drop(done.send(work())));
        self.0.try_send(work).map_err(|_| Error::Panicked)?;
        result.await.map_err(|_| Error::Panicked)
    }
}

fn next(receiver: &Mutex<Receiver<Work>>) -> Option<Work> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[tokio::test]
    async fn work_is_done_on_the_same_few_threads() {
        let crew = Crew::new(2).expect("threads");
        let mut seen = HashSet::new();
        for n in 0..50 {
            let (number, thread) = crew.run(move || (n, std::thread::current().id())).await.expect("done");
            assert_eq!(number, n);
            seen.insert(thread);
        }
        let both = tokio::join!(crew.run(|| Handle::try_current().is_ok()), crew.run(|| true));
        assert!(both.0.expect("done") && both.1.expect("done"));
        assert!(seen.len() <= 2, "{seen:?}");
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_its_call() {
        let crew = Crew::new(2).expect("threads");
        let failed = crew.run(|| panic!("on purpose")).await;
        assert!(matches!(failed, Err::<(), _>(Error::Panicked)));
        assert_eq!(crew.run(|| 7).await.expect("done"), 7);
    }
}
