//! All peers of a group: primaries and backups, each in the order of configuration.

use super::attempt::SoFar;
use super::panic::{Census, is_panic};
use super::peer::{Peer, PeerConfig, PeerId, PeerState};
use super::priority::Hosts;
use super::slow_start::{FINENESS, SlowStart, step};
use crate::units::{Nanos, Ratio, Span};

/// All peers of a group. Numbers are places in the order of addition and never become another
/// peer's, so that a peer which left can still be named and can still finish what it has. Added
/// again under its name, it has its number again.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    all: Vec<Peer>,
    primaries: Vec<PeerId>,
    backups: Vec<PeerId>,
    /// Attempts that a request has at most: peers administratively in (`ngx_http_upstream_tries`).
    tries: u32,
    /// No pause after failures ends before this, so that until then nobody need look.
    next_reopening: Nanos,
    slow_start: SlowStart,
    /// A peer starts slowly: scores of smooth weighted round robin are in thousandths.
    ramping: bool,
    /// Below this healthy share of the primaries all of them are used.
    panic_threshold: Ratio,
    panicking: bool,
    /// Picks learn of health only when they are told, and tables hold healthy peers alone.
    late: bool,
}

/// What the end of an attempt did to its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    /// A failure was counted.
    Failed,
    /// Earlier failures were forgotten.
    Cleared,
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
            let id = peers.append(config.clone());
            if config.absent {
                peers.remove(id);
            }
        }
        // Once: counting after each would take time by the square of their number.
        peers.recount();
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
    pub fn eligible(&self, id: PeerId, tried: &[PeerId], now: Nanos) -> bool {
        self.get(id).is_some_and(|peer| is_open(peer, tried, now) && !peer.is_full())
    }

    /// Whether only its limit keeps a request that has `tried` these peers from `id`.
    pub(in crate::policy) fn only_full(&self, id: PeerId, tried: &[PeerId], now: Nanos) -> bool {
        self.get(id).is_some_and(|peer| is_open(peer, tried, now) && peer.is_full())
    }

    /// Whether a request that got no primary moves on to the backups: not if a policy of one's own
    /// declined although a primary was eligible.
    pub(in crate::policy) fn may_use_backups(&self, so_far: SoFar<'_>, now: Nanos) -> bool {
        let eligible = |id: &PeerId| self.eligible(*id, so_far.tried, now);
        !self.backups.is_empty() && (so_far.on_backups || !self.primaries.iter().any(eligible))
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

    /// Brings the peers up to `now`: those whose pause is over may be picked. Comes before a pick.
    #[inline]
    pub(in crate::policy) fn reopen(&mut self, now: Nanos) {
        if now >= self.next_reopening {
            self.reopen_due(now);
        }
    }

    #[cold]
    fn reopen_due(&mut self, now: Nanos) {
        let pauses = self.all.iter_mut().filter_map(|peer| peer.reopen(now));
        self.next_reopening = pauses.min().unwrap_or(Nanos::MAX);
        if self.ramping {
            self.ramp_up(now);
        }
    }

    /// The form of slow starts, and the healthy share of the primaries below which all are used.
    pub(in crate::policy) fn with_rules(mut self, slow_start: SlowStart, panic: Ratio) -> Self {
        (self.slow_start, self.panic_threshold) = (slow_start, panic);
        self
    }

    /// `id` came back or was added: its slow start begins, if it has one.
    pub(in crate::policy) fn begin_slow_start(&mut self, id: PeerId, now: Nanos) {
        if !self.get_mut(id).is_some_and(|peer| peer.begin_ramp(now)) {
            return;
        }
        if !self.ramping {
            self.ramping = true;
            self.all.iter_mut().for_each(|peer| peer.current_weight *= FINENESS);
        }
        self.recount();
        self.ramp_up(now);
    }

    /// Whether a peer starts slowly.
    #[inline]
    pub(in crate::policy) const fn is_ramping(&self) -> bool {
        self.ramping
    }

    fn ramp_up(&mut self, now: Nanos) {
        let mut next = Span(u64::MAX);
        for peer in &mut self.all {
            if peer.ramp(now, &self.slow_start) {
                next = next.min(step(peer.config.slow_start));
            }
        }
        if next == Span(u64::MAX) {
            self.ramping = false;
            self.all.iter_mut().for_each(|peer| peer.current_weight /= FINENESS);
            self.recount();
        } else {
            self.next_reopening = self.next_reopening.min(now + next);
        }
    }

    /// A peer's health changed: whether that began (`true`) or ended a panic.
    pub(in crate::policy) fn reassess_panic(&mut self) -> Option<bool> {
        let panicking = self.panic_threshold.0 > 0.0 && self.is_panic();
        let before = std::mem::replace(&mut self.panicking, panicking);
        if before || panicking {
            // Also those that joined meanwhile.
            self.primaries.iter().for_each(|id| self.all[id.index()].panic(panicking));
            self.next_reopening = Nanos::ZERO;
        }
        (before != panicking).then_some(panicking)
    }

    fn is_panic(&self) -> bool {
        let count = |list: &[PeerId], wanted: fn(&Peer) -> bool| {
            list.iter().filter(|id| wanted(&self.all[id.index()])).count()
        };
        let census = Census {
            primaries: count(&self.primaries, Peer::is_in_service),
            healthy: count(&self.primaries, Peer::is_healthy),
            healthy_backups: count(&self.backups, Peer::is_healthy),
        };
        is_panic(self.panic_threshold, census)
    }

    /// Envoy's way: picks learn of health only by [`Self::tell`], and tables hold those that take
    /// part alone.
    pub(in crate::policy) fn be_late(&mut self) {
        self.late = true;
        self.all.iter_mut().for_each(Peer::be_late);
    }

    /// Tells picks of the health of the peers of a list.
    pub(in crate::policy) fn tell(&mut self, list: PeerList) {
        self.next_reopening = Nanos::ZERO;
        let (all, order) = self.split(list);
        order.iter().for_each(|id| all[id.index()].tell());
    }

    /// Whether the peers of a list are used whatever their health.
    pub(in crate::policy) fn panic(&mut self, list: PeerList, panics: bool) {
        let (all, order) = self.split(list);
        order.iter().for_each(|id| all[id.index()].panic(panics));
    }

    /// The peers of a list as picks see them.
    pub(in crate::policy) fn hosts(&self, list: PeerList) -> Hosts {
        let members = || self.list(list).iter().filter_map(|id| self.get(*id));
        Hosts {
            all: members().filter(|peer| peer.is_checked()).count() as u64,
            healthy: members().filter(|peer| peer.seems_fit()).count() as u64,
        }
    }

    /// The peers of which hash tables are made: all of the list, as those that are out keep their
    /// places, or as in Envoy only those that take part.
    pub(in crate::policy) fn placed(&self, list: PeerList) -> impl Iterator<Item = &Peer> {
        let members = self.list(list).iter().filter_map(|id| self.get(*id));
        members.filter(|peer| !self.late || peer.takes_part())
    }

    /// A pick of `id`.
    #[inline]
    pub(in crate::policy) fn assign(&mut self, id: PeerId, now: Nanos) {
        if self.get_mut(id).is_some_and(|peer| peer.assign(now)) {
            self.next_reopening = Nanos::ZERO;
        }
    }

    /// The end of an attempt at `id`. In a group of one, failures are not counted.
    #[inline]
    pub(in crate::policy) fn release(&mut self, id: PeerId, now: Nanos, failed: bool) -> Effect {
        let single = self.is_single();
        let Some(peer) = self.get_mut(id) else { return Effect::None };
        peer.release();
        if single {
            Effect::None
        } else if failed {
            peer.failed(now);
            self.next_reopening = Nanos::ZERO;
            Effect::Failed
        } else if peer.succeeded() {
            Effect::Cleared
        } else {
            Effect::None
        }
    }

    /// A peer's state to report, if it is news.
    pub(in crate::policy) fn news(&mut self, id: PeerId) -> Option<PeerState> {
        self.get_mut(id).and_then(Peer::news)
    }

    /// The result of a health check; whether the peer went out or came back by it.
    pub(in crate::policy) fn checked(
        &mut self,
        id: PeerId,
        passed: bool,
        rise: u32,
        fall: u32,
    ) -> bool {
        self.next_reopening = Nanos::ZERO;
        self.get_mut(id).is_some_and(|peer| peer.checked(passed, rise, fall))
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

    /// Ejected by outlier detection, or back.
    pub(in crate::policy) fn eject(&mut self, id: PeerId, ejected: bool) {
        self.next_reopening = Nanos::ZERO;
        if let Some(peer) = self.get_mut(id) {
            peer.eject(ejected);
        }
    }

    /// An attempt at `id` ends that says nothing about the peer.
    pub(in crate::policy) fn withdraw(&mut self, id: PeerId) {
        if let Some(peer) = self.get_mut(id) {
            peer.release();
        }
    }

    /// Attempts in flight.
    pub(in crate::policy) fn in_flight(&self) -> u64 {
        self.all.iter().map(|peer| u64::from(peer.in_flight())).sum()
    }

    /// A peer joins at the end of its list, as a new one; and whether it comes back to the number
    /// that it had when it left.
    pub(in crate::policy) fn add(&mut self, config: PeerConfig) -> (PeerId, bool) {
        let config = PeerConfig { absent: false, ..config };
        let Some(id) = self.left(&config.name) else { return (self.join(config), false) };
        let list = if config.backup { &mut self.backups } else { &mut self.primaries };
        list.push(id);
        self.change(id, |peer| peer.revive(config));
        (id, true)
    }

    /// The peer of this name that left, if there is one; of several the first.
    pub(in crate::policy) fn left(&self, name: &str) -> Option<PeerId> {
        self.all.iter().find(|peer| peer.is_removed() && peer.name() == name).map(Peer::id)
    }

    fn join(&mut self, config: PeerConfig) -> PeerId {
        let id = self.append(config);
        self.recount();
        id
    }

    /// Puts a peer at the end of its list; the caller counts again.
    fn append(&mut self, config: PeerConfig) -> PeerId {
        // A run with 2^32 peers does not fit into memory.
        let id = PeerId(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        let list = if config.backup { &mut self.backups } else { &mut self.primaries };
        list.push(id);
        let mut peer = Peer::new(id, config);
        if self.late {
            peer.be_late();
        }
        self.all.push(peer);
        id
    }

    /// Takes a peer out of its list; what it has in flight is still known.
    pub(in crate::policy) fn remove(&mut self, id: PeerId) {
        self.primaries.retain(|other| *other != id);
        self.backups.retain(|other| *other != id);
        self.change(id, Peer::remove);
    }

    /// Gives a peer a new configuration; one of another list joins that at its end.
    pub(in crate::policy) fn configure(&mut self, id: PeerId, config: PeerConfig) {
        let Some(peer) = self.get(id).filter(|peer| !peer.is_removed()) else { return };
        if peer.config.backup != config.backup {
            self.primaries.retain(|other| *other != id);
            self.backups.retain(|other| *other != id);
            let list = if config.backup { &mut self.backups } else { &mut self.primaries };
            list.push(id);
        }
        self.change(id, |peer| peer.configure(config));
    }

    pub(in crate::policy) fn change(&mut self, id: PeerId, change: impl FnOnce(&mut Peer)) {
        if let Some(peer) = self.get_mut(id) {
            change(peer);
        }
        self.recount();
    }

    fn recount(&mut self) {
        self.next_reopening = Nanos::ZERO;
        self.tries = self.all.iter().filter(|peer| peer.is_in_service()).count() as u32;
        let alone = self.is_single();
        let denominator = if self.ramping { None } else { self.common_denominator() };
        for id in self.primaries.iter().chain(&self.backups) {
            self.all[id.index()].regroup(alone, denominator);
        }
    }

    /// The least common multiple of the weights, if it has at most 32 bits.
    fn common_denominator(&self) -> Option<u32> {
        let mut members = self.primaries.iter().chain(&self.backups);
        members.try_fold(1, |multiple: u32, id| {
            let weight = self.all[id.index()].weight();
            (multiple / greatest_common_divisor(multiple, weight)).checked_mul(weight)
        })
    }
}

fn is_open(peer: &Peer, tried: &[PeerId], now: Nanos) -> bool {
    peer.is_open(now) && !tried.contains(&peer.id())
}

pub(in crate::policy) const fn greatest_common_divisor(mut one: u32, mut other: u32) -> u32 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}
