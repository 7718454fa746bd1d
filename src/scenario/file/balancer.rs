//! `[balancer]`, `[[backend]]` and `[[fault]]`: the system under test and what goes wrong in it.

use crate::scenario::HashKey;
use crate::scenario::checked::{Discipline, Engine, StateSharing};
use crate::scenario::diagnostic::{Problems, suggestion};
use crate::scenario::reader::{
    Count, Fields, Read, Section, Written, described, read_section, section_schema,
};
use crate::scenario::section::{about, choice, section};
use crate::scenario::tree::{Node, Value};
use crate::units::{Ratio, Span};

use super::edge::{
    AdminSection, EdgeClientSection, ForwardSection, ListenSection, LogSection, PeerSection,
};
use super::{
    AffinitySection, AlgorithmWord, BackoffSection, BudgetSection, HashTypeWord, HedgeSection,
    LawForm, LeastRequestSection, OutlierSection, PeakEwmaSection, PrequalSection, RingWord,
};

section! {
    /// What stands between clients and backends. Rules and defaults are those of NGINX.
    pub(crate) struct BalancerSection {
        /// What runs in the live world: `own` is lab's proxy; `nginx`, `haproxy` and `envoy` are
        /// the real programs, configured from this scenario; `url:http://HOST:PORT/PATH` is a balancer
        /// that runs already and knows the backends by their `address`. The model follows the
        /// rules of the engine. Default: own.
        optional engine: Engine,
        /// How a backend is chosen; `haproxy_…` are HAProxy's `balance` lines. Default: round_robin.
        optional algorithm: AlgorithmWord,
        /// What hash, consistent_hash, maglev and haproxy_hash hash, and policies of one's own may: `client`
        /// (its address), `uri` (path and query), `path`, `host`, `header:NAME` or `cookie:NAME`.
        /// A request without it goes by smooth weighted round robin. The keys of
        /// `traffic.keys` are sent there. Default: none; ip_hash and haproxy_source always
        /// hash the client.
        optional hash_key: HashKey,
        /// HAProxy's `hash-type` of haproxy_source and haproxy_hash: `map-based`, or `consistent`,
        /// for which `bounded_load` is its `hash-balance-factor`. Default: map-based.
        optional hash_type: HashTypeWord,
        /// The points on the ring of consistent_hash: `ketama`, those of NGINX, 160 for each unit
        /// of weight; `envoy`, those of Envoy. Default: ketama.
        optional ring: RingWord,
        /// Least number of points on a ring of `envoy`. Default: 1024.
        optional ring_size: Count,
        /// For consistent_hash: no backend gets more than this times its share of the requests in
        /// flight; above 100%. Default: no bound.
        optional bounded_load: Ratio,
        /// Entries in the table of maglev, a prime. Default: 65537.
        optional table_size: Count,
        /// Settings of least_request, which may stand beside another algorithm. Default:
        /// Envoy's.
        optional least_request: LeastRequestSection,
        /// Settings of peak_ewma, which may stand beside another algorithm. Default:
        /// those of linkerd.
        optional peak_ewma: PeakEwmaSection,
        /// Settings of prequal, which may stand beside another algorithm. Default:
        /// those of the paper.
        optional prequal: PrequalSection,
        /// Separate balancers; a request reaches one of them by a draw. Default: 1.
        optional instances: Count,
        /// Worker threads of each. Default: 1.
        optional workers: Count,
        /// Whether the workers of a balancer see each other's requests (`shared`, NGINX with a
        /// zone) or their own only (`per_worker`). Default: shared.
        optional state: StateSharing,
        /// Longest time to connect to a backend. Default: 60s.
        optional connect_timeout: Span,
        /// Longest time from sending a request to the head of its response. Default: 60s.
        optional read_timeout: Span,
        /// Idle connections to backends kept by each worker; 0 closes each after its request.
        /// Default: 32.
        optional keepalive: u32,
        /// An idle connection to a backend is closed after this. Default: 60s.
        optional keepalive_timeout: Span,
        /// Default of `max_fails` of the backends. Default: 1.
        optional max_fails: u32,
        /// Default of `fail_timeout` of the backends. Default: 10s.
        optional fail_timeout: Span,
        /// Default of `slow_start` of the backends. Default: 0s.
        optional slow_start: Span,
        /// The form of slow starts: 1 is a straight line, above 1 it rises fast at first (Envoy's
        /// `aggression`). Default: 1.
        optional slow_start_aggression: f64,
        /// The share of its weight that a backend has at least in its slow start. Default: 10%.
        optional slow_start_min_weight: Ratio,
        /// When a smaller share of the backends is healthy, all are used whatever their health
        /// (Envoy's panic threshold, 50% there). Backups and backends out of service do not count.
        /// Default: 0%, never.
        optional panic: Ratio,
        /// When a failed request is tried at the next backend. Default: on errors and time-outs.
        optional retry: RetrySection,
        /// Health checks that the balancer sends. Default: none.
        optional health: HealthSection,
        /// Where requests wait when every backend is at its `max_conns`. Default: they get 502.
        optional queue: QueueSection,
        /// Where clients of `lab proxy` connect. Default: 127.0.0.1:8080.
        optional listen: Vec<Written<ListenSection>>,
        /// What a client of the proxy may do.
        optional client: EdgeClientSection,
        /// Which fields tell backends about the client.
        optional forward: ForwardSection,
        /// How backends are spoken to.
        optional upstream: PeerSection,
        /// The access log. Default: none.
        optional log: LogSection,
        /// The admin interface. Default: none.
        optional admin: AdminSection,
        /// How long requests in flight may take to end when the proxy stops, or when a reload
        /// replaces the workers that serve them. Default: 30s.
        optional drain_timeout: Span,
        /// Leaving out backends whose answers are bad. Default: none.
        optional outlier: OutlierSection,
        /// Asking a second backend when the first is late. Default: never.
        optional hedge: HedgeSection,
        /// Sessions that stay with their backend. Default: none.
        optional affinity: AffinitySection,
    }
}

