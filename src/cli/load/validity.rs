//! Whether what `lab load` measured may be believed: the limits of `lab run`, as far as one
//! generator alone can see them.

use crate::compare::validity::judge;
use crate::compare::{Little, LiveFacts, Validity};
use crate::host::{clock, usage};
use crate::load::Outcome;
use crate::units::Span;

/// What `lab run` judges and a generator alone has none of.
const NOT_HERE: &str = "processes ended";

/// The host at the beginning of a run.
#[derive(Debug)]
pub(super) struct Before {
    wall_minus_monotonic: i128,
    cpu: Option<(Span, Span)>,
    descriptors: u64,
}

impl Before {
    pub(super) fn now() -> Self {
        Self { wall_minus_monotonic: drift(), cpu: usage::host_cpu_time(), descriptors: 0 }
    }

    /// Looks how many descriptors are open.
    pub(super) fn look(&mut self) {
        let open = usage::open_descriptors(std::process::id()).unwrap_or(0);
        self.descriptors = self.descriptors.max(open);
    }

    /// The judgement over the run since then.
    pub(super) fn judge(&self, outcome: &Outcome) -> Validity {
        let report = &outcome.report;
        let facts = LiveFacts {
            // Up to the grid's width is what was asked for.
            schedule_error_p99_ns: report.schedule_error_p99_ns.saturating_sub(report.grid_ns),
            latency_p50_ns: outcome.tally.latency.quantile(0.5),
            generator_cpu: report.busiest_thread_cpu_ns as f64 / report.wall_ns.max(1) as f64,
            stolen_cpu: self.stolen(),
            waited_for_core_ns: report.waited_for_core_ns / report.requests.max(1),
            dropped: report.dropped,
            descriptors_used: self.descriptors,
            descriptors_limit: usage::descriptor_limit(),
            connections_opened: report.connections_opened,
            ports: usage::local_ports(),
            clock_drift_ns: (drift() - self.wall_minus_monotonic) as i64,
            in_flight_mean: report.littles_law.mean_in_flight,
            little: Little {
                throughput: report.littles_law.throughput_per_second,
                response_s: report.littles_law.mean_residence_ns as f64 / 1e9,
            },
            faults: Vec::new(),
            exits: Vec::new(),
        };
        let mut validity = judge(&facts);
        validity.items.retain(|item| item.name != NOT_HERE);
        validity
    }

    fn stolen(&self) -> f64 {
        let Some(((all, stolen), (all_then, stolen_then))) = usage::host_cpu_time().zip(self.cpu)
        else {
            return 0.0;
        };
        let (all, stolen) =
            (all.0.saturating_sub(all_then.0), stolen.0.saturating_sub(stolen_then.0));
        stolen as f64 / all.max(1) as f64
    }
}

/// How far the wall clock is from the monotonic one.
fn drift() -> i128 {
    i128::from(clock::wall().0) - i128::from(clock::now().0)
}
