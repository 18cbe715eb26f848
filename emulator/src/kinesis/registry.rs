//! A stream's enhanced fan-out consumers and their open subscriptions.

use super::arn;
use super::meter::FanOutMeter;
use super::persist::SavedConsumers;
use super::phases::{Phases, Status};
use super::validate::{in_use, invalid_argument, not_found};
use crate::api::{ACCOUNT, ApiError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Consumers that a stream may have.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_RegisterStreamConsumer.html>, also of the next two.
pub(crate) const MOST_CONSUMERS: usize = 20;

/// Consumers that a stream on demand may have in an account with On-demand Advantage.
pub(crate) const MOST_CONSUMERS_ADVANTAGE: usize = 50;

/// Consumers that may be in the state `CREATING` at a time. AWS does not say of what; here it is of a stream.
const MOST_CREATING: usize = 5;

/// How long after a successful SubscribeToShard the same consumer and shard are refused.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SubscribeToShard.html>.
const EXCLUSIVE_MILLIS: u64 = 5_000;

/// A registered consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Consumer {
    /// Its name.
    pub(crate) name: String,
    /// Its ARN, which a later consumer of that name does not have.
    pub(crate) arn: String,
    /// When it was registered, in seconds since 1970.
    pub(crate) registered_secs: u64,
    /// Its state.
    pub(crate) phases: Phases,
    /// Its tags.
    pub(crate) tags: BTreeMap<String, String>,
    /// Its resource policy.
    pub(crate) policy: Option<String>,
}

/// What a consumer begins with.
#[derive(Debug, Default)]
pub(crate) struct Registration<'a> {
    /// The name of its stream.
    pub(crate) stream: &'a str,
    /// Its name.
    pub(crate) name: &'a str,
    /// Its tags.
    pub(crate) tags: BTreeMap<String, String>,
    /// Consumers that the stream may have.
    pub(crate) most: usize,
    /// How long until it becomes active.
    pub(crate) delay_millis: u64,
}

/// Why a subscription ends before its shard does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its five minutes are over.
    Expired,
    /// The same consumer opened the shard again.
    TakenOver,
    /// The consumer was deregistered.
    Deregistered,
    /// The stream was deleted.
    StreamDeleted,
}

/// Tells a subscription why it is to end.
pub(crate) type EndingSignal = watch::Receiver<Option<Ending>>;

/// The consumers of one stream.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    consumers: BTreeMap<String, Consumer>,
    slots: BTreeMap<(String, u32), Slot>,
    /// By consumer and shard; empty without limits on rates.
    meters: BTreeMap<(String, u32), Arc<Mutex<FanOutMeter>>>,
    last_registered_secs: u64,
}

/// The last successful SubscribeToShard of a consumer and a shard.
#[derive(Debug)]
struct Slot {
    opened_millis: u64,
    ending: watch::Sender<Option<Ending>>,
}

impl Registry {
    /// What is kept of it: the consumers, without their subscriptions.
    pub(crate) fn save(&self) -> SavedConsumers {
        let consumers = self.consumers.values().cloned().collect();
        SavedConsumers { consumers, last_registered_secs: self.last_registered_secs }
    }

    /// What was kept.
    pub(crate) fn restore(saved: SavedConsumers) -> Self {
        let consumers = saved.consumers.into_iter().map(|consumer| (consumer.name.clone(), consumer)).collect();
        Self { consumers, last_registered_secs: saved.last_registered_secs, ..Self::default() }
    }

    /// The consumers in order of their names.
    pub(crate) fn consumers(&mut self, now_millis: u64) -> impl ExactSizeIterator<Item = &Consumer> {
        self.sweep(now_millis);
        self.consumers.values()
    }

    /// Registers a consumer.
    ///
    /// # Errors
    /// `ResourceInUseException` if the name is taken, `LimitExceededException` if there are as many as there may be
    /// already, or five that are being created.
    pub(crate) fn register(&mut self, asked: Registration<'_>, now_millis: u64) -> Result<Consumer, ApiError> {
        let Registration { stream, name, tags, most, delay_millis } = asked;
        self.sweep(now_millis);
        if self.consumers.contains_key(name) {
            return Err(in_use(format!("Consumer {name} of stream {stream} under account {ACCOUNT} already exists.")));
        }
        if self.consumers.len() >= most {
            let message =
                format!("Stream {stream} under account {ACCOUNT} has {most} consumers, the most it may have.");
            return Err(ApiError::client("LimitExceededException", message));
        }
        let statuses = self.consumers.values().map(|consumer| consumer.phases.status(now_millis));
        if statuses.filter(|status| *status == Status::Creating).count() >= MOST_CREATING {
            let message = format!(
                "Stream {stream} under account {ACCOUNT} has {MOST_CREATING} consumers in state CREATING, the most it may have."
            );
            return Err(ApiError::client("LimitExceededException", message));
        }
        // Never the same second twice, so that no two ARNs of a name are equal.
        let registered_secs = (now_millis / 1_000).max(self.last_registered_secs + 1);
        self.last_registered_secs = registered_secs;
        let consumer = Consumer {
            name: name.to_owned(),
            arn: arn::consumer(stream, name, registered_secs),
            registered_secs,
            phases: Phases::creating(now_millis, delay_millis),
            tags,
            policy: None,
        };
        self.consumers.insert(name.to_owned(), consumer.clone());
        Ok(consumer)
    }

