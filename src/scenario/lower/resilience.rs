//! What goes beyond NGINX. Defaults are those of the program each part follows.

use super::{above, or, positive, probability};
use crate::policy::affinity::{AffinityConfig, SameSite};
use crate::policy::backoff::BackoffConfig;
use crate::policy::budget::{BudgetConfig, ConcurrencyConfig, TokensConfig};
use crate::policy::health::outlier::{Consecutive, FailurePercentage, OutlierConfig, SuccessRate};
use crate::policy::hedge::{HedgeConfig, HedgeDelay};
use crate::policy::slow_start::SlowStart;
use crate::policy::{Algorithm, ResilienceConfig};
use crate::scenario::diagnostic::Problems;
use crate::scenario::file::{
    AffinitySection, BackoffSection, BalancerSection, BudgetSection, HedgeSection, OutlierSection,
    ScenarioFile,
};
use crate::scenario::reader::{Count, Written};
use crate::units::{Ratio, Span};

pub(super) fn resilience(
    file: &ScenarioFile,
    section: &BalancerSection,
    algorithm: Algorithm,
    problems: &mut Problems,
) -> ResilienceConfig {
    check_slow_start(file, section, algorithm, problems);
    let retry = section.retry.as_ref().map(|retry| &retry.value);
    let budget = retry.and_then(|retry| retry.budget.as_ref());
    let backoff = retry.and_then(|retry| retry.backoff.as_ref());
    ResilienceConfig {
        slow_start: slow_start(section, problems),
        panic: share(section.panic.as_ref(), 0.0, problems),
        outlier: section.outlier.as_ref().map(|s| outlier(&s.value, problems)),
        retry_budget: budget.map(|s| retry_budget(&s.value, problems)),
        backoff: backoff.map(|s| pause(&s.value, problems)),
        hedge: section.hedge.as_ref().map(|s| hedge(&s.value, problems)),
        affinity: section.affinity.as_ref().map(|s| affinity(&s.value, problems)),
    }
}

/// A share of at most the whole.
fn share(field: Option<&Written<Ratio>>, default: f64, problems: &mut Problems) -> Ratio {
    field.map_or(Ratio(default), |written| probability(written, problems))
}

fn count(field: Option<&Written<Count>>, default: u32) -> u32 {
    or(field, Count(default)).0
}

fn slow_start(section: &BalancerSection, problems: &mut Problems) -> SlowStart {
    let default = SlowStart::default();
    let aggression = section.slow_start_aggression.as_ref();
    SlowStart {
        aggression: aggression.map_or(default.aggression, |number| above(number, 0.0, problems)),
        min_weight: share(section.slow_start_min_weight.as_ref(), default.min_weight.0, problems),
    }
}

/// NGINX refuses `slow_start` with the methods that draw or hash.
fn check_slow_start(
    file: &ScenarioFile,
    section: &BalancerSection,
    algorithm: Algorithm,
    problems: &mut Problems,
) {
    if algorithm.starts_slowly() {
        return;
    }
    let groups = file.backend.as_ref().map_or(&[][..], |list| &list.value);
    let of_groups = groups.iter().filter_map(|group| group.value.slow_start.as_ref());
    for written in section.slow_start.iter().chain(of_groups) {
        if written.value > Span::ZERO {
            let message = "this algorithm has no slow start";
            problems.report_with(&written.place, message, "round_robin and least_conn have");
        }
    }
}

