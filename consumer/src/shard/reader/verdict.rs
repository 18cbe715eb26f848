//! What a cause means: another attempt, another position, or the end. What cannot be known is asked, not guessed.

use super::{ReadEnd, Reader};
use crate::error::{Error, ErrorKind};
use crate::loss::{LossEvent, LossReason, OnLoss};
use crate::registration::Via;
use crate::status::ShardState;
use crate::subscription::{Cause, From};
use alluvial_record::{Checkpoint, Position, SequenceNumber};
use alluvial_runtime::exit::chain;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Longest time for what is asked of the service; without an answer, reading is tried again.
const ASKING: Duration = Duration::from_secs(30);

/// What follows.
pub(super) enum Verdict {
    /// Another attempt, from where the reader stands.
    Again,
    /// Nothing more.
    End(ReadEnd),
}

impl Reader<'_> {
    /// Judges `cause`, which ended or prevented reading by `via` and came at `failed_at`.
    pub(super) async fn judge(&mut self, cause: &Cause, via: &Via, failed_at: Instant) -> Verdict {
        let asked = match cause {
            Cause::Denied(text) => {
                let permission = match via {
                    Via::FanOut(_) => "kinesis:SubscribeToShard",
                    Via::Polling => "kinesis:GetShardIterator and kinesis:GetRecords",
                };
                let text = format!("{}: not allowed to read ({permission}): {text}", self.shard);
                return Verdict::End(ReadEnd::Failed(Error::new(ErrorKind::Fatal, text)));
            }
            Cause::BadPosition(_) | Cause::NotFound(_) => {
                self.status.enter(ShardState::Asking);
                let asking = async {
                    match cause {
                        Cause::BadPosition(text) => self.refused_position(text).await,
                        _ => self.not_found(via, failed_at).await,
                    }
                };
                timeout(ASKING, asking).await
            }
            _ => return Verdict::Again,
        };
        match asked {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(error)) if error.kind() == ErrorKind::Fatal => Verdict::End(ReadEnd::Failed(error)),
            Ok(Err(error)) => {
                tracing::warn!(shard = %self.shard, error = %chain(&error), "not known yet what a refusal means");
                Verdict::Again
            }
            Err(_) => Verdict::Again,
        }
    }

    /// The shard, the stream or the consumer is gone; which one, the service is asked.
    async fn not_found(&mut self, via: &Via, failed_at: Instant) -> Result<Verdict, Error> {
        // Fails when the stream is gone.
        let shards = self.shared.stream.shards_after(failed_at).await?;
        if shards.iter().any(|listed| listed.id == *self.shard) {
            if matches!(via, Via::FanOut(_)) {
                self.shared.registration.ask_after(via).await?;
            }
            return Ok(Verdict::Again);
        }
        if let Some(halt) = self.lose(None, LossReason::ShardGone) {
            return Ok(halt);
        }
        let children = shards.iter().filter(|shard| shard.parents.contains(self.shard)).cloned().collect();
        Ok(Verdict::End(ReadEnd::ShardEnd { children, handed_out: self.handed_out }))
    }

    /// Kinesis refuses the position. Whether it is trimmed, the oldest record tells.
    async fn refused_position(&mut self, text: &str) -> Result<Verdict, Error> {
        let Some(passed) = self.passed_sequence() else {
            // A moment that is ahead of the clock of Kinesis will come.
            return Ok(Verdict::Again);
        };
        let oldest = self.shared.stream.oldest_record(self.shard).await?;
        if oldest.is_some_and(|oldest| oldest <= passed) {
            let text = format!("{}: Kinesis refuses the position {passed}, which it keeps: {text}", self.shard);
            return Err(Error::new(ErrorKind::Fatal, text));
        }
        if self.was_at_tip_within_retention() {
            // Nothing lay behind the position when it was last looked at, so all that is kept came after it.
            self.from = From::Checkpoint(Checkpoint::TrimHorizon);
            return Ok(Verdict::Again);
        }
        if let Some(halt) = self.lose(oldest, LossReason::Retention) {
            return Ok(halt);
        }
        self.from = From::Checkpoint(Checkpoint::TrimHorizon);
        Ok(Verdict::Again)
    }

    /// Tells of a loss, and ends the reading if the policy says so.
    pub(super) fn lose(&mut self, to: Option<SequenceNumber>, reason: LossReason) -> Option<Verdict> {
        let from = match (self.passed_sequence(), &self.from) {
            (Some(sequence), _) => Checkpoint::At(Position::of(sequence)),
            (None, From::Checkpoint(checkpoint)) => *checkpoint,
            (None, From::Continuation(_)) => Checkpoint::TrimHorizon,
        };
        let event = LossEvent { shard: self.shard.clone(), from, to, reason };
        let text = format!("{event}; to go on with what is left, set on_loss to \"continue\"");
        self.shared.losses.tell(event);
        match self.shared.settings.on_loss {
            OnLoss::Halt => Some(Verdict::End(ReadEnd::Failed(Error::new(ErrorKind::Fatal, text)))),
            OnLoss::Continue => {
                self.after_loss = true;
                None
            }
        }
    }

    /// The number that reading goes on from, if there is one.
    pub(super) fn passed_sequence(&self) -> Option<SequenceNumber> {
        match &self.from {
            From::Continuation(number) => number.parse().ok(),
            From::Checkpoint(Checkpoint::At(position)) => Some(position.sequence),
            From::Checkpoint(_) => None,
        }
    }

    fn was_at_tip_within_retention(&self) -> bool {
        let retention = Duration::from_millis(self.shared.stream.retention_millis());
        self.at_tip.is_some_and(|at| at.elapsed() < retention)
    }
}
