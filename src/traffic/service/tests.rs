use proptest::prelude::*;
use rand_distr::Distribution;

use super::*;

fn laws() -> Vec<Law> {
    let mean = Span::from_millis(10);
    vec![
        Law::Constant(mean),
        Law::Uniform { low: Span::from_millis(100), high: Span::from_millis(500) },
        Law::Exponential { mean },
        Law::LogNormal { mean, sigma: 1.2 },
        Law::Pareto { mean, alpha: 3.5 },
        Law::Bimodal { fast: Span::from_millis(5), slow: Span::from_millis(100), slow_share: 0.1 },
        Law::Empirical { sorted: [1u64, 2, 4, 40].map(Span::from_millis).as_slice().into() },
    ]
}

/// Laws with every parameter out of range.
fn senseless() -> Vec<Law> {
    let mean = Span::MAX;
    let mut all = vec![
        Law::Uniform { low: Span::MAX, high: Span::ZERO },
        Law::Exponential { mean },
        Law::Exponential { mean: Span::ZERO },
        Law::Empirical { sorted: Arc::from([]) },
        Law::Empirical { sorted: [9, 3].map(Span).as_slice().into() },
    ];
    for x in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, 1e300] {
        all.push(Law::LogNormal { mean, sigma: x });
        all.push(Law::Pareto { mean, alpha: x });
        all.push(Law::Bimodal { fast: mean, slow: Span::ZERO, slow_share: x });
    }
    all
}

fn samples(law: &Law, count: u64) -> Vec<f64> {
    let seed = Seed::new(11, 0);
    (0..count).map(|i| law.sample(demand_word(seed, i, 1)).0 as f64).collect()
}

#[test]
fn nothing_panics_whatever_the_word_and_the_parameters() {
    for law in laws().into_iter().chain(senseless()) {
        for word in [0, 1, u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1, 1 << 12] {
            let _ = law.sample(word);
        }
        for u in [f64::NAN, -1.0, 0.0, 0.5, 1.0, 2.0] {
            let _ = law.quantile(u);
        }
        let _ = (law.mean_ns(), law.variance_ns2(), law.squared_cv(), law.has_third_moment());
    }
}

proptest! {
    #[test]
    fn a_larger_word_never_gives_a_smaller_demand(a: u64, b: u64) {
        for law in laws() {
            prop_assert!(law.sample(a.min(b)) <= law.sample(a.max(b)), "{law:?}");
        }
    }

    #[test]
    fn sample_and_quantile_agree(word: u64) {
        for law in laws() {
            let (a, b) = (law.sample(word).0 as f64, law.quantile(unit_open(word)).0 as f64);
            // Near 1 the rounding of 1 - u is all that differs.
            let slack = 1.0 + 1e-9 * a;
            if unit_open(word) < 0.999_999 {
                prop_assert!((a - b).abs() <= slack, "{law:?} {a} {b}");
            }
        }
    }
}

/// Mean and variance of 200,000 samples lie within five standard errors of the formulas.
#[test]
fn samples_have_the_moments_that_the_formulas_give() {
    for law in laws() {
        let values = samples(&law, 200_000);
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let sd = law.variance_ns2().sqrt();
        assert!((mean - law.mean_ns()).abs() <= 5.0 * sd / n.sqrt() + 0.5, "{law:?} {mean}");
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
        let fourth = values.iter().map(|v| libm::pow(v - mean, 4.0)).sum::<f64>() / n;
        let error = ((fourth - variance * variance) / n).sqrt();
        assert!((variance - law.variance_ns2()).abs() <= 5.0 * error + 1.0, "{law:?} {variance}");
    }
}

