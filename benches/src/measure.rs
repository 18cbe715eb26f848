//! Contenders take turns; the medians are compared.

use serde_json::json;
use std::io::Write as _;
use std::path::Path;
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

/// Lets the contenders take turns, prints the median MB/s of each and its ratio to the last one, which is the limit, and
/// writes the same to `target/bench/<bench>-<case>.json`.
///
/// # Errors
/// When stdout or the file cannot be written.
pub fn compare(bench: &str, case: &str, contenders: &mut [Contender<'_>]) -> std::io::Result<()> {
    let mut speeds = vec![Vec::with_capacity(ROUNDS); contenders.len()];
    for _ in 0..ROUNDS {
        for (contender, speeds) in contenders.iter_mut().zip(&mut speeds) {
            let began = Instant::now();
            let bytes = (contender.work)();
            #[allow(clippy::cast_precision_loss, reason = "a speed has three digits that count")]
            speeds.push(bytes as f64 / 1e6 / began.elapsed().as_secs_f64());
        }
    }
    let medians: Vec<f64> = speeds.iter_mut().map(|speeds| median(speeds)).collect();
    let limit = medians.last().copied().unwrap_or(f64::NAN);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{bench}, {case}: median of {ROUNDS} interleaved runs")?;
    let mut results = Vec::new();
    for (contender, median) in contenders.iter().zip(&medians) {
        writeln!(out, "  {:<32} {median:>8.0} MB/s  {:>5.2} of the limit", contender.name, median / limit)?;
        results.push(json!({"name": contender.name, "mb_per_second": median, "ratio_to_limit": median / limit}));
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&folder)?;
    let text = json!({"bench": bench, "case": case, "rounds": ROUNDS, "results": results}).to_string();
    std::fs::write(folder.join(format!("{bench}-{case}.json")), text)
}

fn median(values: &mut [f64]) -> f64 {
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
