//! What the kernel knows of a process.

use crate::Result;

/// Clock ticks of `/proc/PID/stat` in a second. Linux has fixed them for user space, whatever the kernel counts in.
///
/// Source: <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>, <https://man7.org/linux/man-pages/man7/time.7.html>.
const TICKS_PER_SECOND: f64 = 100.0;

/// The memory of a process, in MiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// The most that it had in RAM so far.
    pub peak_mib: f64,
    /// What it has in RAM.
    pub now_mib: f64,
}

/// The CPU time that a process has used so far, user and system together, in steps of 10 ms.
///
/// # Errors
/// Where there is no `/proc`, or no such process.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold spaces. utime and stime are the 14th and 15th fields, 12th and 13th behind it.
    let behind = stat.rsplit_once(") ").ok_or("an unknown /proc/PID/stat")?.1;
    let ticks: Vec<f64> = behind.split(' ').skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    Ok(ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
}

/// The memory of a process.
///
/// # Errors
/// As [`cpu_seconds`].
pub fn memory(pid: u32) -> Result<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let mib = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name))?.trim_start_matches(':');
        value.trim().trim_end_matches(" kB").parse::<f64>().ok().map(|kib| kib / 1024.0)
    };
    let (peak, now) = (mib("VmHWM"), mib("VmRSS"));
    Ok(Memory { peak_mib: peak.ok_or("no VmHWM")?, now_mib: now.ok_or("no VmRSS")? })
}
