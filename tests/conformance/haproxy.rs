//! HAProxy's methods, queues, retries and backups against the core.

use lab::policy::balance::haproxy::{HaproxyAlgorithm, HaproxyHash};
use lab::policy::rules::{HaproxyRetryOn, HaproxyRules};
use lab::policy::{Algorithm, Rules};
use lab::units::Span;

use super::core::Core;
use super::nginx::config;
use super::play::{Arm, Saw, compare, play};
use super::real::{Real, done, stage};
use super::script::{
    Server, Step, addresses, concurrent, failing, from_addresses, keyed, operated, sequential,
    weights,
};
use crate::engines::haproxy::{Haproxy, Line, Settings};
use crate::engines::stage::{Behaviour, Placed, Request, Stage};

/// One question to both: the lines of the backend, and what they mean.
struct Question<'a> {
    balance: &'a str,
    backend: &'a str,
    algorithm: HaproxyAlgorithm,
    rules: HaproxyRules,
    servers: &'a [Server],
}

impl<'a> Question<'a> {
    fn new(balance: &'a str, algorithm: HaproxyAlgorithm, servers: &'a [Server]) -> Self {
        let rules = HaproxyRules { queue_timeout: Span::ZERO, ..HaproxyRules::default() };
        Self { balance, backend: "", algorithm, rules, servers }
    }

    fn start(&self, stage: &mut Stage) -> Haproxy {
        let line = |server: &Server| {
            let backup = if server.backup { " backup" } else { "" };
            let most = server.max_conns;
            let limit = if most > 0 { format!(" maxconn {most}") } else { String::new() };
            format!("weight {}{limit}{backup}", server.weight)
        };
        let settings = Settings {
            balance: self.balance.to_owned(),
            backend: self.backend.to_owned(),
            servers: self.servers.iter().map(line).collect(),
        };
        done(Haproxy::start(&settings, stage))
    }

    fn core(&self, stage: &Stage) -> Core {
        let mut config = config(Algorithm::Haproxy(self.algorithm), self.servers, stage);
        config.rules = Rules::Haproxy(self.rules.clone());
        Core::new(&config, 1).without_refusals()
    }

    /// One script on both, in which nobody waits; how many requests were compared.
    fn same(&self, script: &[Step]) -> usize {
        let mut stage = stage(self.servers);
        let haproxy = self.start(&mut stage);
        let mut core = self.core(&stage);
        let engine = play(&mut Real::new(haproxy, stage), script, None);
        compare(&self.title(), script, &engine, &play(&mut core, script, None))
    }

    /// The same with requests that may wait, and with orders.
    fn same_in_line(&self, script: &[Step]) -> usize {
        let mut stage = stage(self.servers);
        let haproxy = self.start(&mut stage);
        let mut core = self.core(&stage);
        let mut queueing = Queueing { line: Line::new(&haproxy), stage };
        let engine = play(&mut queueing, script, None);
        let waited = engine.saw.iter().filter(|saw| **saw == Saw::Queued).count();
        let limited = self.servers.iter().any(|server| server.max_conns > 0);
        assert_eq!(waited > script.len() / 50, limited, "{}: {waited} waited", self.title());
        compare(&self.title(), script, &engine, &play(&mut core, script, None))
    }

    fn title(&self) -> String {
        format!("haproxy {} {} {:?}", self.balance, self.backend.trim(), self.servers)
    }
}

/// HAProxy with its queues as an arm.
struct Queueing<'a> {
    line: Line<'a>,
    stage: Stage,
}

impl Arm for Queueing<'_> {
    fn start(&mut self, id: u64, key: Option<&str>) -> Saw {
        let request = Request { key, ..Request::get(id) };
        match done(self.line.start(&mut self.stage, request)) {
            Placed::At { server, .. } => Saw::At(server),
            Placed::Refused(status) => Saw::Refused(status),
            Placed::Queued => Saw::Queued,
        }
    }

    fn finish(&mut self, id: u64) -> Vec<(u64, usize)> {
        done(self.line.finish(&mut self.stage, id))
    }

    fn order(&mut self, server: usize, up: bool) -> Vec<(u64, usize)> {
        done(self.line.serve(&mut self.stage, server, up))
    }
}

const ROUND_ROBIN: (&str, HaproxyAlgorithm) = ("roundrobin", HaproxyAlgorithm::RoundRobin);
const LEAST_CONN: (&str, HaproxyAlgorithm) = ("leastconn", HaproxyAlgorithm::LeastConn);
const SOURCE: (&str, HaproxyAlgorithm) =
    ("source", HaproxyAlgorithm::Source(HaproxyHash::MapBased));

#[test]
fn roundrobin_by_weight() {
    let groups: [&[u32]; 4] = [&[5, 5, 3], &[5, 1, 1], &[100, 99, 1], &[13, 1, 7, 7, 2, 40, 5, 3]];
    let turns = |group: &&[u32]| {
        Question::new("roundrobin", HaproxyAlgorithm::RoundRobin, &weights(group))
            .same(&sequential(1_300))
    };
    let compared: usize = groups.iter().map(turns).sum();
    assert!(compared >= 5_000, "{compared}");
}

