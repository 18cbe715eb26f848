use super::*;
use proptest::prelude::*;

/// A fleet as it would be: leases with owners, and workers that come and go. A round is one look of every living worker at the
/// table, in any order; those that look at once see the same table.
#[derive(Debug, Clone)]
struct World {
    leases: Vec<Candidate>,
    workers: BTreeSet<String>,
    balance: Balance,
    steals: usize,
}

impl World {
    fn new(weights: &[u64], balance: Balance) -> Self {
        let lease = |(number, weight): (usize, &u64)| Candidate {
            shard: format!("shard-{number:04}").as_str().into(),
            owner: None,
            bytes_per_second: *weight,
            moving: false,
            free_rounds: 0,
        };
        let leases = weights.iter().enumerate().map(lease).collect();
        Self { leases, workers: BTreeSet::new(), balance, steals: 0 }
    }

    fn join(&mut self, worker: usize) {
        self.workers.insert(format!("worker-{worker:02}"));
    }

    /// The worker dies, and its leases have been found expired.
    fn leave(&mut self, worker: usize) {
        let name = format!("worker-{worker:02}");
        self.workers.remove(&name);
        for lease in self.leases.iter_mut().filter(|lease| lease.owner.as_ref() == Some(&name)) {
            (lease.owner, lease.moving) = (None, false);
        }
    }

    /// Each worker plans from the table as it was at the beginning of the round if `together`, else as it is by now. Workers
    /// without a lease are not seen by others, as in the table of the Kinesis Client Library. Handoffs end with the round.
    fn round(&mut self, order: &[usize], together: bool) -> usize {
        let (before, mut changed) = (self.leases.clone(), 0);
        let all: Vec<String> = self.workers.iter().cloned().collect();
        let mut names: Vec<&String> = order.iter().filter_map(|index| all.get(*index % all.len().max(1))).collect();
        names.extend(&all);
        let mut planned = BTreeSet::new();
        for me in names.into_iter().filter(|name| planned.insert((*name).clone())) {
            let seen = if together { before.clone() } else { self.leases.clone() };
            let mut workers: BTreeSet<String> = seen.iter().filter_map(|lease| lease.owner.clone()).collect();
            workers.insert(me.clone());
            let fleet = Fleet { me, workers: &workers, leases: &seen, balance: self.balance, max_leases: usize::MAX };
            let moves = plan(&fleet);
            for shard in moves.take.iter().chain(&moves.ask) {
                let old = seen.iter().find(|lease| lease.shard == *shard).unwrap();
                let now = self.leases.iter_mut().find(|lease| lease.shard == *shard).unwrap();
                // The conditional write: whoever saw another owner is refused.
                if now.owner == old.owner && !now.moving {
                    self.steals += usize::from(now.owner.is_some());
                    (now.moving, now.owner) = (now.owner.is_some(), Some(me.clone()));
                    changed += 1;
                }
            }
        }
        for lease in &mut self.leases {
            lease.moving = false;
            lease.free_rounds = if lease.owner.is_none() { lease.free_rounds + 1 } else { 0 };
        }
        changed
    }

    /// Rounds until nothing changes any more.
    fn settle(&mut self, order: &[usize], together: bool) -> usize {
        (1..200).find(|_| self.round(order, together) == 0).expect("the fleet never comes to rest")
    }

    fn counts(&self) -> Vec<usize> {
        let owned = |worker: &String| self.leases.iter().filter(|lease| lease.owner.as_ref() == Some(worker)).count();
        self.workers.iter().map(owned).collect()
    }

    fn assert_even(&self) {
        assert!(self.leases.iter().all(|lease| lease.owner.as_ref().is_some_and(|owner| self.workers.contains(owner))));
        let counts = self.counts();
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(most - least <= 1, "{counts:?}");
    }
}

