//! Envoy's methods against the core. Its schedulers start at random: all picks must then follow
//! from one start. Equal weights under LEAST_REQUEST are drawn: there only shares can be compared.

use lab::policy::balance::edf::Edf;
use lab::policy::{
    Algorithm, ConsistentHashConfig, LeastRequestConfig, MaglevConfig, PeerConfig, Ring,
    UpstreamConfig,
};
use serde_json::{Value, json};

use super::core::Core;
use super::real::{Real, done, stage};
use super::script::{
    Played, Saw, Step, compare, concurrent, keyed, keys, play, sequential, weights,
};
use crate::engines::edf::{Done, first_misfit};
use crate::engines::edf_starts::starts;
use crate::engines::envoy::{Envoy, Settings};

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
