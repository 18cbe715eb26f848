//! One delivery stream at work: records come in under a lock, one task writes them to S3, object after object.

mod delivery;

use super::budget::Budget;
use super::definition::{Definition, Status};
use super::lane::{Lane, Lanes};
use super::quota::Throughput;
use super::{Setup, intake, invalid, lock, not_found, put};
use crate::api::ApiError;
use crate::clock::Clock;
use crate::fault::Faults;
use crate::journal::Journals;
use crate::random::Random;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What became of one record of a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It will be written; this is its RecordId.
    Accepted(String),
    /// There was no room, or it was past a quota.
    Refused,
}

/// A delivery stream and what it buffers.
#[derive(Debug)]
pub(super) struct Channel {
    state: Mutex<State>,
    clock: Clock,
    random: Random,
    faults: Faults,
    journals: Journals,
    budget: Arc<Budget>,
    /// Told whenever a record came in or draining began.
    wake: Notify,
    /// Set under the lock of `state`: no record comes in after it.
    draining: CancellationToken,
    finished: CancellationToken,
}

#[derive(Debug)]
struct State {
    definition: Arc<Definition>,
    lanes: Lanes,
    /// `None` without limits on rates.
    throughput: Option<Throughput>,
}

impl Channel {
    /// A delivery stream that takes what it buffers from `budget`, and with `limits` no more than AWS's quotas.
    pub(super) fn new(definition: Definition, setup: &Setup, budget: Arc<Budget>) -> Self {
        let Setup { clock, random, faults, journals, limits, .. } = setup.clone();
        let throughput = limits.then(|| Throughput::full(clock.now_millis()));
        Self {
            state: Mutex::new(State { definition: Arc::new(definition), lanes: Lanes::default(), throughput }),
            clock,
            random,
            faults,
            journals,
            budget,
            wake: Notify::new(),
            draining: CancellationToken::new(),
            finished: CancellationToken::new(),
        }
    }

    /// What the delivery stream is at present.
    pub(super) fn definition(&self) -> Arc<Definition> {
        Arc::clone(&lock(&self.state).definition)
    }

    /// Makes the delivery stream what `change` makes of it, and leaves it as it is on an error.
    ///
    /// A buffer that is open keeps its deadline; all else holds for every record and object from here on.
    pub(super) fn change(
        &self,
        change: impl FnOnce(&Definition) -> Result<Definition, ApiError>,
    ) -> Result<(), ApiError> {
        let mut state = lock(&self.state);
        let changed = change(&state.definition)?;
        state.lanes.set_limits(&changed);
        state.definition = Arc::new(changed);
        Ok(())
    }

    /// Adds records of one call in their order. One that finds no room, or is past a quota, is refused alone.
    ///
    /// # Errors
    /// `ResourceNotFoundException` while the delivery stream is being made and once it is being deleted,
    /// `InvalidArgumentException` if it has a source of its own, `ServiceUnavailableException` if there were too many
    /// calls this second.
    pub(super) fn accept(&self, records: Vec<Bytes>) -> Result<Vec<Outcome>, ApiError> {
        let (definition, admitted) = self.admit(&records)?;
        // Records are processed without the lock, which no other call has to wait for.
        let arrival = self.clock.now();
        let (mut processed, mut full) = (Vec::with_capacity(records.len()), false);
        for (record, admitted) in records.into_iter().zip(admitted) {
            // What may grow is not looked at for nothing.
            if !admitted || (full && definition.destination.pipeline.decompress) {
                processed.push(None);
                continue;
            }
            let raw = self.journals.on().then(|| record.clone());
            let items = intake::process(&definition.destination, record, arrival, arrival);
            full = !self.budget.take(intake::cost(&items));
            processed.push((!full).then_some((items, raw)));
        }
        let taken = processed.iter().flatten().map(|(items, _)| items);
        let mut state = self.open_or_give_back(taken)?;
        let mut truth = Vec::new();
        let outcomes = processed.into_iter().map(|processed| match processed {
            Some((items, raw)) => {
                self.push(&mut state, items, None);
                let id = self.random.uuid().to_string();
                truth.extend(raw.map(|raw| Self::line(arrival, Some(&id), &raw)));
                Outcome::Accepted(id)
            }
            None => Outcome::Refused,
        });
        let outcomes = outcomes.collect();
        // Under the lock, so that the journal has the order of acceptance.
        self.journals.write(&definition.name, truth);
        drop(state);
        self.wake.notify_one();
        Ok(outcomes)
    }

