//! A line for each shard while records flow: drawn over on a terminal, one now and then elsewhere.

use crate::console::{Console, grouped};
use alluvial_consumer::{ShardState, StatusBoard};
use alluvial_enrich::Ledger;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

/// Time between two tables on a terminal, and elsewhere.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// Shards shown; the others are summed up in a line.
const SHOWN: usize = 16;

/// The table of shards.
pub(super) struct Live {
    console: Console,
    status: StatusBoard,
    ledger: Ledger,
    /// Lines of the table on the screen.
    drawn: Mutex<usize>,
}

/// One shard as shown.
struct Row {
    name: String,
    rate: u64,
    lag_millis: u64,
    in_flight: u64,
    state: ShardState,
}

impl Live {
    pub(super) fn new(console: Console, status: StatusBoard, ledger: Ledger) -> Self {
        Self { console, status, ledger, drawn: Mutex::new(0) }
    }

    /// Draws the table again and again.
    pub(super) async fn tell<T>(&self) -> T {
        let interval = if self.console.is_live() { INTERVALS.0 } else { INTERVALS.1 };
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks.tick().await;
        let (mut before, mut at) = (BTreeMap::new(), Instant::now());
        loop {
            ticks.tick().await;
            let elapsed_millis = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
            at = Instant::now();
            self.draw(&self.rows(&mut before, elapsed_millis));
        }
    }

    /// The table after the end, where it was drawn over.
    pub(super) fn last(&self) {
        if self.console.is_live() {
            self.draw(&self.rows(&mut BTreeMap::new(), u64::MAX));
        }
    }

    fn rows(&self, before: &mut BTreeMap<String, u64>, elapsed_millis: u64) -> Vec<Row> {
        let row = |(shard, status): (alluvial_record::ShardId, std::sync::Arc<alluvial_consumer::ShardStatus>)| {
            let received = status.received();
            let last = before.insert(shard.as_str().to_owned(), received).unwrap_or(0);
            Row {
                name: shard.short().to_owned(),
                rate: received.saturating_sub(last).saturating_mul(1_000) / elapsed_millis,
                lag_millis: status.millis_behind_latest(),
                in_flight: received.saturating_sub(status.acknowledged()),
                state: status.state(),
            }
        };
        self.status.snapshot().into_iter().map(row).collect()
    }

    fn draw(&self, rows: &[Row]) {
        let total = self.ledger.total();
        let mut text = String::from("  shard     records/s       lag  in flight  state\n");
        for row in rows.iter().take(SHOWN) {
            let lag = format!("{} ms", grouped(row.lag_millis));
            writeln!(
                text,
                "  {:<8} {:>10} {:>9} {:>10}  {}",
                row.name,
                grouped(row.rate),
                lag,
                grouped(row.in_flight),
                row.state.name()
            )
            .ok();
        }
        if rows.len() > SHOWN {
            let rest = rows.iter().skip(SHOWN);
            let (rate, in_flight) =
                rest.fold((0, 0), |(rate, waiting), row| (rate + row.rate, waiting + row.in_flight));
            writeln!(text, "  +{:<7} {:>10} {:>9} {:>10}", rows.len() - SHOWN, grouped(rate), "", grouped(in_flight))
                .ok();
        }
        writeln!(
            text,
            "  in {} · delivered {} · filtered {} · dead-lettered {} · in flight {}",
            grouped(total.received),
            grouped(total.delivered),
            grouped(total.filtered),
            grouped(total.dead_lettered),
            grouped(total.in_flight())
        )
        .ok();
        let mut drawn = self.drawn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if self.console.is_live() && *drawn > 0 {
            // Up to the first line of the table before, and clear from there (ECMA-48: CUU, ED).
            self.console.raw(&format!("\x1b[{}A\x1b[J", *drawn));
        }
        *drawn = text.lines().count();
        self.console.raw(&text);
    }
}