section! {
    /// Retry on the next backend, by the rules of NGINX's `proxy_next_upstream`.
    pub(crate) struct RetrySection {
        /// What is retried; an empty list is nothing. Default: error, timeout.
        optional on: Vec<Written<RetryWord>>,
        /// Most attempts of a request, the first included; 0 is every backend once. Default: 0.
        optional tries: u32,
        /// No further attempt this long after the first began; 0s is no limit. It never interrupts
        /// one. Default: 0s.
        optional timeout: Span,
        /// How many retries there may be. Default: no limit.
        optional budget: BudgetSection,
        /// The pause before a retry. Default: none.
        optional backoff: BackoffSection,
    }
}

section! {
    /// Health checks that the balancer sends.
    pub(crate) struct HealthSection {
        /// Path asked for. Default: /health.
        optional path: String,
        /// From the start of a check to the start of the next. Default: 2s.
        optional interval: Span,
        /// A check without an answer after this has failed; not above the interval. Default: the
        /// interval, but at most 1s.
        optional timeout: Span,
        /// Passed checks in a row that bring a backend back. Default: 2.
        optional rise: Count,
        /// Failed checks in a row that take a backend out. Default: 3.
        optional fall: Count,
    }
}

section! {
    /// The waiting line at the balancer, for when every backend is at its `max_conns`.
    pub(crate) struct QueueSection {
        /// Most requests waiting.
        required length: u32,
        /// Longest wait. Default: 60s.
        optional timeout: Span,
    }
}

section! {
    /// A backend, or a group of equal ones.
    pub(crate) struct BackendSection {
        /// Name: letters, digits, `-` and `_`. With a count above 1 its members are name-1, name-2, ….
        required name: String,
        /// Number of instances. Default: 1.
        optional count: Count,
        /// Share of the traffic relative to the other weights. Default: 1.
        optional weight: u32,
        /// Serves only when no other backend may be picked. Default: false.
        optional backup: bool,
        /// Out of service: never picked. Default: false.
        optional down: bool,
        /// Most requests that the balancer has in flight there; 0 is no limit. Default: 0.
        optional max_conns: u32,
        /// Failures after which the balancer leaves it out for `fail_timeout`; 0 switches this off.
        /// Default: `balancer.max_fails`.
        optional max_fails: u32,
        /// See `max_fails`; compared in whole seconds. Default: `balancer.fail_timeout`.
        optional fail_timeout: Span,
        /// Its share of the traffic grows for this long after it came back or was added, from
        /// `balancer.slow_start_min_weight` on; 0s is at once. Default: `balancer.slow_start`.
        optional slow_start: Span,
        /// Requests served at once. Default: 1.
        optional workers: Count,
        /// Most requests waiting for a worker; beyond it the answer is 503. Default: no limit.
        optional queue_limit: u32,
        /// Speed: service takes demand / speed. Default: 1.
        optional speed: f64,
        /// Law of the demand of a request: its service time at speed 1. A scenario needs it.
        optional service: LawForm,
        /// `fifo`, first in first out over the workers, or `ps`, processor sharing. Default: fifo.
        optional discipline: Discipline,
        /// Share of the health checks that fail. Default: 0%.
        optional health_failure: Ratio,
        /// Where it listens, as IP:PORT. For `lab proxy`, and for `lab run` with an engine
        /// `url:http://…`, which knows the backends already; otherwise lab chooses.
        optional address: String,
    }
}

