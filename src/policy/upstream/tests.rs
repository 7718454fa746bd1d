//! Situations that the recorded decisions do not hold: the line, checks, changes, own policies.

use std::sync::{Arc, Mutex};

use super::*;
use crate::policy::{Candidates, Forced, PeerList, PeerState};
use crate::units::{Draw, Span};

fn facts(id: u64) -> RequestFacts {
    RequestFacts { id, key: 0, idempotent: true }
}

fn at(millis: u64) -> Nanos {
    Nanos::ZERO + Span::from_millis(millis)
}

fn config(peers: Vec<PeerConfig>) -> UpstreamConfig {
    UpstreamConfig {
        algorithm: Algorithm::RoundRobin,
        peers,
        retry: RetryConfig::default(),
        health: None,
        queue: QueueConfig::default(),
        resilience: ResilienceConfig::default(),
        rules: Rules::default(),
    }
}

fn peers(count: usize) -> Vec<PeerConfig> {
    (0..count).map(|number| PeerConfig::new(number.to_string())).collect()
}

fn build(config: &UpstreamConfig) -> Upstream {
    Upstream::new(config, Seed::new(1, 0))
}

/// One failed check takes a peer out, `rise` bring it back.
fn checked_each_second(rise: u32) -> ActiveHealthConfig {
    let interval = Span::from_millis(1000);
    let path = "/health".to_owned();
    ActiveHealthConfig { path, interval, timeout: interval, rise, fall: 1 }
}

/// One peer that takes one request at a time, and a line before it.
fn one_at_a_time(length: u32, timeout: Span) -> Upstream {
    let mut config = config(vec![PeerConfig { max_conns: 1, ..PeerConfig::new("only") }]);
    config.queue = QueueConfig { length, timeout };
    build(&config)
}

fn go(admission: Admission) -> Attempt {
    match admission {
        Admission::Go(attempt) => attempt,
        other => panic!("expected an attempt, got {other:?}"),
    }
}

fn wait(admission: Admission) -> Ticket {
    match admission {
        Admission::Wait(ticket) => ticket,
        other => panic!("expected a place in the line, got {other:?}"),
    }
}

fn turn(upstream: &mut Upstream) -> (Ticket, Attempt) {
    match upstream.poll_event() {
        Some(Event::Turn(ticket, attempt)) => (ticket, attempt),
        other => panic!("expected a turn, got {other:?}"),
    }
}

fn done(upstream: &mut Upstream, now: Nanos, attempt: Attempt) {
    assert!(matches!(upstream.finished(now, attempt, Outcome::Responded), Next::Done));
}

fn changes(upstream: &mut Upstream) -> Vec<(u32, PeerState, &'static str)> {
    std::iter::from_fn(|| upstream.poll_event())
        .filter_map(|event| match event {
            Event::Changed { peer, state, reason } => Some((peer.0, state, reason)),
            _ => None,
        })
        .collect()
}

fn probes(upstream: &mut Upstream, now: Nanos) -> Vec<u32> {
    upstream.handle_timeout(now);
    std::iter::from_fn(|| upstream.poll_event())
        .filter_map(|event| match event {
            Event::ProbeDue(peer) => Some(peer.0),
            _ => None,
        })
        .collect()
}

#[test]
fn turns_come_in_the_order_of_arrival_as_slots_free() {
    let mut upstream = one_at_a_time(2, Span::from_secs(5));
    let first = go(upstream.admit(at(0), facts(0)));
    let second = wait(upstream.admit(at(1), facts(1)));
    let third = wait(upstream.admit(at(2), facts(2)));
    let Admission::Refused(refusal) = upstream.admit(at(3), facts(3)) else { panic!() };
    assert_eq!(refusal, Refusal { reason: RefusalReason::QueueFull, status: 502 });

    done(&mut upstream, at(10), first);
    let (ticket, attempt) = turn(&mut upstream);
    assert_eq!((ticket, attempt.facts.id, attempt.number), (second, 1, 1));
    assert_eq!(attempt.started, at(10));
    assert_eq!(upstream.waiting(), 1);
    done(&mut upstream, at(20), attempt);
    let (ticket, attempt) = turn(&mut upstream);
    assert_eq!(ticket, third);
    done(&mut upstream, at(30), attempt);
    assert_eq!(upstream.next_timeout(), None);
}