/// Largest distance of two empirical distribution functions.
fn kolmogorov_smirnov(mut a: Vec<f64>, mut b: Vec<f64>) -> f64 {
    a.sort_by(f64::total_cmp);
    b.sort_by(f64::total_cmp);
    let (mut i, mut j, mut worst) = (0, 0, 0.0_f64);
    while i < a.len() && j < b.len() {
        if a[i] <= b[j] {
            i += 1
        } else {
            j += 1
        }
        worst = worst.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    worst
}

/// Two-sample Kolmogorov-Smirnov test at level 0.001 against the samplers of `rand_distr`, which
/// share nothing with ours but the generator.
#[test]
fn samples_follow_the_same_law_as_those_of_rand_distr() {
    const COUNT: u64 = 50_000;
    let critical = 1.949 * (2.0 / COUNT as f64).sqrt();
    let theirs = |sampler: &dyn Fn(&mut crate::units::Draw) -> f64| -> Vec<f64> {
        let seed = Seed::new(12, 0);
        (0..COUNT).map(|i| sampler(&mut seed.draw(Purpose::Resample, i, 0))).collect()
    };
    let ln_mean = libm::log(1e7) - 0.5 * 1.2 * 1.2;
    let exponential = rand_distr::Exp::new(1e-7).unwrap();
    let log_normal = rand_distr::LogNormal::new(ln_mean, 1.2).unwrap();
    let pareto = rand_distr::Pareto::new(1e7 * 2.5 / 3.5, 3.5).unwrap();
    let uniform = rand_distr::Uniform::new(1e8, 5e8).unwrap();
    let all = laws();
    let pairs: [(&Law, Vec<f64>); 4] = [
        (&all[1], theirs(&|draw| uniform.sample(draw))),
        (&all[2], theirs(&|draw| exponential.sample(draw))),
        (&all[3], theirs(&|draw| log_normal.sample(draw))),
        (&all[4], theirs(&|draw| pareto.sample(draw))),
    ];
    for (law, reference) in pairs {
        let distance = kolmogorov_smirnov(samples(law, COUNT), reference.clone());
        assert!(distance < critical, "{law:?}: {distance} >= {critical}");
        // The test has power: the same law stretched by 5 % fails it.
        let stretched = reference.iter().map(|v| v * 1.05).collect();
        assert!(kolmogorov_smirnov(samples(law, COUNT), stretched) > critical, "{law:?}");
    }
}

#[test]
fn quantiles_are_those_of_the_textbook() {
    let mean = Span::from_millis(10);
    let ln2 = std::f64::consts::LN_2;
    assert_eq!(Law::Exponential { mean }.quantile(0.5).0, (1e7 * ln2).round() as u64);
    let log_normal = Law::LogNormal { mean, sigma: 1.0 };
    assert_eq!(log_normal.quantile(0.5).0, (1e7 * libm::exp(-0.5)).round() as u64);
    let pareto = Law::Pareto { mean, alpha: 2.0 };
    assert_eq!(pareto.quantile(0.0), Span::from_millis(5));
    assert_eq!(pareto.quantile(0.75), mean);
    let bimodal = Law::Bimodal { fast: Span(1), slow: Span(9), slow_share: 0.25 };
    assert_eq!([0.7, 0.8].map(|u| bimodal.quantile(u)), [Span(1), Span(9)]);
    let empirical = Law::Empirical { sorted: [10, 20, 40].map(Span).as_slice().into() };
    assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(|u| empirical.quantile(u).0), [10, 15, 20, 30, 40]);
}

#[test]
fn the_third_moment_is_missing_only_under_a_heavy_tail() {
    let mean = Span::from_millis(10);
    assert!(laws().iter().all(Law::has_third_moment));
    assert!(!Law::Pareto { mean, alpha: 3.0 }.has_third_moment());
    assert_eq!(Law::Pareto { mean, alpha: 2.0 }.squared_cv(), f64::INFINITY);
    assert!((Law::Pareto { mean, alpha: 3.0 }.squared_cv() - 1.0 / 3.0).abs() < 1e-12);
    assert!((Law::Exponential { mean }.squared_cv() - 1.0).abs() < 1e-12);
}

#[test]
fn a_retry_draws_anew_and_always_the_same() {
    let seed = Seed::new(5, 0);
    let words = [1, 2, 3].map(|n| demand_word(seed, 42, n));
    assert!(words[0] != words[1] && words[1] != words[2] && words[0] != words[2]);
    assert_eq!(words, [1, 2, 3].map(|n| demand_word(seed, 42, n)));
    assert_eq!(words[0], seed.words(Purpose::Request, 42)[1]);
}

#[test]
fn many_samples_are_those_of_each_word() {
    let words: Vec<u64> = (0..100).map(|id| demand_word(Seed::new(5, 0), id, 1)).collect();
    for law in [
        Law::Exponential { mean: Span::from_millis(10) },
        Law::Uniform { low: Span(5), high: Span(500) },
        Law::LogNormal { mean: Span::from_millis(10), sigma: 1.0 },
    ] {
        let mut together = vec![Span::ZERO; 101];
        law.sample_all(&words, &mut together);
        let apart: Vec<Span> = words.iter().map(|word| law.sample(*word)).collect();
        assert_eq!(together[..100], apart);
        assert_eq!(together[100], Span::ZERO, "what has no word is left alone");
    }
}
