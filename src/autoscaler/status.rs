//! What the autoscaler's own `/metrics` show.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::exposition::{Kind, Page, process};
use crate::policy::scale::{
    Direction, Finding, Metric, Phase, ScaleConfig, ScaleDecision, ScaleMetric,
};
use crate::units::Nanos;

/// Counts and states; copies share them.
#[derive(Clone, Debug, Default)]
pub struct Status(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Fewest and most instances.
    limits: (u32, u32),
    desired: u32,
    /// What was measured last, and what it was compared with: of several metrics the one that
    /// counted comes first.
    seen: Vec<Seen>,
    /// Instances by what they are doing.
    instances: [u32; PHASES.len()],
    /// Decisions by what was done and what was found.
    decisions: BTreeMap<(&'static str, &'static str), u64>,
    /// Decisions that change something: out, in.
    changes: [u64; 2],
    polls: u64,
    polls_without_metrics: u64,
    errors: u64,
    next_poll: Nanos,
}

const PHASES: [(Phase, &str); 5] = [
    (Phase::Starting, "starting"),
    (Phase::Ready, "ready"),
    (Phase::Unready, "unready"),
    (Phase::Draining, "draining"),
    (Phase::Dead, "dead"),
];

/// The mean over the instances, or the whole, and the bounds of the rule, in the metric's unit.
#[derive(Clone, Debug)]
struct Seen {
    metric: String,
    value: f64,
    bounds: Vec<(&'static str, f64)>,
}

/// What a decision may change.
const CHANGES: [&str; 2] = ["out", "in"];

impl Status {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(config: &ScaleConfig) -> Self {
        let limits = (config.min, config.max);
        let state = State { limits, desired: config.initial, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// A decision was made.
    pub fn decided(&self, decision: &ScaleDecision) {
        let mut state = self.lock();
        state.polls += 1;
        let (finding, seen) = finding(&decision.reason.finding);
        if !seen.is_empty() {
            state.seen = seen;
        }
        state.polls_without_metrics += u64::from(finding == "no_metrics" || finding == "no_sample");
        let change = match decision.change.direction() {
            None => "none",
            Some(Direction::Out) => "out",
            Some(Direction::In) => "in",
        };
        for (count, word) in state.changes.iter_mut().zip(CHANGES) {
            *count += u64::from(word == change);
        }
        *state.decisions.entry((change, finding)).or_default() += 1;
    }

    /// An order or a question failed.
    pub fn failed(&self) {
        self.lock().errors += 1;
    }

    /// What there should be, what each instance is doing, and when it polls next.
    pub fn show(&self, desired: u32, phases: impl Iterator<Item = Phase>, next_poll: Nanos) {
        let mut state = self.lock();
        state.desired = desired;
        state.next_poll = next_poll;
        state.instances = Default::default();
        for phase in phases {
            let place = PHASES.iter().position(|(known, _)| *known == phase);
            state.instances[place.unwrap_or_default()] += 1;
        }
    }

    /// A page of it, at `now` since zero; OpenMetrics if `open`.
    #[must_use]
    pub fn page(&self, group: &str, now: Nanos, open: bool) -> String {
        let mut page = Page::new(open);
        self.write(&mut page, group, now);
        process(&mut page);
        page.finish()
    }

    /// Adds it to `page`, as it is at `now` since zero.
    pub fn write(&self, page: &mut Page, group: &str, now: Nanos) {
        let state = self.lock();
        let labels = [("group", group)];
        page.family("lab_autoscaler_min_instances", Kind::Gauge, "Fewest instances.")
            .sample(&labels, state.limits.0);
        page.family("lab_autoscaler_max_instances", Kind::Gauge, "Most instances.")
            .sample(&labels, state.limits.1);
        let help =
            "What it decides by, as it read it last: the mean over the instances, or the whole.";
        page.family("lab_autoscaler_metric_value", Kind::Gauge, help);
        for seen in &state.seen {
            page.sample(&[("group", group), ("metric", &seen.metric)], seen.value);
        }
        let help = "What it compared that with.";
        page.family("lab_autoscaler_metric_bound", Kind::Gauge, help);
        for seen in &state.seen {
            for (bound, value) in &seen.bounds {
                let labels = [("group", group), ("metric", &seen.metric), ("bound", bound)];
                page.sample(&labels, value);
            }
        }
        let help = "Decisions that change something, by direction.";
        page.family("lab_autoscaler_changes", Kind::Counter, help);
        for (direction, count) in CHANGES.iter().zip(state.changes) {
            page.sample(&[("group", group), ("direction", direction)], count);
        }
        page.family("lab_autoscaler_desired_instances", Kind::Gauge, "Instances there should be.")
            .sample(&labels, state.desired);
        page.family("lab_autoscaler_instances", Kind::Gauge, "Instances by what they are doing.");
        for ((_, phase), count) in PHASES.iter().zip(state.instances) {
            page.sample(&[("group", group), ("phase", phase)], count);
        }
        let help = "Decisions by what was done (out, in, none) and what was found.";
        page.family("lab_autoscaler_decisions", Kind::Counter, help);
        for ((change, reason), count) in &state.decisions {
            page.sample(&[("group", group), ("change", change), ("reason", reason)], count);
        }
        let help = "Decisions without any metric to decide by.";
        page.family("lab_autoscaler_decisions_without_metrics", Kind::Counter, help)
            .sample(&labels, state.polls_without_metrics);
        page.family("lab_autoscaler_errors", Kind::Counter, "Orders and questions that failed.")
            .sample(&labels, state.errors);
        let help = "Time until the next poll; more than the poll interval while it backs off.";
        page.family("lab_autoscaler_next_poll_seconds", Kind::Gauge, help)
            .sample(&labels, state.next_poll.since(now).as_secs_f64());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One word for what a rule found, and what it saw.
fn finding(finding: &Finding) -> (&'static str, Vec<Seen>) {
    let seen = |metric: &ScaleMetric, mean: &f64, bounds: &[(&'static str, f64)]| {
        vec![Seen { metric: metric.word().to_owned(), value: *mean, bounds: bounds.to_vec() }]
    };
    match finding {
        Finding::NoSample => ("no_sample", Vec::new()),
        Finding::NoMetrics(_) => ("no_metrics", Vec::new()),
        Finding::Unasked => ("unasked", Vec::new()),
        Finding::Died { .. } => ("died", Vec::new()),
        Finding::OffTarget { .. } => ("off_target", Vec::new()),
        Finding::Above { metric, mean, bound, .. } => {
            ("above", seen(metric, mean, &[("up", *bound)]))
        }
        Finding::Below { metric, mean, bound, .. } => {
            ("below", seen(metric, mean, &[("down", *bound)]))
        }
        Finding::Target { metric, mean, target, .. } => {
            ("target", seen(metric, mean, &[("target", *target)]))
        }
        Finding::Whole { metric, value, target, .. } => {
            let name = match metric {
                Metric::Balancer(of) => format!("balancer_{}", of.word()),
                Metric::Instances(_) | Metric::External(_) => metric.name().to_owned(),
            };
            let bounds = vec![("target", target.number())];
            ("target", vec![Seen { metric: name, value: *value, bounds }])
        }
        Finding::Most { finding, others } => {
            let (word, first) = self::finding(finding);
            let others = others.iter().flat_map(|other| self::finding(other).1);
            (word, first.into_iter().chain(others).collect())
        }
        Finding::Between { metric, mean, down, up, .. } => {
            ("between", seen(metric, mean, &[("down", *down), ("up", *up)]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::scale::{Change, Reason};

    fn decision(change: Change, finding: Finding) -> ScaleDecision {
        ScaleDecision {
            size: 2,
            desired: 3,
            change,
            reason: Reason { finding, limits: Vec::new() },
        }
    }

    #[test]
    fn what_happened_is_on_the_page() {
        let status = Status::new(&ScaleConfig::new(1, 6));
        status.decided(&decision(
            Change::Out(vec![2]),
            Finding::Above {
                metric: ScaleMetric::Utilization,
                mean: 0.9,
                of: 2,
                bound: 0.7,
                polls: 1,
                needed: 1,
            },
        ));
        status.decided(&decision(Change::None, Finding::NoSample));
        status.failed();
        status.show(
            3,
            [Phase::Ready, Phase::Ready, Phase::Starting].into_iter(),
            Nanos(5_000_000_000),
        );
        let text = status.page("api", Nanos(1_000_000_000), false);
        for line in [
            "lab_autoscaler_min_instances{group=\"api\"} 1",
            "lab_autoscaler_max_instances{group=\"api\"} 6",
            "lab_autoscaler_desired_instances{group=\"api\"} 3",
            "lab_autoscaler_instances{group=\"api\",phase=\"ready\"} 2",
            "lab_autoscaler_instances{group=\"api\",phase=\"starting\"} 1",
            // Of the last poll that could measure.
            "lab_autoscaler_metric_value{group=\"api\",metric=\"utilization\"} 0.9",
            "lab_autoscaler_metric_bound{group=\"api\",metric=\"utilization\",bound=\"up\"} 0.7",
            "lab_autoscaler_changes_total{group=\"api\",direction=\"out\"} 1",
            "lab_autoscaler_changes_total{group=\"api\",direction=\"in\"} 0",
            "lab_autoscaler_decisions_total{group=\"api\",change=\"none\",reason=\"no_sample\"} 1",
            "lab_autoscaler_decisions_without_metrics_total{group=\"api\"} 1",
            "lab_autoscaler_errors_total{group=\"api\"} 1",
            "lab_autoscaler_next_poll_seconds{group=\"api\"} 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
