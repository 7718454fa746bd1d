//! Settings of the algorithms that follow the load of the backends.

use super::{or, positive};
use crate::policy::balance::least_request::LeastRequestConfig;
use crate::policy::balance::peak_ewma::PeakEwmaConfig;
use crate::policy::balance::prequal::PrequalConfig;
use crate::scenario::diagnostic::Problems;
use crate::scenario::file::{
    BalancerSection, LeastRequestSection, PeakEwmaSection, PrequalSection,
};
use crate::scenario::reader::{Count, Written};
use crate::units::Span;

/// More probes or choices for one request than any fleet is worth; a slip of the keyboard.
const MOST_DRAWS: u32 = 1_000;

/// The settings of each algorithm that has some here; where nothing is written, its defaults.
pub(super) fn settings(
    section: &BalancerSection,
    problems: &mut Problems,
) -> (LeastRequestConfig, PeakEwmaConfig, PrequalConfig) {
    (
        least_request(&written(section.least_request.as_ref()), problems),
        peak_ewma(&written(section.peak_ewma.as_ref()), problems),
        prequal(&written(section.prequal.as_ref()), problems),
    )
}

fn written<T: Clone + Default>(section: Option<&Written<T>>) -> T {
    section.map_or_else(T::default, |section| section.value.clone())
}

fn least_request(section: &LeastRequestSection, problems: &mut Problems) -> LeastRequestConfig {
    let default = LeastRequestConfig::DEFAULT;
    if let Some(choices) = section.choices.as_ref().filter(|it| it.value.0 > MOST_DRAWS) {
        problems.report(
            &choices.place,
            format!("{} is too large: at most {MOST_DRAWS}", choices.value.0),
        );
    }
    LeastRequestConfig {
        choices: or(section.choices.as_ref(), Count(default.choices)).0,
        full_scan: or(section.full_scan.as_ref(), default.full_scan),
        active_request_bias: between(
            section.active_request_bias.as_ref(),
            default.active_request_bias,
            (0.0, 100.0),
            problems,
        ),
    }
}

fn peak_ewma(section: &PeakEwmaSection, problems: &mut Problems) -> PeakEwmaConfig {
    let default = PeakEwmaConfig::DEFAULT;
    let mut span = |field: &Option<Written<Span>>, default| {
        field.as_ref().map_or(default, |span| positive(span, problems))
    };
    PeakEwmaConfig {
        decay: span(&section.decay, default.decay),
        default_rtt: span(&section.default_rtt, default.default_rtt),
        variant: or(section.variant.as_ref(), default.variant),
    }
}

fn prequal(section: &PrequalSection, problems: &mut Problems) -> PrequalConfig {
    let default = PrequalConfig::DEFAULT;
    let most = f64::from(MOST_DRAWS);
    let mut number = |field: &Option<Written<f64>>, default, bounds| {
        between(field.as_ref(), default, bounds, problems)
    };
    let probes = number(&section.probes, default.probes, (0.0, most));
    let remove = number(&section.remove, default.remove, (0.0, most));
    let q_rif = number(&section.q_rif, default.q_rif, (0.0, 1.0));
    let delta = number(&section.delta, default.delta, (f64::MIN_POSITIVE, most));
    let reuse = section.reuse.as_ref().map(|_| number(&section.reuse, 1.0, (1.0, 1e6)));
    let mut span = |field: &Option<Written<Span>>, default| {
        field.as_ref().map_or(default, |span| positive(span, problems))
    };
    PrequalConfig {
        age: span(&section.age, default.age),
        timeout: span(&section.timeout, default.timeout),
        idle: span(&section.idle, default.idle),
        pool: or(section.pool.as_ref(), Count(default.pool)).0,
        probes,
        remove,
        q_rif,
        delta,
        reuse,
    }
}

/// Reports a number outside of its bounds.
fn between(
    field: Option<&Written<f64>>,
    default: f64,
    (low, high): (f64, f64),
    problems: &mut Problems,
) -> f64 {
    let Some(written) = field else { return default };
    if !(low..=high).contains(&written.value) {
        let bounds = if low == f64::MIN_POSITIVE {
            format!("above 0, and at most {high}")
        } else {
            format!("between {low} and {high}")
        };
        problems.report(&written.place, format!("{} is not {bounds}", written.value));
        return default;
    }
    written.value
}
