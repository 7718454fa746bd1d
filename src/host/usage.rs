//! What the kernel has accounted: CPU time of processes, time stolen by the hypervisor.

use std::fs;

use crate::units::Span;

/// CPU time (user and system, all threads) of process `pid` so far; `None` if it is gone.
#[must_use]
pub fn cpu_time(pid: u32) -> Option<Span> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command in parentheses may hold spaces: fields are counted behind the last ')'.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(ticks_to_span(ticks))
}

/// State letter of process `pid` (`R`, `S`, `T` for stopped, …); `None` if it is gone.
#[must_use]
pub fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// CPU time of all cores: (all, stolen), since boot.
#[must_use]
pub fn host_cpu_time() -> Option<(Span, Span)> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<u64> = stat
        .lines()
        .next()?
        .split_whitespace()
        .skip(1)
        .take(8)
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    Some((ticks_to_span(ticks.iter().sum()), ticks_to_span(*ticks.get(7)?)))
}

fn ticks_to_span(ticks: u64) -> Span {
    // SAFETY: sysconf reads a constant of the system.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1) as u64;
    Span(ticks.saturating_mul(1_000_000_000 / per_second))
}
