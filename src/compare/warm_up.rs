//! How long a run takes to forget that it began empty: MSER-5.
//!
//! Latencies in order of completion are averaged in batches of five, and the first d batches are cut
//! off for which the estimated error of the mean of the rest, `sum (y - mean)² / (n - d)²`, is least:
//! cutting more loses data, cutting less keeps what the empty start has made low (White, "An
//! effective truncation heuristic for bias reduction in simulation output", Simulation 69(6), 1997;
//! batches of five: Spratt, "An evaluation of contemporary heuristics for the startup problem",
//! 1998). A least error in the second half means that the run was too short to tell. The same batches
//! of several replications are averaged before (Hoad, Robinson and Davies, "Automating warm-up
//! length estimation", JORS 61, 2010).

use crate::record::{RequestError, RequestRow, Sink};
use crate::units::{Nanos, Span};

/// Latencies averaged in one batch, at first.
const BATCH: u32 = 5;
/// With more batches than this, pairs are joined, so that memory stays bounded.
const MOST_BATCHES: usize = 40_000;
/// A mean between the warm-up given and the one found that is nearer than this to the mean behind is
/// no reason to warn: the truncation of a run without a bias is chance.
const MATTERS: f64 = 0.05;
/// How many standard errors apart they must be as well.
const ERRORS_APART: f64 = 2.0;

/// Latencies of one replication from its beginning, in batches.
#[derive(Clone, Debug)]
pub struct LatencySeries {
    until: Nanos,
    size: u32,
    batches: Vec<Batch>,
    open: Batch,
}

#[derive(Clone, Copy, Debug, Default)]
struct Batch {
    count: u32,
    sum_ns: u64,
    /// When the latest of its requests was due.
    due: Nanos,
}

/// Where MSER-5 cuts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truncation {
    /// Requests due before this are to be left out.
    pub warm_up: Span,
    /// How much lower (below 0) or higher the mean latency is between an assumed warm-up and this
    /// one than behind it; 0 if this one is not longer.
    pub bias: f64,
    /// Whether that is more than chance, and matters.
    pub matters: bool,
}

impl LatencySeries {
    /// Takes requests that are due before `until`, to which conditions are the same.
    #[must_use]
    pub fn new(until: Nanos) -> Self {
        Self { until, size: BATCH, batches: Vec::new(), open: Batch::default() }
    }

    #[cold]
    fn close(&mut self) {
        self.batches.push(std::mem::take(&mut self.open));
        if self.batches.len() >= MOST_BATCHES {
            self.double();
        }
    }

    fn double(&mut self) {
        self.size *= 2;
        let join = |pair: &[Batch]| Batch {
            count: pair[0].count + pair[1].count,
            sum_ns: pair[0].sum_ns + pair[1].sum_ns,
            due: pair[0].due.max(pair[1].due),
        };
        self.batches = self.batches.chunks_exact(2).map(join).collect();
    }

    /// The warm-up of `replications` of one scenario, and whether `given` is long enough; `None` if
    /// they are too short to find it.
    #[must_use]
    pub fn truncation(replications: &[Self], given: Span) -> Option<Truncation> {
        let largest = replications.iter().map(|series| series.size).max()?;
        let mut series = replications.to_vec();
        for one in &mut series {
            while one.size < largest {
                one.double();
            }
        }
        let length = series.iter().map(|one| one.batches.len()).min()?;
        let mean = |i: usize| {
            let sums = series
                .iter()
                .map(|one| one.batches[i].sum_ns as f64 / f64::from(one.batches[i].count.max(1)));
            sums.sum::<f64>() / series.len() as f64
        };
        let means: Vec<f64> = (0..length).map(mean).collect();
        let due = |i: usize| {
            let all = series.iter().map(|one| one.batches[i].due);
            all.max().unwrap_or_default()
        };
        let cut = mser(&means)?;
        let warm_up = if cut == 0 { Span::ZERO } else { due(cut - 1).since(Nanos::ZERO) };
        let assumed = (0..cut).filter(|i| due(*i).since(Nanos::ZERO) < given).count();
        let (bias, matters) = bias(&means[assumed..cut], &means[cut..]);
        Some(Truncation { warm_up, bias, matters })
    }
}

/// Relative difference of the means, and whether it is more than chance: neighbours depend on each
/// other, so the error of a mean of batches is taken from stretches as long as the one in question.
fn bias(early: &[f64], late: &[f64]) -> (f64, bool) {
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let stretches: Vec<f64> = late.chunks_exact(early.len().max(1)).map(mean).collect();
    if early.is_empty() || late.is_empty() {
        return (0.0, false);
    }
    let behind = mean(late);
    let bias = mean(early) / behind - 1.0;
    let squares: f64 = stretches.iter().map(|it| (it - behind) * (it - behind)).sum();
    let error = (squares / (stretches.len().max(2) - 1) as f64).sqrt() / behind;
    (bias, stretches.len() > 1 && bias.abs() > MATTERS && bias.abs() > ERRORS_APART * error)
}

