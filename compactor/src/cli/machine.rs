//! What the machine may be asked for.

use alluvial_compactor::{Machine, Settings};
use clap::Args;
use std::path::PathBuf;

/// What the machine may be asked for.
#[derive(Debug, Clone, Args)]
pub(crate) struct MachineArgs {
    /// Threads that read and write; as many as there are cores unless given
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Memory to use, about
    #[arg(long, default_value = "512MiB", value_parser = parse_bytes, value_name = "SIZE")]
    memory: usize,
    /// Where a temporary file goes when row groups do not fit in memory; $TMPDIR unless given
    #[arg(long, value_name = "DIR")]
    spool_dir: Option<PathBuf>,
}

impl MachineArgs {
    /// What was typed.
    pub(crate) fn machine(&self) -> Machine {
        let default = Machine::default();
        Machine {
            threads: self.threads.unwrap_or(default.threads),
            memory_bytes: self.memory,
            spool_dir: self.spool_dir.clone().unwrap_or(default.spool_dir),
        }
    }

    /// Takes over what was typed.
    pub(crate) fn apply(&self, settings: &mut Settings) {
        let Machine { threads, memory_bytes, spool_dir } = self.machine();
        settings.threads = threads;
        settings.memory_bytes = memory_bytes;
        settings.spool_dir = spool_dir;
    }
}

/// Bytes, as in `1048576`, `1MiB`, `1 MB`.
pub(super) fn parse_bytes(text: &str) -> Result<usize, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        other => return Err(format!("{other:?} is no unit; write B, kB, MB, GB, KiB, MiB or GiB")),
    };
    let number: usize = number.parse().map_err(|_| "a size is a whole number with a unit, as in 256MiB".to_owned())?;
    number.checked_mul(factor).ok_or_else(|| "that is too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read() {
        assert_eq!(parse_bytes("256MiB"), Ok(256 << 20));
        assert_eq!(parse_bytes("10 MB"), Ok(10_000_000));
        assert_eq!(parse_bytes("7"), Ok(7));
        for bad in ["", "MiB", "1.5MiB", "1 parsec", "99999999999999999999GiB"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
    }
}
