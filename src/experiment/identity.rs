//! What tells one run from another: its id, its date, its host.

use std::fs;

use crate::host::{clock, date};
use crate::record::manifest::HostFacts;
use crate::units::Nanos;

/// An id that sorts by time and differs between runs of the same second.
pub(super) fn run_id(wall: Nanos) -> String {
    let suffix = (wall.0 / 1_000) as u16 ^ (std::process::id() as u16).rotate_left(5);
    format!("{}-{suffix:04x}", date::compact(wall))
}

/// This machine, as far as it tells.
#[must_use]
pub fn host_facts() -> HostFacts {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let value_of = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let memory = value_of(&read("/proc/meminfo"), "MemTotal");
    let kibibytes = memory.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    HostFacts {
        name: read("/proc/sys/kernel/hostname").trim().to_owned(),
        cores: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32),
        cpu_model: value_of(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
        kernel: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
        memory_bytes: kibibytes.unwrap_or(0) * 1024,
    }
}

/// The wall clock now.
pub(super) fn wall() -> Nanos {
    clock::wall()
}