#[test]
fn a_wait_that_gets_too_long_ends_with_502() {
    let mut upstream = one_at_a_time(2, Span::from_millis(100));
    let first = go(upstream.admit(at(0), facts(0)));
    let ticket = wait(upstream.admit(at(10), facts(1)));
    assert_eq!(upstream.next_timeout(), Some(at(110)));
    upstream.handle_timeout(at(109));
    assert!(upstream.poll_event().is_none());
    upstream.handle_timeout(at(110));
    let Some(Event::Expired(expired, refusal)) = upstream.poll_event() else { panic!() };
    assert_eq!(expired, ticket);
    assert_eq!(refusal, Refusal { reason: RefusalReason::QueueTimedOut, status: 502 });
    done(&mut upstream, at(120), first);
    assert!(upstream.poll_event().is_none());
}

#[test]
fn one_who_left_gets_no_turn_even_if_it_had_come() {
    let mut upstream = one_at_a_time(3, Span::ZERO);
    let first = go(upstream.admit(at(0), facts(0)));
    let second = wait(upstream.admit(at(0), facts(1)));
    let third = wait(upstream.admit(at(0), facts(2)));
    let fourth = wait(upstream.admit(at(0), facts(3)));
    upstream.abandon(at(1), third);
    done(&mut upstream, at(2), first);
    upstream.abandon(at(3), second);
    let (ticket, attempt) = turn(&mut upstream);
    assert_eq!(ticket, fourth, "the turn of the second was taken back and passed on");
    assert_eq!(upstream.peer(PeerId(0)).unwrap().in_flight(), 1);
    done(&mut upstream, at(4), attempt);
}

#[test]
fn a_peer_that_joins_or_resumes_serves_the_line() {
    let mut upstream = one_at_a_time(3, Span::ZERO);
    let first = go(upstream.admit(at(0), facts(0)));
    let second = wait(upstream.admit(at(0), facts(1)));
    let added = upstream.apply(at(5), PeerChange::Add(PeerConfig::new("late")));
    assert_eq!(added, Some(PeerId(1)));
    assert_eq!(changes_before_turn(&mut upstream), [(1, PeerState::Up, "added")]);
    let (ticket, attempt) = turn(&mut upstream);
    assert_eq!((ticket, attempt.peer), (second, PeerId(1)));
    done(&mut upstream, at(6), attempt);
    done(&mut upstream, at(6), first);
}

fn changes_before_turn(upstream: &mut Upstream) -> Vec<(u32, PeerState, &'static str)> {
    match upstream.poll_event() {
        Some(Event::Changed { peer, state, reason }) => vec![(peer.0, state, reason)],
        other => panic!("expected a change, got {other:?}"),
    }
}

/// Both peers are full, one then fails: the line is served when it may be tested, without any
/// other call.
#[test]
fn a_peer_whose_pause_is_over_serves_the_line() {
    let mut two = peers(2);
    two.iter_mut().for_each(|peer| (peer.max_conns, peer.fail_timeout) = (1, Span::from_secs(1)));
    let mut config = config(two);
    config.queue = QueueConfig { length: 5, timeout: Span::ZERO };
    config.retry.on.error = false;
    let mut upstream = build(&config);
    let failing = go(upstream.admit(at(0), facts(0)));
    let other = go(upstream.admit(at(0), facts(1)));
    let ticket = wait(upstream.admit(at(0), facts(2)));
    let next = upstream.finished(at(1500), failing, Outcome::ConnectFailed);
    assert!(matches!(next, Next::Refused(Refusal { status: 502, .. })));
    assert_eq!(upstream.next_timeout(), Some(at(3000)));
    upstream.handle_timeout(at(2999));
    assert_eq!(upstream.waiting(), 1);
    upstream.handle_timeout(at(3000));
    changes_before_turn(&mut upstream);
    let (turned, attempt) = turn(&mut upstream);
    assert_eq!((turned, attempt.peer), (ticket, PeerId(0)));
    done(&mut upstream, at(3100), attempt);
    assert_eq!(changes(&mut upstream), [(0, PeerState::Up, "a request succeeded again")]);
    done(&mut upstream, at(3200), other);
}

