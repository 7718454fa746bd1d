//! Do lab's own 95 % intervals hold the truth 95 times in 100? Whole experiments of the model, as
//! `lab run` makes its intervals, on systems whose truth theory knows.
//!
//! Systems begin empty and leave a warm-up out. Each experiment has its own seed, so their number that
//! holds is binomial; the bounds are those that a right interval misses once in a thousand.

use lab::compare::versus::versus;
use lab::compare::{Block, Digest, Estimate, Layout, Question, Stopping, estimates_of};
use lab::scenario::{Measure, Precision, Scenario};
use lab::sim::{self, Options};
use lab::theory::{Prediction, Statistic};
use lab::units::{Nanos, World};
use std::sync::atomic::AtomicBool;

/// Debug builds are some thirty times slower, and say less.
const EXPERIMENTS: u32 = if cfg!(debug_assertions) { 16 } else { 200 };
/// The fewest that take the place of pieces of time.
const REPLICATIONS: u32 = 5;

/// Servers of 100 requests a second each behind one queue, at a load of 0.6, for a minute.
fn system(servers: u32, seed: u64) -> Scenario {
    let text = format!(
        "schema_version = 1\n[scenario]\nseed = {seed}\nduration = \"23s\"\nwarm_up = \"3s\"\n\
         [traffic]\nrate = \"{}/s\"\n[balancer]\nread_timeout = \"1h\"\n[traffic.client]\n\
         timeout = \"1h\"\n[[backend]]\nname = \"b\"\nworkers = {servers}\n\
         service = {{ law = \"exponential\", mean = \"10ms\" }}\n",
        60 * servers
    );
    lab::scenario::parse(&text, "system.toml").unwrap()
}

/// What theory says, in nanoseconds.
fn truth(scenario: &Scenario) -> Vec<(Measure, f64)> {
    let predictions: Vec<Prediction> =
        lab::experiment::theory::for_scenario(scenario).expect("it is an M/M/k");
    let of = |prediction: &Prediction| match prediction.statistic {
        // Of one server a run this short sees too few clusters of long waits to give an interval.
        Statistic::Quantile(0.99) if scenario.backends[0].workers == 1 => None,
        Statistic::Mean => Some((Measure::Mean, prediction.value * 1e9)),
        Statistic::Quantile(order) => Some((Measure::Quantile(order), prediction.value * 1e9)),
        _ => None,
    };
    predictions.iter().filter_map(of).collect()
}

fn replications(scenario: &Scenario, count: u32) -> Vec<Digest> {
    let layout = Layout::new(scenario);
    let sink = |_| Digest::new(&layout, World::Sim);
    let ran = sim::replicate_range(scenario, &Options::default(), 0..count, 2, sink);
    ran.into_iter().map(|(digest, _)| digest).collect()
}

/// How many of how many intervals that were given hold the truth.
#[derive(Default)]
struct Coverage {
    held: u32,
    given: u32,
}

impl Coverage {
    fn count(&mut self, estimate: Estimate, truth: f64) {
        if let (Some(low), Some(high)) = (estimate.low, estimate.high) {
            self.given += 1;
            self.held += u32::from(low <= truth && truth <= high);
        }
    }

    /// 0.95, within 3.3 standard deviations of a binomial share (one in a thousand).
    fn assert(&self, name: &str, tries: u32) {
        assert!(self.given * 10 >= tries * 9, "{name}: {} intervals of {tries}", self.given);
        let deviation = (0.95 * 0.05 / f64::from(self.given)).sqrt();
        let share = f64::from(self.held) / f64::from(self.given);
        assert!((share - 0.95).abs() <= 3.3 * deviation, "{name}: {share} of {}", self.given);
    }
}

/// Holds each experiment's estimates against theory.
fn assert_covers(servers: u32, seed: u64, run: impl Fn(Scenario) -> Vec<Digest>) {
    let truth = truth(&system(servers, 1));
    let measures: Vec<Measure> = truth.iter().map(|(measure, _)| measure.clone()).collect();
    let mut coverage: Vec<Coverage> = truth.iter().map(|_| Coverage::default()).collect();
    for experiment in 0..EXPERIMENTS {
        let digests = run(system(servers, seed + u64::from(experiment)));
        let found = estimates_of(&digests, &measures);
        for (((_, truth), found), coverage) in truth.iter().zip(found).zip(&mut coverage) {
            coverage.count(found.unwrap(), *truth);
        }
    }
    for (measure, coverage) in measures.iter().zip(&coverage) {
        coverage.assert(&format!("M/M/{servers} {measure:?}"), EXPERIMENTS);
    }
}

