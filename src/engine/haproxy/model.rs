//! Puts HAProxy's settings into the model.

use super::settings::{Settings, millis};
use crate::policy::rules::HaproxyRules;
use crate::policy::rules::haproxy::{
    HaproxyObserve, HaproxyOnError, HaproxyRetryOn, ObservedLayer,
};
use crate::policy::{Algorithm, Rules};
use crate::scenario::{Scenario, StateSharing};
use crate::units::{Ratio, Span};

/// The scenario as HAProxy runs it under `settings`. What [`HaproxyRules`] stands for (retries,
/// the waiting line, failures) keeps its place beside them, so that the settings can be had again.
pub(super) fn apply(settings: &Settings, scenario: &mut Scenario) {
    let balancer = &mut scenario.balancer;
    balancer.state = StateSharing::Shared;
    balancer.connect_timeout = settings.timeouts.connect;
    balancer.read_timeout = settings.timeouts.server;
    balancer.keepalive_timeout = millis(balancer.keepalive_timeout);
    let upstream = &mut balancer.upstream;
    upstream.algorithm = Algorithm::Haproxy(settings.balance.algorithm);
    upstream.rules = Rules::Haproxy(rules(settings));
    for (peer, server) in upstream.peers.iter_mut().zip(&settings.servers) {
        peer.weight = server.weight;
        peer.slow_start = server.slow_start.unwrap_or(Span::ZERO);
    }
    if let (Some(check), Some(health)) = (&settings.check, &mut upstream.health) {
        health.interval = check.inter;
        health.timeout = check.timeout;
    }
    let resilience = &mut upstream.resilience;
    resilience.panic = Ratio(0.0);
    resilience.outlier = None;
    resilience.retry_budget = None;
    resilience.backoff = None;
    resilience.hedge = None;
}

fn rules(settings: &Settings) -> HaproxyRules {
    let retries = &settings.retries;
    let observe = |error_limit| HaproxyObserve {
        layer: ObservedLayer::Layer4,
        error_limit,
        on_error: HaproxyOnError::MarkDown,
    };
    HaproxyRules {
        retries: retries.count,
        retry_on: HaproxyRetryOn {
            conn_failure: retries.connection,
            empty_response: retries.empty_response,
            junk_response: retries.junk_response,
            response_timeout: retries.response_timeout,
            statuses: retries.statuses.clone(),
        },
        redispatch: true,
        redispatch_interval: 1,
        all_backups: true,
        connect_timeout: settings.timeouts.connect,
        queue_timeout: settings.timeouts.queue,
        max_queue: 0,
        fast_interval: None,
        down_interval: None,
        observe: settings.error_limit.map(observe),
    }
}
