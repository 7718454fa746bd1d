//! HAProxy's rules beyond what was recorded, and what must hold of them in random runs.

use lab::policy::kit::Kit;
use lab::policy::rules::HaproxyRules;
use lab::policy::{
    ActiveHealthConfig, Admission, Algorithm, Attempt, Event, Forced, HaproxyAlgorithm,
    HaproxyHash, Next, Outcome, PeerChange, PeerConfig, PeerId, PeerState, RequestFacts, Rules,
    Upstream, UpstreamConfig,
};
use lab::units::{Nanos, Seed, Span};
use proptest::prelude::*;
use proptest::sample::select;

fn upstream(algorithm: HaproxyAlgorithm, peers: Vec<PeerConfig>, rules: HaproxyRules) -> Upstream {
    let health = Some(ActiveHealthConfig {
        path: "/".to_owned(),
        interval: Span::from_secs(2),
        timeout: Span::from_secs(1),
        rise: 2,
        fall: 3,
    });
    let base = UpstreamConfig::new(Algorithm::Haproxy(algorithm), peers);
    let config = UpstreamConfig { health, rules: Rules::Haproxy(rules), ..base };
    Upstream::new(&config, Seed::new(1, 0))
}

const fn request(id: u64) -> RequestFacts {
    RequestFacts { id, key: 0, idempotent: true }
}

#[test]
fn one_failed_check_takes_a_new_server_down_and_without_servers_the_answer_is_503() {
    let peers = vec![PeerConfig::new("a")];
    let mut upstream = upstream(HaproxyAlgorithm::RoundRobin, peers, HaproxyRules::default());
    upstream.handle_timeout(Nanos::ZERO);
    assert!(matches!(upstream.poll_event(), Some(Event::ProbeDue(PeerId(0)))));
    upstream.probe_result(Nanos(1), PeerId(0), false);
    assert_eq!(upstream.peer(PeerId(0)).unwrap().state(Nanos(1)), PeerState::Unhealthy);
    let Admission::Refused(refusal) = upstream.admit(Nanos(2), request(1)) else { panic!() };
    assert_eq!(refusal.status, 503);
}

#[test]
fn who_waits_longer_than_timeout_queue_gets_503() {
    let peers = vec![PeerConfig { max_conns: 1, ..PeerConfig::new("a") }];
    let rules = HaproxyRules { queue_timeout: Span::from_secs(3), ..HaproxyRules::default() };
    let mut upstream = upstream(HaproxyAlgorithm::LeastConn, peers, rules);
    let Admission::Go(_first) = upstream.admit(Nanos::ZERO, request(1)) else { panic!() };
    let Admission::Wait(ticket) = upstream.admit(Nanos::ZERO, request(2)) else { panic!() };
    let after = Nanos::ZERO + Span::from_secs(3);
    upstream.handle_timeout(after);
    let expired = std::iter::from_fn(|| upstream.poll_event()).find_map(|event| match event {
        Event::Expired(whose, refusal) => Some((whose, refusal.status)),
        _ => None,
    });
    assert_eq!(expired, Some((ticket, 503)));
    assert_eq!(upstream.waiting(), 0);
}

#[test]
fn the_algorithms_keep_what_every_policy_must() {
    Kit::new(Algorithm::Haproxy(HaproxyAlgorithm::RoundRobin)).check().unwrap();
    for algorithm in [
        HaproxyAlgorithm::LeastConn,
        HaproxyAlgorithm::First,
        HaproxyAlgorithm::Random { draws: 2 },
        HaproxyAlgorithm::Hash(HaproxyHash::CONSISTENT),
        HaproxyAlgorithm::Hash(HaproxyHash::MapBased),
    ] {
        let kit = Kit::new(Algorithm::Haproxy(algorithm)).shares_its_own_way().may_starve();
        kit.check().unwrap();
    }
}

