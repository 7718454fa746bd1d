//! The model against queueing theory: systems with a known answer, run in independent
//! replications, and whether the answer lies in the model's confidence interval.
//!
//! Each replication gives one value of a statistic, after a warm-up of many relaxation times; the
//! interval is Student's over the replications (A. Law, "Simulation Modeling and Analysis", 5th
//! ed., 2015, section 9.5.2), so correlation within a run does no harm. Replications are few and
//! long rather than many and short, since the bias of a quantile shrinks with the length of a run
//! alone.

mod sample;
mod scenario;
mod systems;

use serde::Serialize;

pub use scenario::for_scenario;
pub use systems::systems;

use crate::compare::student;
use crate::scenario::Scenario;
use crate::sim::{self, Options};
use crate::theory::Prediction;
use sample::Sample;

/// Confidence of the interval of one row, and of all rows together in [`family_holds`].
pub const CONFIDENCE: f64 = 0.99;

/// A system with a known answer.
#[derive(Clone, Debug)]
pub struct System {
    /// Name, as in Kendall's notation, with its load.
    pub name: String,
    /// How the model runs it.
    pub scenario: Scenario,
    /// What theory says of it.
    pub predictions: Vec<Prediction>,
}

/// One number of theory beside the model's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TheoryRow {
    /// The system.
    pub system: String,
    /// `mean`, `p50`, `loss`, …, of response times in seconds, shares, or requests per second.
    pub statistic: String,
    /// What theory says.
    pub formula: f64,
    /// What the model says: the mean over its replications.
    pub model: f64,
    /// Lower end of the model's 99 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Whether theory lies in it.
    pub inside: bool,
    /// Model minus theory in standard errors.
    pub deviation: f64,
    /// Replications behind the interval.
    pub replications: u32,
    /// The formula and where it is from.
    pub source: &'static str,
}

impl System {
    /// Runs the system on up to `threads` threads; one row per prediction. The same whatever the
    /// number of threads.
    #[must_use]
    pub fn rows(&self, threads: usize) -> Vec<TheoryRow> {
        let sink = |_| Sample::new(&self.scenario);
        let runs = sim::replicate(&self.scenario, &Options::default(), threads, sink);
        let mut samples: Vec<Sample> = runs.into_iter().map(|(sample, _)| sample).collect();
        let row = |prediction: &Prediction| {
            let values: Vec<f64> =
                samples.iter_mut().map(|sample| sample.statistic(prediction.statistic)).collect();
            self.row(prediction, &values)
        };
        self.predictions.iter().map(row).collect()
    }

    fn row(&self, prediction: &Prediction, values: &[f64]) -> TheoryRow {
        let count = values.len() as f64;
        let model = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|v| (v - model) * (v - model)).sum();
        let error = (squares / (count - 1.0) / count).sqrt();
        let half = student::quantile(1.0 - (1.0 - CONFIDENCE) / 2.0, count - 1.0) * error;
        let formula = prediction.value;
        TheoryRow {
            system: self.name.clone(),
            statistic: prediction.statistic.to_string(),
            formula,
            model,
            low: model - half,
            high: model + half,
            inside: (model - formula).abs() <= half,
            deviation: (model - formula) / error,
            replications: values.len() as u32,
            source: prediction.source,
        }
    }
}

/// Runs every system on up to `threads` threads. The same whatever the number of threads.
#[must_use]
pub fn battery(seed: u64, threads: usize) -> Vec<TheoryRow> {
    systems(seed, 1.0).iter().flat_map(|system| system.rows(threads)).collect()
}

/// Whether all rows together agree with theory.
///
/// With 37 true rows and a confidence of 99 % each, one in three batteries has a row outside its
/// own interval by chance alone. So the verdict on all of them asks each to lie within the
/// interval of confidence `1 - 0.01 / rows` (Bonferroni): if the model is right, at most one
/// battery in a hundred fails, however the rows depend on each other.
#[must_use]
pub fn family_holds(rows: &[TheoryRow]) -> bool {
    let alpha = (1.0 - CONFIDENCE) / rows.len().max(1) as f64;
    rows.iter().all(|row| {
        let degrees = f64::from(row.replications) - 1.0;
        // A row without an interval (one replication) is not a number, and does not hold.
        row.deviation.abs() <= student::quantile(1.0 - alpha / 2.0, degrees)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::Statistic;

    fn system() -> System {
        systems(1, 0.01).swap_remove(0)
    }

    #[test]
    fn a_wrong_formula_is_found_out() {
        let mut system = systems(7, 0.2).swap_remove(0);
        assert!(family_holds(&system.rows(2)));
        system.predictions.iter_mut().for_each(|p| p.value *= 1.1);
        let rows = system.rows(2);
        assert!(!family_holds(&rows));
        assert!(rows.iter().any(|row| !row.inside));
    }

    #[test]
    fn the_rows_do_not_depend_on_the_threads() {
        assert_eq!(system().rows(1), system().rows(3));
    }

    #[test]
    fn the_interval_is_students() {
        let prediction = Prediction { statistic: Statistic::Mean, value: 2.0, source: "" };
        let row = system().row(&prediction, &[1.0, 2.0, 3.0]);
        // t(0.995, 2) = 9.925, standard error 1 / sqrt(3).
        assert!((row.high - 2.0 - 9.925 / 3_f64.sqrt()).abs() < 1e-3);
        assert!(row.inside && row.deviation == 0.0);
        let lone = system().row(&prediction, &[2.0]);
        assert!(!lone.inside && !family_holds(&[lone]));
    }
}
