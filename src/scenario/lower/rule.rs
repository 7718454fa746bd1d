//! The rule by which an autoscaler decides, and what bounds and delays it.

use super::autoscaler::Timing;
use super::metric::Metrics;
use super::{or, positive, probability};
use crate::policy::backoff::BackoffConfig;
use crate::policy::scale::{
    Behavior, Metric, ScaleConfig, ScaleMetric, ScaleRule, ScalingPolicy, ScalingRules,
    TargetConfig, TargetTrackingConfig, TargetValue, ThresholdConfig,
};
use crate::scenario::diagnostic::Problems;
use crate::scenario::file::{
    AutoscalerSection, Level, ScaleBackoffSection, ScalingPolicySection, ScalingRulesSection,
    TargetSection, TargetTrackingSection, ThresholdSection,
};
use crate::scenario::reader::{Count, Written};
use crate::units::{Ratio, Span};

/// Kubernetes looks back no further than this.
const LONGEST_PERIOD: Span = Span::from_secs(1800);
/// The cooldown of AWS.
const AWS_COOLDOWN: Span = Span::from_secs(300);

/// Instances of the group.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) min: u32,
    pub(super) max: u32,
    pub(super) initial: u32,
}

/// The whole decision.
pub(super) fn lower(
    section: &AutoscalerSection,
    size: Size,
    metrics: Metrics,
    timing: Timing,
    problems: &mut Problems,
) -> ScaleConfig {
    check_rules(section, problems);
    let rule = rule(section, &metrics, problems);
    let cooldown = default_cooldown(&rule, timing);
    let limit = |field: &Option<Written<Count>>| field.as_ref().map(|written| written.value.0);
    ScaleConfig {
        min: size.min,
        max: size.max,
        initial: size.initial,
        poll: timing.poll,
        metrics: metrics.metrics,
        rule,
        cooldown_up: or(section.cooldown_up.as_ref(), cooldown),
        cooldown_down: or(section.cooldown_down.as_ref(), cooldown),
        max_step_up: limit(&section.max_step_up),
        max_step_down: limit(&section.max_step_down),
        backoff: backoff(section.backoff.as_ref(), problems),
    }
}

/// At most one rule.
fn check_rules(section: &AutoscalerSection, problems: &mut Problems) {
    let places = [
        section.threshold.as_ref().map(|rule| &rule.place),
        section.target.as_ref().map(|rule| &rule.place),
        section.target_tracking.as_ref().map(|rule| &rule.place),
    ];
    for second in places.into_iter().flatten().skip(1) {
        let help = "keep one of threshold, target and target_tracking";
        problems.report_with(second, "there is another rule already", help);
    }
}

/// By then the metric shows what the last change did, and nothing from before it.
fn default_cooldown(rule: &ScaleRule, timing: Timing) -> Span {
    match rule {
        ScaleRule::Threshold(_) => timing.rate_window + timing.scrape_interval,
        // It has its own delays, in its behavior.
        ScaleRule::Target(_) => Span::ZERO,
        ScaleRule::TargetTracking(_) => AWS_COOLDOWN,
    }
}

fn rule(section: &AutoscalerSection, metrics: &Metrics, problems: &mut Problems) -> ScaleRule {
    let unit = metrics.metrics.first().map_or(ScaleMetric::Utilization, Metric::unit);
    if section.target.is_some() || metrics.values.is_some() {
        return ScaleRule::Target(target(section.target.as_ref(), metrics, unit, problems));
    }
    if let Some(tracking) = &section.target_tracking {
        return ScaleRule::TargetTracking(self::tracking(&tracking.value, unit, problems));
    }
    let default = ThresholdSection::default();
    let written = section.threshold.as_ref();
    let threshold = written.map_or(&default, |written| &written.value);
    if !unit.is_share() && (threshold.up.is_none() || threshold.down.is_none()) {
        let message = format!("the marks for {unit} cannot be guessed");
        let help = "give up and down in [autoscaler.threshold]";
        let place = written.map(|written| &written.place).or(metrics.place.as_ref());
        if let Some(place) = place {
            problems.report_with(place, message, help);
        }
    }
    ScaleRule::Threshold(self::threshold(threshold, unit, problems))
}

fn threshold(
    section: &ThresholdSection,
    metric: ScaleMetric,
    problems: &mut Problems,
) -> ThresholdConfig {
    let default = ThresholdConfig::default();
    let mut level = |field: &Option<Written<Level>>, default| {
        field.as_ref().map_or(default, |written| level_of(written, metric, problems))
    };
    let (up, down) = (level(&section.up, default.up), level(&section.down, default.down));
    if down >= up
        && let Some(written) = section.down.as_ref().or(section.up.as_ref())
    {
        let message = "the group would shrink where it grows";
        problems.report_with(&written.place, message, "`down` must be below `up`");
    }
    let count =
        |field: &Option<Written<Count>>, default| field.as_ref().map_or(default, |n| n.value.0);
    ThresholdConfig {
        up,
        down,
        up_polls: count(&section.up_polls, default.up_polls),
        down_polls: count(&section.down_polls, default.down_polls),
        step: count(&section.step, default.step),
    }
}