fn workers(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn plan_for(me: &str, names: &[&str], leases: &[Candidate], max_leases: usize) -> Moves {
    plan(&Fleet { me, workers: &workers(names), leases, balance: Balance::Count, max_leases })
}

fn leases(owners: &[Option<&str>]) -> Vec<Candidate> {
    let mut leases = World::new(&vec![0; owners.len()], Balance::Count).leases;
    leases.iter_mut().zip(owners).for_each(|(lease, owner)| lease.owner = owner.map(str::to_owned));
    leases
}

#[test]
fn a_newcomer_takes_its_share_of_free_leases_and_all_that_are_left_over() {
    let mut free = leases(&[None; 6]);
    assert_eq!(plan_for("b", &["a", "b"], &free, usize::MAX).take.len(), 3);
    assert_eq!(plan_for("b", &["b"], &free, usize::MAX).take.len(), 6);
    free.iter_mut().for_each(|lease| lease.free_rounds = 1);
    assert_eq!(plan_for("b", &["a", "b"], &free, usize::MAX).take.len(), 6, "nobody took them in the round before");
    assert_eq!(plan_for("b", &["a", "b"], &free, 2).take.len(), 2, "not more than it may have");
}

#[test]
fn a_newcomer_asks_for_its_share_at_once_and_never_for_what_is_on_its_way() {
    let mut owned = leases(&[Some("a"); 6]);
    let moves = plan_for("b", &["a", "b"], &owned, usize::MAX);
    assert_eq!((moves.take.len(), moves.ask.len()), (0, 3));
    assert_eq!(plan_for("a", &["a", "b"], &owned, usize::MAX), Moves::default(), "the giver does nothing");
    assert_eq!(plan_for("b", &["a", "b"], &owned, 1).ask.len(), 1);
    for lease in owned.iter_mut().take(3) {
        (lease.owner, lease.moving) = (Some("b".into()), true);
    }
    assert_eq!(plan_for("b", &["a", "b"], &owned, usize::MAX), Moves::default());
}

#[test]
fn three_newcomers_at_once_come_to_equal_shares() {
    let mut world = World::new(&[0; 12], Balance::Count);
    world.join(0);
    world.settle(&[], true);
    assert_eq!(world.counts(), [12]);
    (1..4).for_each(|worker| world.join(worker));
    world.settle(&[], true);
    assert_eq!(world.counts(), [3, 3, 3, 3]);
}

#[test]
fn throughput_is_levelled_and_left_alone_within_a_tenth() {
    let mut world = World::new(&[1_000_000, 500_000, 500_000, 0, 0, 0], Balance::Throughput);
    world.join(0);
    world.settle(&[], true);
    world.join(1);
    world.settle(&[], true);
    let load = |world: &World, worker: &str| -> u64 {
        let owned = world.leases.iter().filter(|lease| lease.owner.as_deref() == Some(worker));
        owned.map(|lease| lease.bytes_per_second).sum()
    };
    assert_eq!((load(&world, "worker-00"), load(&world, "worker-01")), (1_000_000, 1_000_000));
    let steals = world.steals;
    world.leases[0].bytes_per_second = 1_080_000;
    assert_eq!(world.settle(&[], true), 1, "eight percent more of one lease moves nothing");
    assert_eq!(world.steals, steals);
}

proptest! {
    /// Any start, any changes of the fleet: it comes to rest, every lease has one living owner, the shares differ by one at
    /// most, and at rest nothing moves.
    #[test]
    fn by_count_any_fleet_comes_to_equal_shares_and_rests(
        count in 1_usize..60,
        changes in proptest::collection::vec((0_usize..8, any::<bool>()), 0..10),
        order in proptest::collection::vec(0_usize..8, 0..8),
        together in any::<bool>(),
        rounds_between in 0_usize..4,
    ) {
        let mut world = World::new(&vec![0; count], Balance::Count);
        world.join(0);
        for (worker, joins) in changes {
            if joins { world.join(worker) } else if world.workers.len() > 1 { world.leave(worker) }
            (0..rounds_between).for_each(|_| { world.round(&order, together); });
        }
        world.settle(&order, together);
        // Workers that others cannot see, since they have no lease, exist only where there are fewer leases than workers.
        if world.workers.len() <= count {
            world.assert_even();
        }
        let steals = world.steals;
        (0..5).for_each(|_| { world.round(&order, together); });
        prop_assert_eq!(world.steals, steals, "a steal at rest");
    }

    /// From rest, one newcomer costs at most as many moves as its share has leases, and one for each that was moved twice
    /// because two workers saw different tables: there is one newcomer, so none.
    #[test]
    fn a_newcomer_costs_its_share_in_moves_and_no_more(count in 1_usize..60, fleet in 1_usize..8) {
        let mut world = World::new(&vec![0; count], Balance::Count);
        (0..fleet).for_each(|worker| world.join(worker));
        world.settle(&[], false);
        let before = world.steals;
        world.join(fleet);
        world.settle(&[], false);
        prop_assert!(world.steals - before <= count.div_ceil(fleet + 1), "{} steals", world.steals - before);
    }

    /// By throughput: it comes to rest, whatever the weights, and noise of five percent moves little.
    #[test]
    fn by_throughput_any_fleet_rests_and_noise_makes_no_ping_pong(
        weights in proptest::collection::vec(0_u64..2_000_000, 1..40),
        fleet in 1_usize..6,
        noise in proptest::collection::vec(proptest::collection::vec(95_u64..=105, 40), 20),
    ) {
        let mut world = World::new(&weights, Balance::Throughput);
        (0..fleet).for_each(|worker| world.join(worker));
        world.settle(&[], true);
        let before = world.steals;
        for round in noise {
            for ((lease, weight), percent) in world.leases.iter_mut().zip(&weights).zip(round) {
                lease.bytes_per_second = weight * percent / 100;
            }
            world.round(&[], true);
        }
        prop_assert!(world.steals - before <= weights.len(), "{} steals in twenty rounds", world.steals - before);
        prop_assert!(world.leases.iter().all(|lease| lease.owner.is_some()));
    }
}