fn outlier(section: &OutlierSection, problems: &mut Problems) -> OutlierConfig {
    let default = OutlierConfig::default();
    let mut span = |field: &Option<Written<Span>>, default| {
        field.as_ref().map_or(default, |written| positive(written, problems))
    };
    let interval = span(&section.interval, default.interval);
    let base_ejection_time = span(&section.base_ejection_time, default.base_ejection_time);
    let longest = default.max_ejection_time.max(base_ejection_time);
    let max_ejection_time = span(&section.max_ejection_time, longest);
    if let Some(written) = &section.max_ejection_time
        && written.value < base_ejection_time
    {
        let message = format!("shorter than the base of {base_ejection_time}");
        problems.report(&written.place, message);
    }
    let mut consecutive =
        |threshold: &Option<Written<Count>>, enforcing, default: Consecutive| Consecutive {
            threshold: count(threshold.as_ref(), default.threshold),
            enforcing: share(enforcing, default.enforcing.0, problems),
        };
    OutlierConfig {
        interval,
        base_ejection_time,
        max_ejection_time,
        consecutive_5xx: consecutive(
            &section.consecutive_5xx,
            section.enforcing_consecutive_5xx.as_ref(),
            default.consecutive_5xx,
        ),
        consecutive_gateway_failure: consecutive(
            &section.consecutive_gateway_failure,
            section.enforcing_consecutive_gateway_failure.as_ref(),
            default.consecutive_gateway_failure,
        ),
        consecutive_local_origin_failure: consecutive(
            &section.consecutive_local_origin_failure,
            section.enforcing_consecutive_local_origin_failure.as_ref(),
            default.consecutive_local_origin_failure,
        ),
        max_ejection_time_jitter: or(section.max_ejection_time_jitter.as_ref(), Span::ZERO),
        max_ejection_percent: share(
            section.max_ejection_percent.as_ref(),
            default.max_ejection_percent.0,
            problems,
        ),
        always_eject_one: or(section.always_eject_one.as_ref(), false),
        split_local_origin_errors: or(section.split_local_origin_errors.as_ref(), false),
        success_rate: success_rate(section, default.success_rate, problems),
        failure_percentage: failure_percentage(section, default.failure_percentage, problems),
    }
}

fn success_rate(
    section: &OutlierSection,
    default: SuccessRate,
    problems: &mut Problems,
) -> SuccessRate {
    let factor = section.success_rate_stdev_factor.as_ref();
    let local = section.enforcing_local_origin_success_rate.as_ref();
    SuccessRate {
        minimum_hosts: count(section.success_rate_minimum_hosts.as_ref(), default.minimum_hosts),
        request_volume: count(section.success_rate_request_volume.as_ref(), default.request_volume),
        stdev_factor: factor.map_or(default.stdev_factor, |number| above(number, 0.0, problems)),
        enforcing: share(section.enforcing_success_rate.as_ref(), default.enforcing.0, problems),
        enforcing_local_origin: share(local, default.enforcing_local_origin.0, problems),
    }
}

fn failure_percentage(
    section: &OutlierSection,
    default: FailurePercentage,
    problems: &mut Problems,
) -> FailurePercentage {
    let threshold = section.failure_percentage_threshold.as_ref();
    let hosts = section.failure_percentage_minimum_hosts.as_ref();
    let volume = section.failure_percentage_request_volume.as_ref();
    let enforcing = section.enforcing_failure_percentage.as_ref();
    let local = section.enforcing_failure_percentage_local_origin.as_ref();
    FailurePercentage {
        threshold: share(threshold, default.threshold.0, problems),
        minimum_hosts: count(hosts, default.minimum_hosts),
        request_volume: count(volume, default.request_volume),
        enforcing: share(enforcing, default.enforcing.0, problems),
        enforcing_local_origin: share(local, default.enforcing_local_origin.0, problems),
    }
}