fn target(
    written: Option<&Written<TargetSection>>,
    metrics: &Metrics,
    unit: ScaleMetric,
    problems: &mut Problems,
) -> TargetConfig {
    let default = TargetSection::default();
    let section = written.map_or(&default, |written| &written.value);
    let values = match (&metrics.values, &section.value) {
        (Some(values), None) => values.clone(),
        (Some(values), Some(value)) => {
            let message = "each metric has a target of its own in [[autoscaler.metric]]";
            problems.report(&value.place, message);
            values.clone()
        }
        (None, Some(value)) => vec![TargetValue::Average(level_of(value, unit, problems))],
        (None, None) => {
            if let Some(written) = written {
                let help = "such as value = \"60%\"";
                problems.report_with(&written.place, "the key `value` is missing", help);
            }
            Vec::new()
        }
    };
    let default = TargetConfig { values, ..TargetConfig::new(1.0) };
    let (up, down) = (section.scale_up.as_ref(), section.scale_down.as_ref());
    let behavior = (up.is_some() || down.is_some()).then(|| Behavior {
        up: up.map_or_else(ScalingRules::up, |w| rules(&w.value, ScalingRules::up(), problems)),
        down: down
            .map_or_else(ScalingRules::down, |w| rules(&w.value, ScalingRules::down(), problems)),
    });
    TargetConfig {
        values: default.values,
        tolerance: share(section.tolerance.as_ref(), default.tolerance, problems),
        stabilization: or(section.stabilization.as_ref(), default.stabilization),
        initialization: or(section.initialization.as_ref(), default.initialization),
        initial_readiness_delay: or(
            section.initial_readiness_delay.as_ref(),
            default.initial_readiness_delay,
        ),
        behavior,
    }
}

fn share(field: Option<&Written<Ratio>>, default: f64, problems: &mut Problems) -> f64 {
    field.map_or(default, |written| probability(written, problems).0)
}

fn rules(
    section: &ScalingRulesSection,
    default: ScalingRules,
    problems: &mut Problems,
) -> ScalingRules {
    let policies = section.policies.as_ref().map(|written| {
        if written.value.is_empty() {
            let help = "leave the key out for the default, or write select = \"disabled\"";
            problems.report_with(&written.place, "there is no policy", help);
        }
        written.value.iter().filter_map(|policy| self::policy(&policy.value, problems)).collect()
    });
    ScalingRules {
        stabilization: section.stabilization.as_ref().map(|w| w.value).or(default.stabilization),
        select: or(section.select.as_ref(), default.select),
        policies: policies.unwrap_or(default.policies),
        tolerance: section.tolerance.as_ref().map(|written| probability(written, problems).0),
    }
}

fn policy(section: &ScalingPolicySection, problems: &mut Problems) -> Option<ScalingPolicy> {
    let period = section.period.as_ref()?;
    if period.value > LONGEST_PERIOD {
        let help = format!("at most {LONGEST_PERIOD}");
        problems.report_with(&period.place, "longer than Kubernetes looks back", help);
    }
    Some(ScalingPolicy {
        kind: section.counts.as_ref()?.value,
        value: section.value.as_ref()?.value.0,
        period: positive(period, problems),
    })
}

fn tracking(
    section: &TargetTrackingSection,
    metric: ScaleMetric,
    problems: &mut Problems,
) -> TargetTrackingConfig {
    let value = section.value.as_ref().map_or(1.0, |value| level_of(value, metric, problems));
    let default = TargetTrackingConfig::new(value);
    let count =
        |field: &Option<Written<Count>>, default| field.as_ref().map_or(default, |n| n.value.0);
    TargetTrackingConfig {
        value,
        period: section.period.as_ref().map_or(default.period, |p| positive(p, problems)),
        up_periods: count(&section.up_periods, default.up_periods),
        down_periods: count(&section.down_periods, default.down_periods),
        low: share(section.low.as_ref(), default.low, problems),
        warm_up: or(section.warm_up.as_ref(), default.warm_up),
    }
}

/// A value of the metric, in its unit.
pub(super) fn level_of(
    written: &Written<Level>,
    metric: ScaleMetric,
    problems: &mut Problems,
) -> f64 {
    let (value, fits) = match written.value {
        Level::Share(share) => (share, metric.is_share()),
        Level::PerSecond(rate) => (rate, metric == ScaleMetric::Requests),
        Level::Number(number) => (number, !metric.is_share()),
    };
    let example = match metric {
        ScaleMetric::Utilization | ScaleMetric::Cpu => "a percentage such as \"70%\"",
        ScaleMetric::InFlight | ScaleMetric::Queue => "a number such as 8",
        ScaleMetric::Requests => "a rate such as \"50/s\"",
    };
    if !fits {
        problems.report_with(&written.place, format!("not in the unit of {metric}"), example);
    } else if metric == ScaleMetric::Utilization && value > 1.0 {
        let message = "no instance is busy for more than 100% of the time";
        problems.report_with(&written.place, message, example);
    } else if value <= 0.0 {
        problems.report_with(&written.place, "nothing is below this", "more than 0");
    }
    value
}

fn backoff(
    section: Option<&Written<ScaleBackoffSection>>,
    problems: &mut Problems,
) -> BackoffConfig {
    let default = ScaleConfig::BACKOFF;
    let Some(written) = section else { return default };
    let section = &written.value;
    let mut span = |field: &Option<Written<Span>>, default| {
        field.as_ref().map_or(default, |written| positive(written, problems))
    };
    let base = span(&section.base, default.base);
    let max = span(&section.max, default.max.max(base));
    if let Some(written) = &section.max
        && max < base
    {
        problems.report(&written.place, format!("shorter than the base of {base}"));
    }
    BackoffConfig { base, max }
}
