//! What happens to the fleet, and when: a value that follows from a seed alone.
//!
//! All times are emulated, from the moment at which the fault plan is put in force.

mod fault;

pub(crate) use fault::step_of_fault;
use fault::{FAULTS, Fault};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// Workers of the fleet.
pub(crate) const WORKERS: usize = 3;
/// Shards at the start.
pub(crate) const SHARDS: i32 = 4;
/// How much faster than the machine's the emulator's clock runs. A subscription of five minutes ends after 20 s, an hour
/// after four minutes.
pub(crate) const SPEED: u32 = 15;
/// The failover time of the workers, by the machine's clock: their timers are not scaled.
pub(crate) const FAILOVER: Duration = Duration::from_secs(3);

/// A slot has one thing done to a worker, one to the shards, and [`FAULTS_PER_SLOT`] faults.
const SLOT: Duration = Duration::from_secs(210);
const FAULTS_PER_SLOT: u64 = 4;
/// A shorter script than this has too few subscriptions that end by themselves to meet all of its faults.
const SHORT: Duration = Duration::from_secs(900);

/// `millis` of the machine's clock, in emulated time.
pub(crate) const fn emulated(millis: u64) -> Duration {
    Duration::from_millis(millis * SPEED as u64)
}

/// A seeded list of what happens.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    pub(crate) length: Duration,
    /// In the order of their times.
    pub(crate) steps: Vec<Step>,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    pub(crate) at: Duration,
    pub(crate) what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    /// The open shard of this rank by hash keys (modulo their number) is split in the middle.
    Split { rank: usize },
    /// It is merged with its upper neighbour, the last one with its lower.
    Merge { rank: usize },
    /// kill -9, and a new worker in its place.
    Kill { worker: usize, down: Duration },
    /// SIGSTOP for longer than the failover time, then SIGCONT.
    Sleep { worker: usize, span: Duration },
    /// SIGTERM, and a new worker in its place.
    Restart { worker: usize, down: Duration },
    /// Requests that go wrong from here on.
    Fault(Fault),
}

/// One act on a process or a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Split(usize),
    Merge(usize),
    Kill(usize),
    Freeze(usize),
    Wake(usize),
    Terminate(usize),
    Start(usize),
    /// Every subscription ends, as after its five minutes.
    Expire,
}

/// Cards that are drawn one by one: each is met before any comes again.
struct Deck<T> {
    all: Vec<T>,
    left: Vec<T>,
}

impl<T: Clone> Deck<T> {
    fn of(all: impl IntoIterator<Item = T>) -> Self {
        Self { all: all.into_iter().collect(), left: Vec::new() }
    }

    fn draw(&mut self, random: &mut fastrand::Rng) -> T {
        if self.left.is_empty() {
            self.left = self.all.clone();
            random.shuffle(&mut self.left);
        }
        self.left.pop().expect("a deck has cards")
    }
}

type Draw<T> = fn(&mut fastrand::Rng) -> T;

/// What may be done to a worker; each ends well within a slot.
const PROCESS: [Draw<What>; 3] = [
    |random| What::Kill { worker: random.usize(..WORKERS), down: emulated(random.u64(200..6_000)) },
    |random| What::Sleep { worker: random.usize(..WORKERS), span: emulated(random.u64(4_500..7_500)) },
    |random| What::Restart { worker: random.usize(..WORKERS), down: emulated(random.u64(0..5_000)) },
];

/// Two and two: however they are drawn, there are between two and six shards, and three draws have both kinds.
const RESHARD: [Draw<What>; 4] = [split, split, merge, merge];

fn split(random: &mut fastrand::Rng) -> What {
    What::Split { rank: random.usize(..64) }
}

fn merge(random: &mut fastrand::Rng) -> What {
    What::Merge { rank: random.usize(..64) }
}

/// its shards meet no other faults.
fn silent_first(steps: &mut [Step]) {
    let mut faults: Vec<&mut Fault> = steps.iter_mut().filter_map(|step| step.what.fault_mut()).collect();
    let mut sorted: Vec<Fault> = faults.iter().map(|fault| (*fault).clone()).collect();
    sorted.sort_by_key(|fault| !matches!(fault, Fault::Stall { .. } | Fault::HalfOpen { .. }));
    for (fault, mut sorted) in faults.iter_mut().zip(sorted) {
        if let Fault::Stall { times, .. } | Fault::HalfOpen { times, .. } = &mut sorted {
            *times = 1;
        }
        **fault = sorted;
    }
}