/// `pendconn_grab_from_px` and `may_dequeue_tasks`: who is taken out of the queue by a server that
/// came back is not counted there, but holds places back from those who wait.
#[test]
fn a_server_that_came_back_has_more_than_its_limit() {
    let peers = ["a", "b"].map(|name| PeerConfig { max_conns: 1, ..PeerConfig::new(name) });
    let rules = HaproxyRules { queue_timeout: Span::ZERO, ..HaproxyRules::default() };
    let mut upstream = upstream(HaproxyAlgorithm::RoundRobin, peers.to_vec(), rules);
    let force = |word| PeerChange::Force(PeerId(0), word);
    upstream.apply(Nanos::ZERO, force(Some(Forced::Down)));
    let Admission::Go(_elsewhere) = upstream.admit(Nanos::ZERO, request(1)) else { panic!() };
    let Admission::Wait(_) = upstream.admit(Nanos::ZERO, request(2)) else { panic!() };
    let turns = |upstream: &mut Upstream| -> Vec<Attempt> {
        let events = std::iter::from_fn(|| upstream.poll_event());
        events
            .filter_map(|event| match event {
                Event::Turn(_, attempt) => Some(attempt),
                _ => None,
            })
            .collect()
    };
    upstream.apply(Nanos(1), force(None));
    let grabbed = turns(&mut upstream);
    assert_eq!(grabbed.iter().map(|one| (one.facts.id, one.peer.0)).collect::<Vec<_>>(), [(2, 0)]);
    assert_eq!(upstream.peer(PeerId(0)).unwrap().in_flight(), 1);
    let Admission::Go(second) = upstream.admit(Nanos(2), request(3)) else { panic!() };
    assert_eq!(second.peer, PeerId(0));
    let Admission::Wait(_) = upstream.admit(Nanos(3), request(4)) else { panic!() };
    upstream.finished(Nanos(4), second, Outcome::Responded);
    assert!(turns(&mut upstream).is_empty(), "one that is not counted is still there");
    for attempt in grabbed {
        upstream.finished(Nanos(5), attempt, Outcome::Responded);
    }
    assert_eq!(turns(&mut upstream).len(), 1);
}

proptest! {
    /// Nobody goes to a server that is down, no limit is passed, and nothing is lost.
    #[test]
    fn random_runs_keep_limits_and_lose_nobody(
        algorithm in select(vec![
            HaproxyAlgorithm::RoundRobin,
            HaproxyAlgorithm::LeastConn,
            HaproxyAlgorithm::First,
            HaproxyAlgorithm::StaticRr,
            HaproxyAlgorithm::Random { draws: 2 },
        ]),
        redispatch in any::<bool>(),
        limit in 1u32..4,
        ops in proptest::collection::vec((0u8..5, any::<u16>()), 1..150),
    ) {
        let peers = ["a", "b", "c"]
            .map(|name| PeerConfig { max_conns: limit, ..PeerConfig::new(name) });
        let rules = HaproxyRules { redispatch, queue_timeout: Span::ZERO, ..HaproxyRules::default() };
        let mut upstream = upstream(algorithm, peers.to_vec(), rules);
        let mut open: Vec<Attempt> = Vec::new();
        let (mut now, mut admitted, mut ended) = (Nanos::ZERO, 0u64, 0u64);
        let mut waiting = 0u64;
        // A server that comes back does not count whom it takes out of the queue.
        let mut returned = false;
        for (op, which) in ops {
            returned |= op == 4 || open.is_empty();
            match op {
                0 | 1 => {
                    admitted += 1;
                    match upstream.admit(now, request(admitted)) {
                        Admission::Go(attempt) => {
                            let state = upstream.peer(attempt.peer).unwrap().state(now);
                            prop_assert_eq!(state, PeerState::Up);
                            open.push(attempt);
                        }
                        Admission::Wait(_) => waiting += 1,
                        Admission::Refused(_) => ended += 1,
                    }
                }
                2 | 3 if !open.is_empty() => {
                    let attempt = open.swap_remove(usize::from(which) % open.len());
                    let outcome =
                        if op == 2 { Outcome::Responded } else { Outcome::ConnectFailed };
                    match upstream.finished(now, attempt, outcome) {
                        Next::Retry(attempt) => open.push(attempt),
                        Next::Wait(_) => waiting += 1,
                        Next::Done | Next::Refused(_) => ended += 1,
                    }
                }
                _ => {
                    now += Span::from_millis(300);
                    upstream.handle_timeout(now);
                    upstream.probe_result(now, PeerId(u32::from(which % 3)), which % 2 == 0);
                }
            }
            while let Some(event) = upstream.poll_event() {
                match event {
                    Event::Turn(_, attempt) => {
                        waiting -= 1;
                        open.push(attempt);
                    }
                    Event::Expired(..) => {
                        waiting -= 1;
                        ended += 1;
                    }
                    _ => {}
                }
            }
            prop_assert_eq!(admitted, ended + waiting + open.len() as u64);
            for peer in upstream.peers().iter() {
                prop_assert!(returned || peer.in_flight() <= limit);
                let here = open.iter().filter(|attempt| attempt.peer == peer.id()).count();
                prop_assert!(here as u32 <= peer.in_flight());
            }
        }
    }
}
