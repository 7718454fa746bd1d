//! What the threads of a run have in common.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::config::{Extras, LoadConfig, Protocol, Share};
use super::super::jar::Jar;
use super::super::ledger::{Rows, Servers};
use super::super::pool::Route;
use super::super::rules;
use super::super::tally::Tally;
use super::super::target::Template;
use super::schedule::Part;
use crate::host::priority;
use crate::record::{RecordError, RequestRow};
use crate::scenario::HashKey;
use crate::traffic::{Plan, Request};
use crate::units::{Nanos, Span};

/// Whether this data path carries the requests of `config`.
pub(in crate::load) fn carries(config: &LoadConfig) -> bool {
    config.extras.protocol == Protocol::Http1 && config.targets.iter().all(|target| !target.secure)
}

/// The run: what is asked for, and what all its threads write to.
#[derive(Debug)]
pub(in crate::load) struct Shared {
    pub(super) config: LoadConfig,
    pub(super) plan: Plan,
    /// By target, then class.
    templates: Vec<Vec<Template>>,
    /// How many threads there are.
    pub(super) threads: u32,
    /// The thread that made it runs with real-time priority, and so do they.
    pub(super) real_time: bool,
    /// Each key is a client with an address of its own.
    by_address: bool,
    /// Cookies by session, if requests have keys.
    pub(super) jar: Option<Jar>,
    rows: Option<Mutex<Rows>>,
    failed: AtomicBool,
    servers: Mutex<Servers>,
    in_flight: AtomicU64,
}

impl Shared {
    pub(in crate::load) fn new(config: &LoadConfig, rows: Rows) -> Self {
        let (classes, key) = (&config.traffic.classes, config.hash_key.as_ref());
        let of_target = |target| {
            classes.iter().map(|class| Template::new(target, class, key, &config.extras)).collect()
        };
        // A thread without a connection would have nothing to send on.
        let most = match config.traffic.client.connections {
            0 => u32::MAX,
            limit => limit,
        };
        Self {
            plan: Plan::new(&config.traffic, config.seed, config.end),
            templates: config.targets.iter().map(of_target).collect(),
            threads: config.extras.threads.clamp(1, most),
            real_time: priority::is_real_time(),
            by_address: config.hash_key == Some(HashKey::Client),
            jar: config.traffic.keys.map(|_| Jar::default()),
            rows: rows.are_kept().then(|| Mutex::new(rows)),
            failed: AtomicBool::new(false),
            servers: Mutex::new(Servers::new(config.backends.clone())),
            in_flight: AtomicU64::new(0),
            config: config.clone(),
        }
    }

    /// An empty one.
    pub(super) fn tally(&self) -> Tally {
        Tally::new(&self.config.traffic, self.config.extras.warm_up)
    }

    /// The part of the plan that thread `index` sends.
    pub(super) fn part(&self, index: u32) -> Part {
        let Extras { share, requests, .. } = self.config.extras;
        let thread = Share { index, of: self.threads };
        Part { generator: share, thread, most: requests.unwrap_or(u64::MAX) }
    }

    /// Its share of the connections.
    pub(super) fn connections(&self, index: u32) -> u32 {
        match self.config.traffic.client.connections {
            0 => u32::MAX,
            limit => Share { index, of: self.threads }.part_of(limit.into()) as u32,
        }
    }

    pub(super) fn route(&self, request: &Request) -> Route {
        let chosen = self.config.extras.class_targets.get(usize::from(request.class));
        let targets = self.config.targets.len();
        let drawn = || rules::drawn_target(self.config.seed, request.id, targets);
        let target = chosen.copied().unwrap_or_else(drawn);
        Route { target, client: if self.by_address { request.key } else { 0 } }
    }

    pub(super) fn template(&self, target: usize, class: u16) -> &Template {
        &self.templates[target][usize::from(class)]
    }

    /// An instant on the host's clock, since the run's zero.
    pub(super) fn relative(&self, at: Nanos) -> u64 {
        at.since(self.config.zero).0
    }

    /// An instant of the run on the host's clock.
    pub(super) fn instant(&self, at: u64) -> Nanos {
        self.config.zero + Span(at)
    }

    /// Counts one more in flight and tells how many there are; `None` if the cap is reached.
    pub(super) fn admit(&self) -> Option<u64> {
        let cap = u64::from(self.config.traffic.client.in_flight_cap);
        let all = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        if cap > 0 && all > cap {
            self.release();
            return None;
        }
        Some(all)
    }

    pub(super) fn release(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Writes `row`, if rows are asked for.
    pub(super) fn keep(&self, row: &RequestRow, now: Nanos) {
        if let Some(rows) = &self.rows {
            let mut rows = lock(rows);
            rows.write(row, now);
            self.note(&rows);
        }
    }

    pub(super) fn flush(&self) {
        if let Some(rows) = &self.rows {
            let mut rows = lock(rows);
            rows.flush();
            self.note(&rows);
        }
    }

    fn note(&self, rows: &Rows) {
        if rows.failure.is_some() {
            self.failed.store(true, Ordering::Relaxed);
        }
    }

    /// Whether rows cannot be kept: nothing more need be sent.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Why.
    pub(super) fn failure(&self) -> Option<RecordError> {
        self.rows.as_ref().and_then(|rows| lock(rows).failure.take())
    }

    pub(super) fn servers(&self) -> MutexGuard<'_, Servers> {
        lock(&self.servers)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The servers that a thread knows by name, so that it asks the others for none twice.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<(Box<str>, u32)>);

/// More are looked up among all.
const NAMES_MAX: usize = 32;

impl Names {
    pub(super) fn index(&mut self, name: &str, shared: &Shared) -> u32 {
        if let Some((_, index)) = self.0.iter().find(|(known, _)| **known == *name) {
            return *index;
        }
        let index = shared.servers().index(name);
        if self.0.len() < NAMES_MAX {
            self.0.push((name.into(), index));
        }
        index
    }
}