    /// Finds a consumer by ARN, or by name if no ARN is given.
    ///
    /// # Errors
    /// `ResourceNotFoundException`; `InvalidArgumentException` if neither is given.
    pub(crate) fn find(
        &mut self,
        arn: Option<&str>,
        name: Option<&str>,
        now_millis: u64,
    ) -> Result<&mut Consumer, ApiError> {
        self.sweep(now_millis);
        let found = match (arn, name) {
            (Some(arn), _) => self.consumers.values_mut().find(|consumer| consumer.arn == arn),
            (None, Some(name)) => self.consumers.get_mut(name),
            (None, None) => return Err(invalid_argument("Give ConsumerARN, or StreamARN and ConsumerName.")),
        };
        found.ok_or_else(|| {
            not_found(format!("Consumer {} under account {ACCOUNT} not found.", arn.or(name).unwrap_or_default()))
        })
    }

    /// Begins to remove a consumer, which takes `delay_millis`, and ends its subscriptions.
    pub(crate) fn deregister(&mut self, name: &str, now_millis: u64, delay_millis: u64) {
        if let Some(consumer) = self.consumers.get_mut(name) {
            consumer.phases.delete(now_millis, delay_millis);
        }
        self.sweep(now_millis);
        self.meters.retain(|(consumer, _), _| consumer != name);
        self.slots.retain(|(consumer, _), slot| {
            let stays = consumer != name;
            if !stays {
                slot.end(Ending::Deregistered);
            }
            stays
        });
    }

    /// Removes all consumers and ends their subscriptions, because the stream goes.
    pub(crate) fn close(&mut self) {
        self.consumers.clear();
        self.meters.clear();
        for slot in std::mem::take(&mut self.slots).into_values() {
            slot.end(Ending::StreamDeleted);
        }
    }

    /// What the consumer `name` may still get of `shard` this second, in all its subscriptions one after the other.
    pub(crate) fn meter(&mut self, name: &str, shard: u32, now_millis: u64) -> Arc<Mutex<FanOutMeter>> {
        let full = || Arc::new(Mutex::new(FanOutMeter::full(now_millis)));
        Arc::clone(self.meters.entry((name.to_owned(), shard)).or_insert_with(full))
    }

    /// Opens a subscription of the consumer `name` to `shard` and ends the one before.
    ///
    /// # Errors
    /// `ResourceInUseException` if the last success is less than 5 seconds ago.
    pub(crate) fn subscribe(&mut self, name: &str, shard: u32, now_millis: u64) -> Result<EndingSignal, ApiError> {
        let key = (name.to_owned(), shard);
        if let Some(slot) = self.slots.get(&key) {
            if now_millis < slot.opened_millis.saturating_add(EXCLUSIVE_MILLIS) {
                return Err(taken(name, shard));
            }
            slot.end(Ending::TakenOver);
        }
        let (ending, signal) = watch::channel(None);
        self.slots.insert(key, Slot { opened_millis: now_millis, ending });
        Ok(signal)
    }

    /// Forgets consumers that exist no longer.
    fn sweep(&mut self, now_millis: u64) {
        self.consumers.retain(|_, consumer| !consumer.phases.is_gone(now_millis));
    }

    /// Ends all subscriptions as if their five minutes were over.
    pub(crate) fn expire(&mut self) {
        for slot in self.slots.values_mut() {
            slot.opened_millis = 0;
            slot.end(Ending::Expired);
        }
    }
}

impl Slot {
    /// The first reason counts.
    fn end(&self, ending: Ending) {
        self.ending.send_if_modified(|reason| {
            let first = reason.is_none();
            reason.get_or_insert(ending);
            first
        });
    }
}

