//! A plan of faults, read from TOML and checked before any of it holds.

use super::delivery::DELIVER;
use super::effect::{Effect, Point};
use super::subject::{On, Service};
use super::trigger::When;
use http::StatusCode;
use serde::{Deserialize, Serialize};

/// Rules that a plan may have; each is asked about every request.
const MOST_RULES: usize = 1_000;

/// What goes wrong, in the order in which rules are asked. Every rule that fires takes effect.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// What chance follows from: the same requests in the same order meet the same faults.
    #[serde(default)]
    pub(crate) seed: u64,
    /// The rules.
    #[serde(default, rename = "fault")]
    pub(crate) rules: Vec<Rule>,
}

/// One kind of fault.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// What the log calls it; its effect if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// The requests that it is about.
    pub(crate) on: On,
    /// Which of them it fires on.
    #[serde(default)]
    pub(crate) when: When,
    /// What it does to them.
    pub(crate) effect: Effect,
}

/// Why a plan of faults is refused. Nothing of it holds then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// It is no TOML, or has a key or value that no plan has.
    #[error("the fault plan cannot be read: {0}")]
    Unreadable(String),
    /// A rule asks for what cannot be.
    #[error("fault {number} of the plan ({effect}): {reason}")]
    Rule {
        /// The rule, counted from 1.
        number: usize,
        /// Its effect.
        effect: &'static str,
        /// What is wrong, and what to write instead.
        reason: String,
    },
    /// There are more rules than a plan may have.
    #[error("the fault plan has {0} faults, and may have {MOST_RULES}")]
    TooMany(usize),
}

/// Reads a fault plan and puts nothing in force.
///
/// # Errors
/// [`PlanError`] names the line or the rule, and what to write instead.
pub fn check_faults(plan: &str) -> Result<(), PlanError> {
    Plan::parse(plan).map(drop)
}

impl Plan {
    /// Reads and checks a plan.
    ///
    /// # Errors
    /// [`PlanError`] names the line or the rule, and what to write instead.
    pub(crate) fn parse(text: &str) -> Result<Self, PlanError> {
        let plan: Self =
            toml::from_str(text).map_err(|error| PlanError::Unreadable(error.to_string().trim_end().to_owned()))?;
        if plan.rules.len() > MOST_RULES {
            return Err(PlanError::TooMany(plan.rules.len()));
        }
        for (index, rule) in plan.rules.iter().enumerate() {
            let refuse = |reason| PlanError::Rule { number: index + 1, effect: rule.effect.name(), reason };
            rule.check().map_err(refuse)?;
        }
        Ok(plan)
    }
}

impl Rule {
    /// What the log calls it.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.effect.name())
    }

    fn check(&self) -> Result<(), String> {
        if let Some(name) = self.on.foreign() {
            return Err(format!("a request to {} names no {name}", self.on.service));
        }
        self.check_when()?;
        self.check_effect()
    }

    fn check_when(&self) -> Result<(), String> {
        let When { nth, every, probability, from, until, .. } = self.when;
        if nth == Some(0) || every == Some(0) {
            return Err("nth and every count from 1".to_owned());
        }
        check_probability(probability)?;
        match (from, until) {
            (Some(from), Some(until)) if from >= until => Err("until must be later than from".to_owned()),
            _ => Ok(()),
        }
    }

    fn check_effect(&self) -> Result<(), String> {
        if self.on.operation.as_deref() == Some(DELIVER) {
            return self.check_delivery();
        }
        match &self.effect {
            Effect::Error(error) => check_status(error.status),
            Effect::Replace(replace) => check_status(Some(replace.status)),
            Effect::Partial(partial) => {
                self.must_be(&[(Service::Kinesis, "PutRecords"), (Service::Firehose, "PutRecordBatch")])?;
                check_probability(partial.probability)
            }
            Effect::Duplicate(point) if self.on.service == Service::S3 && !point.is_inside() => {
                Err("a request to s3 is not applied twice: its body is a stream".to_owned())
            }
            Effect::Cut(cut) if cut.in_frame && cut.after_events.or(cut.after_bytes).is_none() => {
                Err("in_frame needs after_events or after_bytes: where the frame is".to_owned())
            }
            Effect::Clock(clock) if clock.advance.is_none() && clock.speed.is_none() => {
                Err("give advance, speed or both".to_owned())
            }
            Effect::Clock(clock) if clock.speed.is_some_and(|speed| !speed.is_finite() || speed < 0.0) => {
                Err("speed must be a finite number, 0 (stands still) or above".to_owned())
            }
            effect => effect.point().map_or(Ok(()), |point| self.check_point(point)),
        }
    }

    /// Firehose's own writes have no client whose connection could be cut.
    fn check_delivery(&self) -> Result<(), String> {
        let whole = self.effect.point().is_none();
        match self.effect {
            Effect::Error(_) | Effect::Delay(_) | Effect::Duplicate(_) | Effect::Clock(_) if whole => Ok(()),
            _ => Err(format!("{DELIVER} knows error, delay, duplicate and clock, on the whole of an object")),
        }
    }

    fn check_point(&self, point: Point) -> Result<(), String> {
        match point {
            Point { after_events: Some(_), after_bytes: Some(_) } => {
                Err("give after_events or after_bytes, not both".to_owned())
            }
            Point { after_events: Some(_), .. } => self.must_be(&[(Service::Kinesis, "SubscribeToShard")]),
            _ => Ok(()),
        }
    }

    /// The effect exists for these operations only.
    fn must_be(&self, operations: &[(Service, &str)]) -> Result<(), String> {
        let asked = (self.on.service, self.on.operation.as_deref());
        if operations.iter().any(|(service, operation)| asked == (*service, Some(*operation))) {
            return Ok(());
        }
        let names: Vec<_> = operations
            .iter()
            .map(|(service, operation)| format!("on = {{ service = \"{service}\", operation = \"{operation}\" }}"))
            .collect();
        Err(format!("this exists only with {}", names.join(" or ")))
    }
}

fn check_probability(probability: Option<f64>) -> Result<(), String> {
    match probability {
        Some(probability) if !(0.0..=1.0).contains(&probability) => {
            Err(format!("probability {probability} must be from 0 to 1"))
        }
        _ => Ok(()),
    }
}

fn check_status(status: Option<u16>) -> Result<(), String> {
    match status {
        Some(status) if StatusCode::from_u16(status).is_err() || status < 200 => {
            Err(format!("status {status} must be from 200 to 999"))
        }
        _ => Ok(()),
    }
}
