//! Envoy's methods, retries and ejections against the core. Its schedulers start at random: all
//! picks must then follow from one start. Equal weights under LEAST_REQUEST are drawn: there only
//! shares can be compared.

use lab::policy::backoff::BackoffConfig;
use lab::policy::balance::edf::Edf;
use lab::policy::rules::{EnvoyRetry, EnvoyRules, RetryOn};
use lab::policy::{
    Algorithm, ConsistentHashConfig, LeastRequestConfig, MaglevConfig, OutlierConfig, PeerConfig,
    Ring, Rules, UpstreamConfig,
};
use lab::units::{Ratio, Span};
use serde_json::{Value, json};

use super::core::Core;
use super::play::{Played, Saw, compare, compare_any, play};
use super::real::{Real, done, stage};
use super::script::{Step, concurrent, failing, keyed, keys, sequential, weights};
use crate::engines::edf::{Done, first_misfit};
use crate::engines::edf_starts::starts;
use crate::engines::envoy::{Envoy, Settings};
use crate::engines::stage::Behaviour;

/// The script on Envoy; the servers' addresses too.
fn played(policy: &str, cluster: Value, of: &[u32], script: &[Step]) -> (Played, Vec<String>) {
    let mut stage = stage(&weights(of));
    let settings = Settings {
        policy: policy.to_owned(),
        weights: of.to_vec(),
        cluster,
        ..Settings::default()
    };
    let envoy = done(Envoy::start(&settings, &mut stage));
    let addresses = stage.addresses().iter().map(ToString::to_string).collect();
    (play(&mut Real::new(envoy, stage), script, None), addresses)
}

fn config(algorithm: Algorithm, of: &[u32], names: &[String]) -> UpstreamConfig {
    let peers = of.iter().zip(names);
    let peers = peers.map(|(&weight, name)| PeerConfig { weight, ..PeerConfig::new(name) });
    UpstreamConfig::new(algorithm, peers.collect())
}

/// What an arm did, as the checker of the scheduler takes it.
fn operations(script: &[Step], played: &Played, counts: bool) -> Vec<Done> {
    let of = |(step, saw): (&Step, &Saw)| match (step, saw) {
        (Step::Start { id, .. }, Saw::At(server)) => {
            Done::Start { id: *id, server: *server, counts }
        }
        (Step::Finish { id }, _) => Done::Finish { id: *id },
        other => panic!("{other:?} is no part of the script"),
    };
    script.iter().zip(&played.saw).map(of).collect()
}

/// All of Envoy's picks and all of the core's follow each from one start of the scheduler.
fn follows(policy: &str, algorithm: Algorithm, of: &[u32], script: &[Step], counts: bool) -> usize {
    let rates: Vec<f64> = of.iter().copied().map(f64::from).collect();
    let (engine, names) = played(policy, Value::Null, of, script);
    let core = play(&mut Core::new(&config(algorithm, of, &names), 1), script, None);
    let mut compared = 0;
    for (who, played) in [("Envoy", &engine), ("the core", &core)] {
        let done = operations(script, played, counts);
        let misfit = |edf: Edf| first_misfit(edf, &rates, &done);
        let best = starts(&rates).into_iter().map(misfit).max_by_key(|at| at.unwrap_or(usize::MAX));
        assert_eq!(best, Some(None), "{who}, {policy} {of:?}: the longest fit ends there");
        compared = done.iter().filter(|done| matches!(done, Done::Start { .. })).count();
    }
    compared
}

#[test]
fn weighted_round_robin_from_its_start() {
    let groups: [&[u32]; 3] = [&[5, 5, 3], &[5, 1, 1], &[8, 4, 2, 1, 1]];
    let compared: usize = groups
        .iter()
        .map(|of| follows("ROUND_ROBIN", Algorithm::RoundRobinEdf, of, &sequential(1_700), false))
        .sum();
    assert!(compared >= 5_000, "{compared}");
}

#[test]
fn equal_weights_take_turns_from_a_random_start() {
    let (engine, _) = played("ROUND_ROBIN", Value::Null, &[1, 1, 1, 1], &sequential(1_000));
    let picks: Vec<&Saw> = engine.saw.iter().filter(|saw| **saw != Saw::Nothing).collect();
    let Saw::At(first) = picks[0] else { panic!("no pick") };
    for (number, saw) in picks.iter().enumerate() {
        assert_eq!(**saw, Saw::At((first + number) % 4), "pick {number}");
    }
}