#[test]
fn leastconn_with_requests_in_flight() {
    let groups: [&[u32]; 4] = [&[5, 5, 3], &[1, 1, 1], &[5, 1, 1], &[1, 2, 3, 4, 9, 9]];
    let compared: usize = (31..)
        .zip(groups)
        .map(|(seed, group)| {
            let servers = weights(group);
            let question = Question::new("leastconn", HaproxyAlgorithm::LeastConn, &servers);
            question.same(&concurrent(1_300, 40, seed))
        })
        .sum();
    assert!(compared >= 5_000, "{compared}");
}

#[test]
fn sources_are_hashed_to_the_same_servers() {
    let script = keyed(addresses(5_000, 4));
    let servers = weights(&[5, 5, 3, 1]);
    let (balance, map) = SOURCE;
    assert_eq!(Question::new(balance, map, &servers).same(&script), 5_000);
    let ring = HaproxyAlgorithm::Source(HaproxyHash::CONSISTENT);
    let mut question = Question::new(balance, ring, &servers);
    question.backend = "hash-type consistent";
    assert_eq!(question.same(&script), 5_000);
}

#[test]
fn idle_backups_get_nothing() {
    let mut servers = weights(&[3, 2, 1]);
    servers[1].backup = true;
    let question = Question::new("roundrobin", HaproxyAlgorithm::RoundRobin, &servers);
    assert_eq!(question.same(&sequential(300)), 300);
}

/// Full servers: who waits where, and who takes which place that becomes free.
#[test]
fn requests_wait_for_a_free_place() {
    let mut servers = weights(&[3, 2, 1, 2]);
    for (server, limit) in servers.iter_mut().zip([3, 2, 1, 1]) {
        server.max_conns = limit;
    }
    let first = ("first", HaproxyAlgorithm::First);
    let mut compared = 0;
    for (seed, (balance, algorithm)) in (41..).zip([ROUND_ROBIN, LEAST_CONN, first, SOURCE]) {
        let script = from_addresses(concurrent(1_300, 16, seed), seed);
        compared += Question::new(balance, algorithm, &servers).same_in_line(&script);
    }
    assert!(compared >= 5_000, "{compared}");
}

/// An operator takes servers out and back in: what is picked then, when backups serve, and where
/// those go who wait.
#[test]
fn servers_leave_and_backups_serve() {
    let mut servers = weights(&[5, 3, 1, 2, 1]);
    servers[3].backup = true;
    servers[4].backup = true;
    let mut limited = servers.clone();
    for (server, limit) in limited.iter_mut().zip([3, 2, 1, 2, 1]) {
        server.max_conns = limit;
    }
    let mut compared = 0;
    for (seed, all_backups) in (51..).zip([false, true]) {
        for (balance, algorithm) in [ROUND_ROBIN, LEAST_CONN] {
            for servers in [&servers, &limited] {
                let mut question = Question::new(balance, algorithm, servers);
                question.rules.all_backups = all_backups;
                question.backend = if all_backups { "option allbackups" } else { "" };
                let script = operated(concurrent(650, 12, seed), servers.len(), seed);
                compared += question.same_in_line(&script);
            }
        }
    }
    assert!(compared >= 5_000, "{compared}");
}

/// Attempts that fail and what follows: at another server at once with `redispatch`, at the same
/// one without, after a pause if it could not be connected to.
#[test]
fn retries_and_redispatch() {
    let mut servers = weights(&[5, 3, 2, 2, 1]);
    servers[2].refuses = true;
    let everything = HaproxyRetryOn {
        conn_failure: true,
        empty_response: true,
        junk_response: true,
        response_timeout: true,
        statuses: vec![404, 503],
    };
    let listed = "retry-on conn-failure empty-response junk-response response-timeout 404 503";
    let mut compared = 0;
    for (seed, (redispatch, retries, count)) in
        (61..).zip([(Some(1), 3, 2_400), (Some(-1), 2, 2_400), (None, 2, 600)])
    {
        let option = redispatch.map_or(String::new(), |n| format!("option redispatch {n}"));
        // The pause is no longer than the time-out.
        let lines =
            format!("retries {retries}\n    {listed}\n    timeout connect 10ms\n    {option}");
        let mut question = Question::new("roundrobin", HaproxyAlgorithm::RoundRobin, &servers);
        question.backend = &lines;
        question.rules.retries = retries;
        question.rules.retry_on = everything.clone();
        question.rules.redispatch = redispatch.is_some();
        question.rules.redispatch_interval = redispatch.unwrap_or(-1);
        question.rules.connect_timeout = Span::from_millis(10);
        let mut script = failing(count, servers.len(), [0, 5, 20, 50], 0, seed);
        for step in &mut script {
            let Step::Ask { behaviours, .. } = step else { continue };
            behaviours[2] = Behaviour::Refuse;
        }
        compared += question.same(&script);
    }
    assert!(compared >= 5_000, "{compared}");
}
