//! What every program says of its process, under the names that Prometheus' own libraries use.
//! <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>

use super::{Kind, Page};
use crate::host::usage;

/// Adds CPU time, memory, descriptors, threads and the start of this process; nothing without
/// `/proc`.
pub fn process(page: &mut Page) {
    let Some(now) = usage::process() else { return };
    page.family("process_cpu_seconds", Kind::Counter, "CPU time, user and system.")
        .sample(&[], now.cpu.as_secs_f64());
    page.family("process_resident_memory_bytes", Kind::Gauge, "Memory in RAM.")
        .sample(&[], now.resident);
    page.family("process_virtual_memory_bytes", Kind::Gauge, "Memory addressed.")
        .sample(&[], now.addressed);
    page.family("process_open_fds", Kind::Gauge, "Descriptors open.").sample(&[], now.descriptors);
    page.family("process_max_fds", Kind::Gauge, "Most descriptors that may be open.")
        .sample(&[], usage::descriptor_limit());
    page.family("process_threads", Kind::Gauge, "Threads.").sample(&[], now.threads);
    let help = "When the process started, since 1970.";
    page.family("process_start_time_seconds", Kind::Gauge, help)
        .sample(&[], now.started.0 as f64 / 1e9);
}
