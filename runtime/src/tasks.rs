//! Supervised tasks: each has a name and an owner, and none dies unseen.

use std::future::Future;
use tokio::task::JoinSet;

/// Tasks that live and end together. Dropping the owner aborts them.
#[derive(Debug)]
pub struct Tasks<T> {
    set: JoinSet<(&'static str, T)>,
}

/// A task that panicked or was aborted: the process must not go on as if it still worked.
#[derive(Debug, thiserror::Error)]
#[error("a task ended without a result")]
pub struct TaskDied(#[source] tokio::task::JoinError);

impl<T: Send + 'static> Tasks<T> {
    /// No tasks yet.
    pub fn new() -> Self {
        Self { set: JoinSet::new() }
    }

    /// Starts `task` under `name`.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = T> + Send + 'static) {
        // In a box: a block that awaits what it was given has room for it twice.
        let task = Box::pin(task);
        self.set.spawn(async move { (name, task.await) });
    }

    /// Waits for the next task to end; `None` when none is left.
    ///
    /// Safe to cancel: a result that was not returned is returned by the next call.
    ///
    /// # Errors
    /// [`TaskDied`] when the task panicked.
    pub async fn next(&mut self) -> Option<Result<(&'static str, T), TaskDied>> {
        self.set.join_next().await.map(|joined| joined.map_err(TaskDied))
    }

    /// Tasks still running, or ended and not yet asked for.
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// True when no task is left.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }
}

impl<T: Send + 'static> Default for Tasks<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_reported_to_the_owner() {
        let mut tasks: Tasks<u8> = Tasks::new();
        tasks.spawn("fine", async { 7 });
        assert!(matches!(tasks.next().await, Some(Ok(("fine", 7)))));
        tasks.spawn("broken", async { panic!("on purpose") });
        assert!(matches!(tasks.next().await, Some(Err(TaskDied(_)))));
        assert!(tasks.next().await.is_none());
    }
}