impl Script {
    /// The script of a seed, as long as so many slots. Three slots meet everything at least once.
    pub(crate) fn generate(seed: u64, slots: u32) -> Self {
        let random = &mut fastrand::Rng::with_seed(seed);
        let (mut processes, mut reshards, mut faults) = (Deck::of(PROCESS), Deck::of(RESHARD), Deck::of(FAULTS));
        let length = SLOT * slots;
        let mut steps = Vec::new();
        for slot in 0..slots {
            let mut push = |offset: Duration, what| steps.push(Step { at: SLOT * slot + offset, what });
            push(emulated(random.u64(500..4_000)), processes.draw(random)(random));
            push(emulated(random.u64(0..12_000)), reshards.draw(random)(random));
            // A silent stream is noticed after 20 s by the machine's clock; the last slot leaves some of them.
            let (between, spread) = if slot + 1 == slots { (1_700, 700) } else { (3_200, 2_200) };
            for turn in 0..FAULTS_PER_SLOT {
                // A second apart: of two that wait for the next subscription, one would be met in vain.
                let offset = turn * between + random.u64(0..spread);
                push(emulated(offset), What::Fault(faults.draw(random)(random)));
            }
        }
        steps.sort_by_key(|step| step.at);
        if length < SHORT {
            silent_first(&mut steps);
        }
        Self { seed, length, steps }
    }

    /// What is to be done to processes and shards: when, for which step, and what.
    pub(crate) fn acts(&self) -> Vec<(Duration, usize, Act)> {
        let mut acts = Vec::new();
        for (index, Step { at, what }) in self.steps.iter().enumerate() {
            let mut push = |after: Duration, act| acts.push((*at + after, index, act));
            match *what {
                What::Split { rank } => push(Duration::ZERO, Act::Split(rank)),
                What::Merge { rank } => push(Duration::ZERO, Act::Merge(rank)),
                What::Kill { worker, down } => {
                    push(Duration::ZERO, Act::Kill(worker));
                    push(down, Act::Start(worker));
                }
                What::Sleep { worker, span } => {
                    push(Duration::ZERO, Act::Freeze(worker));
                    push(span, Act::Wake(worker));
                }
                What::Restart { worker, down } => {
                    push(Duration::ZERO, Act::Terminate(worker));
                    push(down, Act::Start(worker));
                }
                What::Fault(ref fault) if fault.is_of_subscriptions() && self.length < SHORT => {
                    push(Duration::ZERO, Act::Expire);
                }
                What::Fault(_) => {}
            }
        }
        acts.sort_by_key(|(at, _, _)| *at);
        acts
    }

    /// The emulator's fault plan; each fault is named after its step, see [`step_of_fault`].
    pub(crate) fn plan(&self) -> String {
        let faults = self.faults().map(|(index, at, fault)| fault.in_plan(index, at));
        std::iter::once(format!("seed = {}\n", self.seed)).chain(faults).collect()
    }

    /// A plan of faults of these kinds alone, one each, that begin at once.
    pub(crate) fn plan_again(&self, kinds: &BTreeSet<&'static str>) -> String {
        let faults = kinds.iter().filter_map(|kind| self.faults().find(|(.., fault)| fault.kind() == *kind));
        let faults = faults.map(|(index, _, fault)| fault.in_plan(index, Duration::ZERO));
        std::iter::once(format!("seed = {}\n", self.seed)).chain(faults).collect()
    }

    /// The kinds of faults of which none has taken effect, by the names in the emulator's log.
    pub(crate) fn never_met<'a>(&self, fired: impl Iterator<Item = &'a str>) -> BTreeSet<&'static str> {
        let kind = |step: usize| match &self.steps.get(step)?.what {
            What::Fault(fault) => Some(fault.kind()),
            _ => None,
        };
        let met: BTreeSet<_> = fired.filter_map(step_of_fault).filter_map(kind).collect();
        self.faults().map(|(.., fault)| fault.kind()).filter(|kind| !met.contains(kind)).collect()
    }

    /// Its faults, with their steps and times.
    fn faults(&self) -> impl Iterator<Item = (usize, Duration, &Fault)> {
        self.steps.iter().enumerate().filter_map(|(index, step)| match &step.what {
            What::Fault(fault) => Some((index, step.at, fault)),
            _ => None,
        })
    }

    /// The ages at which subscriptions are renewed, as the setting has it. Those of an hour end after 20 s, and some are to; those of
    /// a short script are cut by most of its faults.
    pub(crate) fn renew_between(&self) -> &'static str {
        if self.length < SHORT { "[\"5s\", \"8s\"]" } else { "[\"5s\", \"30s\"]" }
    }

    /// The last step that began by then.
    pub(crate) fn step_before(&self, at: Duration) -> Option<usize> {
        self.steps.iter().rposition(|step| step.at <= at)
    }
}

