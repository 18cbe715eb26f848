//! Contenders take turns; the medians are compared.

use crate::{Result, save};
use serde_json::json;
use std::io::Write as _;
use std::time::Instant;

/// Turns of each contender.
const ROUNDS: usize = 7;

/// Something that is measured: a name, and work that returns the bytes that it handled.
pub struct Contender<'a> {
    /// Its name in the table.
    pub name: &'static str,
    /// One turn.
    pub work: Box<dyn FnMut() -> u64 + 'a>,
}

/// Lets the contenders take turns, `rounds` times; returns the median MB/s of each.
pub fn speeds(rounds: usize, contenders: &mut [Contender<'_>]) -> Vec<f64> {
    let mut speeds = vec![Vec::with_capacity(rounds); contenders.len()];
    for _ in 0..rounds {
        for (contender, speeds) in contenders.iter_mut().zip(&mut speeds) {
            let began = Instant::now();
            let bytes = (contender.work)();
            #[allow(clippy::cast_precision_loss, reason = "a speed has three digits that count")]
            speeds.push(bytes as f64 / 1e6 / began.elapsed().as_secs_f64());
        }
    }
    speeds.iter_mut().map(|speeds| median(speeds)).collect()
}

/// Lets the contenders take turns, prints the median MB/s of each and its ratio to the last one, which is the limit, and
/// writes the same to `target/bench/<bench>-<case>.json`.
///
/// # Errors
/// When stdout or the file cannot be written.
pub fn compare(bench: &str, case: &str, contenders: &mut [Contender<'_>]) -> Result<()> {
    let medians = speeds(ROUNDS, contenders);
    let limit = medians.last().copied().unwrap_or(f64::NAN);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{bench}, {case}: median of {ROUNDS} interleaved runs")?;
    let mut results = Vec::new();
    for (contender, median) in contenders.iter().zip(&medians) {
        writeln!(out, "  {:<32} {median:>8.0} MB/s  {:>5.2} of the limit", contender.name, median / limit)?;
        results.push(json!({"name": contender.name, "mb_per_second": median, "ratio_to_limit": median / limit}));
    }
    save(&format!("{bench}-{case}"), &json!({"bench": bench, "case": case, "rounds": ROUNDS, "results": results}))
}

/// The middle value; NaN of none.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }
}
