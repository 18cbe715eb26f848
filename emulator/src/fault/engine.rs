//! Which faults fire: the plan in force, what its rules have seen, and the log of what took effect.

use super::effect::Effect;
use super::plan::{Plan, Rule};
use super::subject::{Service, Subject};
use super::trigger::Count;
use crate::clock::Clock;
use crate::random::Random;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Entries of the log. The oldest go first; how many went is told.
const MOST_LOGGED: usize = 100_000;

/// The faults of one emulator. Copies share them.
#[derive(Debug, Clone)]
pub(crate) struct Faults {
    clock: Clock,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    plan: Arc<Plan>,
    counts: Vec<Count>,
    random: Random,
    began: SystemTime,
    log: VecDeque<Entry>,
    dropped: u64,
}

/// A rule that fired on a request. What it does is still to be done.
#[derive(Debug, Clone)]
pub(crate) struct Shot {
    plan: Arc<Plan>,
    index: usize,
    subject: Arc<Subject>,
}

/// A fault that took effect.
#[derive(Debug, Clone, Serialize)]
struct Entry {
    /// Emulated time, in milliseconds since 1970.
    time_millis: u64,
    fault: String,
    effect: Effect,
    #[serde(flatten)]
    subject: Arc<Subject>,
}

/// A rule with what it has seen, for a person.
#[derive(Debug, Serialize)]
struct Standing<'a> {
    #[serde(flatten)]
    rule: &'a Rule,
    #[serde(flatten)]
    count: Count,
}

impl Shot {
    /// What is to be done.
    pub(crate) fn effect(&self) -> Option<&Effect> {
        self.plan.rules.get(self.index).map(|rule| &rule.effect)
    }
}

impl Faults {
    /// No faults yet; `clock` tells when a plan's rules wake and end.
    pub(crate) fn new(clock: Clock) -> Self {
        let state = State {
            plan: Arc::default(),
            counts: Vec::new(),
            random: Random::seeded(0),
            began: clock.now(),
            log: VecDeque::new(),
            dropped: 0,
        };
        Self { clock, state: Arc::new(Mutex::new(state)) }
    }

    /// Puts `plan` in force, which begins now. What is logged stays.
    pub(crate) fn set(&self, plan: Plan) {
        let mut state = self.state();
        state.random = Random::seeded(plan.seed);
        state.counts = vec![Count::default(); plan.rules.len()];
        state.began = self.clock.now();
        state.plan = Arc::new(plan);
    }

    /// Whether a rule could be about such a request, so that what it names is worth reading.
    pub(crate) fn may_concern(&self, service: Service, operation: &str) -> bool {
        self.state().plan.rules.iter().any(|rule| rule.on.may_be(service, operation))
    }

    /// The rules that fire on a request, in the plan's order.
    pub(crate) fn fire(&self, subject: Subject) -> Vec<Shot> {
        let now = self.clock.now();
        let mut state = self.state();
        let State { plan, counts, random, began, .. } = &mut *state;
        let elapsed = now.duration_since(*began).unwrap_or_default();
        let subject = Arc::new(subject);
        let about = plan.rules.iter().zip(counts).enumerate().filter(|(_, (rule, _))| rule.on.is_about(&subject));
        about
            .filter_map(|(index, (rule, count))| {
                let fires = rule.when.fires(count, elapsed, || random.fraction());
                fires.then(|| Shot { plan: Arc::clone(plan), index, subject: Arc::clone(&subject) })
            })
            .collect()
    }

    /// A number from the plan's sequence, from 0 up to 1.
    pub(crate) fn fraction(&self) -> f64 {
        let random = self.state().random.clone();
        random.fraction()
    }

    /// Logs that `shot` took effect.
    pub(crate) fn took_effect(&self, shot: &Shot) {
        let Some(rule) = shot.plan.rules.get(shot.index) else { return };
        let Subject { service, operation, .. } = &*shot.subject;
        tracing::info!(fault = rule.name(), %service, operation, names = ?shot.subject.names, "fault");
        let entry = Entry {
            time_millis: self.clock.now_millis(),
            fault: rule.name().to_owned(),
            effect: rule.effect.clone(),
            subject: Arc::clone(&shot.subject),
        };
        let mut state = self.state();
        if state.log.len() == MOST_LOGGED {
            state.log.pop_front();
            state.dropped += 1;
        }
        state.log.push_back(entry);
    }

    /// The log as NDJSON, oldest first, and how many entries before it were dropped.
    pub(crate) fn log(&self) -> (Vec<u8>, u64) {
        let state = self.state();
        (state.log.iter().flat_map(line).collect(), state.dropped)
    }

    /// The plan in force, each rule with what it has seen, as JSON.
    pub(crate) fn describe(&self) -> serde_json::Value {
        let state = self.state();
        let rules: Vec<_> =
            state.plan.rules.iter().zip(&state.counts).map(|(rule, count)| Standing { rule, count: *count }).collect();
        serde_json::json!({ "seed": state.plan.seed, "fault": rules })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One line of NDJSON.
pub(crate) fn line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}