/// The mean and quantiles of short replications.
#[test]
fn intervals_of_replications_cover() {
    for servers in [1, 4] {
        assert_covers(servers, 1000, |scenario| replications(&scenario, REPLICATIONS));
    }
}

/// Batch means of one run, ten times as long.
#[test]
fn intervals_of_one_long_run_cover() {
    for servers in [1, 4] {
        assert_covers(servers, 5000, |scenario| replications(&longer(scenario, 10), 1));
    }
}

fn longer(mut scenario: Scenario, times: u64) -> Scenario {
    scenario.duration = scenario.duration * times;
    if let lab::traffic::Source::Open { stages, .. } = &mut scenario.traffic.source {
        stages[0].until = Nanos(scenario.duration.0);
    }
    scenario
}

/// A run that ends when p90 is known within 5 %: it is, about as often as it says. Ending where an
/// interval happens to be narrow costs some coverage, as it does every such rule; 90 % must be left.
#[test]
fn a_run_that_ends_when_enough_is_known_knows_enough() {
    let (_, truth) = truth(&system(1, 1)).swap_remove(2);
    let mut near = 0;
    for experiment in 0..EXPERIMENTS {
        let scenario = longer(system(1, 9000 + u64::from(experiment)), 1000);
        let (enough, never) = (AtomicBool::new(false), AtomicBool::new(false));
        let precision = Precision { measure: Measure::Quantile(0.9), within: 0.05 };
        // Nobody waits longer than a few seconds in this system.
        let timeout = lab::units::Span::from_secs(5);
        let mut stopping = Stopping::new(
            precision,
            Nanos(scenario.warm_up.0),
            timeout,
            (60.0, scenario.duration),
            [&enough, &never],
        );
        let options = Options { stop: Some(&enough), ..Options::default() };
        sim::run(&scenario, 0, &options, &mut stopping);
        let end = stopping.end().expect("it is long enough");
        let mut run = Block::new(Nanos(scenario.warm_up.0), end.since(Nanos(scenario.warm_up.0)));
        let scenario = Scenario { duration: end.since(Nanos::ZERO), ..scenario };
        sim::run(&scenario, 0, &Options::default(), &mut run);
        let found = run.value(&Measure::Quantile(0.9)).unwrap();
        near += u32::from((found / truth - 1.0).abs() <= 0.05);
    }
    let share = f64::from(near) / f64::from(EXPERIMENTS);
    let deviation = (0.9 * 0.1 / f64::from(EXPERIMENTS)).sqrt();
    assert!(share >= 0.9 - 3.3 * deviation, "{share}");
}

/// Two systems of which the truth of the difference is known: an M/M/1 whose servers are 5 % faster.
#[test]
fn intervals_of_a_difference_cover() {
    let rate = 60.0;
    let p90 = |service: f64| std::f64::consts::LN_10 / (service - rate);
    let truth = p90(105.0) / p90(100.0) - 1.0;
    let mut coverage = Coverage::default();
    for experiment in 0..EXPERIMENTS {
        let seed = 20_000 + u64::from(experiment);
        let side = |speed: f64| {
            let mut scenario = system(1, seed);
            scenario.backends[0].speed = speed;
            let (from, measured) =
                (Nanos(scenario.warm_up.0), scenario.end().since(Nanos(scenario.warm_up.0)));
            let ran = sim::replicate_range(&scenario, &Options::default(), 0..10, 2, |_| {
                Block::new(from, measured)
            });
            ran.into_iter().map(|(block, _)| block).collect::<Vec<_>>()
        };
        let question = Question { measure: Measure::Quantile(0.9), ..Question::default() };
        let found = versus(&question, World::Sim, &side(1.05), &side(1.0)).unwrap();
        coverage.count(found.differences[0].difference, truth);
    }
    coverage.assert("difference of p90", EXPERIMENTS);
}

/// The formula that the others are held against is the textbook's.
#[test]
fn the_truth_is_that_of_the_textbook() {
    let exponential = truth(&system(1, 1));
    let mean = 1e9 / 40.0;
    assert!((exponential[0].1 / mean - 1.0).abs() < 1e-9);
    assert!((exponential[2].1 / (mean * libm::log(10.0)) - 1.0).abs() < 1e-6);
}