section! {
    /// Something that goes wrong for a while.
    pub(crate) struct FaultSection {
        /// Name in reports and checks.
        required name: String,
        /// When it begins, counted from the start of the run.
        required at: Span,
        /// How long it lasts; it ends within the run.
        required lasts as "for": Span,
        /// A backend, a group of backends, or a list of them.
        required target: Target,
        /// crash: killed, and started again at the end. hang: stopped, and continued at the end.
        /// slow: service takes `factor` times as long. error_rate: a share `rate` of the requests
        /// is answered 500. health_flap: a share `rate` of the health checks fails. partition:
        /// packets are lost. drain: gets no new requests.
        required kind: FaultKindWord,
        /// For slow: how many times as long service takes.
        optional factor: f64,
        /// For error_rate and health_flap: the share that fails.
        optional rate: Ratio,
    }
}

/// The kinds of fault; factor and rate stand under keys of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKindWord {
    Crash,
    Hang,
    Slow,
    ErrorRate,
    HealthFlap,
    Partition,
    Drain,
}

/// A condition of retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryWord {
    Error,
    Timeout,
    InvalidHeader,
    NonIdempotent,
    Status(u16),
}

impl Read for Engine {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = String::read(node, problems)?;
        match text.parse() {
            Ok(engine) => Some(engine),
            Err(_) => {
                let words = ["own", "nginx", "haproxy", "envoy", "url:http://HOST:PORT/PATH"];
                let help = suggestion(&text, words, "one of");
                problems.report_with(&node.place, format!("`{text}` is no engine"), help);
                None
            }
        }
    }
    fn schema() -> serde_json::Value {
        let named: Vec<String> = Self::NAMED.iter().map(Self::name).collect();
        serde_json::json!({
            "anyOf": [{ "enum": named }, { "type": "string", "pattern": "^url:http://[^/]" }]
        })
    }
}
choice! { StateSharing: "way to share state", "shared" => Self::Shared, "per_worker" => Self::PerWorker }
choice! { Discipline: "discipline", "fifo" => Self::Fifo, "ps" => Self::Ps }
choice! { FaultKindWord: "kind of fault",
    "crash" => Self::Crash,
    "hang" => Self::Hang,
    "slow" => Self::Slow,
    "error_rate" => Self::ErrorRate,
    "health_flap" => Self::HealthFlap,
    "partition" => Self::Partition,
    "drain" => Self::Drain,
}
choice! { RetryWord: "condition of retry",
    "error" => Self::Error,
    "timeout" => Self::Timeout,
    "invalid_header" => Self::InvalidHeader,
    "http_403" => Self::Status(403),
    "http_404" => Self::Status(404),
    "http_429" => Self::Status(429),
    "http_500" => Self::Status(500),
    "http_502" => Self::Status(502),
    "http_503" => Self::Status(503),
    "http_504" => Self::Status(504),
    "non_idempotent" => Self::NonIdempotent,
}

/// Names of backends or groups: one, or a list.
#[derive(Clone, Debug)]
pub(crate) struct Target(pub(crate) Vec<Written<String>>);

impl Read for Target {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        if let Value::Text(name) = &node.value {
            return Some(Self(vec![Written { value: name.clone(), place: node.place.clone() }]));
        }
        Vec::<Written<String>>::read(node, problems).map(Self)
    }
    fn schema() -> serde_json::Value {
        serde_json::json!({ "anyOf": [String::schema(), Vec::<Written<String>>::schema()] })
    }
}
