//! What one replication saw of the requests due after the warm-up.

use crate::record::{RequestRow, Sink};
use crate::scenario::Scenario;
use crate::theory::Statistic;

/// Response times kept one by one: a histogram's rounding would show beside these intervals.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    from_ns: u64,
    until_ns: u64,
    response_ns: Vec<u64>,
    refused: u64,
    /// Served between the end of the warm-up and the end of the run.
    served: u64,
}

impl Sample {
    pub(super) const fn new(scenario: &Scenario) -> Self {
        Self {
            from_ns: scenario.warm_up.0,
            until_ns: scenario.duration.0,
            response_ns: Vec::new(),
            refused: 0,
            served: 0,
        }
    }

    /// The statistic of this replication, in the unit that theory uses; not a number without
    /// any request.
    pub(super) fn statistic(&mut self, statistic: Statistic) -> f64 {
        let accepted = self.response_ns.len() as f64;
        match statistic {
            Statistic::Mean => {
                self.response_ns.iter().map(|ns| *ns as f64).sum::<f64>() / accepted / 1e9
            }
            Statistic::Quantile(p) => self.quantile(p),
            Statistic::Loss => self.refused as f64 / (accepted + self.refused as f64),
            Statistic::Throughput => {
                self.served as f64 * 1e9 / self.until_ns.saturating_sub(self.from_ns) as f64
            }
        }
    }

    fn quantile(&mut self, p: f64) -> f64 {
        let count = self.response_ns.len();
        let Some(last) = count.checked_sub(1) else { return f64::NAN };
        let place = ((p * count as f64).ceil() as usize).saturating_sub(1).min(last);
        *self.response_ns.select_nth_unstable(place).1 as f64 / 1e9
    }
}

impl Sink for Sample {
    const ATTEMPTS: bool = false;
    const TIMELINE: bool = false;

    fn request(&mut self, row: &RequestRow) {
        if !row.failed() && (self.from_ns..self.until_ns).contains(&row.finished_ns) {
            self.served += 1;
        }
        if row.scheduled_ns < self.from_ns {
            return;
        }
        if row.failed() {
            self.refused += 1;
        } else {
            self.response_ns.push(row.latency_ns());
        }
    }
}