#[test]
fn unequal_weights_by_requests_in_flight() {
    let least = Algorithm::LeastRequest(LeastRequestConfig::DEFAULT);
    let groups: [&[u32]; 3] = [&[5, 5, 3], &[2, 1, 1], &[7, 4, 2, 1]];
    let compared: usize = (21..)
        .zip(groups)
        .map(|(seed, of)| follows("LEAST_REQUEST", least, of, &concurrent(1_700, 25, seed), true))
        .sum();
    assert!(compared >= 5_000, "{compared}");
}

/// Same keys, same servers.
fn same_choice(policy: &str, cluster: Value, algorithm: Algorithm, of: &[u32]) {
    let script = keyed(keys(5_000));
    let (engine, names) = played(policy, cluster, of, &script);
    let core = play(&mut Core::new(&config(algorithm, of, &names), 1), &script, None);
    assert_eq!(compare(&format!("envoy {policy} {of:?}"), &script, &engine, &core), 5_000);
}

#[test]
fn the_ring_chooses_the_same() {
    let ring = Ring::Envoy { size: 1_024 };
    let algorithm = Algorithm::ConsistentHash(ConsistentHashConfig { ring, bounded_load: None });
    same_choice("RING_HASH", Value::Null, algorithm, &[5, 5, 3, 1]);
}

#[test]
fn maglev_chooses_the_same() {
    let algorithm = Algorithm::Maglev(MaglevConfig { table_size: 65_537 });
    same_choice("MAGLEV", Value::Null, algorithm, &[5, 5, 3, 1]);
    let small = json!({"maglev_lb_config": {"table_size": 251}});
    same_choice("MAGLEV", small, Algorithm::Maglev(MaglevConfig { table_size: 251 }), &[1; 4]);
}

/// Two idle or held hosts: the held one of two is drawn twice in a quarter of all cases. Within
/// four standard deviations, for Envoy and for the core.
#[test]
fn equal_weights_by_two_draws_share_alike() {
    const COUNT: u64 = 2_000;
    let script: Vec<Step> =
        std::iter::once(Step::Start { id: 1 << 32, key: None }).chain(sequential(COUNT)).collect();
    let (engine, names) = played("LEAST_REQUEST", Value::Null, &[1, 1], &script);
    let least = Algorithm::LeastRequest(LeastRequestConfig::DEFAULT);
    let core = play(&mut Core::new(&config(least, &[1, 1], &names), 5), &script, None);
    for (who, played) in [("Envoy", engine), ("the core", core)] {
        let held = &played.saw[0];
        let to_it = played.saw[1..].iter().filter(|saw| *saw == held).count() as f64;
        let (expected, deviation) = (COUNT as f64 / 4.0, (COUNT as f64 * 0.25 * 0.75).sqrt());
        assert!((to_it - expected).abs() < 4.0 * deviation, "{who}: {to_it} of {COUNT}");
    }
}

/// Requests to hosts that fail now and then, in turn from a random first one.
struct Failing {
    hosts: usize,
    cluster: Value,
    retry_policy: Value,
    rules: EnvoyRules,
    outlier: Option<OutlierConfig>,
    /// Whether the last host refuses connections.
    refuses: bool,
}

impl Failing {
    fn new(hosts: usize) -> Self {
        Self {
            hosts,
            cluster: json!({"common_lb_config": {"update_merge_window": "0s"}}),
            retry_policy: Value::Null,
            rules: EnvoyRules {
                update_merge_window: Span::ZERO,
                route_timeout: Span::ZERO,
                ..EnvoyRules::default()
            },
            outlier: None,
            refuses: false,
        }
    }

