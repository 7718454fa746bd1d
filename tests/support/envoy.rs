//! Groups under Envoy's rules.

use lab::policy::health::outlier::{Consecutive, OutlierConfig};
use lab::policy::rules::{EnvoyRetry, EnvoyRules, RetryOn};
use lab::policy::{Algorithm, PeerConfig, RequestFacts, ResilienceConfig, Rules, UpstreamConfig};
use lab::units::{Nanos, Ratio, Span};

pub(crate) fn at(millis: u64) -> Nanos {
    Nanos::ZERO + Span::from_millis(millis)
}

pub(crate) fn facts(id: u64) -> RequestFacts {
    RequestFacts { id, key: 0, idempotent: false }
}

pub(crate) fn config(primaries: usize, backups: usize, rules: EnvoyRules) -> UpstreamConfig {
    let peer = |place: usize| PeerConfig {
        backup: place >= primaries,
        ..PeerConfig::new(char::from(b'a' + place as u8))
    };
    UpstreamConfig {
        resilience: ResilienceConfig { panic: Ratio(0.5), ..ResilienceConfig::default() },
        rules: Rules::Envoy(rules),
        ..UpstreamConfig::new(
            Algorithm::RoundRobinEdf,
            (0..primaries + backups).map(peer).collect(),
        )
    }
}

pub(crate) fn retrying(on: RetryOn, num_retries: u32) -> EnvoyRules {
    let retry = EnvoyRetry { on, num_retries, ..EnvoyRetry::default() };
    EnvoyRules { retry: Some(retry), ..EnvoyRules::default() }
}

pub(crate) fn server_errors() -> RetryOn {
    RetryOn { server_error: true, ..RetryOn::default() }
}

pub(crate) fn ejecting(max_ejection_percent: f64) -> OutlierConfig {
    OutlierConfig {
        max_ejection_percent: Ratio(max_ejection_percent),
        consecutive_5xx: Consecutive { threshold: 1, enforcing: Ratio(1.0) },
        ..OutlierConfig::default()
    }
}
