//! The systems of the battery, made in code: the public scenario type, and no file.

use std::path::PathBuf;

use super::System;
use crate::policy::{
    Algorithm, PeerConfig, QueueConfig, ResilienceConfig, RetryConfig, Rules, UpstreamConfig,
};
use crate::scenario::{
    Backend, BalancerFacts, Discipline, EdgeFacts, Engine, HostFacts, Scenario, StateSharing,
};
use crate::theory::Prediction;
use crate::theory::constant_service::ConstantService;
use crate::theory::erlang::MultiServer;
use crate::theory::erlang_arrivals::ErlangArrivals;
use crate::theory::loss::Loss;
use crate::theory::mean_value_analysis::ClosedNetwork;
use crate::theory::pollaczek_khinchine::SingleServer;
use crate::theory::two_choices::Choices;
use crate::traffic::{ArrivalConfig, ClassConfig, ClientConfig, Law, Source, Stage, TrafficConfig};
use crate::units::{Bytes, Nanos, Rate, Ratio, Span};

/// Mean service, 10 ms: 100 requests per second and worker.
const SERVICE: Span = Span::from_millis(10);
const PER_WORKER: f64 = 100.0;
const REPLICATIONS: u32 = 16;
/// Requests of a replication after the warm-up.
const REQUESTS: f64 = 300_000.0;
/// Servers that stand for the limit of many: the error of the limit is of the order of 1 / n.
const MANY: u32 = 2000;

/// Every system of the battery. `length` scales the length of each run: 1 is what the intervals
/// are meant for. Each system has its own seed, so that their draws are independent.
#[must_use]
pub fn systems(seed: u64, length: f64) -> Vec<System> {
    let builders: [fn() -> Option<Setup>; 10] = [
        single_exponential,
        four_workers,
        constant,
        log_normal,
        bimodal,
        limited_queue,
        round_robin,
        two_choices,
        || closed(60, 1),
        || closed(230, 4),
    ];
    let setups = builders.into_iter().zip(0..).filter_map(|(build, n)| Some((build()?, n)));
    setups.map(|(setup, n)| setup.system(seed.wrapping_add(n), length)).collect()
}

/// A system before it becomes a scenario.
struct Setup {
    name: String,
    predictions: Vec<Prediction>,
    source: Source,
    /// Requests per second, all together.
    rate: f64,
    warm_up: Span,
    algorithm: Algorithm,
    count: u32,
    backend: Backend,
}

fn single_exponential() -> Option<Setup> {
    let predictions = MultiServer::new(80.0, PER_WORKER, 1)?.predictions();
    Some(Setup::open("M/M/1 at 0.8", predictions, 80.0, exponential()))
}

fn four_workers() -> Option<Setup> {
    let predictions = MultiServer::new(320.0, PER_WORKER, 4)?.predictions();
    let backend = Backend { workers: 4, ..backend(exponential()) };
    Some(Setup { backend, ..Setup::open("M/M/4 at 0.8", predictions, 320.0, exponential()) })
}

fn constant() -> Option<Setup> {
    let predictions = ConstantService::new(80.0, SERVICE.as_secs_f64())?.predictions();
    Some(Setup::open("M/D/1 at 0.8", predictions, 80.0, Law::Constant(SERVICE)))
}

fn log_normal() -> Option<Setup> {
    let law = Law::LogNormal { mean: SERVICE, sigma: 1.0 };
    let predictions = SingleServer::new(70.0, &law, 1.0)?.predictions();
    Some(Setup::open("M/G/1 log-normal at 0.7", predictions, 70.0, law))
}

fn bimodal() -> Option<Setup> {
    // Mean 10 ms: one request in twenty takes twenty times as long as the others.
    let (fast, slow) = (Span(5_128_205), Span(102_564_103));
    let law = Law::Bimodal { fast, slow, slow_share: 0.05 };
    let predictions = SingleServer::new(70.0, &law, 1.0)?.predictions();
    Some(Setup::open("M/G/1 bimodal at 0.7", predictions, 70.0, law))
}

fn limited_queue() -> Option<Setup> {
    let predictions = Loss::new(120.0, PER_WORKER, 10)?.predictions();
    let backend = Backend { queue_limit: Some(9), ..backend(exponential()) };
    Some(Setup { backend, ..Setup::open("M/M/1/10 at 1.2", predictions, 120.0, exponential()) })
}

fn round_robin() -> Option<Setup> {
    let predictions = ErlangArrivals::new(320.0, PER_WORKER, 4)?.predictions();
    let name = "round robin over 4, E4/M/1 at 0.8";
    Some(Setup { count: 4, ..Setup::open(name, predictions, 320.0, exponential()) })
}

