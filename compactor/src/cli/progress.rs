//! How far a run has come: one line on a terminal, that is written over; elsewhere a line for every tenth.

use super::show::size;
use alluvial_compactor::{Phase, Progress};
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// How often a terminal's line is written.
const INTERVAL: Duration = Duration::from_millis(100);

/// What makes the cut to whole seconds a rounding.
const HALF: Duration = Duration::from_millis(500);

/// Shows progress on stderr.
#[derive(Debug)]
pub(crate) struct ProgressLines {
    terminal: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Option<Phase>,
    since: Instant,
    shown: Option<Instant>,
    tenths: u64,
    /// Characters of the terminal's line, which the next one has to cover.
    width: usize,
}

impl ProgressLines {
    pub(crate) fn new() -> Self {
        let state = State { phase: None, since: Instant::now(), shown: None, tenths: 0, width: 0 };
        Self { terminal: io::stderr().is_terminal(), state: Mutex::new(state) }
    }

    /// Shows how far it is, if that is news.
    pub(crate) fn show(&self, at: Progress) {
        let Ok(mut state) = self.state.lock() else { return };
        let now = Instant::now();
        let begins = state.phase != Some(at.phase);
        if begins {
            if self.terminal && state.width > 0 {
                // A closed stderr is no reason to stop.
                writeln!(io::stderr()).ok();
            }
            *state = State { phase: Some(at.phase), since: now, shown: None, tenths: 0, width: 0 };
        }
        let tenths = (at.objects * 10).checked_div(at.total_objects).unwrap_or(0);
        let due = state.shown.is_none_or(|shown| now - shown >= INTERVAL) || at.objects == at.total_objects;
        if !begins && ((self.terminal && !due) || (!self.terminal && tenths == state.tenths)) {
            return;
        }
        (state.shown, state.tenths) = (Some(now), tenths);
        let text = line(&at, now - state.since);
        let mut stderr = io::stderr();
        if self.terminal {
            write!(stderr, "\r{text:<width$}", width = state.width).ok();
            stderr.flush().ok();
            state.width = text.chars().count();
        } else {
            writeln!(stderr, "{text}").ok();
        }
    }

    /// Ends the terminal's line, so that what follows begins a new one.
    pub(crate) fn end(&self) {
        let Ok(mut state) = self.state.lock() else { return };
        if self.terminal && std::mem::take(&mut state.width) > 0 {
            writeln!(io::stderr()).ok();
        }
    }
}

/// What is known after `elapsed` of a phase.
fn line(at: &Progress, elapsed: Duration) -> String {
    let Progress { phase, objects, total_objects, bytes, total_bytes, rows, .. } = *at;
    if total_objects == 0 {
        return phase.to_string();
    }
    let noun = if matches!(phase, Phase::Writing | Phase::Verifying) { "files" } else { "objects" };
    if objects == 0 {
        let of = if total_bytes > 0 { format!(", {}", size(total_bytes)) } else { String::new() };
        return format!("{phase} {total_objects} {noun}{of}");
    }
    let seconds = elapsed.as_secs_f64().max(1e-3);
    let rate = bytes as f64 / seconds;
    let done = if total_bytes > 0 { bytes as f64 / total_bytes as f64 } else { objects as f64 / total_objects as f64 };
    // Less than a second says nothing.
    let left = (objects < total_objects && done > 0.0 && seconds >= 1.0)
        .then(|| format!(", {} left", time(seconds / done - seconds)));
    let left = left.unwrap_or_default();
    format!("{phase} {objects}/{total_objects} {noun}, {rows} rows, {:.1} MB/s{left}", rate / 1e6)
}

fn time(seconds: f64) -> String {
    match Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX).saturating_add(HALF).as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_fast_it_goes_and_how_long_it_takes() {
        let at = |phase, objects, bytes| Progress {
            phase,
            objects,
            total_objects: 40,
            bytes,
            total_bytes: 400_000_000,
            rows: 7,
        };
        let after = Duration::from_secs(2);
        assert_eq!(line(&at(Phase::Reading, 0, 0), after), "reading 40 objects, 400.0 MB");
        assert_eq!(
            line(&at(Phase::Reading, 10, 100_000_000), after),
            "reading 10/40 objects, 7 rows, 50.0 MB/s, 6 s left"
        );
        assert_eq!(line(&at(Phase::Reading, 40, 400_000_000), after), "reading 40/40 objects, 7 rows, 200.0 MB/s");
        assert_eq!([time(59.4), time(61.0), time(7265.0)], ["59 s", "1 min 01 s", "2 h 01 min"]);
    }
}
