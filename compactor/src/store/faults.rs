//! I/O that fails: what a crash, a refusal or a lost answer looks like from above.

use crate::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;

/// What goes wrong, and at which I/O, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Fault {
    #[default]
    None,
    /// The process dies once so many are done: nobody hears the answer of the last, and nothing more is done.
    Death(usize),
    /// This one is not done; those after it are.
    Refusal(usize),
    /// This one is done, and says that it is not.
    LostAnswer(usize),
    /// The process sleeps before this one, until it is woken.
    Sleep(usize),
}

/// All I/O of one process.
#[derive(Debug, Clone)]
pub(crate) struct Faults(Arc<State>);

impl Default for Faults {
    fn default() -> Self {
        Self::new(Fault::None)
    }
}

#[derive(Debug)]
struct State {
    fault: Fault,
    begun: AtomicUsize,
    asleep: Semaphore,
    awake: Semaphore,
}

impl Faults {
    pub(crate) fn new(fault: Fault) -> Self {
        Self(Arc::new(State { fault, begun: AtomicUsize::new(0), asleep: Semaphore::new(0), awake: Semaphore::new(0) }))
    }

    /// Waits until the process sleeps. `false` where it ended without.
    pub(crate) async fn asleep(&self) -> bool {
        self.0.asleep.acquire().await.is_ok()
    }

    /// Ends the sleep.
    pub(crate) fn wake(&self) {
        self.0.awake.add_permits(1);
    }

    /// Says that the process has ended.
    pub(crate) fn end(&self) {
        self.0.asleep.close();
    }

    /// I/Os that were begun.
    pub(crate) fn begun(&self) -> usize {
        self.0.begun.load(Ordering::Relaxed)
    }

    pub(super) async fn of<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let number = self.0.begun.fetch_add(1, Ordering::Relaxed) + 1;
        let failed = || Err(Error::io("use", Path::new("storage"), io::Error::other("a fault of this test")));
        match self.0.fault {
            Fault::Death(last) if number > last => failed(),
            Fault::Refusal(at) if number == at => failed(),
            Fault::Death(at) | Fault::LostAnswer(at) if number == at => {
                // It is done all the same.
                work.await.ok();
                failed()
            }
            Fault::Sleep(at) if number == at => {
                self.0.asleep.add_permits(1);
                // Nobody closes it.
                drop(self.0.awake.acquire().await);
                work.await
            }
            _ => work.await,
        }
    }
}
