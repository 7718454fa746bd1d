//! Decisions recorded from a real HAProxy 2.6.12 (`tests/vectors/haproxy_*.json`), replayed on the
//! policy under HAProxy's rules.
//!
//! Servers are a, b, c, … in configuration order. Every case starts from a fresh backend.

#[path = "vectors/recorded.rs"]
mod recorded;
#[path = "support/waiting.rs"]
mod waiting;

use std::collections::BTreeMap;
use std::net::IpAddr;

use lab::policy::rules::{HaproxyRetryOn, HaproxyRules};
use lab::policy::{
    Admission, Algorithm, Attempt, Event, HaproxyAlgorithm, HaproxyHash, Head, Next, Outcome,
    PeerConfig, RequestFacts, Rules, Ticket, Upstream, UpstreamConfig,
};
use lab::units::{Nanos, Seed, Span};
use recorded::recorded;
use serde::Deserialize;
use serde_json::Value;
use waiting::what_follows;

/// Servers named a, b, c, … with these weights and the options of their `server` lines.
fn servers(weights: &[u32], options: &[String]) -> Vec<PeerConfig> {
    let option = |place: usize| options.get(place).map_or("", String::as_str);
    let named = weights.iter().zip('a'..).enumerate();
    named
        .map(|(place, (&weight, name))| {
            let mut config = PeerConfig { weight, ..PeerConfig::new(name) };
            match option(place).split_once(' ') {
                Some(("maxconn", most)) => config.max_conns = most.parse().unwrap(),
                None if option(place) == "disabled" => config.down = true,
                None if option(place) == "backup" => config.backup = true,
                None if option(place).is_empty() => {}
                _ => panic!("the recording has an unknown option: {}", option(place)),
            }
            config
        })
        .collect()
}

/// A backend with a clock.
struct Backend {
    upstream: Upstream,
    algorithm: Algorithm,
    now: Nanos,
    next_id: u64,
}

impl Backend {
    fn new(algorithm: HaproxyAlgorithm, peers: Vec<PeerConfig>, rules: HaproxyRules) -> Self {
        let algorithm = Algorithm::Haproxy(algorithm);
        let rules = Rules::Haproxy(rules);
        let config = UpstreamConfig { rules, ..UpstreamConfig::new(algorithm, peers) };
        let upstream = Upstream::new(&config, Seed::new(1, 0));
        Self { upstream, algorithm, now: Nanos::ZERO, next_id: 0 }
    }

    fn name(&self, attempt: &Attempt) -> String {
        self.upstream.peer(attempt.peer).unwrap().name().to_owned()
    }

    fn admit(&mut self, key: u64, idempotent: bool) -> Admission {
        self.next_id += 1;
        self.upstream.admit(self.now, RequestFacts { id: self.next_id, key, idempotent })
    }

    fn finish(&mut self, attempt: Attempt) {
        let Head::Pass(attempt) = self.upstream.head(self.now, attempt, 200) else {
            panic!("a 200 is passed on");
        };
        let next = self.upstream.finished(self.now, attempt, Outcome::Responded);
        assert!(matches!(next, Next::Done));
    }

    /// The server of a request that is answered at once, or the status of the refusal.
    fn answer_of(&mut self, key: u64) -> Result<String, u16> {
        match self.admit(key, true) {
            Admission::Go(attempt) => {
                let name = self.name(&attempt);
                self.finish(attempt);
                Ok(name)
            }
            Admission::Refused(refusal) => Err(refusal.status),
            Admission::Wait(ticket) => panic!("{ticket:?} waits where all have room"),
        }
    }
}

#[derive(Deserialize)]
struct PicksCase {
    weights: Vec<u32>,
    picks: String,
}

#[test]
fn roundrobin_picks_as_recorded() {
    for case in recorded::<PicksCase>("haproxy_roundrobin.json") {
        let peers = servers(&case.weights, &[]);
        let mut backend =
            Backend::new(HaproxyAlgorithm::RoundRobin, peers, HaproxyRules::default());
        let picks: String = (0..case.picks.len()).map(|_| backend.answer_of(0).unwrap()).collect();
        assert_eq!(picks, case.picks, "weights {:?}", case.weights);
    }
}

