//! How much memory the process has had.

/// The most resident memory that this process has had, in bytes; `None` where the system does not say.
///
/// Source: `VmHWM` of `/proc/self/status`, proc(5).
pub(crate) fn peak_memory() -> Option<u64> {
    of_status(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn of_status(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_in_bytes() {
        assert_eq!(of_status("Name:\tx\nVmHWM:\t  1234 kB\nVmRSS:\t 9 kB\n"), Some(1234 * 1024));
        assert_eq!(of_status("Name:\tx\n"), None);
    }
}
