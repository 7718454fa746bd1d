//! The scenario as NGINX runs it.

use super::settings::Settings;
use crate::policy::resilience::ResilienceConfig;
use crate::policy::upstream::QueueConfig;
use crate::policy::{Rules, UpstreamConfig};
use crate::scenario::{Engine, Scenario};
use crate::units::Span;

/// Makes the model follow NGINX: what its configuration does not say is not there.
pub(in crate::engine) fn adapt(scenario: &mut Scenario) {
    let settings = Settings::of(scenario);
    let balancer = &mut scenario.balancer;
    balancer.engine = Engine::Nginx;
    balancer.connect_timeout = settings.connect_timeout.span();
    balancer.read_timeout = settings.read_timeout.span();
    balancer.keepalive_timeout = settings.keepalive_timeout.span();
    let UpstreamConfig { algorithm, peers, retry, health, queue, resilience, rules, .. } =
        &mut balancer.upstream;
    *algorithm = settings.method.algorithm();
    for (peer, server) in peers.iter_mut().zip(&settings.servers) {
        peer.fail_timeout = Span::from_secs(server.fail_timeout_s);
        peer.slow_start = Span::ZERO;
        // A backup that is down counts nowhere: not in the tries, and it is never picked.
        peer.down |= server.left_out;
    }
    retry.timeout = settings.next_timeout.span();
    *health = None;
    *queue = QueueConfig::default();
    *resilience = ResilienceConfig::default();
    *rules = Rules::Nginx;
}