impl What {
    fn fault_mut(&mut self) -> Option<&mut Fault> {
        match self {
            Self::Fault(fault) => Some(fault),
            _ => None,
        }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "HOUR_SEED={}: {} of emulated time", self.seed, clock(self.length))?;
        self.steps.iter().enumerate().try_for_each(|(index, step)| writeln!(f, "  step {index:3}  {step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {:?}", clock(self.at), self.what)
    }
}

/// Hours, minutes and seconds.
pub(crate) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::discriminant;

    #[test]
    fn a_script_follows_from_its_seed_alone() {
        assert_eq!(Script::generate(7, 17), Script::generate(7, 17));
        assert_ne!(Script::generate(7, 17).steps, Script::generate(8, 17).steps);
        assert!(Script::generate(7, 17).steps.is_sorted_by_key(|step| step.at));
    }

    #[test]
    fn three_slots_meet_everything() {
        for seed in 0..50 {
            let script = Script::generate(seed, 3);
            let faults: BTreeSet<_> = script
                .steps
                .iter()
                .filter_map(|step| match &step.what {
                    What::Fault(fault) => Some(fault.kind()),
                    _ => None,
                })
                .collect();
            assert_eq!(faults.len(), FAULTS.len(), "seed {seed}");
            let silent = script.faults().map(|(.., fault)| ["stall", "half-open"].contains(&fault.kind()));
            assert_eq!(silent.take_while(|silent| *silent).count(), 2, "seed {seed}");
            let kinds: Vec<_> = script.steps.iter().map(|step| discriminant(&step.what)).collect();
            let distinct = kinds.iter().enumerate().filter(|(index, kind)| !kinds[..*index].contains(kind)).count();
            assert_eq!(distinct, 6, "seed {seed}");
        }
    }

    #[test]
    fn one_worker_at_most_is_down_at_a_time_and_all_are_up_at_the_end() {
        for seed in 0..50 {
            let script = Script::generate(seed, 17);
            let mut down = BTreeSet::new();
            for (at, _, act) in script.acts() {
                assert!(at < script.length, "seed {seed}: {act:?} at {at:?}");
                match act {
                    Act::Kill(worker) | Act::Freeze(worker) | Act::Terminate(worker) => assert!(down.insert(worker)),
                    Act::Start(worker) | Act::Wake(worker) => assert!(down.remove(&worker)),
                    Act::Split(_) | Act::Merge(_) | Act::Expire => {}
                }
                assert!(down.len() <= 1, "seed {seed}");
            }
            assert!(down.is_empty(), "seed {seed}");
        }
    }

    #[test]
    fn there_are_always_shards_to_split_and_to_merge() {
        for seed in 0..50 {
            let mut shards = SHARDS;
            for step in Script::generate(seed, 17).steps {
                match step.what {
                    What::Split { .. } => shards += 1,
                    What::Merge { .. } => shards -= 1,
                    _ => {}
                }
                assert!((2..=6).contains(&shards), "seed {seed}: {shards}");
            }
        }
    }

    #[test]
    fn the_emulator_takes_every_plan_and_its_faults_name_their_steps() {
        for seed in 0..20 {
            let script = Script::generate(seed, 17);
            alluvial_emulator::check_faults(&script.plan()).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            let plan: toml::Table = script.plan().parse().unwrap();
            for fault in plan["fault"].as_array().unwrap() {
                let step = step_of_fault(fault["name"].as_str().unwrap()).unwrap();
                assert!(matches!(script.steps[step].what, What::Fault(_)));
            }
        }
    }
    #[test]
    fn what_was_never_met_is_told_and_planned_again() {
        let script = Script::generate(7, 3);
        assert_eq!(script.never_met(std::iter::empty()).len(), FAULTS.len());
        let named = |(index, _, fault): (usize, Duration, &Fault)| format!("step {index}: {}", fault.kind());
        let fired: Vec<String> =
            script.faults().filter(|(.., fault)| !["goaway", "throttled"].contains(&fault.kind())).map(named).collect();
        let left = script.never_met(fired.iter().map(String::as_str));
        assert_eq!(left, BTreeSet::from(["goaway", "throttled"]));
        let plan = script.plan_again(&left);
        alluvial_emulator::check_faults(&plan).unwrap_or_else(|error| panic!("{error}: {plan}"));
        let plan: toml::Table = plan.parse().unwrap();
        let again: Vec<&str> =
            plan["fault"].as_array().unwrap().iter().map(|fault| fault["name"].as_str().unwrap()).collect();
        assert_eq!(script.never_met(fired.iter().map(String::as_str).chain(again)), BTreeSet::new());
    }
}
