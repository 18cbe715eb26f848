//! Faults of what Firehose does by itself: writing its objects. A plan names it as the operation [`DELIVER`].

use super::effect::{Delay, Effect};
use super::engine::Faults;
use super::subject::{Names, Service, Subject};
use crate::clock::Clock;

/// One attempt of Firehose to write an object, as an operation of its own.
pub(crate) const DELIVER: &str = "Deliver";

/// What becomes of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Delivery {
    /// The error that stands for the attempt, which then is not made.
    pub(crate) refused: Option<String>,
    /// Whether the object is written once more, under another name.
    pub(crate) twice: bool,
}

impl Faults {
    /// Asks about an attempt of `delivery_stream` to write `key` in `bucket`; returns when the attempt is to be made.
    pub(crate) async fn on_delivery(&self, clock: &Clock, delivery_stream: &str, bucket: &str, key: &str) -> Delivery {
        let mut delivery = Delivery::default();
        if !self.may_concern(Service::Firehose, DELIVER) {
            return delivery;
        }
        let name = |name: &str| Some(name.to_owned());
        let names =
            Names { delivery_stream: name(delivery_stream), bucket: name(bucket), key: name(key), ..Names::default() };
        let subject = Subject { service: Service::Firehose, operation: DELIVER.to_owned(), names };
        for shot in self.fire(subject) {
            self.took_effect(&shot);
            match shot.effect() {
                Some(Effect::Error(error)) => delivery.refused = Some(format!("{}: {}", error.code, error.message)),
                Some(Effect::Delay(Delay { r#for, .. })) => clock.sleep(r#for.0).await,
                Some(Effect::Duplicate(_)) => delivery.twice = true,
                Some(Effect::Clock(change)) => {
                    if let Err(error) = change.apply(clock) {
                        tracing::error!(%error, "a fault cannot change the clock");
                    }
                }
                _ => {}
            }
        }
        delivery
    }
}
