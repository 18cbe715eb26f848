//! One open SubscribeToShard: a stream of messages that is worked out only as fast as the client reads it.

use super::frame;
use super::log::{Limits, Plan};
use super::meter::FanOutMeter;
use super::registry::{Ending, EndingSignal, taken};
use super::render;
use super::sequence::Sequence;
use super::shard::{Look, Shard};
use super::stream::Stream;
use super::sync::lock;
use super::validate::not_found;
use super::{Format, Kinesis};
use crate::api::{ACCOUNT, Body, BoxError};
use crate::clock::Clock;
use bytes::Bytes;
use futures_util::stream::{StreamExt as _, unfold};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// How long a subscription lasts.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SubscribeToShard.html>.
const LIFETIME: Duration = Duration::from_secs(300);

/// How long a subscription stays silent: about five seconds, by dumps of the real service.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// What one event holds at most: 128 KiB of keys and data, or one larger record; 1,000 records. AWS documents no bound; these are ours.
///
/// The HTTP layer holds up to two events of each subscription beside its buffer, read or not.
pub(crate) const EVENT: Limits = Limits { records: 1_000, bytes: 128 * 1024 };

/// An open subscription. It holds no task and at most the event that it is writing: dropping it frees everything.
pub(crate) struct Subscription {
    kinesis: Kinesis,
    clock: Clock,
    format: Format,
    stream: Arc<Stream>,
    shard: Arc<Shard>,
    consumer: String,
    /// The index of the first record that was not sent.
    cursor: u64,
    changed: watch::Receiver<()>,
    ending: EndingSignal,
    /// What the consumer may still get this second; `None` without limits on rates.
    meter: Option<Arc<Mutex<FanOutMeter>>>,
    /// When the event that has to wait may go out, if one has to.
    due: Option<SystemTime>,
    expires: SystemTime,
    heartbeat: SystemTime,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The first message is still to be sent.
    Opening,
    Open,
    /// The last message is sent.
    Over,
}

/// What a subscription begins with.
pub(crate) struct Opening {
    /// The service, whose clock its lifetime is counted by.
    pub(crate) kinesis: Kinesis,
    /// How its events are written.
    pub(crate) format: Format,
    /// The stream.
    pub(crate) stream: Arc<Stream>,
    /// The shard.
    pub(crate) shard: Arc<Shard>,
    /// The consumer's name.
    pub(crate) consumer: String,
    /// The index of the first record to send.
    pub(crate) cursor: u64,
    /// Says why it is to end.
    pub(crate) ending: EndingSignal,
    /// What the consumer may still get this second; `None` without limits on rates.
    pub(crate) meter: Option<Arc<Mutex<FanOutMeter>>>,
}

impl Subscription {
    /// A subscription that starts now.
    pub(crate) fn new(opening: Opening) -> Self {
        let Opening { kinesis, format, stream, shard, consumer, cursor, ending, meter } = opening;
        let clock = kinesis.inner.clock.clone();
        let now = clock.now();
        let (expires, heartbeat) = (now + LIFETIME, now + HEARTBEAT);
        let changed = shard.watch();
        Self {
            kinesis,
            clock,
            format,
            stream,
            shard,
            consumer,
            cursor,
            changed,
            ending,
            meter,
            due: None,
            expires,
            heartbeat,
            phase: Phase::Opening,
        }
    }

    /// The response body.
    pub(crate) fn into_body(self) -> Body {
        let messages = unfold(self, |mut subscription| async move {
            let message = subscription.next().await?;
            Some((message.map(Frame::data), subscription))
        });
        StreamBody::new(messages.fuse()).boxed_unsync()
    }