#[test]
fn a_retry_waits_in_line_and_does_not_return_to_what_it_tried() {
    let mut two = peers(2);
    two[1].max_conns = 1;
    let mut config = config(two);
    config.queue = QueueConfig { length: 5, timeout: Span::ZERO };
    let mut upstream = build(&config);
    let first = go(upstream.admit(at(0), facts(0)));
    let second = go(upstream.admit(at(0), facts(1)));
    assert_eq!((first.peer, second.peer), (PeerId(0), PeerId(1)));
    let Next::Wait(ticket) = upstream.finished(at(1), first, Outcome::ConnectFailed) else {
        panic!("the other peer is full")
    };
    done(&mut upstream, at(2), second);
    let failed = changes_before_turn(&mut upstream);
    assert_eq!(failed, [(0, PeerState::Failed, "too many failed requests")]);
    let (turned, attempt) = turn(&mut upstream);
    assert_eq!((turned, attempt.peer, attempt.number), (ticket, PeerId(1), 2));
    assert_eq!(attempt.tried(), [PeerId(0)]);
    done(&mut upstream, at(3), attempt);
}

#[test]
fn a_single_peer_is_never_out_and_is_tried_again_only_for_a_closed_idle_connection() {
    let mut upstream = build(&config(peers(1)));
    let attempt = go(upstream.admit(at(0), facts(0)));
    let next = upstream.finished(at(1), attempt, Outcome::Closed { reused: true });
    let Next::Retry(again) = next else { panic!("the try was given back: {next:?}") };
    let next = upstream.finished(at(2), again, Outcome::Closed { reused: false });
    assert!(matches!(next, Next::Refused(Refusal { status: 502, .. })));
    assert!(changes(&mut upstream).is_empty());
    assert_eq!(upstream.peer(PeerId(0)).unwrap().fails(), 0);
    let attempt = go(upstream.admit(at(3), facts(1)));
    done(&mut upstream, at(4), attempt);
}

/// With two tries allowed, two closed idle connections cost none: the third peer is reached.
#[test]
fn an_error_on_a_reused_connection_gives_the_try_back() {
    let mut config = config(peers(3));
    config.retry.tries = 2;
    let mut upstream = build(&config);
    let reused = Outcome::Closed { reused: true };
    let attempt = go(upstream.admit(at(0), facts(0)));
    let Next::Retry(attempt) = upstream.finished(at(0), attempt, reused) else { panic!() };
    let Next::Retry(attempt) = upstream.finished(at(0), attempt, reused) else { panic!() };
    assert_eq!(attempt.number, 3);
    assert_eq!(attempt.tried(), [PeerId(0), PeerId(1)]);
    assert_eq!(attempt.peer, PeerId(2));
    assert_eq!(upstream.peer(PeerId(0)).unwrap().fails(), 1, "but it counts as a failure");
    done(&mut upstream, at(1), attempt);
}

#[test]
fn checks_take_a_peer_out_and_bring_it_back() {
    let mut config = config(peers(2));
    config.health = Some(checked_each_second(2));
    let mut upstream = build(&config);
    assert_eq!(upstream.next_timeout(), Some(Nanos::ZERO), "the schedule waits for its start");
    assert_eq!(probes(&mut upstream, at(7000)), [0]);
    assert_eq!(upstream.next_timeout(), Some(at(7500)));
    assert_eq!(probes(&mut upstream, at(7500)), [1]);

    upstream.probe_result(at(7600), PeerId(1), false);
    assert_eq!(changes(&mut upstream), [(1, PeerState::Unhealthy, "health checks failed")]);
    for id in 0..4 {
        let attempt = go(upstream.admit(at(7700), facts(id)));
        assert_eq!(attempt.peer, PeerId(0));
        done(&mut upstream, at(7700), attempt);
    }
    upstream.probe_result(at(8600), PeerId(1), true);
    assert_eq!(upstream.peer(PeerId(1)).unwrap().state(at(8600)), PeerState::Unhealthy);
    upstream.probe_result(at(9600), PeerId(1), true);
    assert_eq!(changes(&mut upstream), [(1, PeerState::Up, "health checks passed")]);

    let late = upstream.apply(at(9700), PeerChange::Add(PeerConfig::new("late"))).unwrap();
    assert_eq!(upstream.next_timeout(), Some(at(8000)), "those due meanwhile come first");
    assert_eq!(probes(&mut upstream, at(9700)), [0, 1, late.0]);
}

#[test]
fn checks_that_pass_do_not_hide_that_failed_requests_keep_a_peer_out() {
    let mut config = config(peers(2));
    config.health = Some(checked_each_second(1));
    let mut upstream = build(&config);
    let attempt = go(upstream.admit(at(1), facts(1)));
    let peer = attempt.peer;
    let _ = upstream.finished(at(2), attempt, Outcome::ConnectFailed);
    upstream.probe_result(at(3), peer, false);
    upstream.probe_result(at(4), peer, true);
    let told = changes(&mut upstream);
    let reason = "health checks passed, but failed requests keep it out";
    assert_eq!(told.last(), Some(&(peer.0, PeerState::Failed, reason)), "{told:?}");
}