    /// Retries of everything that can be, after at most two milliseconds.
    fn retrying(mut self, retries: u32, previous_hosts: bool) -> Self {
        self.retry_policy = json!({
            "retry_on": "5xx,retriable-status-codes",
            "retriable_status_codes": [404],
            "num_retries": retries,
            "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.002s"},
        });
        if previous_hosts {
            let name = "envoy.retry_host_predicates.previous_hosts";
            let kind = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate";
            self.retry_policy["retry_host_predicate"] = json!([{
                "name": name,
                "typed_config": {"@type": format!("type.googleapis.com/{kind}")},
            }]);
            self.retry_policy["host_selection_retry_max_attempts"] = json!(3);
        }
        let (base, max) = (Span::from_millis(1), Span::from_millis(2));
        self.rules.retry = Some(EnvoyRetry {
            on: RetryOn { server_error: true, statuses: vec![404], ..RetryOn::default() },
            num_retries: retries,
            backoff: BackoffConfig { base, max },
            previous_hosts,
            host_selection_attempts: 3,
            ..EnvoyRetry::default()
        });
        self
    }

    /// Ejections that last, of at most this share of the hosts.
    fn ejecting(mut self, consecutive: u32, percent: u32, panic_percent: u32) -> Self {
        self.cluster["outlier_detection"] = json!({
            "consecutive_5xx": consecutive,
            "interval": "3600s",
            "base_ejection_time": "3600s",
            "max_ejection_percent": percent,
        });
        self.cluster["common_lb_config"]["healthy_panic_threshold"] =
            json!({"value": panic_percent});
        let mut outlier = OutlierConfig {
            interval: Span::from_secs(3_600),
            base_ejection_time: Span::from_secs(3_600),
            max_ejection_percent: Ratio(f64::from(percent) / 100.0),
            ..OutlierConfig::default()
        };
        outlier.consecutive_5xx.threshold = consecutive;
        self.outlier = Some(outlier);
        self
    }

    /// One script on both; how many requests were compared.
    fn same(&self, count: u64, moods: [u64; 4], seed: u64) -> usize {
        let of = vec![1; self.hosts];
        let mut servers = weights(&of);
        servers[self.hosts - 1].refuses = self.refuses;
        let mut script = failing(count, self.hosts, moods, 0, seed);
        for step in &mut script {
            let Step::Ask { behaviours, .. } = step else { continue };
            if self.refuses {
                behaviours[self.hosts - 1] = Behaviour::Refuse;
            }
        }
        let mut stage = stage(&servers);
        let settings = Settings {
            policy: "ROUND_ROBIN".to_owned(),
            weights: of.clone(),
            cluster: self.cluster.clone(),
            route: json!({"retry_policy": self.retry_policy}),
            ..Settings::default()
        };
        let envoy = done(Envoy::start(&settings, &mut stage));
        let names: Vec<String> = stage.addresses().iter().map(ToString::to_string).collect();
        let mut config = config(Algorithm::RoundRobinEdf, &of, &names);
        config.rules = Rules::Envoy(self.rules.clone());
        config.resilience.outlier = self.outlier.clone();
        if let Some(threshold) = self.cluster.pointer("/common_lb_config/healthy_panic_threshold") {
            config.resilience.panic = Ratio(threshold["value"].as_f64().unwrap() / 100.0);
        }
        let mut real = Real::new(envoy, stage);
        real.settle = |envoy, _| done(envoy.settle());
        let engine = play(&mut real, &script, None);
        let ejected = done(real.engine.statistics("ejections_enforced_total"));
        let ejected: u64 = ejected.iter().map(|(_, count)| count).sum();
        assert_eq!(ejected > 1, self.outlier.is_some(), "{ejected} ejections");
        let title = format!("envoy, {} hosts, {} {}", self.hosts, self.cluster, self.retry_policy);
        // More starts than there are different ones.
        let cores = (0..40_000).map(|seed| Core::new(&config, seed).without_refusals());
        compare_any(&title, &script, &engine, cores)
    }
}

#[test]
fn retries_go_to_the_next_in_turn() {
    let mut compared = 0;
    for (seed, (hosts, retries, previous_hosts)) in
        (71..).zip([(3, 1, false), (4, 3, false), (5, 2, true)])
    {
        let mut failing = Failing::new(hosts).retrying(retries, previous_hosts);
        failing.refuses = hosts == 4;
        compared += failing.same(1_700, [0, 5, 20, 50], seed);
    }
    assert!(compared >= 5_000, "{compared}");
}

/// Without retries: Envoy's main thread ejects, and a retry may or may not come before that.
#[test]
fn hosts_are_ejected_and_the_others_go_on_in_turn() {
    let moods = [0, 5, 60, 95];
    let mut compared = 0;
    for (seed, (hosts, consecutive, percent, panic_percent)) in (81..).zip([
        (4, 5, 50, 0),
        (5, 5, 60, 0),
        (6, 5, 100, 50),
        (4, 5, 75, 50),
        (5, 3, 100, 50),
        (3, 8, 70, 30),
    ]) {
        let failing = Failing::new(hosts).ejecting(consecutive, percent, panic_percent);
        compared += failing.same(900, moods, seed);
    }
    assert!(compared >= 5_000, "{compared}");
}
