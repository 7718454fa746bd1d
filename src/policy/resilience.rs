//! What NGINX does not have, joined: outlier detection, budget and pause of retries, hedging.
//!
//! The machine holds this only where a scenario asks for some of it: a group without it pays one
//! comparison for each call.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use super::affinity::AffinityConfig;
use super::attempt::{Attempt, Ticket};
use super::backoff::BackoffConfig;
use super::budget::{Budget, BudgetConfig};
use super::envoy::Envoy;
use super::haproxy::HaproxyBackend;
use super::health::outlier::{Detector, OutlierConfig};
use super::hedge::{HedgeConfig, Hedging};
use super::limit::Waiter;
use super::slow_start::SlowStart;
use crate::units::{Nanos, Ratio, Seed};

/// What goes beyond NGINX, as configured; the default is nothing of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResilienceConfig {
    /// The form of slow starts; which peers have one says [`PeerConfig`](super::PeerConfig).
    pub slow_start: SlowStart,
    /// Below this healthy share of the primaries all of them are used; zero never.
    pub panic: Ratio,
    /// Outlier detection.
    pub outlier: Option<OutlierConfig>,
    /// How many retries there may be.
    pub retry_budget: Option<BudgetConfig>,
    /// The pause before a retry.
    pub backoff: Option<BackoffConfig>,
    /// Hedged requests.
    pub hedge: Option<HedgeConfig>,
    /// Sessions that stay with their peer.
    pub affinity: Option<AffinityConfig>,
}

/// What was counted, for reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResilienceCounts {
    /// Retries that the budget did not allow.
    pub retries_withheld: u64,
    /// Hedges begun.
    pub hedges: u64,
    /// Hedges that answered first.
    pub hedges_won: u64,
    /// Hedges that were due, but not allowed by their budget or limit.
    pub hedges_withheld: u64,
}

impl AddAssign for ResilienceCounts {
    fn add_assign(&mut self, other: Self) {
        self.retries_withheld += other.retries_withheld;
        self.hedges += other.hedges;
        self.hedges_won += other.hedges_won;
        self.hedges_withheld += other.hedges_withheld;
    }
}

/// The state of it.
#[derive(Debug)]
pub(super) struct Resilience {
    pub(super) outlier: Option<Detector>,
    pub(super) retry_budget: Option<Budget>,
    /// Retries under way, those that wait included.
    pub(super) retries: u32,
    pub(super) backoff: Option<BackoffConfig>,
    /// Requests between two attempts, by the end of their pause.
    pub(super) pausing: BTreeMap<(Nanos, Ticket), Waiter>,
    pub(super) hedging: Option<Hedging>,
    /// Envoy's rules, if they hold.
    pub(super) envoy: Option<Envoy>,
    /// Under HAProxy's rules.
    pub(super) haproxy: Option<Box<HaproxyBackend>>,
    pub(super) counts: ResilienceCounts,
}

impl Resilience {
    /// `None` where nothing of it is configured.
    pub(super) fn new(
        config: &ResilienceConfig,
        envoy: Option<Envoy>,
        haproxy: Option<Box<HaproxyBackend>>,
        seed: Seed,
    ) -> Option<Box<Self>> {
        let ResilienceConfig { outlier, retry_budget, backoff, hedge, .. } = config;
        let nothing = outlier.is_none() && retry_budget.is_none() && backoff.is_none();
        if nothing && hedge.is_none() && envoy.is_none() && haproxy.is_none() {
            return None;
        }
        Some(Box::new(Self {
            outlier: outlier.clone().map(|outlier| Detector::new(outlier, seed)),
            retry_budget: retry_budget.as_ref().map(Budget::new),
            retries: 0,
            backoff: *backoff,
            pausing: BTreeMap::new(),
            hedging: hedge.as_ref().map(Hedging::new),
            envoy,
            haproxy,
            counts: ResilienceCounts::default(),
        }))
    }

    /// A request came.
    pub(super) fn admitted(&mut self, now: Nanos) {
        if let Some(budget) = &mut self.retry_budget {
            budget.deposit(now);
        }
        if let Some(hedging) = &mut self.hedging {
            hedging.admitted(now);
        }
    }

    /// An attempt ended, however it did.
    pub(super) fn ended(&mut self, attempt: &Attempt) {
        if attempt.is_hedge() {
            if let Some(hedging) = &mut self.hedging {
                hedging.settled();
            }
        } else if attempt.number > 1 {
            self.retry_over();
        }
    }

    /// A retry ended, or came to nothing.
    pub(super) const fn retry_over(&mut self) {
        self.retries = self.retries.saturating_sub(1);
    }

    /// When something is due.
    pub(super) fn next_timeout(&self) -> Option<Nanos> {
        let pause = self.pausing.first_key_value().map(|((until, _), _)| *until);
        let envoy = self.envoy.as_ref().and_then(Envoy::next_timeout);
        let haproxy = self.haproxy.as_ref().and_then(|backend| backend.next_timeout());
        let tick = self.outlier.as_ref().map(Detector::next_tick);
        pause.into_iter().chain(tick).chain(envoy).chain(haproxy).min()
    }

    /// The first request whose pause is over at `now`.
    pub(super) fn next_paused(&mut self, now: Nanos) -> Option<Waiter> {
        let due = self.pausing.first_entry().filter(|entry| entry.key().0 <= now);
        due.map(std::collections::btree_map::OccupiedEntry::remove)
    }

    /// Takes a request out of its pause.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<Waiter> {
        let key = self.pausing.keys().find(|(_, paused)| *paused == ticket).copied()?;
        self.pausing.remove(&key)
    }
}
