//! Decisions recorded from a real NGINX 1.22.1 (`tests/vectors/*.json`), replayed on the policy.
//!
//! Servers are a, b, c, … in configuration order. Every case starts from a fresh group.

#[path = "vectors/recorded.rs"]
mod recorded;

use std::collections::HashMap;

use lab::policy::{
    Admission, Algorithm, Attempt, Head, Next, Outcome, PeerConfig, QueueConfig, RequestFacts,
    ResilienceConfig, RetryConfig, Rules, Upstream, UpstreamConfig,
};
use lab::units::{Nanos, Seed, Span};
use recorded::recorded;
use serde::Deserialize;

/// Servers named a, b, c, … with these weights and the parameters of their `server` lines.
fn servers(weights: &[u32], options: impl Fn(usize) -> String) -> Vec<PeerConfig> {
    let named = weights.iter().zip('a'..).enumerate();
    named
        .map(|(place, (&weight, name))| {
            let config = PeerConfig { weight, ..PeerConfig::new(name) };
            with_options(config, &options(place))
        })
        .collect()
}

fn with_options(mut config: PeerConfig, options: &str) -> PeerConfig {
    for option in options.split_whitespace() {
        match option.split_once('=') {
            Some(("max_fails", n)) => config.max_fails = n.parse().unwrap(),
            Some(("max_conns", n)) => config.max_conns = n.parse().unwrap(),
            Some(("fail_timeout", text)) => config.fail_timeout = text.parse().unwrap(),
            None if option == "backup" => config.backup = true,
            None if option == "down" => config.down = true,
            _ => panic!("the recording has an option this test does not know: {option}"),
        }
    }
    config
}

/// What a server does with a request.
#[derive(Clone, Copy, Debug)]
enum Behaviour {
    Answer(u16),
    /// A correct head, then the body breaks off.
    Cut,
    Refuse,
    Close,
    /// No answer until this read time-out.
    Hang(Span),
    BrokenHead,
}

/// One request as the client and the log of the balancer saw it.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    status: u16,
    tried: Vec<String>,
    /// One status per server tried, 502 or 504 where it gave none.
    statuses: Vec<u16>,
}

/// Drives an upstream with one request at a time.
struct Driver {
    upstream: Upstream,
    now: Nanos,
    next_id: u64,
}

impl Driver {
    fn new(algorithm: Algorithm, peers: Vec<PeerConfig>, retry: RetryConfig) -> Self {
        let queue = QueueConfig::default();
        let resilience = ResilienceConfig::default();
        let config = UpstreamConfig {
            algorithm,
            peers,
            retry,
            health: None,
            queue,
            resilience,
            rules: Rules::default(),
        };
        Self { upstream: Upstream::new(&config, Seed::new(1, 0)), now: Nanos::ZERO, next_id: 0 }
    }

    fn name(&self, attempt: &Attempt) -> String {
        self.upstream.peer(attempt.peer).unwrap().name().to_owned()
    }

    fn admit(&mut self, idempotent: bool) -> Admission {
        let facts = RequestFacts { id: self.next_id, key: 0, idempotent };
        self.next_id += 1;
        self.upstream.admit(self.now, facts)
    }

    /// Opens a request and keeps it open; the refusal's status if no server can take it.
    fn start(&mut self) -> Result<Attempt, u16> {
        match self.admit(true) {
            Admission::Go(attempt) => Ok(attempt),
            Admission::Refused(refusal) => Err(refusal.status),
            Admission::Wait(ticket) => panic!("{ticket:?} waits where there is no line"),
        }
    }

    fn finish(&mut self, attempt: Attempt) {
        let Head::Pass(attempt) = self.upstream.head(self.now, attempt, 200) else {
            panic!("a 200 is passed on");
        };
        let next = self.upstream.finished(self.now, attempt, Outcome::Responded);
        assert!(matches!(next, Next::Done));
    }