/// How many of `values` MSER cuts off at the beginning; `None` if the least error is in the second
/// half, or there are fewer than ten.
#[must_use]
pub fn mser(values: &[f64]) -> Option<usize> {
    let count = values.len();
    if count < 10 {
        return None;
    }
    let (mut sum, mut squares, mut kept) = (0.0, 0.0, 0.0);
    let centre = values[count - 1];
    let mut best = (f64::INFINITY, 0);
    for (cut, value) in values.iter().enumerate().rev() {
        let value = value - centre;
        sum += value;
        squares += value * value;
        kept += 1.0;
        let error = (squares - sum * sum / kept).max(0.0) / (kept * kept);
        // The last few have no spread to speak of.
        if kept >= 5.0 && error <= best.0 {
            best = (error, cut);
        }
    }
    (best.1 * 2 <= count).then_some(best.1)
}

impl Sink for LatencySeries {
    const ATTEMPTS: bool = false;
    const TIMELINE: bool = false;

    #[inline]
    fn request(&mut self, row: &RequestRow) {
        let due = Nanos(row.scheduled_ns);
        if due >= self.until || row.error == RequestError::Interrupted {
            return;
        }
        self.open.count += 1;
        self.open.sum_ns = self.open.sum_ns.saturating_add(row.latency_ns());
        self.open.due = self.open.due.max(due);
        if self.open.count >= self.size {
            self.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Purpose, Seed};

    #[test]
    fn what_was_cut_by_hand_is_cut() {
        // n = 10, the first two are far off: errors 0.9·…/100 against that of eight equal ones, 0.
        let mut values = vec![5.0; 12];
        (values[0], values[1]) = (0.0, 2.0);
        assert_eq!(mser(&values), Some(2));
        assert_eq!(mser(&[5.0; 12]), Some(0));
        assert_eq!(mser(&[5.0; 9]), None);
        // It is still changing at its end.
        let rising: Vec<f64> = (0..40).map(|i| if i < 30 { f64::from(i) } else { 40.0 }).collect();
        assert_eq!(mser(&rising), None);
    }

    /// The errors worked out one by one.
    #[test]
    fn the_least_error_is_found() {
        let values = [3.0, 9.0, 4.0, 8.0, 6.0, 7.0, 5.0, 6.5, 5.5, 6.0, 6.2, 5.9];
        let error = |cut: usize| {
            let rest = &values[cut..];
            let mean = rest.iter().sum::<f64>() / rest.len() as f64;
            rest.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>()
                / (rest.len() * rest.len()) as f64
        };
        let least = (0..=7).min_by(|a, b| error(*a).total_cmp(&error(*b))).unwrap();
        assert_eq!(mser(&values), Some(least).filter(|cut| cut * 2 <= values.len()));
    }

    /// Latencies of a first-in-first-out queue at load 0.9 that begins empty, 100 requests per
    /// second; `filled` begins it in a steady state.
    fn queue(seed: u32, filled: bool) -> LatencySeries {
        let mut series = LatencySeries::new(Nanos(u64::MAX));
        let mut draw = Seed::new(7, seed).draw(Purpose::Pick, 0, 0);
        let mut exponential = |rate: f64| -libm::log(draw.uniform()) / rate;
        let service = 100.0 / 0.9;
        let spare = service - 100.0;
        let mut wait =
            if filled { (exponential(spare) + libm::log(0.9) / spare).max(0.0) } else { 0.0 };
        let mut now = 0.0;
        while now < 300.0 {
            let latency = wait + exponential(service);
            let due = (now * 1e9) as u64;
            let finished_ns = due + (latency * 1e9) as u64;
            series.request(&RequestRow {
                scheduled_ns: due,
                finished_ns,
                status: 200,
                ..RequestRow::BLANK
            });
            let gap = exponential(100.0);
            (now, wait) = (now + gap, (latency - gap).max(0.0));
        }
        series
    }

    #[test]
    fn an_empty_start_is_found_and_a_steady_one_gives_no_alarm() {
        let runs =
            |from: u32, filled| (from..from + 10).map(|s| queue(s, filled)).collect::<Vec<_>>();
        let (mut alarms, mut found) = (0, 0);
        for experiment in 0..20 {
            let empty = runs(experiment * 10, false);
            let cut = LatencySeries::truncation(&empty, Span::ZERO).unwrap();
            found += u32::from(cut.warm_up > Span::ZERO && cut.matters && cut.bias < 0.0);
            // Past the warm-up it asks for, there is nothing to warn of.
            assert!(!LatencySeries::truncation(&empty, cut.warm_up + Span(1)).unwrap().matters);
            let steady = LatencySeries::truncation(&runs(1000 + experiment * 10, true), Span::ZERO);
            alarms += u32::from(steady.is_some_and(|cut| cut.matters));
        }
        assert!(found >= 10 && alarms <= 2, "{found} found, {alarms} false alarms");
    }

    #[test]
    fn memory_is_bounded() {
        let mut series = LatencySeries::new(Nanos(u64::MAX));
        for i in 0..500_000u64 {
            let row = RequestRow { scheduled_ns: i, finished_ns: i + 7, ..RequestRow::BLANK };
            series.request(&row);
        }
        assert!(series.batches.len() < MOST_BATCHES && series.size == 20);
        assert!(series.batches.iter().all(|it| it.count == 20 && it.sum_ns == 140));
    }
}