fn retry_budget(section: &BudgetSection, problems: &mut Problems) -> BudgetConfig {
    let tokens = section.ratio.as_ref().map(|ratio| {
        let default = TokensConfig::new(probability(ratio, problems));
        let negative = section.min_per_second.as_ref().filter(|number| number.value < 0.0);
        if let Some(number) = negative {
            problems.report(&number.place, format!("{} is negative", number.value));
        }
        let ttl = section.ttl.as_ref();
        TokensConfig {
            ttl: ttl.map_or(default.ttl, |ttl| positive(ttl, problems)),
            min_per_second: or(section.min_per_second.as_ref(), default.min_per_second).max(0.0),
            ..default
        }
    });
    if tokens.is_none() {
        let keys = [
            section.ttl.as_ref().map(|written| &written.place),
            section.min_per_second.as_ref().map(|written| &written.place),
        ];
        for place in keys.into_iter().flatten() {
            problems.report_with(place, "has no meaning without `ratio`", "add ratio = \"20%\"");
        }
    }
    let wanted = section.percent.is_some() || section.min_concurrency.is_some();
    let concurrency = (wanted || tokens.is_none()).then(|| ConcurrencyConfig {
        percent: share(section.percent.as_ref(), 0.2, problems),
        min_concurrency: or(section.min_concurrency.as_ref(), 3),
    });
    BudgetConfig { concurrency, tokens }
}

fn pause(section: &BackoffSection, problems: &mut Problems) -> BackoffConfig {
    let default = Span::from_millis(25);
    let base = section.base.as_ref().map_or(default, |base| positive(base, problems));
    if let Some(max) = &section.max
        && max.value < base
    {
        problems.report(&max.place, format!("shorter than the base of {base}"));
    }
    BackoffConfig { base, max: or(section.max.as_ref(), base * 10) }
}

fn hedge(section: &HedgeSection, problems: &mut Problems) -> HedgeConfig {
    let by_quantile = [
        section.quantile.as_ref().map(|written| &written.place),
        section.at_least.as_ref().map(|written| &written.place),
    ];
    if let (Some(_), Some(place)) = (&section.delay, by_quantile.into_iter().flatten().next()) {
        problems.report_with(place, "has no meaning beside `delay`", "leave one of them out");
    }
    if let Some(quantile) = &section.quantile
        && !(quantile.value.0 > 0.0 && quantile.value.0 < 1.0)
    {
        problems.report(&quantile.place, "must lie between 0% and 100%");
    }
    let delay = match &section.delay {
        Some(delay) => HedgeDelay::Fixed(delay.value),
        None => HedgeDelay::Quantile {
            quantile: or(section.quantile.as_ref(), Ratio(0.95)).0,
            at_least: or(section.at_least.as_ref(), Span::from_millis(1)),
        },
    };
    HedgeConfig {
        delay,
        budget: share(section.budget.as_ref(), 0.1, problems),
        max_in_flight: or(section.max_in_flight.as_ref(), 0),
    }
}

fn affinity(section: &AffinitySection, problems: &mut Problems) -> AffinityConfig {
    if let Some(cookie) = &section.cookie {
        check_token(cookie, problems);
    }
    if let Some(path) = &section.path {
        super::traffic::check_path(path, problems);
        if path.value.contains(';') {
            problems.report(&path.place, "`;` cannot stand in the path of a cookie");
        }
    }
    let same_site = or(section.same_site.as_ref(), SameSite::Lax);
    let secure = or(section.secure.as_ref(), false);
    if let (SameSite::None, false, Some(written)) = (same_site, secure, &section.same_site) {
        let help = "add secure = true";
        problems.report_with(
            &written.place,
            "browsers drop such a cookie unless it is secure",
            help,
        );
    }
    AffinityConfig {
        cookie: or(section.cookie.as_ref(), "lab_peer".to_owned()),
        ttl: section.ttl.as_ref().map(|ttl| positive(ttl, problems)),
        secret: or(section.secret.as_ref(), String::new()),
        path: or(section.path.as_ref(), "/".to_owned()),
        http_only: or(section.http_only.as_ref(), true),
        secure,
        same_site,
    }
}

/// The name of a cookie (RFC 6265, 4.1.1: a token of HTTP).
fn check_token(name: &Written<String>, problems: &mut Problems) {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.value.is_empty() {
        problems.report(&name.place, "the name is empty");
    } else if let Some(bad) = name.value.chars().find(|c| !allowed(*c)) {
        let message = format!("`{}` cannot stand in the name of a cookie", bad.escape_default());
        problems.report(&name.place, message);
    }
}
