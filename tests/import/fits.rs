//! The fits: what lab draws from its own laws and processes is recognised.

use lab::import::fit::{ArrivalFit, Process, ServiceFit};
use lab::traffic::Law;
use lab::traffic::arrival::{mmpp::Modulation, poisson};
use lab::units::{Nanos, Purpose, Seed, Span};

const COUNT: u64 = 20_000;

fn words(seed: u64) -> impl Iterator<Item = u64> {
    let seed = Seed::new(seed, 0);
    (0..COUNT).map(move |index| seed.words(Purpose::Request, index)[0])
}

fn draws(law: &Law, step: u64) -> Vec<Span> {
    let rounded = |span: Span| Span((span.0 + step / 2) / step * step);
    words(3).map(|word| rounded(law.sample(word))).collect()
}

/// Whether two laws are of a kind, and their parameters within 3 %.
fn near(found: &Law, drawn: &Law) -> bool {
    let close = |a: f64, b: f64| (a / b - 1.0).abs() < 0.03;
    let spans = |a: &Span, b: &Span| close(a.as_secs_f64(), b.as_secs_f64());
    match (found, drawn) {
        (Law::Constant(a), Law::Constant(b)) => a == b,
        (Law::Uniform { low: a, high: b }, Law::Uniform { low: c, high: d }) => {
            spans(a, c) && spans(b, d)
        }
        (Law::Exponential { mean: a }, Law::Exponential { mean: b }) => spans(a, b),
        (Law::LogNormal { mean: a, sigma: s }, Law::LogNormal { mean: b, sigma: t }) => {
            spans(a, b) && close(*s, *t)
        }
        (Law::Pareto { mean: a, alpha: s }, Law::Pareto { mean: b, alpha: t }) => {
            spans(a, b) && close(*s, *t)
        }
        _ => false,
    }
}

fn laws() -> [Law; 5] {
    let mean = Span::from_millis(80);
    [
        Law::Constant(mean),
        Law::Uniform { low: Span::from_millis(20), high: Span::from_millis(300) },
        Law::Exponential { mean },
        Law::LogNormal { mean, sigma: 0.7 },
        Law::Pareto { mean, alpha: 2.8 },
    ]
}

#[test]
fn labs_own_laws_are_recovered() {
    for law in laws() {
        let fit = ServiceFit::of(&draws(&law, 1)).unwrap();
        let best = fit.best();
        assert!(near(&best.law, &law), "{law:?}: {best:?}");
        assert!(best.fits && best.distance < 0.015, "{law:?}: {best:?}");
    }
}

/// NGINX and HAProxy write milliseconds; the laws are seen through that, and zeros do no harm.
#[test]
fn rounding_to_milliseconds_hides_no_law() {
    for law in laws() {
        let fit = ServiceFit::of(&draws(&law, 1_000_000)).unwrap();
        assert!((fit.resolution_s - 1e-3).abs() < 1e-12);
        // The least value carries a Pareto law, and rounding moves it.
        let exact = !matches!(law, Law::Pareto { .. });
        let best = fit.best();
        assert!(!exact || near(&best.law, &law), "{law:?}: {best:?}");
        assert!(best.fits, "{law:?}: {best:?}");
    }
    let short = Law::Exponential { mean: Span::from_millis(3) };
    let fit = ServiceFit::of(&draws(&short, 1_000_000)).unwrap();
    let found = fit.laws.iter().find(|law| matches!(law.law, Law::Exponential { .. })).unwrap();
    assert!(found.fits, "{fit:?}");
}

#[test]
fn what_is_no_law_of_lab_is_said_to_be_none() {
    let law =
        Law::Bimodal { fast: Span::from_millis(5), slow: Span::from_millis(400), slow_share: 0.3 };
    let fit = ServiceFit::of(&draws(&law, 1)).unwrap();
    assert!(fit.laws.iter().all(|law| !law.fits), "{fit:?}");
    assert_eq!(ServiceFit::of(&[Span(1); 9]), None);
}

fn arrivals(gaps: impl Iterator<Item = f64>) -> Vec<Nanos> {
    let mut at = 0.0;
    gaps.map(|gap| {
        at += gap;
        Nanos((at * 1e9) as u64)
    })
    .collect()
}

#[test]
fn processes_are_told_apart() {
    let exponential = || words(5).map(|word| poisson::gap(word) / 100.0);
    let poisson = ArrivalFit::of(&arrivals(exponential()), false).unwrap();
    assert_eq!((poisson.nearest, poisson.is_poisson()), (Process::Poisson, true), "{poisson:?}");
    assert!((poisson.rate / 100.0 - 1.0).abs() < 0.03 && (poisson.variation - 1.0).abs() < 0.03);
    let dispersion = poisson.dispersion.unwrap();
    assert!((dispersion - 1.0).abs() < 0.3, "{dispersion}");

    let even = ArrivalFit::of(&arrivals((0..COUNT).map(|_| 0.01)), false).unwrap();
    assert_eq!(even.nearest, Process::Uniform, "{even:?}");
    assert!(even.variation < 0.01 && even.dispersion.unwrap() < 0.1);

    let law = Law::Pareto { mean: Span::from_millis(10), alpha: 1.6 };
    let gaps = words(7).map(|word| law.sample(word).as_secs_f64());
    let pareto = ArrivalFit::of(&arrivals(gaps), false).unwrap();
    assert_eq!(pareto.nearest, Process::Pareto, "{pareto:?}");
    assert!((pareto.pareto.unwrap()[0] / 1.6 - 1.0).abs() < 0.03);

    // A Poisson process whose rate is ten times as high in bursts.
    let second = Span::from_secs(1);
    let mut state = Modulation::new(10.0, second, second, Seed::new(1, 0)).unwrap();
    let mut at = 0.0;
    let gaps: Vec<f64> = words(9)
        .map(|word| {
            while state.until().as_secs_f64() < at {
                state.advance();
            }
            let gap = poisson::gap(word) / (100.0 * state.factor());
            at += gap;
            gap
        })
        .collect();
    let bursts = ArrivalFit::of(&arrivals(gaps.into_iter()), false).unwrap();
    assert_eq!(bursts.nearest, Process::Mmpp, "{bursts:?}");
    assert!(!bursts.is_poisson());
}

/// Only counts are known where stamps are whole seconds; they are enough to see bursts.
#[test]
fn drawn_gaps_are_not_judged() {
    let gaps = words(5).map(|word| poisson::gap(word) / 100.0);
    let fit = ArrivalFit::of(&arrivals(gaps), true).unwrap();
    assert_eq!(
        (fit.distance_to_exponential, fit.pareto, fit.nearest),
        (None, None, Process::Poisson)
    );
    assert!(fit.sentence().contains("gaps within a second are not known"));
}