/// The refusal, and the last word to the one that is taken over.
pub(crate) fn taken(consumer: &str, shard: u32) -> ApiError {
    let shard = super::wire::shard_id(shard);
    in_use(format!("Another active subscription exists for this consumer: {ACCOUNT}:{shard}:{consumer}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(name: &str) -> Registration<'_> {
        Registration { stream: "orders", name, most: MOST_CONSUMERS, ..Registration::default() }
    }

    fn registry(names: &[&str]) -> Registry {
        let mut registry = Registry::default();
        for name in names {
            registry.register(app(name), 10_000).unwrap();
        }
        registry
    }

    #[test]
    fn a_consumer_registered_anew_has_another_arn() {
        let mut registry = registry(&["app"]);
        let first = registry.find(None, Some("app"), 10_000).unwrap().clone();
        assert_eq!(registry.register(app("app"), 10_000).unwrap_err().code, "ResourceInUseException");
        registry.deregister("app", 10_000, 0);
        let mut second = registry.register(app("app"), 10_000).unwrap();
        assert_ne!(first.arn, second.arn);
        assert_eq!(registry.find(Some(&first.arn), None, 10_000).unwrap_err().code, "ResourceNotFoundException");
        assert_eq!(registry.find(Some(&second.arn.clone()), None, 10_000), Ok(&mut second));
        assert_eq!(registry.find(None, None, 10_000).unwrap_err().code, "InvalidArgumentException");
    }

    #[test]
    fn the_twenty_first_consumer_is_refused() {
        let names: Vec<_> = (0..20).map(|number| format!("app-{number}")).collect();
        let mut registry = registry(&names.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(registry.register(app("one-more"), 10_000).unwrap_err().code, "LimitExceededException");
        let more = Registration { most: MOST_CONSUMERS_ADVANTAGE, ..app("one-more") };
        assert!(registry.register(more, 10_000).is_ok());
    }

    #[test]
    fn a_consumer_is_created_and_deleted_over_time() {
        let mut registry = Registry::default();
        let slow = |name| Registration { delay_millis: 1_000, ..app(name) };
        for name in ["1", "2", "3", "4", "5"] {
            registry.register(slow(name), 10_000).unwrap();
        }
        assert_eq!(registry.register(slow("6"), 10_999).unwrap_err().code, "LimitExceededException");
        let consumer = registry.register(slow("6"), 11_000).unwrap();
        let status = |now| consumer.phases.status(now);
        assert_eq!([11_999, 12_000].map(status), [Status::Creating, Status::Active]);
        registry.deregister("6", 20_000, 1_000);
        assert_eq!(registry.find(None, Some("6"), 20_999).unwrap().phases.status(20_999), Status::Deleting);
        assert_eq!(registry.register(slow("6"), 20_999).unwrap_err().code, "ResourceInUseException");
        assert_eq!(registry.find(None, Some("6"), 21_000).unwrap_err().code, "ResourceNotFoundException");
        assert!(registry.register(slow("6"), 21_000).is_ok());
    }

    #[test]
    fn a_shard_belongs_to_its_subscription_for_five_seconds() {
        let mut registry = registry(&["app", "other"]);
        let first = registry.subscribe("app", 0, 10_000).unwrap();
        assert_eq!(registry.subscribe("app", 0, 14_999).unwrap_err().code, "ResourceInUseException");
        for (name, shard) in [("app", 1), ("other", 0)] {
            assert!(registry.subscribe(name, shard, 10_000).is_ok(), "{name} {shard}");
        }
        let second = registry.subscribe("app", 0, 15_000).unwrap();
        assert_eq!((*first.borrow(), *second.borrow()), (Some(Ending::TakenOver), None));
        assert!(registry.subscribe("app", 0, 19_999).is_err());
    }

    #[test]
    fn an_expired_subscription_may_be_opened_again_at_once() {
        let mut registry = registry(&["app"]);
        let first = registry.subscribe("app", 0, 10_000).unwrap();
        registry.expire();
        assert!(registry.subscribe("app", 0, 10_000).is_ok());
        assert_eq!(*first.borrow(), Some(Ending::Expired));
    }

    #[test]
    fn the_end_of_a_consumer_or_a_stream_ends_its_subscriptions() {
        let mut registry = registry(&["app", "other"]);
        let ours = registry.subscribe("app", 0, 10_000).unwrap();
        let other = registry.subscribe("other", 0, 10_000).unwrap();
        registry.deregister("app", 10_000, 0);
        assert_eq!((*ours.borrow(), *other.borrow()), (Some(Ending::Deregistered), None));
        registry.close();
        assert_eq!(*other.borrow(), Some(Ending::StreamDeleted));
        assert_eq!(registry.consumers(10_000).len(), 0);
    }
}