    /// The next message, or `None` when the response is complete.
    async fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        match self.phase {
            Phase::Over => return None,
            Phase::Opening => {
                self.phase = Phase::Open;
                return Some(frame::initial_response(self.format));
            }
            Phase::Open => {}
        }
        loop {
            let ending = *self.ending.borrow_and_update();
            if let Some(ending) = ending {
                return self.end(ending);
            }
            if self.clock.now() >= self.expires {
                return self.end(Ending::Expired);
            }
            // Marked as seen before the look, so that a record that arrives behind the look wakes the wait.
            self.changed.mark_unchanged();
            if let Some(message) = self.look() {
                self.heartbeat = self.clock.now() + HEARTBEAT;
                return Some(message);
            }
            if !self.wait().await {
                self.phase = Phase::Over;
                return None;
            }
        }
    }

    /// The message that is due now, if one is.
    fn look(&mut self) -> Option<Result<Bytes, BoxError>> {
        let now = self.clock.now_millis();
        self.due = None;
        match self.shard.look(self.cursor, EVENT, self.stream.horizon(now)) {
            Look::Plan(plan) => {
                self.due = self.delay(&plan, now).map(|delay| self.clock.now() + delay);
                match self.due {
                    Some(_) => self.beat(now, now.saturating_sub(plan.first_arrival_millis())),
                    None => Some(self.send(plan, now)),
                }
            }
            Look::Idle => self.beat(now, 0),
            Look::End(closure) => {
                self.phase = Phase::Over;
                // Whoever hears of the children looks for them, after the death of this process too.
                Some(match self.kinesis.save() {
                    Ok(()) => frame::event(self.format, render::end(&closure.children)),
                    Err(error) => {
                        let message = format!("the children of {} cannot be written down: {error}", self.shard.id());
                        frame::exception(self.format, "InternalFailureException", &message)
                    }
                })
            }
        }
    }

    /// How long the event of these records has to wait. If it has not to, their bytes count as sent.
    fn delay(&self, plan: &Plan, now_millis: u64) -> Option<Duration> {
        lock(self.meter.as_ref()?).send(now_millis, plan.bytes()).err()
    }

    fn send(&mut self, plan: Plan, now_millis: u64) -> Result<Bytes, BoxError> {
        match plan.read() {
            Ok(batch) => {
                self.cursor = batch.next();
                let continuation = self.shard.origin().record(batch.next() - 1, batch.last_arrival_millis());
                let behind = batch.millis_behind(now_millis);
                let encryption = &*self.stream.encryption();
                let records = render::Records { origin: self.shard.origin(), batch: &batch, encryption };
                frame::event(self.format, render::event(Some(records), &continuation, behind))
            }
            Err(error) => {
                self.phase = Phase::Over;
                let message = format!("reading {}: {error}", self.shard.id());
                frame::exception(self.format, "InternalFailureException", &message)
            }
        }
    }

    /// A heartbeat, if one is due.
    fn beat(&self, now_millis: u64, millis_behind: u64) -> Option<Result<Bytes, BoxError>> {
        let event = || frame::event(self.format, render::event(None, &self.progress(now_millis), millis_behind));
        (self.clock.now() >= self.heartbeat).then(event)
    }

    /// A sequence number behind everything that was sent, and before everything that was not.
    fn progress(&self, now_millis: u64) -> Sequence {
        self.shard.origin().behind(self.cursor.saturating_sub(1), now_millis)
    }

    /// Returns when there may be something to send; false if nobody is left to say so, which ends the stream rather than spin.
    async fn wait(&mut self) -> bool {
        let until = self.due.into_iter().fold(self.heartbeat.min(self.expires), SystemTime::min);
        tokio::select! {
            biased;
            // More records do not let the one that waits go out.
            changed = self.changed.changed(), if self.due.is_none() => changed.is_ok(),
            changed = self.ending.changed() => changed.is_ok(),
            () = self.clock.sleep_until(until) => true,
        }
    }

    /// The last message: an exception, or nothing if the time is over.
    fn end(&mut self, ending: Ending) -> Option<Result<Bytes, BoxError>> {
        self.phase = Phase::Over;
        let error = match ending {
            Ending::Expired => return None,
            Ending::TakenOver => taken(&self.consumer, self.shard.number()),
            Ending::Deregistered => not_found(format!("Consumer {} under account {ACCOUNT} not found.", self.consumer)),
            Ending::StreamDeleted => super::validate::no_stream(&self.stream.name),
        };
        Some(frame::exception(self.format, error.code, &error.message))
    }
}
