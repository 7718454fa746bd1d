//! A group under all of Envoy's rules at once, in random runs: nobody is lost or counted twice, no
//! ejected host is picked but in panic or within the merge window, and the same run gives the same.

#[path = "support/envoy.rs"]
mod envoy;

use envoy::{at, config, ejecting, facts, retrying, server_errors};
use lab::policy::{
    Admission, Algorithm, Attempt, Event, LeastRequestConfig, Next, Outcome, PeerState, Upstream,
    UpstreamConfig,
};
use lab::units::{Ratio, Seed, Span};
use proptest::prelude::*;

/// Begins, ends and time, in any order: as words, to compare two runs.
fn drive(config: &UpstreamConfig, ops: &[(u8, u8, u16)]) -> Vec<String> {
    let mut upstream = Upstream::new(config, Seed::new(3, 0));
    let mut open: Vec<Attempt> = Vec::new();
    let (mut now, mut ids, mut waiting, mut log) = (at(0), 0, 0_i64, Vec::new());
    let (mut begun, mut panics) = (0_i64, false);
    let mut left_since = vec![None; upstream.peer_count()];
    for (op, which, millis) in ops {
        now += Span::from_millis(u64::from(*millis));
        upstream.handle_timeout(now);
        let place = usize::from(*which) % open.len().max(1);
        if op % 3 == 0 || open.is_empty() {
            ids += 1;
            begun += 1;
            match upstream.admit(now, facts(ids)) {
                Admission::Go(attempt) => open.push(attempt),
                Admission::Wait(_) => waiting += 1,
                Admission::Refused(_) => begun -= 1,
            }
        } else {
            let attempt = open.swap_remove(place);
            let next = match op % 5 {
                0 => upstream.finished(now, attempt, Outcome::ConnectFailed),
                1 => upstream.finished(now, attempt, Outcome::ReadTimedOut),
                _ => {
                    let status = if op % 2 == 0 { 500 } else { 200 };
                    upstream.answered(now, &mut Some(attempt), status).unwrap_or(Next::Done)
                }
            };
            match next {
                Next::Done | Next::Refused(_) => begun -= 1,
                Next::Retry(attempt) => open.push(attempt),
                Next::Wait(_) => waiting += 1,
            }
        }
        while let Some(event) = upstream.poll_event() {
            log.push(format!("{event:?}"));
            match event {
                Event::Turn(_, attempt) => {
                    waiting -= 1;
                    open.push(attempt);
                }
                Event::Expired(..) => {
                    waiting -= 1;
                    begun -= 1;
                }
                Event::Panic(begins) => panics = begins,
                Event::Changed { peer, state, .. } => {
                    left_since[peer.index()] = (state == PeerState::Ejected).then_some(now);
                }
                _ => {}
            }
        }
        assert_eq!(begun, open.len() as i64 + waiting, "nobody is lost or counted twice");
        let flying: u32 = upstream.peers().iter().map(|peer| peer.in_flight()).sum();
        assert_eq!(flying as usize, open.len());
        for attempt in open.iter().filter(|attempt| attempt.started == now && !panics) {
            // Told at the latest a window after it left; the turn of one that waited is its host's.
            let late = |since| attempt.started > since + Span::from_millis(1_001);
            let told = left_since[attempt.peer.index()].is_some_and(late);
            assert!(!told, "{:?} is ejected and picked", attempt.peer);
        }
    }
    log
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nobody_is_lost_and_no_ejected_host_is_picked_but_in_panic(
        ops in prop::collection::vec((any::<u8>(), any::<u8>(), 0..400_u16), 1..200),
        (primaries, backups) in (1..5_usize, 0..3_usize),
        least_request in any::<bool>(),
        panic in prop::sample::select(vec![0.0, 0.5, 1.0]),
        previous_hosts in any::<bool>(),
        max_connections in prop::sample::select(vec![1, 3, 1024]),
    ) {
        let mut rules = retrying(server_errors(), 2);
        rules.retry.as_mut().unwrap().previous_hosts = previous_hosts;
        rules.circuit_breakers.max_connections = max_connections;
        // Who waits for a connection goes to the host chosen for it, ejected or not meanwhile.
        if max_connections < 1024 {
            rules.circuit_breakers.max_pending_requests = 1;
        }
        let mut config = config(primaries, backups, rules);
        config.resilience.panic = Ratio(panic);
        if max_connections == 1024 {
            config.resilience.outlier = Some(ejecting(1.0));
        }
        if least_request {
            config.algorithm = Algorithm::LeastRequest(LeastRequestConfig::DEFAULT);
        }
        prop_assert_eq!(drive(&config, &ops), drive(&config, &ops));
    }
}