#[derive(Deserialize)]
struct HeldCase {
    #[serde(default)]
    balance: Option<String>,
    weights: Vec<u32>,
    #[serde(default)]
    options: Vec<String>,
    ops: Vec<Op>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Op {
    Released(String, u64, Released),
    Start(String, u64, String),
    Finish(String, u64),
}

#[derive(Deserialize)]
struct Released {
    dequeued: Vec<(u64, String)>,
}

/// Requests that are held open until they are finished, some of which wait.
struct Held {
    backend: Backend,
    open: BTreeMap<u64, Attempt>,
    waiting: BTreeMap<Ticket, u64>,
}

impl Held {
    fn start(&mut self, id: u64) -> String {
        match self.backend.admit(0, true) {
            Admission::Go(attempt) => {
                let name = self.backend.name(&attempt);
                self.open.insert(id, attempt);
                name
            }
            Admission::Wait(ticket) => {
                self.waiting.insert(ticket, id);
                "queued".to_owned()
            }
            Admission::Refused(refusal) => refusal.status.to_string(),
        }
    }

    /// Who got a server by it.
    fn finish(&mut self, id: u64) -> Vec<(u64, String)> {
        let attempt = self.open.remove(&id).expect("an open request");
        self.backend.finish(attempt);
        let mut dequeued = Vec::new();
        while let Some(event) = self.backend.upstream.poll_event() {
            let Event::Turn(ticket, attempt) = event else { panic!("{event:?}") };
            let id = self.waiting.remove(&ticket).expect("it waits");
            dequeued.push((id, self.backend.name(&attempt)));
            self.open.insert(id, attempt);
        }
        dequeued
    }
}

fn replay_held(case: &HeldCase) {
    let algorithm = match case.balance.as_deref() {
        None | Some("leastconn") => HaproxyAlgorithm::LeastConn,
        Some("roundrobin") => HaproxyAlgorithm::RoundRobin,
        Some("first") => HaproxyAlgorithm::First,
        Some(other) => panic!("the recording has an unknown method: {other}"),
    };
    let peers = servers(&case.weights, &case.options);
    let rules = HaproxyRules { queue_timeout: Span::ZERO, ..HaproxyRules::default() };
    let mut held = Held {
        backend: Backend::new(algorithm, peers, rules),
        open: BTreeMap::new(),
        waiting: BTreeMap::new(),
    };
    for (place, op) in case.ops.iter().enumerate() {
        // Requests of the recording are some milliseconds apart.
        held.backend.now = Nanos(place as u64 * 10_000_000);
        let what = format!("{algorithm:?} {:?}, operation {place}", case.weights);
        match op {
            Op::Start(word, id, server) => {
                assert_eq!(word, "start");
                assert_eq!(held.start(*id), *server, "{what}");
            }
            Op::Finish(word, id) => {
                assert_eq!(word, "finish");
                assert_eq!(held.finish(*id), [], "{what}");
            }
            Op::Released(word, id, released) => {
                assert_eq!(word, "finish");
                assert_eq!(held.finish(*id), released.dequeued, "{what}");
            }
        }
    }
}

#[test]
fn leastconn_breaks_ties_by_the_time_of_re_insertion_as_recorded() {
    recorded::<HeldCase>("haproxy_leastconn.json").iter().for_each(replay_held);
}

#[test]
fn full_servers_make_requests_wait_and_freed_slots_are_taken_as_recorded() {
    recorded::<HeldCase>("haproxy_maxconn_queue.json").iter().for_each(replay_held);
}

#[derive(Deserialize)]
struct SourceCase {
    weights: Vec<u32>,
    hash_type: String,
    choice: BTreeMap<IpAddr, String>,
}

#[test]
fn source_leads_addresses_to_servers_as_recorded() {
    for case in recorded::<SourceCase>("haproxy_source.json") {
        let hash = match case.hash_type.as_str() {
            "map-based (default)" => HaproxyHash::MapBased,
            "hash-type consistent" => HaproxyHash::CONSISTENT,
            other => panic!("the recording has an unknown hash type: {other}"),
        };
        let peers = servers(&case.weights, &[]);
        let algorithm = HaproxyAlgorithm::Source(hash);
        let mut backend = Backend::new(algorithm, peers, HaproxyRules::default());
        for (address, server) in &case.choice {
            let key = backend.algorithm.digest_address(*address);
            let found = backend.answer_of(key);
            assert_eq!(found.as_ref(), Ok(server), "{address} {:?} {hash:?}", case.weights);
        }
    }
}

#[derive(Deserialize)]
struct RetryCase {
    case: String,
    weights: Vec<u32>,
    #[serde(default)]
    options: Vec<String>,
    extra: String,
    #[serde(default)]
    behaviour: BTreeMap<String, Value>,
    #[serde(default)]
    refusing: String,
    #[serde(default)]
    method: String,
    answers: Vec<Answer>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(untagged)]
enum Answer {
    Server(String),
    Status(u16),
    /// `hits` are the servers that received the request.
    Seen {
        status: u16,
        hits: String,
        ms: u64,
    },
}

fn rules(extra: &str) -> HaproxyRules {
    let mut rules = HaproxyRules::default();
    for line in extra.lines().map(str::trim) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["option", "allbackups"] => rules.all_backups = true,
            ["option", "redispatch"] => rules.redispatch = true,
            ["option", "redispatch", interval] => {
                (rules.redispatch, rules.redispatch_interval) = (true, interval.parse().unwrap());
            }
            ["retry-on", "empty-response"] => {
                let conn_failure = false;
                rules.retry_on = HaproxyRetryOn {
                    conn_failure,
                    empty_response: true,
                    ..HaproxyRetryOn::default()
                };
            }
            ["retry-on", status] => {
                let statuses = vec![status.parse().unwrap()];
                rules.retry_on =
                    HaproxyRetryOn { conn_failure: false, statuses, ..HaproxyRetryOn::default() };
            }
            ["retries", retries] => rules.retries = retries.parse().unwrap(),
            _ => panic!("the recording has an unknown line: {line}"),
        }
    }
    rules
}

