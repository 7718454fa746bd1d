//! What a metric of a manifest is in lab.

use crate::policy::scale::ScaleMetric;

/// The name of a metric for `type: Pods`; CPU is a resource instead.
pub(super) const fn of(metric: ScaleMetric) -> Option<&'static str> {
    match metric {
        ScaleMetric::Cpu => None,
        ScaleMetric::Utilization => Some("lab_backend_utilization"),
        ScaleMetric::InFlight => Some("lab_backend_in_flight"),
        ScaleMetric::Queue => Some("lab_backend_queue"),
        ScaleMetric::Requests => Some("lab_backend_requests_per_second"),
    }
}

/// What the name of a metric of pods says; whether that is certain.
pub(super) fn metric(name: &str) -> (ScaleMetric, bool) {
    const ALL: [ScaleMetric; 4] = [
        ScaleMetric::Utilization,
        ScaleMetric::InFlight,
        ScaleMetric::Queue,
        ScaleMetric::Requests,
    ];
    if let Some(metric) = ALL.into_iter().find(|metric| of(*metric) == Some(name)) {
        return (metric, true);
    }
    let name = name.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let metric = if says(&["queue", "backlog", "waiting"]) {
        ScaleMetric::Queue
    } else if says(&["in_flight", "in-flight", "inflight", "concurren", "active", "connections"]) {
        ScaleMetric::InFlight
    } else if says(&["utilization", "utilisation", "busy"]) {
        ScaleMetric::Utilization
    } else {
        ScaleMetric::Requests
    };
    (metric, false)
}