fn two_choices() -> Option<Setup> {
    let predictions = Choices::new(80.0, PER_WORKER, 2)?.predictions();
    let name = format!("two choices of {MANY} at 0.8");
    let setup = Setup::open(&name, predictions, 80.0 * f64::from(MANY), exponential());
    // In time, not in requests: 100 mean services, many times what a queue here takes to settle.
    let warm_up = Span::from_secs(1);
    Some(Setup { count: MANY, algorithm: Algorithm::RandomTwo, warm_up, ..setup })
}

fn closed(users: u32, workers: u32) -> Option<Setup> {
    let think = Span::from_millis(500);
    let seconds = (think.as_secs_f64(), SERVICE.as_secs_f64());
    let network = ClosedNetwork::new(users, seconds.0, seconds.1, workers)?;
    let name =
        format!("closed, {users} users, {workers} worker{}", if workers > 1 { "s" } else { "" });
    let source = Source::Closed { users, think: Law::Exponential { mean: think } };
    let backend = Backend { workers, ..backend(exponential()) };
    let setup = Setup::open(&name, network.predictions(), network.throughput(), exponential());
    Some(Setup { source, backend, ..setup })
}

const fn exponential() -> Law {
    Law::Exponential { mean: SERVICE }
}

const fn backend(service: Law) -> Backend {
    Backend {
        name: String::new(),
        group: String::new(),
        absent: false,
        workers: 1,
        queue_limit: None,
        speed: 1.0,
        service,
        discipline: Discipline::Fifo,
        health_failure: Ratio(0.0),
        address: None,
    }
}

impl Setup {
    /// Poisson arrivals at one backend of one worker.
    fn open(name: &str, predictions: Vec<Prediction>, rate: f64, service: Law) -> Self {
        let stage = Stage {
            name: "steady".to_owned(),
            from: Nanos::ZERO,
            until: Nanos::MAX,
            rate_from: Rate(rate),
            rate_until: Rate(rate),
        };
        Self {
            name: name.to_owned(),
            predictions,
            source: Source::Open { arrival: ArrivalConfig::Poisson, stages: vec![stage] },
            rate,
            // 5000 mean services; the slowest system settles in some hundred.
            warm_up: Span::from_secs(50),
            algorithm: Algorithm::RoundRobin,
            count: 1,
            backend: backend(service),
        }
    }

    fn system(mut self, seed: u64, length: f64) -> System {
        let measured = Span::from_secs_f64(REQUESTS * length / self.rate);
        let duration = self.warm_up + measured;
        if let Source::Open { stages, .. } = &mut self.source {
            stages.iter_mut().for_each(|stage| stage.until = Nanos(duration.0));
        }
        let backends: Vec<Backend> = (1..=self.count)
            .map(|n| Backend {
                name: format!("server-{n}"),
                group: "server".to_owned(),
                ..self.backend.clone()
            })
            .collect();
        let scenario = Scenario {
            name: "theory".to_owned(),
            path: PathBuf::new(),
            text: String::new(),
            overrides: Vec::new(),
            seed,
            duration,
            warm_up: self.warm_up,
            auto_warm_up: false,
            replications: REPLICATIONS,
            precision: None,
            max_replications: REPLICATIONS,
            until: None,
            traffic: traffic(self.source),
            balancer: balancer(self.algorithm, &backends),
            backends,
            autoscaler: None,
            host: HostFacts::default(),
            faults: Vec::new(),
            checks: Vec::new(),
            sweep: None,
        };
        System { name: self.name, scenario, predictions: self.predictions }
    }
}

fn traffic(source: Source) -> TrafficConfig {
    let class = ClassConfig {
        name: "all".to_owned(),
        path: "/".to_owned(),
        method: "GET".to_owned(),
        share: Ratio(1.0),
        body: Bytes(0),
    };
    let client = ClientConfig {
        connections: 0,
        requests_per_connection: 0,
        timeout: Span::MAX,
        in_flight_cap: 0,
    };
    TrafficConfig { source, classes: vec![class], keys: None, client }
}

fn balancer(algorithm: Algorithm, backends: &[Backend]) -> BalancerFacts {
    let peer = |backend: &Backend| PeerConfig { max_fails: 0, ..PeerConfig::new(&backend.name) };
    BalancerFacts {
        engine: Engine::Own,
        instances: 1,
        workers: 1,
        state: StateSharing::Shared,
        upstream: UpstreamConfig {
            algorithm,
            peers: backends.iter().map(peer).collect(),
            retry: RetryConfig::default(),
            health: None,
            queue: QueueConfig::default(),
            resilience: ResilienceConfig::default(),
            rules: Rules::default(),
        },
        hash_key: None,
        connect_timeout: Span::MAX,
        read_timeout: Span::MAX,
        keepalive: 0,
        keepalive_timeout: Span::from_secs(60),
        edge: EdgeFacts::default(),
    }
}
