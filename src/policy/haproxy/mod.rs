//! What the machine keeps under HAProxy's rules beside peers and balancer: who may serve, queues,
//! requests between two attempts, health counters and slow starts. What it decides with them stands
//! in `upstream/haproxy`.

pub(in crate::policy) mod checks;
pub(in crate::policy) mod queues;
pub(in crate::policy) mod warm_up;

use std::collections::BTreeMap;

use self::checks::HealthCounters;
use self::queues::Queues;
use self::warm_up::WarmUp;
use super::attempt::Ticket;
use super::health::active::ActiveHealthConfig;
use super::limit::Waiter;
use super::peer::{Peer, PeerId};
use super::peers::{PeerList, Peers};
use super::rules::HaproxyRules;
use crate::units::Nanos;

/// A backend of HAProxy.
#[derive(Debug)]
pub(in crate::policy) struct HaproxyBackend {
    pub(in crate::policy) rules: HaproxyRules,
    pub(in crate::policy) census: Census,
    pub(in crate::policy) queues: Queues,
    /// Requests between two attempts, by the end of their pause.
    pub(in crate::policy) paused: BTreeMap<(Nanos, Ticket), Paused>,
    pub(in crate::policy) checks: Option<HealthCounters>,
    pub(in crate::policy) warm_up: WarmUp,
    /// Who could be picked when last looked at, by number of peer.
    pub(in crate::policy) usable: Vec<bool>,
    /// Drained by a weight of 0.
    pub(in crate::policy) weightless: Vec<PeerId>,
}

/// A request that pauses before a retry.
#[derive(Debug)]
pub(in crate::policy) struct Paused {
    pub(in crate::policy) waiter: Waiter,
    /// Where it failed.
    pub(in crate::policy) server: PeerId,
    /// It stays with that server, and keeps its place among the requests in flight there.
    pub(in crate::policy) stays: bool,
}

/// Who may serve (`recount_servers` in `src/backend.c`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::policy) struct Census {
    /// Usable servers that are no backups.
    pub(in crate::policy) active: u32,
    /// Usable backups.
    pub(in crate::policy) backups: u32,
    pub(in crate::policy) first_backup: Option<PeerId>,
}

impl Census {
    fn of(peers: &Peers) -> Self {
        let usable = |list| {
            let members = peers.list(list).iter().filter_map(|id| peers.get(*id));
            members.filter(|peer| peer.is_usable()).map(Peer::id)
        };
        // In the order of the configuration, that is by id.
        let first_backup = usable(PeerList::Backups).min();
        Self {
            active: usable(PeerList::Primaries).count() as u32,
            backups: usable(PeerList::Backups).count() as u32,
            first_backup,
        }
    }
}

impl HaproxyBackend {
    pub(in crate::policy) fn new(
        rules: HaproxyRules,
        health: Option<&ActiveHealthConfig>,
        peers: &Peers,
    ) -> Self {
        let checks = health.map(|health| HealthCounters::new(health, &rules));
        let mut backend = Self {
            rules,
            census: Census::default(),
            queues: Queues::default(),
            paused: BTreeMap::new(),
            checks,
            warm_up: WarmUp::default(),
            usable: Vec::new(),
            weightless: Vec::new(),
        };
        backend.recount(peers);
        backend.usable = peers.iter().map(Peer::is_usable).collect();
        backend
    }

    pub(in crate::policy) fn recount(&mut self, peers: &Peers) {
        self.census = Census::of(peers);
    }

    /// Whether `peer` takes requests that wait for any server (`process_srv_queue` in
    /// `src/queue.c`).
    pub(in crate::policy) fn serves_all(&self, peer: &Peer) -> bool {
        let Census { active, first_backup, .. } = self.census;
        let in_use = || active == 0 && (first_backup == Some(peer.id()) || self.rules.all_backups);
        peer.is_usable() && (!peer.config.backup || in_use())
    }

    /// A server joined: it is up, and checked at once.
    pub(in crate::policy) fn join(&mut self, now: Nanos, id: PeerId) {
        self.weightless.retain(|other| *other != id);
        if let Some(checks) = &mut self.checks {
            checks.join(now, id);
        }
    }

    /// Requests that wait or pause.
    pub(in crate::policy) fn waiting(&self) -> usize {
        self.queues.len()
    }

    /// When something is due.
    pub(in crate::policy) fn next_timeout(&self) -> Option<Nanos> {
        let paused = self.paused.first_key_value().map(|((until, _), _)| *until);
        paused
            .into_iter()
            .chain(self.queues.next_deadline())
            .chain(self.checks.as_ref().map(HealthCounters::next))
            .chain(self.warm_up.next())
            .filter(|at| *at < Nanos::MAX)
            .min()
    }

    /// The first whose pause is over.
    pub(in crate::policy) fn next_paused(&mut self, now: Nanos) -> Option<Paused> {
        let due = self.paused.first_entry().filter(|entry| entry.key().0 <= now);
        due.map(std::collections::btree_map::OccupiedEntry::remove)
    }

    /// Takes a request out of its pause.
    pub(in crate::policy) fn leave_pause(&mut self, ticket: Ticket) -> Option<Paused> {
        let key = self.paused.keys().find(|(_, paused)| *paused == ticket).copied()?;
        self.paused.remove(&key)
    }
}