#[test]
fn draining_and_removed_peers_finish_what_they_have() {
    let mut upstream = build(&config(peers(3)));
    let drained = go(upstream.admit(at(0), facts(0)));
    let removed = go(upstream.admit(at(0), facts(1)));
    upstream.apply(at(1), PeerChange::Drain(drained.peer));
    upstream.apply(at(1), PeerChange::Remove(removed.peer));
    upstream.apply(at(1), PeerChange::Remove(PeerId(99)));
    assert_eq!(
        changes(&mut upstream),
        [(0, PeerState::Draining, "drained"), (1, PeerState::Removed, "removed")]
    );
    for id in 2..6 {
        let attempt = go(upstream.admit(at(2), facts(id)));
        assert_eq!(attempt.peer, PeerId(2));
        done(&mut upstream, at(2), attempt);
    }
    done(&mut upstream, at(3), drained);
    done(&mut upstream, at(3), removed);
    assert!(upstream.peers().iter().all(|peer| peer.in_flight() == 0));
    upstream.apply(at(4), PeerChange::Resume(PeerId(0)));
    assert_eq!(changes(&mut upstream), [(0, PeerState::Up, "resumed")]);
}

/// Weights as in the scenario: the backup serves while the primary is full, then the primary.
#[test]
fn one_who_waits_takes_a_primary_although_the_backups_were_full_too() {
    let mut two = peers(2);
    two.iter_mut().for_each(|peer| peer.max_conns = 1);
    two[1].backup = true;
    let mut config = config(two);
    config.queue = QueueConfig { length: 1, timeout: Span::ZERO };
    let mut upstream = build(&config);
    let primary = go(upstream.admit(at(0), facts(0)));
    let backup = go(upstream.admit(at(0), facts(1)));
    assert_eq!((primary.peer, backup.peer), (PeerId(0), PeerId(1)));
    wait(upstream.admit(at(0), facts(2)));
    done(&mut upstream, at(1), primary);
    let (_, attempt) = turn(&mut upstream);
    assert_eq!(attempt.peer, PeerId(0));
    done(&mut upstream, at(2), attempt);
    done(&mut upstream, at(2), backup);
}

/// Writes down what it hears.
struct Listening(Arc<Mutex<Vec<String>>>);

impl Listening {
    fn note(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }
}

impl Balance for Listening {
    fn pick(&mut self, among: &Candidates<'_>, _: &RequestFacts, _: &mut Draw) -> Option<PeerId> {
        among.iter().last().map(Peer::id)
    }
    fn started(&mut self, peers: &Peers, peer: PeerId, _: Nanos) {
        self.note(format!("start {} {}", peer.0, peers.get(peer).unwrap().in_flight()));
    }
    fn finished(&mut self, _: &Peers, peer: PeerId, _: Nanos, took: Span, failed: bool) {
        self.note(format!("finish {} {took} {failed}", peer.0));
    }
    fn peers_changed(&mut self, peers: &Peers, _: Nanos) {
        self.note(format!("{} peers", peers.count()));
    }
}

#[test]
fn a_policy_of_ones_own_hears_of_everything() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let policy = Box::new(Listening(Arc::clone(&heard)));
    let mut upstream = Upstream::with_policy(&config(peers(2)), Seed::new(1, 0), policy);
    let attempt = go(upstream.admit(at(0), facts(0)));
    let next = upstream.finished(at(20), attempt, Outcome::ReadTimedOut);
    let Next::Retry(attempt) = next else { panic!("{next:?}") };
    done(&mut upstream, at(50), attempt);
    upstream.apply(at(60), PeerChange::Add(PeerConfig::new("new")));
    let expected = [
        "2 peers",
        "start 1 1",
        "finish 1 20ms true",
        "2 peers",
        "start 0 1",
        "finish 0 30ms false",
        "3 peers",
    ];
    assert_eq!(*heard.lock().unwrap(), expected);
}

fn picked(upstream: &mut Upstream, id: u64, now: Nanos) -> Option<PeerId> {
    match upstream.admit(now, facts(id)) {
        Admission::Go(attempt) => {
            let peer = attempt.peer;
            assert!(matches!(upstream.finished(now, attempt, Outcome::Responded), Next::Done));
            Some(peer)
        }
        _ => None,
    }
}