    /// One request from start to end.
    fn request(&mut self, idempotent: bool, behaviour: impl Fn(&str) -> Behaviour) -> Seen {
        let mut seen = Seen::default();
        let mut next = match self.admit(idempotent) {
            Admission::Go(attempt) => Next::Retry(attempt),
            Admission::Refused(refusal) => Next::Refused(refusal),
            Admission::Wait(ticket) => Next::Wait(ticket),
        };
        loop {
            match next {
                Next::Retry(attempt) => {
                    let name = self.name(&attempt);
                    let behaviour = behaviour(&name);
                    seen.tried.push(name);
                    next = self.act(attempt, behaviour, &mut seen);
                }
                Next::Refused(refusal) => {
                    seen.status = refusal.status;
                    if refusal.reason == lab::policy::RefusalReason::NoLiveUpstream {
                        seen.tried.push("no live".to_owned());
                        seen.statuses.push(refusal.status);
                    }
                    return seen;
                }
                Next::Done => return seen,
                Next::Wait(ticket) => panic!("{ticket:?} waits where there is no line"),
            }
        }
    }

    fn act(&mut self, attempt: Attempt, behaviour: Behaviour, seen: &mut Seen) -> Next {
        let outcome = match behaviour {
            Behaviour::Answer(status) => return self.answer(attempt, status, seen),
            Behaviour::Cut => return self.answer(attempt, 200, seen),
            Behaviour::Refuse => Outcome::ConnectFailed,
            Behaviour::Close => Outcome::Closed { reused: false },
            Behaviour::BrokenHead => Outcome::InvalidHead,
            Behaviour::Hang(timeout) => {
                self.now += timeout;
                Outcome::ReadTimedOut
            }
        };
        seen.statuses.push(if outcome.is_timeout() { 504 } else { 502 });
        self.upstream.finished(self.now, attempt, outcome)
    }

    fn answer(&mut self, attempt: Attempt, status: u16, seen: &mut Seen) -> Next {
        seen.statuses.push(status);
        match self.upstream.head(self.now, attempt, status) {
            Head::Next(next) => next,
            Head::Pass(attempt) => {
                seen.status = status;
                self.upstream.finished(self.now, attempt, Outcome::Responded)
            }
        }
    }
}

#[derive(Deserialize)]
struct PicksCase {
    weights: Vec<u32>,
    picks: String,
}

#[test]
fn smooth_weighted_round_robin_picks_as_recorded() {
    for case in recorded::<PicksCase>("nginx_wrr.json") {
        let peers = servers(&case.weights, |_| String::new());
        let mut driver = Driver::new(Algorithm::RoundRobin, peers, RetryConfig::default());
        let picks: String = (0..case.picks.len())
            .map(|_| driver.request(true, |_| Behaviour::Answer(200)).tried.concat())
            .collect();
        assert_eq!(picks, case.picks, "weights {:?}", case.weights);
    }
}

#[derive(Deserialize)]
struct FailuresCase {
    weights: Vec<u32>,
    options_of_every_server: String,
    failing_server: String,
    fails_requests: String,
    requests: Vec<(u16, String)>,
}

/// The recordings write "!" where no server was live.
fn as_recorded(seen: &Seen) -> (u16, String) {
    (seen.status, seen.tried.concat().replace("no live", "!"))
}

#[test]
fn failures_cut_weights_and_take_servers_out_as_recorded() {
    for case in recorded::<FailuresCase>("nginx_wrr_failures.json") {
        let peers = servers(&case.weights, |_| case.options_of_every_server.clone());
        let (first, last) = case.fails_requests.split_once("..").unwrap();
        let failing = first.parse::<usize>().unwrap()..=last.parse::<usize>().unwrap();
        let mut driver = Driver::new(Algorithm::RoundRobin, peers, RetryConfig::default());
        let seen: Vec<_> = (0..case.requests.len())
            .map(|number| {
                let fails = failing.contains(&number);
                as_recorded(&driver.request(true, |name| {
                    if fails && name == case.failing_server {
                        Behaviour::Close
                    } else {
                        Behaviour::Answer(200)
                    }
                }))
            })
            .collect();
        assert_eq!(seen, case.requests, "{:?} {}", case.weights, case.options_of_every_server);
    }
}

#[derive(Deserialize)]
struct FailTimeoutCase {
    weights: Vec<u32>,
    options_of_every_server: String,
    failing_server: String,
    answers_from_s: f64,
    requests: Vec<(u64, f64, u16, String)>,
}

