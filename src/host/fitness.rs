//! What the kernel says about how well this host can measure: how it schedules, counts and limits.

use std::fs;

use super::{clock, priority, usage};
use crate::units::{Nanos, Span};

/// How many sleeps [`wake_ups`] takes, and how long each is.
const SLEEPS: u64 = 100;
const SLEEP: Span = Span::from_millis(1);

/// The host as it is now. `None` is what it does not tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fitness {
    /// Cores that this process may use.
    pub cores: usize,
    /// Frequency governors of the cores, each once; empty where the host has no say (most virtual
    /// machines).
    pub governors: Vec<String>,
    /// Where the kernel's clock comes from, such as `tsc`.
    pub clock_source: Option<String>,
    /// The kernel may delay a timer of a thread that asks for nothing else by this.
    pub timer_slack: Option<Span>,
    /// How late a sleeping thread wakes, at the median and the 99th percentile, with the timers and
    /// the priority that lab uses.
    pub wake_up: (Span, Span),
    /// Whether threads may have real-time priority.
    pub real_time: bool,
    /// Whether the kernel shares cores out to sessions instead of threads.
    pub autogroup: Option<bool>,
    /// Most connections that wait to be accepted at one socket.
    pub somaxconn: Option<u64>,
    /// Most descriptors of a process: now, and what it may raise that to.
    pub descriptors: (u64, u64),
    /// Local ports for outgoing connections to one address.
    pub local_ports: u64,
    /// Share of the CPU time, while this was measured, that a hypervisor gave to others.
    pub stolen: Option<f64>,
    /// Runnable threads, mean of the last minute.
    pub load: Option<f64>,
    /// Bytes of memory that programs can still have.
    pub memory_available: Option<u64>,
    /// Bytes swapped out.
    pub swapped: Option<u64>,
}

impl Fitness {
    /// Looks; takes about a tenth of a second.
    #[must_use]
    pub fn look() -> Self {
        let before = usage::host_cpu_time();
        let real_time = priority::real_time_permitted();
        let wake_up = wake_ups();
        let stolen = before.zip(usage::host_cpu_time()).and_then(|(before, after)| {
            let all = (after.0 - before.0).0;
            (all > 0).then(|| (after.1 - before.1).0 as f64 / all as f64)
        });
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let swap = kibibytes(&memory, "SwapTotal").zip(kibibytes(&memory, "SwapFree"));
        Self {
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            governors: governors(),
            clock_source: word("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            timer_slack: word("/proc/self/timerslack_ns").and_then(|it| it.parse().ok()).map(Span),
            wake_up,
            real_time,
            autogroup: word("/proc/sys/kernel/sched_autogroup_enabled").map(|it| it != "0"),
            somaxconn: word("/proc/sys/net/core/somaxconn").and_then(|it| it.parse().ok()),
            descriptors: usage::descriptor_limits(),
            local_ports: usage::local_ports(),
            stolen,
            load: word("/proc/loadavg").and_then(|it| it.parse().ok()),
            memory_available: kibibytes(&memory, "MemAvailable"),
            swapped: swap.map(|(all, free)| all.saturating_sub(free)),
        }
    }
}

/// The first word of a file.
fn word(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()?.split_whitespace().next().map(str::to_owned)
}

/// A line of `/proc/meminfo`, in bytes.
fn kibibytes(memory: &str, key: &str) -> Option<u64> {
    let line = memory.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

fn governors() -> Vec<String> {
    let Ok(cores) = fs::read_dir("/sys/devices/system/cpu") else { return Vec::new() };
    let governor = |core: fs::DirEntry| {
        word(core.path().join("cpufreq/scaling_governor").to_str().unwrap_or_default())
    };
    let mut found: Vec<String> = cores.filter_map(|core| governor(core.ok()?)).collect();
    found.sort();
    found.dedup();
    found
}

/// How late a thread wakes: median and 99th percentile of [`SLEEPS`] sleeps. With precise timers,
/// and real-time priority if that is permitted, as the generator has them.
fn wake_ups() -> (Span, Span) {
    let late = std::thread::spawn(|| {
        priority::precise_timers();
        let _ = priority::real_time();
        let start = clock::now();
        let mut late: Vec<u64> = (1..=SLEEPS)
            .map(|number| {
                let due = Nanos(start.0 + number * SLEEP.0);
                clock::sleep_until(due);
                clock::now().since(due).0
            })
            .collect();
        late.sort_unstable();
        late
    });
    let late = late.join().unwrap_or_default();
    let at = |share: usize| Span(late.get(late.len() * share / 100).copied().unwrap_or_default());
    (at(50), at(99))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_tells_what_every_linux_tells() {
        let fitness = Fitness::look();
        assert!(fitness.cores >= 1 && fitness.local_ports > 0, "{fitness:?}");
        assert!(fitness.descriptors.0 <= fitness.descriptors.1, "{fitness:?}");
        assert!(fitness.load.is_some() && fitness.memory_available > Some(0), "{fitness:?}");
        assert!(fitness.somaxconn > Some(0), "{fitness:?}");
        assert!(fitness.wake_up.0 <= fitness.wake_up.1 && fitness.wake_up.1 > Span::ZERO);
    }

    #[test]
    fn a_line_of_meminfo_is_bytes() {
        let text = "MemTotal:       24684084 kB\nSwapTotal:             8 kB\n";
        assert_eq!(kibibytes(text, "SwapTotal"), Some(8192));
        assert_eq!(kibibytes(text, "Swap"), None);
    }
}
