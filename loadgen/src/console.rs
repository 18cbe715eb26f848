//! Progress on stderr: one line a second.

use crate::observe::{Observer, Progress, Rejection};
use crate::report::{LISTED_REJECTIONS, grouped};
use std::fmt;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// One line that is written over.
    Terminal,
    /// A line each second.
    Lines,
    /// Log events, so that stderr stays one JSON object a line.
    Events,
}

/// Shows a run to the person who started it.
#[derive(Debug)]
pub(crate) struct Console {
    style: Style,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    last: Progress,
    rejections: usize,
}

impl Console {
    /// With `events`, progress goes to the log.
    pub(crate) fn new(events: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let style = match std::io::stderr().is_terminal() {
            _ if events => Style::Events,
            true if !dumb => Style::Terminal,
            _ => Style::Lines,
        };
        Self { style, seen: Mutex::default() }
    }

    /// Ends the line that is written over, so that what follows starts on its own.
    pub(crate) fn finish(&self) {
        if self.style == Style::Terminal {
            print("\r\x1b[2K");
        }
    }

    fn line(&self, text: fmt::Arguments<'_>) {
        match self.style {
            Style::Terminal => print(&format!("\r\x1b[2K{text}\n")),
            Style::Lines => print(&format!("{text}\n")),
            Style::Events => tracing::warn!("{text}"),
        }
    }
}

impl Observer for Console {
    fn rejected(&self, rejection: &Rejection) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.rejections += 1;
        let Rejection { line, bytes, reason } = rejection;
        match seen.rejections {
            count if count <= LISTED_REJECTIONS => {
                self.line(format_args!("rejected line {line} ({} bytes): {reason}", grouped(*bytes)));
            }
            count if count == LISTED_REJECTIONS + 1 => {
                self.line(format_args!("more lines are rejected; they are counted in the report"));
            }
            _ => {}
        }
    }

    fn progress(&self, progress: &Progress) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let text = describe(progress, &seen.last);
        seen.last = *progress;
        match self.style {
            Style::Terminal => print(&format!("\r\x1b[2K{text}")),
            Style::Lines => print(&format!("{text}\n")),
            Style::Events => tracing::info!(
                offered = progress.offered,
                accepted = progress.accepted,
                throttled = progress.throttled_entries,
                retried = progress.retried_entries,
                lost = progress.lost,
                rejected = progress.rejected,
                late = progress.late_starts,
                "progress"
            ),
        }
    }
}

/// A closed stderr stops nobody's load.
fn print(text: &str) {
    let mut stderr = std::io::stderr().lock();
    stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()).ok();
}

/// One line: totals, and rates since the last line.
fn describe(now: &Progress, last: &Progress) -> String {
    let seconds = now.elapsed.saturating_sub(last.elapsed).as_secs_f64().max(1e-3);
    let rate = |now: u64, last: u64| now.saturating_sub(last) as f64 / seconds;
    let mut text = format!(
        "{:>4.0} s  offered {} ({:.0}/s)  accepted {} ({:.0}/s, {:.2} MB/s)",
        now.elapsed.as_secs_f64(),
        grouped(now.offered),
        rate(now.offered, last.offered),
        grouped(now.accepted),
        rate(now.accepted, last.accepted),
        rate(now.bytes, last.bytes) / 1e6,
    );
    let troubles = [
        ("throttled", now.throttled_entries),
        ("retried", now.retried_entries),
        ("lost", now.lost),
        ("rejected", now.rejected),
        ("late", now.late_starts),
    ];
    for (name, count) in troubles {
        if count > 0 {
            text.push_str(&format!("  {name} {}", grouped(count)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_line_has_totals_and_the_rates_of_the_last_second() {
        let last =
            Progress { elapsed: Duration::from_secs(11), offered: 11_000, accepted: 10_900, ..Progress::default() };
        let now = Progress {
            elapsed: Duration::from_secs(12),
            offered: 12_000,
            accepted: 11_950,
            bytes: 1_500_000,
            throttled_entries: 40,
            ..Progress::default()
        };
        assert_eq!(
            describe(&now, &last),
            "  12 s  offered 12,000 (1000/s)  accepted 11,950 (1050/s, 1.50 MB/s)  throttled 40"
        );
    }
}
