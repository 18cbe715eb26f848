//! What is done with records that the processor fails on: again, in smaller parts, aside, or no further. Pure.

use std::collections::VecDeque;
use std::ops::Range;

/// What becomes of a record that failed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    /// It is given to the dead letters.
    DeadLetter,
    /// It is passed over.
    Skip,
    /// Nothing after it is processed.
    Halt,
}

/// The rules.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Further attempts after the first.
    pub(crate) retries: u32,
    /// Halve what failed until the failing record is found.
    pub(crate) bisect: bool,
    pub(crate) last: Last,
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All records of the part are processed.
    Done,
    /// The first `done` records of it are processed; the next one, or the rest as a whole, is not.
    Failed {
        done: usize,
        /// No further attempt can succeed.
        permanent: bool,
    },
}

/// What to do next. Ranges are places within the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Call the processor with these; `attempt` counts from 1.
    Process { range: Range<usize>, attempt: u32 },
    /// As [`Step::Process`], after a wait that grows with each.
    ProcessLater { range: Range<usize>, attempt: u32 },
    /// Store these as dead letters, then go on with [`Course::settled`].
    DeadLetter { range: Range<usize>, attempts: u32 },
    /// Pass these over, then go on with [`Course::settled`].
    Skip { range: Range<usize>, attempts: u32 },
    /// The batch is processed no further; all before `range` is settled.
    Halt { range: Range<usize>, attempts: u32 },
    /// Every record of the batch is processed, a dead letter, or skipped.
    Finished,
}

/// The way of one batch through the processor.
#[derive(Debug)]
pub(crate) struct Course {
    rules: Rules,
    /// Parts still to do, in order; never empty ranges.
    parts: VecDeque<Range<usize>>,
    /// Failed attempts at the first part.
    failed: u32,
    /// The whole batch was tried as often as it may be: parts of it get one attempt each, until single records get all.
    bisecting: bool,
}

impl Course {
    pub(crate) fn new(rules: Rules, records: usize) -> Self {
        let parts = (records > 0).then_some(0..records).into_iter().collect();
        Self { rules, parts, failed: 0, bisecting: false }
    }

    /// The first step.
    pub(crate) fn first(&self) -> Step {
        self.process()
    }

    fn process(&self) -> Step {
        match self.parts.front() {
            Some(range) => Step::Process { range: range.clone(), attempt: self.failed + 1 },
            None => Step::Finished,
        }
    }

    /// The step after an attempt at the first part.
    pub(crate) fn attempted(&mut self, outcome: Outcome) -> Step {
        match outcome {
            Outcome::Done => self.settled(),
            Outcome::Failed { done, permanent } => self.failed(done, permanent),
        }
    }

    /// The step after the first part is processed, stored or skipped.
    pub(crate) fn settled(&mut self) -> Step {
        self.parts.pop_front();
        self.failed = 0;
        self.process()
    }

    fn failed(&mut self, done: usize, permanent: bool) -> Step {
        let Some(part) = self.parts.front_mut() else { return Step::Finished };
        if done >= part.len() {
            // An error after the last record: it is that of the last, which is tried again rather than lost.
            part.start = part.end - 1;
        } else if done > 0 {
            part.start += done;
            // What is left is another part, whose first record is the one that failed.
            self.failed = 0;
        }
        let (range, rules) = (part.clone(), self.rules);
        self.failed += 1;
        let halves = rules.bisect && range.len() > 1;
        let tries = if permanent || (halves && self.bisecting) { 1 } else { rules.retries.saturating_add(1) };
        if self.failed < tries {
            return Step::ProcessLater { range, attempt: self.failed + 1 };
        }
        if halves {
            return self.halve(&range);
        }
        let attempts = self.failed;
        match rules.last {
            Last::DeadLetter => Step::DeadLetter { range, attempts },
            Last::Skip => Step::Skip { range, attempts },
            Last::Halt => Step::Halt { range, attempts },
        }
    }

    fn halve(&mut self, range: &Range<usize>) -> Step {
        let middle = range.start + range.len() / 2;
        self.parts.pop_front();
        self.parts.push_front(middle..range.end);
        self.parts.push_front(range.start..middle);
        (self.failed, self.bisecting) = (0, true);
        self.process()
    }
}

#[cfg(test)]
mod tests;
