//! Shares and commits that die at any of their I/Os.

use super::*;
use crate::run::crashes::{ALL, World};
use crate::store::faults::{Fault, Faults};

struct Plant {
    world: World,
    at: PlanAt,
    machine: Machine,
}

impl Plant {
    async fn new() -> Self {
        let world = World::new();
        let (src, dst) = (Location::Local(world.src()), Location::Local(world.dst()));
        let planned = plan(&Settings::new(src, dst), None, 2).await.expect("planned");
        let at = planned.plan.expect("a plan").parse().expect("a plan");
        Self { world, at, machine: Machine { threads: 1, ..Machine::default() } }
    }

    async fn share(&self, shard: &str, fault: Fault) -> Result<ShareReport, Error> {
        let faults = Faults::new(fault);
        let open = |at: &Location| Ok(Store::open(at, None)?.with_faults(faults.clone()));
        let shard = shard.parse().expect("a share");
        share(&self.at, shard, &self.machine, open(&self.at.dst).expect("a store"), open, &|_| {}).await
    }

    async fn commit(&self, fault: Fault) -> Result<Report, Error> {
        let store = Store::open(&self.at.dst, None).expect("a store").with_faults(Faults::new(fault));
        commit_shares(&self.at, &self.machine, store, &|_| {}).await
    }
}

#[tokio::test]
async fn a_share_that_dies_at_any_io_is_run_again() {
    for at in 0.. {
        let plant = Plant::new().await;
        let alive = plant.share("0/2", Fault::Death(at)).await.is_ok();
        plant.world.leave_staging();
        plant.share("0/2", Fault::None).await.expect("run");
        plant.share("1/2", Fault::None).await.expect("run");
        plant.commit(Fault::None).await.expect("committed");
        plant.world.check_rows(&ALL, &format!("a share was dead after {at}"));
        if alive {
            assert!(at > 8, "only {at} I/Os in a share");
            break;
        }
    }
}

#[tokio::test]
async fn a_commit_that_dies_at_any_io_or_any_two_is_done_again() {
    let plant = Plant::new().await;
    for shard in ["0/2", "1/2"] {
        plant.share(shard, Fault::None).await.expect("run");
    }
    let world = &plant.world;
    world.save();
    // The saved state is that of the shares, before the first death.
    let fresh = world.saved();
    let first_state = fresh.with_file_name("shares");
    crate::run::crashes::copy(&fresh, &first_state);
    for first in 0.. {
        crate::run::crashes::copy(&first_state, &world.dst());
        let alive = plant.commit(Fault::Death(first)).await.is_ok();
        world.check_snapshot();
        world.save();
        for second in 0.. {
            world.restore();
            let alive = plant.commit(Fault::Death(second)).await.is_ok();
            assert!([0, 4].contains(&world.check_snapshot()));
            plant.commit(Fault::None).await.expect("committed");
            // What the shares left goes with the commit, or with the next run.
            world.check_final(&ALL, &format!("commits were dead after {first}, and after {second}")).await;
            assert!(!world.has_work());
            if alive {
                break;
            }
        }
        if alive {
            assert!(first > 15, "only {first} I/Os in a commit");
            break;
        }
    }
}
