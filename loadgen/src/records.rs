//! The next record of a run, made or read.

use crate::input::{Line, Lines};
use crate::template::{Context, Template};
use bytes::{Bytes, BytesMut};
use fastrand::Rng;
use std::io;
use std::time::SystemTime;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

/// Small records share blocks of this size, so that most of them cost no allocation.
const BLOCK_BYTES: usize = 64 * 1_024;

/// Where a run's records come from, once it has started.
pub(crate) enum Records {
    Made { template: Template, random: Rng, block: BytesMut, last_bytes: usize },
    Read { lines: mpsc::Receiver<Lines>, chunk: std::vec::IntoIter<Line> },
}

/// The next record, as far as it is known now.
pub(crate) enum Next {
    Record {
        number: u64,
        data: Bytes,
    },
    TooLong {
        number: u64,
        bytes: u64,
    },
    /// None yet: ask [`Records::wait`].
    Later,
    End,
    Broken(io::Error),
}

impl Records {
    pub(crate) fn made(template: Template, random: Rng) -> Self {
        Self::Made { template, random, block: BytesMut::new(), last_bytes: 256 }
    }

    pub(crate) fn read(lines: mpsc::Receiver<Lines>) -> Self {
        Self::Read { lines, chunk: Vec::new().into_iter() }
    }

    /// The record `number` of the run, made at `now`; or the next line, which has its own number.
    pub(crate) fn next(&mut self, number: u64, now: SystemTime) -> Next {
        match self {
            Self::Made { template, random, block, last_bytes } => {
                // Room for a record of the last one's size and some more, so that a block is never copied to grow.
                let room = *last_bytes + *last_bytes / 8;
                if block.capacity() < room {
                    block.reserve(room.max(BLOCK_BYTES));
                }
                template.render(&mut Context { random, number, now }, block);
                *last_bytes = block.len();
                Next::Record { number, data: block.split().freeze() }
            }
            Self::Read { lines, chunk } => loop {
                match chunk.next() {
                    Some(Line::Record { number, data }) => return Next::Record { number, data },
                    Some(Line::TooLong { number, bytes }) => return Next::TooLong { number, bytes },
                    None => match lines.try_recv() {
                        Ok(Lines::More(more)) => *chunk = more.into_iter(),
                        Ok(Lines::End) => return Next::End,
                        Ok(Lines::Broken(error)) => return Next::Broken(error),
                        Err(TryRecvError::Empty) => return Next::Later,
                        Err(TryRecvError::Disconnected) => return Next::Broken(reader_died()),
                    },
                }
            },
        }
    }

    /// Waits until [`Records::next`] knows more; says so when there is no more. Safe to cancel.
    pub(crate) async fn wait(&mut self) -> Option<Next> {
        let Self::Read { lines, chunk } = self else { return None };
        match lines.recv().await {
            Some(Lines::More(more)) => {
                *chunk = more.into_iter();
                None
            }
            Some(Lines::End) => Some(Next::End),
            Some(Lines::Broken(error)) => Some(Next::Broken(error)),
            None => Some(Next::Broken(reader_died())),
        }
    }
}

fn reader_died() -> io::Error {
    io::Error::other("the reader ended before the input did")
}