#[test]
fn a_server_is_out_for_whole_seconds_and_tested_by_one_request_as_recorded() {
    for case in recorded::<FailTimeoutCase>("nginx_fail_timeout.json") {
        let peers = servers(&case.weights, |_| case.options_of_every_server.clone());
        let mut driver = Driver::new(Algorithm::RoundRobin, peers, RetryConfig::default());
        for (place, (second, at, status, tried)) in case.requests.iter().enumerate() {
            driver.now = Nanos::from_secs_f64(*at);
            assert_eq!(driver.now.whole_seconds(), *second);
            let seen = driver.request(true, |name| {
                if name == case.failing_server && *at < case.answers_from_s {
                    Behaviour::Close
                } else {
                    Behaviour::Answer(200)
                }
            });
            assert_eq!(as_recorded(&seen), (*status, tried.clone()), "request {place} at {at} s");
        }
    }
}

#[derive(Deserialize)]
struct HeldCase {
    #[serde(default)]
    method: Option<String>,
    weights: Vec<u32>,
    #[serde(default)]
    options: Vec<String>,
    ops: Vec<Op>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Op {
    Start(String, u64, Picked),
    Finish(String, u64),
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(untagged)]
enum Picked {
    Server(String),
    Refused { status: u16 },
}

fn replay_held(case: &HeldCase) {
    let algorithm = match case.method.as_deref() {
        None | Some("least_conn") => Algorithm::LeastConn,
        Some("round_robin") => Algorithm::RoundRobin,
        Some(other) => panic!("the recording has an unknown method: {other}"),
    };
    let peers =
        servers(&case.weights, |place| case.options.get(place).cloned().unwrap_or_default());
    let mut driver = Driver::new(algorithm, peers, RetryConfig::default());
    let mut open = HashMap::new();
    for (place, op) in case.ops.iter().enumerate() {
        match op {
            Op::Start(word, id, recorded) => {
                assert_eq!(word, "start");
                let picked = match driver.start() {
                    Err(status) => Picked::Refused { status },
                    Ok(attempt) => {
                        let name = driver.name(&attempt);
                        open.insert(*id, attempt);
                        Picked::Server(name)
                    }
                };
                assert_eq!(&picked, recorded, "{:?}, op {place}, request {id}", case.weights);
            }
            Op::Finish(word, id) => {
                assert_eq!(word, "finish");
                driver.finish(open.remove(id).unwrap());
            }
        }
    }
}

#[test]
fn least_conn_picks_as_recorded() {
    recorded::<HeldCase>("nginx_least_conn.json").iter().for_each(replay_held);
}

#[test]
fn limits_and_backups_are_honoured_as_recorded() {
    recorded::<HeldCase>("nginx_max_conns_backup.json").iter().for_each(replay_held);
}

#[derive(Deserialize)]
struct RetryCase {
    case: String,
    servers: Vec<String>,
    location: String,
    refusing: String,
    requests: Vec<RetryRequest>,
}

#[derive(Deserialize)]
struct RetryRequest {
    method: String,
    behaviour: HashMap<String, Recording>,
    client_status: u16,
    tried: Vec<String>,
    upstream_status: Vec<String>,
    /// Rounded to 100 ms.
    ms: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Recording {
    Status(u16),
    Named(String),
}

/// The settings of a `location`: the retry, and the read time-out.
fn location(text: &str) -> (RetryConfig, Span) {
    let mut retry = RetryConfig::default();
    let mut read_timeout = Span::from_secs(60);
    for directive in text.split(';').map(str::trim).filter(|text| !text.is_empty()) {
        let words: Vec<&str> = directive.split_whitespace().collect();
        match words[0] {
            "proxy_next_upstream" => conditions(&mut retry, &words[1..]),
            "proxy_next_upstream_tries" => retry.tries = words[1].parse().unwrap(),
            "proxy_next_upstream_timeout" => retry.timeout = words[1].parse().unwrap(),
            "proxy_read_timeout" => read_timeout = words[1].parse().unwrap(),
            other => panic!("the recording has an unknown directive: {other}"),
        }
    }
    (retry, read_timeout)
}

fn conditions(retry: &mut RetryConfig, words: &[&str]) {
    retry.on.error = words.contains(&"error");
    retry.on.timeout = words.contains(&"timeout");
    retry.on.invalid_header = words.contains(&"invalid_header");
    retry.on.non_idempotent = words.contains(&"non_idempotent");
    let statuses = words.iter().filter_map(|word| word.strip_prefix("http_"));
    retry.on.statuses = statuses.map(|status| status.parse().unwrap()).collect();
}

fn behaviour(case: &RetryCase, request: &RetryRequest, name: &str, read: Span) -> Behaviour {
    if name == case.refusing {
        return Behaviour::Refuse;
    }
    match request.behaviour.get(name) {
        None => Behaviour::Answer(200),
        Some(Recording::Status(status)) => Behaviour::Answer(*status),
        Some(Recording::Named(named)) => match named.as_str() {
            "close" => Behaviour::Close,
            "cut" => Behaviour::Cut,
            "hang" => Behaviour::Hang(read),
            "badhdr" => Behaviour::BrokenHead,
            other => panic!("the recording has an unknown behaviour: {other}"),
        },
    }
}

#[test]
fn retries_go_where_and_end_as_recorded() {
    for case in recorded::<RetryCase>("nginx_next_upstream.json") {
        let peers = case
            .servers
            .iter()
            .map(|line| {
                let (name, options) = line.split_once(' ').unwrap_or((line, ""));
                with_options(PeerConfig::new(name), options)
            })
            .collect();
        let (retry, read_timeout) = location(&case.location);
        let mut driver = Driver::new(Algorithm::RoundRobin, peers, retry);
        for (place, request) in case.requests.iter().enumerate() {
            let idempotent = !["POST", "LOCK", "PATCH"].contains(&request.method.as_str());
            let began = driver.now;
            let seen =
                driver.request(idempotent, |name| behaviour(&case, request, name, read_timeout));
            let recorded = Seen {
                status: request.client_status,
                tried: request.tried.clone(),
                statuses: request.upstream_status.iter().map(|s| s.parse().unwrap()).collect(),
            };
            assert_eq!(seen, recorded, "{}, request {place}", case.case);
            let took_ms = driver.now.since(began).as_millis_f64();
            assert!((took_ms - request.ms as f64).abs() <= 100.0, "{}: {took_ms} ms", case.case);
        }
    }
}

#[derive(Deserialize)]
struct RandomCase {
    case: String,
    weights: Vec<u32>,
    method: String,
    held_on: String,
    n: u64,
    counts: HashMap<String, u64>,
}

/// Requests of ours for each one recorded, so that our own shares are all but exact.
const OVERSAMPLING: u64 = 200;

/// 99.9 % quantiles of the chi-square distribution with 1, 2 and 3 degrees of freedom.
const CHI_SQUARE: [f64; 3] = [10.83, 13.82, 16.27];

#[test]
fn random_methods_share_as_recorded() {
    for case in recorded::<RandomCase>("nginx_random.json") {
        let algorithm = match case.method.as_str() {
            "random;" => Algorithm::Random,
            "random two least_conn;" => Algorithm::RandomTwo,
            other => panic!("the recording has an unknown method: {other}"),
        };
        let peers = servers(&case.weights, |_| String::new());
        let names: Vec<String> = peers.iter().map(|peer| peer.name.clone()).collect();
        let mut driver = Driver::new(algorithm, peers, RetryConfig::default());
        let held = hold(&mut driver, &case.held_on);
        let mut ours: HashMap<String, u64> = HashMap::new();
        for _ in 0..case.n * OVERSAMPLING {
            let attempt = driver.start().unwrap();
            *ours.entry(driver.name(&attempt)).or_default() += 1;
            driver.finish(attempt);
        }
        held.into_iter().for_each(|attempt| driver.finish(attempt));
        check_shares(&case, &names, &ours);
    }
}

/// Keeps one request open on each server named.
fn hold(driver: &mut Driver, wanted: &str) -> Vec<Attempt> {
    let mut held = Vec::new();
    for name in wanted.chars().map(String::from) {
        loop {
            let attempt = driver.start().unwrap();
            if driver.name(&attempt) == name {
                held.push(attempt);
                break;
            }
            driver.finish(attempt);
        }
    }
    held
}

fn check_shares(case: &RandomCase, names: &[String], ours: &HashMap<String, u64>) {
    let mut cells = 0;
    let mut distance = 0.0;
    for name in names {
        let recorded = case.counts.get(name).copied().unwrap_or(0) as f64;
        let expected = ours.get(name).copied().unwrap_or(0) as f64 / OVERSAMPLING as f64;
        if expected == 0.0 {
            assert_eq!(recorded, 0.0, "{}: {name} was picked, ours never is", case.case);
            continue;
        }
        cells += 1;
        distance += (recorded - expected) * (recorded - expected) / expected;
    }
    if cells > 1 {
        let limit = CHI_SQUARE[cells - 2];
        assert!(distance < limit, "{}: {distance} with {ours:?}", case.case);
    }
}