impl RetryCase {
    /// One request from start to end.
    fn request(&self, backend: &mut Backend) -> Answer {
        let (began, mut hits) = (backend.now, String::new());
        let mut next = match backend.admit(0, self.method != "POST") {
            Admission::Go(attempt) => Next::Retry(attempt),
            Admission::Refused(refusal) => Next::Refused(refusal),
            Admission::Wait(ticket) => Next::Wait(ticket),
        };
        let status = loop {
            next = match next {
                Next::Retry(attempt) => match self.act(backend, attempt, &mut hits) {
                    Ok(status) => break status,
                    Err(next) => next,
                },
                Next::Wait(ticket) => what_follows(&mut backend.upstream, &mut backend.now, ticket),
                Next::Refused(refusal) => break refusal.status,
                Next::Done => panic!("an attempt that broke is answered or followed by another"),
            };
        };
        let ms = backend.now.since(began).0 / 100_000_000 * 100;
        Answer::Seen { status, hits, ms }
    }

    fn act(&self, backend: &mut Backend, attempt: Attempt, hits: &mut String) -> Result<u16, Next> {
        let name = backend.name(&attempt);
        if self.refusing == name {
            let now = backend.now;
            return Err(backend.upstream.finished(now, attempt, Outcome::ConnectFailed));
        }
        hits.push_str(&name);
        let status = match self.behaviour.get(&name) {
            None => 200,
            Some(Value::Number(status)) => status.as_u64().unwrap() as u16,
            Some(word) => {
                assert_eq!(word, "close");
                let outcome = Outcome::Closed { reused: false };
                return Err(backend.upstream.finished(backend.now, attempt, outcome));
            }
        };
        match backend.upstream.head(backend.now, attempt, status) {
            Head::Next(next) => Err(next),
            Head::Pass(attempt) => {
                let next = backend.upstream.finished(backend.now, attempt, Outcome::Responded);
                assert!(matches!(next, Next::Done));
                Ok(status)
            }
        }
    }
}

#[test]
fn backups_serve_and_retries_go_as_recorded() {
    for case in recorded::<RetryCase>("haproxy_backup_retry.json") {
        let peers = servers(&case.weights, &case.options);
        let mut backend = Backend::new(HaproxyAlgorithm::RoundRobin, peers, rules(&case.extra));
        for answer in &case.answers {
            let found = match answer {
                Answer::Seen { .. } => case.request(&mut backend),
                _ => match backend.answer_of(0) {
                    Ok(server) => Answer::Server(server),
                    Err(status) => Answer::Status(status),
                },
            };
            assert_eq!(found, *answer, "{}", case.case);
        }
    }
}
