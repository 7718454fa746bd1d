//! What a metric of a manifest is in lab.

use crate::policy::scale::ScaleMetric;

/// The name of a metric of the balancer for `type: Object`.
pub(super) const fn at_balancer(metric: ScaleMetric) -> &'static str {
    match metric {
        ScaleMetric::InFlight => "lab_proxy_in_flight",
        ScaleMetric::Queue => "lab_proxy_waiting",
        _ => "lab_proxy_requests_per_second",
    }
}

/// What the name of a metric of an object says of a balancer, if anything; whether that is certain.
pub(super) fn of_balancer(name: &str) -> (Option<ScaleMetric>, bool) {
    const ALL: [ScaleMetric; 3] =
        [ScaleMetric::Requests, ScaleMetric::InFlight, ScaleMetric::Queue];
    if let Some(metric) = ALL.into_iter().find(|metric| at_balancer(*metric) == name) {
        return (Some(metric), true);
    }
    let (metric, _) = metric(name);
    let lower = name.to_ascii_lowercase();
    let says = ["request", "rps", "qps", "hits", "rate"].iter().any(|word| lower.contains(word));
    let known = match metric {
        ScaleMetric::InFlight | ScaleMetric::Queue => true,
        ScaleMetric::Requests => says,
        ScaleMetric::Utilization | ScaleMetric::Cpu => false,
    };
    (known.then_some(metric), false)
}

/// The query for an external metric: the sum of what has this name and these labels.
pub(super) fn query(name: &str, labels: &[(&str, &str)]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let is_name = name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit());
    let mut matchers: Vec<String> = Vec::new();
    if !is_name {
        matchers.push(format!("__name__={name:?}"));
    }
    matchers.extend(labels.iter().map(|(label, value)| format!("{label}={value:?}")));
    let name = if is_name { name } else { "" };
    match matchers.is_empty() {
        true => format!("sum({name})"),
        false => format!("sum({name}{{{}}})", matchers.join(",")),
    }
}

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
