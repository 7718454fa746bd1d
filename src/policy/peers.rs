//! All peers of a group: primaries and backups, each in the order of configuration.

use super::attempt::{Progress, Tried};
use super::peer::{Peer, PeerConfig, PeerId};
use crate::units::Nanos;

/// All peers of a group. Numbers are places in the order of addition and are never reused, so
/// that a peer which left can still be named and can still finish what it has.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    all: Vec<Peer>,
    primaries: Vec<PeerId>,
    backups: Vec<PeerId>,
    /// Attempts that a request has at most: peers administratively in (`ngx_http_upstream_tries`).
    tries: u32,
}

/// One of the two lists of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerList {
    /// The peers that serve as long as one of them is eligible.
    Primaries,
    /// The peers that serve when no primary is eligible.
    Backups,
}

impl Peers {
    pub(in crate::policy) fn new(configs: &[PeerConfig]) -> Self {
        let mut peers = Self::default();
        for config in configs {
            peers.add(config.clone());
        }
        // Those configured are no news.
        for peer in &mut peers.all {
            peer.news();
        }
        peers
    }

    /// A peer by number, also after it was removed.
    #[must_use]
    #[inline]
    pub fn get(&self, id: PeerId) -> Option<&Peer> {
        self.all.get(id.index())
    }

    /// Every peer ever added, in order of its number.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Peer> {
        self.all.iter()
    }

    /// Numbers of the peers of a list, in the order of configuration, without those removed.
    #[must_use]
    #[inline]
    pub fn list(&self, list: PeerList) -> &[PeerId] {
        match list {
            PeerList::Primaries => &self.primaries,
            PeerList::Backups => &self.backups,
        }
    }

    /// How many peers were ever added.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.all.len()
    }

    /// Exactly one primary and no backup. Such a peer is never taken out by failures, and there
    /// is no other to try.
    #[must_use]
    #[inline]
    pub const fn is_single(&self) -> bool {
        self.primaries.len() == 1 && self.backups.is_empty()
    }

    /// Whether a request that has `tried` these peers may be sent to `id` at `now`: in service,
    /// not out by failures or health checks, below its limit, and not tried before.
    #[must_use]
    pub fn eligible(&self, id: PeerId, tried: &Tried, now: Nanos) -> bool {
        self.get(id)
            .is_some_and(|peer| is_open(peer, tried, now.whole_seconds()) && !peer.is_full())
    }

    /// Whether only its limit keeps a request that has `tried` these peers from `id`.
    pub(in crate::policy) fn only_full(&self, id: PeerId, tried: &Tried, now_s: u64) -> bool {
        self.get(id).is_some_and(|peer| is_open(peer, tried, now_s) && peer.is_full())
    }

    /// Whether a request that got no primary moves on to the backups: not if a policy of one's own
    /// declined although a primary was eligible.
    pub(in crate::policy) fn may_use_backups(&self, progress: &Progress, now: Nanos) -> bool {
        let eligible = |id: &PeerId| self.eligible(*id, &progress.tried, now);
        !self.backups.is_empty() && (progress.on_backups || !self.primaries.iter().any(eligible))
    }

    /// Attempts that a request has at most.
    #[inline]
    pub(in crate::policy) const fn tries(&self) -> u32 {
        self.tries
    }

    #[inline]
    pub(in crate::policy) fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.all.get_mut(id.index())
    }

    /// The peers themselves beside the order of a list, for algorithms that write to the peers.
    #[inline]
    pub(in crate::policy) fn split(&mut self, list: PeerList) -> (&mut [Peer], &[PeerId]) {
        let order = match list {
            PeerList::Primaries => &self.primaries,
            PeerList::Backups => &self.backups,
        };
        (&mut self.all, order)
    }

    pub(in crate::policy) fn add(&mut self, config: PeerConfig) -> PeerId {
        // A run with 2^32 peers does not fit into memory.
        let id = PeerId(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        let list = if config.backup { &mut self.backups } else { &mut self.primaries };
        list.push(id);
        self.all.push(Peer::new(id, config));
        self.recount();
        id
    }

    /// Takes a peer out of its list; what it has in flight is still known.
    pub(in crate::policy) fn remove(&mut self, id: PeerId) {
        self.primaries.retain(|other| *other != id);
        self.backups.retain(|other| *other != id);
        self.change(id, Peer::remove);
    }

    pub(in crate::policy) fn change(&mut self, id: PeerId, change: impl FnOnce(&mut Peer)) {
        if let Some(peer) = self.get_mut(id) {
            change(peer);
        }
        self.recount();
    }

    fn recount(&mut self) {
        self.tries = self.all.iter().filter(|peer| peer.is_in_service()).count() as u32;
        let alone = self.is_single();
        for id in &self.primaries {
            self.all[id.index()].set_alone(alone);
        }
    }
}

fn is_open(peer: &Peer, tried: &Tried, now_s: u64) -> bool {
    peer.is_open(now_s) && !tried.contains(peer.id())
}
