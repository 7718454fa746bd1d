//! Which scenarios have a known answer: those that are a textbook system in disguise.

use crate::scenario::{Backend, Discipline, Scenario};
use crate::theory::Prediction;
use crate::theory::constant_service::ConstantService;
use crate::theory::erlang::MultiServer;
use crate::theory::loss::Loss;
use crate::theory::pollaczek_khinchine::SingleServer;
use crate::traffic::{ArrivalConfig, Law, Source, Stage};

/// A time-out or limit that one request in a thousand would reach changes the answer.
const UNTOUCHED: f64 = 0.999;

/// What theory says of `scenario`, if it is M/M/1, M/M/k, M/D/1, M/G/1 or M/M/1/K: Poisson arrivals
/// at one constant rate, one backend that serves in order of arrival, nothing that fails, and
/// time-outs and limits too far away to matter. `None` for anything else, and for an overload.
#[must_use]
pub fn for_scenario(scenario: &Scenario) -> Option<Vec<Prediction>> {
    let rate = constant_poisson_rate(&scenario.traffic.source)?;
    let backend = lone_backend(scenario)?;
    let (predictions, long) = answer(rate, backend)?;
    stays_untouched(scenario, rate, long).then_some(predictions)
}

fn constant_poisson_rate(source: &Source) -> Option<f64> {
    let Source::Open { arrival: ArrivalConfig::Poisson, stages } = source else { return None };
    let [Stage { rate_from, rate_until, .. }, rest @ ..] = stages.as_slice() else { return None };
    let constant = |stage: &Stage| stage.rate_from == *rate_from && stage.rate_until == *rate_from;
    (rate_from == rate_until && rest.iter().all(constant)).then_some(rate_from.0)
}

fn lone_backend(scenario: &Scenario) -> Option<&Backend> {
    let ([backend], [peer]) =
        (scenario.backends.as_slice(), scenario.balancer.upstream.peers.as_slice())
    else {
        return None;
    };
    let checks_can_fail =
        scenario.balancer.upstream.health.is_some() && backend.health_failure.0 > 0.0;
    let plain = backend.discipline == Discipline::Fifo
        && scenario.faults.is_empty()
        && !checks_can_fail
        && !peer.down
        && peer.max_conns == 0
        && scenario.traffic.client.connections == 0;
    plain.then_some(backend)
}

/// The predictions, and the response time that [`UNTOUCHED`] of the requests do not exceed.
fn answer(rate: f64, backend: &Backend) -> Option<(Vec<Prediction>, f64)> {
    let service = backend.service.mean_ns() / 1e9 / backend.speed;
    match (&backend.service, backend.workers, backend.queue_limit) {
        (Law::Exponential { .. }, 1, Some(limit)) => {
            let system = Loss::new(rate, 1.0 / service, limit.checked_add(1)?)?;
            Some((system.predictions(), system.response_quantile(UNTOUCHED)?))
        }
        (Law::Exponential { .. }, workers, None) => {
            let system = MultiServer::new(rate, 1.0 / service, workers)?;
            Some((system.predictions(), system.response_quantile(UNTOUCHED)?))
        }
        (Law::Constant(_), 1, None) => {
            let system = ConstantService::new(rate, service)?;
            Some((system.predictions(), system.response_quantile(UNTOUCHED)?))
        }
        (law, 1, None) => {
            let system = SingleServer::new(rate, law, backend.speed)?;
            Some((system.predictions(), system.response_quantile(UNTOUCHED)?))
        }
        _ => None,
    }
}

fn stays_untouched(scenario: &Scenario, rate: f64, long: f64) -> bool {
    let client = &scenario.traffic.client;
    // Who stays for `long` sees about `rate * long` others come.
    let room = client.in_flight_cap == 0 || f64::from(client.in_flight_cap) > rate * long;
    room && long < client.timeout.min(scenario.balancer.read_timeout).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::theory::systems;
    use crate::units::{Ratio, Span};

    fn predictions(name: &str) -> Option<Vec<Prediction>> {
        for_scenario(&systems(1, 1.0).into_iter().find(|s| s.name.starts_with(name))?.scenario)
    }

    #[test]
    fn the_systems_of_one_backend_are_recognised() {
        for system in systems(1, 1.0) {
            let is_single = system.scenario.backends.len() == 1;
            let is_open = matches!(system.scenario.traffic.source, Source::Open { .. });
            let expected = (is_single && is_open).then_some(system.predictions);
            assert_eq!(for_scenario(&system.scenario), expected, "{}", system.name);
        }
        assert!(predictions("M/M/1/10").is_some());
    }

    #[test]
    fn anything_that_disturbs_the_textbook_has_no_answer() {
        let plain = systems(1, 1.0).swap_remove(0).scenario;
        assert!(for_scenario(&plain).is_some());
        let disturb: [fn(&mut Scenario); 6] = [
            |s| s.traffic.client.timeout = Span::from_millis(200),
            |s| s.traffic.client.in_flight_cap = 10,
            |s| s.backends[0].discipline = Discipline::Ps,
            |s| s.backends[0].speed = 0.5,
            |s| s.balancer.upstream.peers[0].max_conns = 1,
            |s| s.balancer.read_timeout = Span::ZERO,
        ];
        for (number, change) in disturb.into_iter().enumerate() {
            let mut scenario = plain.clone();
            change(&mut scenario);
            assert!(for_scenario(&scenario).is_none(), "change {number}");
        }
        let mut uncertain = plain;
        uncertain.backends[0].health_failure = Ratio(0.01);
        assert!(for_scenario(&uncertain).is_some(), "nobody checks");
    }
}
