//! Passive health in Envoy's settings: outlier detection is all it has.
//!
//! NGINX's `max_fails` counts broken attempts, and statuses that lead to the next peer. Envoy's
//! nearest is errors in a row (`source/common/upstream/outlier_detection_impl.cc`): `consecutive_5xx`
//! where a status below 502 counts, `consecutive_gateway_failure` where 502 to 504 do, and
//! otherwise the local errors alone. With local errors split from answers each connection that is
//! made clears their row, so that time-outs never make a row of two: more than one goes unsplit.

use crate::policy::health::outlier::Consecutive;
use crate::policy::{OutlierConfig, UpstreamConfig};
use crate::units::{Ratio, Span};

/// Ejections end at its ticks.
const INTERVAL: Span = Span::from_secs(1);

/// What is asked for as such, or else what is nearest to `max_fails` and `fail_timeout`.
pub(super) fn of(upstream: &UpstreamConfig) -> Option<OutlierConfig> {
    match &upstream.resilience.outlier {
        Some(outlier) => Some(whole_percents(outlier.clone())),
        None => nearest(upstream),
    }
}

/// Of a group whose peers count failures; a single peer is never left out, as in NGINX.
fn nearest(upstream: &UpstreamConfig) -> Option<OutlierConfig> {
    let serving = || upstream.peers.iter().filter(|peer| !peer.down);
    let fails = serving().map(|peer| peer.max_fails).max().filter(|fails| *fails > 0)?;
    if serving().count() < 2 {
        return None;
    }
    // Zero is refused.
    let pause = serving().map(|peer| peer.fail_timeout).max()?.max(Span::from_millis(1));
    let at = |counts: bool| Consecutive {
        threshold: fails,
        enforcing: Ratio(if counts { 1.0 } else { 0.0 }),
    };
    let statuses = &upstream.retry.on.statuses;
    let any = statuses.iter().any(|status| (500..502).contains(status));
    let split = !any && fails == 1 && !statuses.iter().any(|status| (502..=504).contains(status));
    let default = OutlierConfig::default();
    let mut success_rate = default.success_rate;
    success_rate.enforcing = Ratio(0.0);
    success_rate.enforcing_local_origin = Ratio(0.0);
    Some(OutlierConfig {
        interval: INTERVAL,
        // Always the same pause, however often a host goes out.
        base_ejection_time: pause,
        max_ejection_time: pause,
        max_ejection_percent: Ratio(1.0),
        always_eject_one: true,
        split_local_origin_errors: split,
        consecutive_5xx: at(any),
        consecutive_gateway_failure: at(!any && !split),
        consecutive_local_origin_failure: at(split),
        success_rate,
        ..default
    })
}

/// Envoy takes percents as whole numbers.
fn whole_percents(mut outlier: OutlierConfig) -> OutlierConfig {
    let shares = [
        &mut outlier.max_ejection_percent,
        &mut outlier.consecutive_5xx.enforcing,
        &mut outlier.consecutive_gateway_failure.enforcing,
        &mut outlier.consecutive_local_origin_failure.enforcing,
        &mut outlier.success_rate.enforcing,
        &mut outlier.success_rate.enforcing_local_origin,
        &mut outlier.failure_percentage.threshold,
        &mut outlier.failure_percentage.enforcing,
        &mut outlier.failure_percentage.enforcing_local_origin,
    ];
    for share in shares {
        share.0 = (share.0 * 100.0).round() / 100.0;
    }
    outlier
}