    /// Adds a record of the source, which arrived there at `arrival`, as soon as there is room for what becomes of it.
    /// `None` once the delivery stream is drained. Dropped while it waits, it has added nothing.
    pub(super) async fn absorb(&self, record: Bytes, arrival: SystemTime) -> Option<()> {
        let definition = self.definition();
        let raw = self.journals.on().then(|| record.clone());
        let items = intake::process(&definition.destination, record, arrival, self.clock.now());
        if !self.until_drained(self.budget.acquire(intake::cost(&items))).await? {
            let stream = &definition.name;
            tracing::error!(stream, "Firehose lost a record: it is larger than all that may be buffered");
            return Some(());
        }
        let mut state = self.open_or_give_back(std::iter::once(&items)).ok()?;
        self.push(&mut state, items, Some(arrival));
        self.journals.write(&definition.name, raw.map(|raw| Self::line(self.clock.now(), None, &raw)));
        drop(state);
        self.wake.notify_one();
        Some(())
    }

    /// Returns when so many bytes could be buffered.
    pub(super) async fn room_for(&self, bytes: u64) {
        // Held by nobody after that: what becomes of the bytes is counted when it is known.
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        if self.budget.acquire(bytes).await {
            self.budget.give(bytes);
        }
    }

    /// Returns when the delivery stream has been made.
    pub(super) async fn active(&self) {
        let active = self.definition().active;
        self.clock.sleep_until(active).await;
    }

    /// What `future` gives, or `None` if the delivery stream is drained before that.
    pub(super) async fn until_drained<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        self.draining.run_until_cancelled(future).await
    }

    /// Refuses further records and makes all that is buffered due.
    pub(super) fn drain(&self) {
        let state = lock(&self.state);
        self.draining.cancel();
        drop(state);
        self.wake.notify_one();
    }

    /// Returns when the last object has been written, or could not be.
    pub(super) async fn finished(&self) {
        self.finished.cancelled().await;
    }

    /// Lets a call in, and says which of its records may pass.
    fn admit(&self, records: &[Bytes]) -> Result<(Arc<Definition>, Vec<bool>), ApiError> {
        let mut state = lock(&self.state);
        let State { definition, throughput, .. } = &mut *state;
        if self.draining.is_cancelled() || definition.status(self.clock.now()) == Status::Creating {
            return Err(not_found(&definition.name));
        }
        if let Some(source) = &definition.source {
            return Err(invalid(source.no_direct_put()));
        }
        let now = self.clock.now_millis();
        let admitted = match throughput {
            Some(throughput) => {
                if !throughput.request(now) {
                    return Err(put::slow_down());
                }
                records.iter().map(|record| throughput.record(now, record.len() as u64)).collect()
            }
            None => vec![true; records.len()],
        };
        Ok((Arc::clone(definition), admitted))
    }

    /// The state, if records may still come in; else what was taken for them is given back.
    fn open_or_give_back<'a>(
        &self,
        taken: impl Iterator<Item = &'a Vec<(Lane, Bytes)>>,
    ) -> Result<MutexGuard<'_, State>, ApiError> {
        let state = lock(&self.state);
        if !self.draining.is_cancelled() {
            return Ok(state);
        }
        self.budget.give(taken.map(|items| intake::cost(items)).sum());
        Err(not_found(&state.definition.name))
    }

    /// One accepted record, as the journal has it; a record of the source has no id.
    fn line(time: SystemTime, id: Option<&str>, data: &[u8]) -> Value {
        let time = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        json!({ "TimeMillis": millis, "RecordId": id, "Data": STANDARD.encode(data) })
    }

    fn push(&self, state: &mut State, items: Vec<(Lane, Bytes)>, arrival: Option<SystemTime>) {
        // Read under the lock, so that a later record never has an earlier arrival.
        let now = self.clock.now();
        let State { definition, lanes, .. } = state;
        lanes.push(items, arrival.unwrap_or(now), now, definition);
    }
}
