//! What the kernel has accounted: CPU time of processes, time stolen by the hypervisor.

use std::fs;

use rustix::time::{ClockId, clock_gettime};

use crate::units::{Nanos, Span};

/// CPU time (user and system, all threads) of process `pid` so far; `None` if it is gone.
#[must_use]
pub fn cpu_time(pid: u32) -> Option<Span> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command in parentheses may hold spaces: fields are counted behind the last ')'.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(ticks_to_span(ticks))
}

/// CPU time of this process so far, all threads, to the nanosecond.
#[must_use]
pub fn own_cpu_time() -> Span {
    cpu_clock(ClockId::ProcessCPUTime)
}

/// CPU time of this thread so far, to the nanosecond.
#[must_use]
pub fn thread_cpu_time() -> Span {
    cpu_clock(ClockId::ThreadCPUTime)
}

fn cpu_clock(clock: ClockId) -> Span {
    let time = clock_gettime(clock);
    Span(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// Time that the threads of process `pid` were ready to run and had no core, so far; `None` if it is
/// gone or the kernel does not count it (`Documentation/scheduler/sched-stats.rst`, schedstat).
#[must_use]
pub fn waited_for_core(pid: u32) -> Option<Span> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let waited = threads.filter_map(|thread| {
        let schedstat = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        schedstat.split_whitespace().nth(1)?.parse::<u64>().ok()
    });
    waited.fold(None, |sum, nanos| Some(sum.unwrap_or(Span::ZERO) + Span(nanos)))
}

/// Time that this thread was ready to run and had no core, so far; zero if the kernel does not count
/// it.
#[must_use]
pub fn thread_waited_for_core() -> Span {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Span(schedstat.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0))
}

/// State letter of process `pid` (`R`, `S`, `T` for stopped, …); `None` if it is gone.
#[must_use]
pub fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// Processes that `pid` started and that are not reaped; empty if it is gone.
#[must_use]
pub fn children(pid: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut children: Vec<u32> = numbers.filter(|child| parent(*child) == Some(pid)).collect();
    children.sort_unstable();
    children
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// The command line of process `pid`, or the title that it gave itself; `None` if it is gone.
#[must_use]
pub fn title(pid: u32) -> Option<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = String::from_utf8_lossy(&line).replace('\0', " ");
    Some(words.trim_end().to_owned())
}

/// Descriptors that process `pid` has open now; `None` if it is gone.
#[must_use]
pub fn open_descriptors(pid: u32) -> Option<u64> {
    Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64)
}

/// Most descriptors that this process, and those it starts, may have open.
#[must_use]
pub fn descriptor_limit() -> u64 {
    descriptor_limits().0
}

/// The same, and what a process may raise it to.
#[must_use]
pub fn descriptor_limits() -> (u64, u64) {
    use rustix::process::{Resource, getrlimit};
    let limit = getrlimit(Resource::Nofile);
    (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX))
}

/// How many local ports the kernel has for outgoing connections.
#[must_use]
pub fn local_ports() -> u64 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let ends: Vec<u64> = range.split_whitespace().filter_map(|end| end.parse().ok()).collect();
    match ends[..] {
        [first, last] => last.saturating_sub(first) + 1,
        // The kernel's default range.
        _ => 28_232,
    }
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

/// What this process uses now.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// CPU time, user and system, of all threads.
    pub cpu: Span,
    /// Bytes in RAM.
    pub resident: u64,
    /// Bytes addressed.
    pub addressed: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Threads.
    pub threads: u64,
    /// Wall time of its start.
    pub started: Nanos,
}

/// What this process uses now; `None` without `/proc`.
#[must_use]
pub fn process() -> Option<Process> {
    let pid = std::process::id();
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // Numbered as in proc_pid_stat(5), less the first three.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let host = fs::read_to_string("/proc/stat").ok()?;
    let booted = host.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    // SAFETY: sysconf reads a constant of the system.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.max(1) as u64;
    Some(Process {
        cpu: cpu_time(pid)?,
        resident: field(24)? * page,
        addressed: field(23)?,
        descriptors: open_descriptors(pid)?,
        threads: field(20)?,
        started: Nanos::ZERO + Span::from_secs(booted) + ticks_to_span(field(22)?),
    })
}

fn ticks_to_span(ticks: u64) -> Span {
    // SAFETY: sysconf reads a constant of the system.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1) as u64;
    Span(ticks.saturating_mul(1_000_000_000 / per_second))
}
