//! What the autoscaler's own `/metrics` show.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::exposition::{Kind, Page, process};
use crate::policy::scale::{Direction, Finding, Phase, ScaleDecision};
use crate::units::Nanos;

/// Counts and states; copies share them.
#[derive(Clone, Debug, Default)]
pub struct Status(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    desired: u32,
    /// Instances by what they are doing.
    instances: [u32; PHASES.len()],
    /// Decisions by what was done and what was found.
    decisions: BTreeMap<(&'static str, &'static str), u64>,
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

impl Status {
    pub(super) fn decided(&self, decision: &ScaleDecision) {
        let mut state = self.lock();
        state.polls += 1;
        let finding = finding(&decision.reason.finding);
        state.polls_without_metrics += u64::from(finding == "no_metrics" || finding == "no_sample");
        let change = match decision.change.direction() {
            None => "none",
            Some(Direction::Out) => "out",
            Some(Direction::In) => "in",
        };
        *state.decisions.entry((change, finding)).or_default() += 1;
    }

    pub(super) fn failed(&self) {
        self.lock().errors += 1;
    }

    pub(super) fn show(&self, desired: u32, phases: impl Iterator<Item = Phase>, next_poll: Nanos) {
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
        let state = self.lock();
        let mut page = Page::new(open);
        let labels = [("group", group)];
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
        process(&mut page);
        page.finish()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One word for what a rule found.
const fn finding(finding: &Finding) -> &'static str {
    match finding {
        Finding::NoSample => "no_sample",
        Finding::NoMetrics(_) => "no_metrics",
        Finding::Unasked => "unasked",
        Finding::Died { .. } => "died",
        Finding::OffTarget { .. } => "off_target",
        Finding::Above { .. } => "above",
        Finding::Below { .. } => "below",
        Finding::Between { .. } => "between",
    }
}