#[test]
fn an_operators_word_goes_before_failures_and_checks() {
    let mut upstream = build(&config(peers(2)));
    let word = |upstream: &mut Upstream, peer, forced| {
        upstream.apply(at(0), PeerChange::Force(PeerId(peer), forced));
    };
    word(&mut upstream, 0, Some(Forced::Down));
    assert!((0..4).all(|id| picked(&mut upstream, id, at(0)) == Some(PeerId(1))));
    assert_eq!(upstream.peer(PeerId(0)).map(|peer| peer.state(at(0))), Some(PeerState::Down));
    word(&mut upstream, 0, None);
    // A failure takes peer 0 out, and the word brings it back.
    let failed = (0..2).any(|id| match upstream.admit(at(0), facts(id)) {
        Admission::Go(attempt) if attempt.peer == PeerId(0) => {
            let next = upstream.finished(at(0), attempt, Outcome::ConnectFailed);
            assert!(matches!(next, Next::Retry(attempt) if attempt.peer == PeerId(1)));
            true
        }
        _ => false,
    });
    assert!(failed);
    assert!((0..4).all(|id| picked(&mut upstream, id, at(1)) == Some(PeerId(1))));
    word(&mut upstream, 0, Some(Forced::Up));
    // Failures took weight off, which grows back by the pick.
    assert!((0..6).any(|id| picked(&mut upstream, id, at(1)) == Some(PeerId(0))));
}

#[test]
fn a_peer_configured_anew_keeps_its_requests_and_moves_between_lists() {
    let mut upstream = build(&config(peers(2)));
    let Admission::Go(held) = upstream.admit(at(0), facts(0)) else { panic!("a peer is free") };
    assert_eq!(held.peer, PeerId(0));
    let anew = PeerConfig { max_conns: 1, weight: 3, ..PeerConfig::new("0") };
    upstream.apply(at(0), PeerChange::Configure(PeerId(0), anew.clone()));
    let peer = upstream.peer(PeerId(0)).expect("still there");
    assert_eq!((peer.in_flight(), peer.weight(), peer.is_full()), (1, 3, true));
    assert!((1..4).all(|id| picked(&mut upstream, id, at(0)) == Some(PeerId(1))));
    assert!(matches!(upstream.finished(at(0), held, Outcome::Responded), Next::Done));
    upstream.apply(at(0), PeerChange::Configure(PeerId(0), PeerConfig { backup: true, ..anew }));
    assert_eq!(upstream.peers().list(PeerList::Backups), [PeerId(0)]);
    assert!((4..8).all(|id| picked(&mut upstream, id, at(0)) == Some(PeerId(1))));
}

#[test]
fn a_peer_that_was_down_is_checked_again_when_it_returns() {
    let mut config =
        config(vec![PeerConfig::new("a"), PeerConfig { down: true, ..PeerConfig::new("b") }]);
    config.health = Some(ActiveHealthConfig {
        path: "/".to_owned(),
        interval: Span::from_millis(100),
        timeout: Span::from_millis(100),
        rise: 1,
        fall: 1,
    });
    let mut upstream = build(&config);
    let checked = |upstream: &mut Upstream, now| {
        upstream.handle_timeout(at(now));
        let mut found = Vec::new();
        while let Some(event) = upstream.poll_event() {
            if let Event::ProbeDue(peer) = event {
                found.push(peer);
            }
        }
        found
    };
    assert_eq!(checked(&mut upstream, 0), [PeerId(0)]);
    assert_eq!(checked(&mut upstream, 100), [PeerId(0)]);
    upstream.apply(at(110), PeerChange::Configure(PeerId(1), PeerConfig::new("b")));
    assert_eq!(checked(&mut upstream, 110), [PeerId(1)]);
}

#[test]
fn a_group_takes_over_what_another_knew_of_its_peers() {
    let mut old = build(&config(peers(2)));
    old.apply(at(0), PeerChange::Drain(PeerId(1)));
    let mut new = build(&config(peers(2)));
    let known = old.peer(PeerId(1)).expect("a peer").clone();
    new.inherit(at(0), PeerId(1), &known);
    assert!((0..4).all(|id| picked(&mut new, id, at(0)) == Some(PeerId(0))));
    assert!(new.poll_event().is_none(), "what was known is no news");
}
