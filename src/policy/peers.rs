//! All peers of a group: primaries and backups, each in the order of configuration.

use smallvec::SmallVec;

use super::attempt::{MOST_TRIES, SoFar};
use super::panic::{Census, is_panic};
use super::peer::{Load, NOWHERE, Peer, PeerConfig, PeerId, PeerState};
use super::priority::Hosts;
use super::ranking::Order;
use super::roster::{Roster, Row};
use super::slow_start::{FINENESS, SlowStart, step};
use crate::units::{Nanos, Ratio, Span};

/// All peers of a group. Numbers are places in the order of addition and never become another
/// peer's, so that a peer which left can still be named and can still finish what it has. Added
/// again under its name, it has its number again.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    all: Vec<Peer>,
    primaries: Roster,
    backups: Roster,
    /// A list of more peers than this is ranked rather than scanned.
    scanned_max: usize,
    /// Rows know the loads of their peers. Where no pick reads them there, nobody keeps them up.
    rows_know_loads: bool,
    /// Attempts that a request has at most: peers administratively in (`ngx_http_upstream_tries`), or
    /// fewer by configuration.
    tries: u32,
    most_tries: u32,
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

/// Up to so many peers a scan costs no more than a ranking, which must be kept up.
const SCANNED_MAX: usize = 64;

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

impl PeerList {
    /// The list of a peer.
    pub(in crate::policy) const fn of(config: &PeerConfig) -> Self {
        if config.backup { Self::Backups } else { Self::Primaries }
    }
}

impl Peers {
    pub(in crate::policy) fn new(configs: &[PeerConfig]) -> Self {
        let mut peers = Self {
            scanned_max: SCANNED_MAX,
            rows_know_loads: true,
            most_tries: MOST_TRIES,
            ..Self::default()
        };
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
            PeerList::Primaries => self.primaries.order(),
            PeerList::Backups => self.backups.order(),
        }
    }

    /// Score of a peer in smooth weighted round robin; the largest is picked next. 0 for one that
    /// left.
    #[must_use]
    pub fn score(&self, id: PeerId) -> i64 {
        self.row(id, Roster::score)
    }

    /// Weight of a peer as reduced by failures, from 0 to the configured weight; 0 for one that
    /// left.
    #[must_use]
    pub fn effective_weight(&self, id: PeerId) -> u32 {
        self.row(id, Roster::effective_weight)
    }

    fn row<T: Default>(&self, id: PeerId, read: impl FnOnce(&Roster, u32) -> T) -> T {
        let Some((list, place)) = self.get(id).map(Peer::seat) else { return T::default() };
        match list {
            PeerList::Primaries => read(&self.primaries, place),
            PeerList::Backups => read(&self.backups, place),
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
        self.primaries.len() == 1 && self.backups.len() == 0
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
        let primary = || self.list(PeerList::Primaries).iter().any(eligible);
        self.backups.len() != 0 && (so_far.on_backups || !primary())
    }

    /// Attempts that a request has at most.
    #[inline]
    pub(in crate::policy) const fn tries(&self) -> u32 {
        self.tries
    }

    #[inline]
    fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.all.get_mut(id.index())
    }

    /// A change of a peer that leaves weight, membership and the rest of the group as they are.
    pub(in crate::policy) fn adjust<T: Default>(
        &mut self,
        id: PeerId,
        change: impl FnOnce(&mut Peer) -> T,
    ) -> T {
        let Some(peer) = self.get_mut(id) else { return T::default() };
        let result = change(peer);
        self.show_load(id);
        result
    }

    /// Writes the load of a peer, which may have changed, into its row.
    fn show_load(&mut self, id: PeerId) {
        if let Some(peer) = self.get(id) {
            self.show((peer.seat(), peer.load()));
        }
    }

    #[inline(always)]
    fn show(&mut self, ((list, place), load): ((PeerList, u32), Load)) {
        if self.rows_know_loads {
            self.roster(list).set_load(place, load);
        }
    }

    /// From now on rows are not told the loads of their peers, since nobody reads them there.
    pub(in crate::policy) const fn leave_loads_out(&mut self) {
        self.rows_know_loads = false;
    }

    /// The rows of a list, whose order is that of the list.
    #[inline(always)]
    pub(in crate::policy) const fn roster(&mut self, list: PeerList) -> &mut Roster {
        match list {
            PeerList::Primaries => &mut self.primaries,
            PeerList::Backups => &mut self.backups,
        }
    }

    /// Whether a list is ranked rather than scanned.
    #[inline]
    pub(in crate::policy) fn is_long(&self, list: PeerList) -> bool {
        self.list(list).len() > self.scanned_max
    }

    /// Picks out of a long list.
    #[inline(never)]
    pub(in crate::policy) fn ranked(
        &mut self,
        list: PeerList,
        order: Order,
        tried: &[PeerId],
    ) -> Option<PeerId> {
        let seats = tried.iter().filter_map(|id| self.get(*id)).map(Peer::seat);
        let places: SmallVec<[u32; 4]> =
            seats.filter(|seat| seat.0 == list).map(|seat| seat.1).collect();
        self.roster(list).ranked(order, &places)
    }

    /// The primary that is likely to be picked next, if there are so many that they are ranked.
    pub(in crate::policy) fn leader(&self) -> Option<(PeerId, &Peer)> {
        let id = self.primaries.leader()?;
        self.get(id).map(|peer| (id, peer))
    }

    /// The effective weight of a peer recovers by one.
    #[inline]
    pub(in crate::policy) fn recover(&mut self, id: PeerId) {
        if let Some((list, place)) = self.get(id).map(Peer::seat) {
            self.roster(list).recover(place);
        }
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
        self.next_reopening = Nanos::MAX;
        for index in 0..self.all.len() {
            let peer = &mut self.all[index];
            let was_available = peer.is_available();
            if let Some(end) = peer.reopen(now) {
                self.next_reopening = self.next_reopening.min(end);
            }
            if peer.is_available() != was_available {
                let id = peer.id();
                self.show_load(id);
            }
        }
        if self.ramping {
            self.ramp_up(now);
        }
    }

    /// Lists of more peers than this are ranked.
    #[cfg(test)]
    pub(in crate::policy) fn scanned_up_to(mut self, scanned_max: usize) -> Self {
        self.scanned_max = scanned_max;
        self
    }

    /// A request has so many attempts at most; 0 is no limit but the number of peers.
    pub(in crate::policy) fn limit_tries(&mut self, most: u32) {
        self.most_tries = if most == 0 { MOST_TRIES } else { most.min(MOST_TRIES) };
        self.recount();
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
            self.rescore(|score| score * FINENESS);
        }
        self.recount();
        self.ramp_up(now);
    }

    /// Whether a peer starts slowly.
    #[inline]
    pub(in crate::policy) const fn is_ramping(&self) -> bool {
        self.ramping
    }

    fn rescore(&mut self, change: impl Fn(i64) -> i64) {
        self.primaries.rescore(&change);
        self.backups.rescore(&change);
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
            self.rescore(|score| score / FINENESS);
            self.recount();
        } else {
            self.refresh_rows();
            self.next_reopening = self.next_reopening.min(now + next);
        }
    }

    /// A peer's health changed: whether that began (`true`) or ended a panic.
    pub(in crate::policy) fn reassess_panic(&mut self) -> Option<bool> {
        let panicking = self.panic_threshold.0 > 0.0 && self.is_panic();
        let before = std::mem::replace(&mut self.panicking, panicking);
        if before || panicking {
            // Also those that joined meanwhile.
            self.panic(PeerList::Primaries, panicking);
            self.next_reopening = Nanos::ZERO;
        }
        (before != panicking).then_some(panicking)
    }

    fn is_panic(&self) -> bool {
        let count = |list: &[PeerId], wanted: fn(&Peer) -> bool| {
            list.iter().filter(|id| wanted(&self.all[id.index()])).count()
        };
        let census = Census {
            primaries: count(self.primaries.order(), Peer::is_in_service),
            healthy: count(self.primaries.order(), Peer::is_healthy),
            healthy_backups: count(self.backups.order(), Peer::is_healthy),
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
        let (all, roster) = self.split_mut(list);
        roster.order().iter().for_each(|id| all[id.index()].tell());
        self.refresh_rows();
    }

    /// Whether the peers of a list are used whatever their health.
    pub(in crate::policy) fn panic(&mut self, list: PeerList, panics: bool) {
        let (all, roster) = self.split_mut(list);
        roster.order().iter().for_each(|id| all[id.index()].panic(panics));
        self.refresh_rows();
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
    #[inline(always)]
    pub(in crate::policy) fn assign(&mut self, id: PeerId, now: Nanos) {
        let Some(peer) = self.get_mut(id) else { return };
        let tests = peer.assign(now);
        let shown = (peer.seat(), peer.load());
        self.show(shown);
        if tests {
            self.paused(id);
        }
    }

    /// The end of an attempt at `id`. In a group of one, failures are not counted.
    #[inline(always)]
    pub(in crate::policy) fn release(&mut self, id: PeerId, now: Nanos, failed: bool) -> Effect {
        let Some(peer) = self.get_mut(id) else { return Effect::None };
        peer.release();
        if failed || peer.fails() != 0 {
            return self.release_suspect(id, now, failed);
        }
        let shown = (peer.seat(), peer.load());
        self.show(shown);
        Effect::None
    }

    /// The end of an attempt that failed, or at a peer of which failures are known.
    #[cold]
    fn release_suspect(&mut self, id: PeerId, now: Nanos, failed: bool) -> Effect {
        let effect = if failed { self.failed(id, now) } else { self.succeeded(id) };
        self.show_load(id);
        effect
    }

    fn failed(&mut self, id: PeerId, now: Nanos) -> Effect {
        let single = self.is_single();
        let Some(peer) = self.get_mut(id).filter(|_| !single) else { return Effect::None };
        let ((list, place), cut) = (peer.seat(), peer.failed(now));
        self.paused(id);
        self.roster(list).cut(place, cut);
        Effect::Failed
    }

    fn succeeded(&mut self, id: PeerId) -> Effect {
        let single = self.is_single();
        let cleared = !single && self.get_mut(id).is_some_and(Peer::succeeded);
        if cleared { Effect::Cleared } else { Effect::None }
    }

    /// The pause of a peer may have begun. That nobody need look earlier saves a look at all peers
    /// after each failure; slow starts go on with each look, as ever.
    #[cold]
    fn paused(&mut self, id: PeerId) {
        let end = self.get(id).map_or(Nanos::MAX, Peer::opens_at);
        self.next_reopening = if self.ramping { Nanos::ZERO } else { self.next_reopening.min(end) };
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
        self.adjust(id, |peer| peer.checked(passed, rise, fall))
    }

    /// The peers themselves beside the rows of a list.
    pub(in crate::policy) fn split(&mut self, list: PeerList) -> (&[Peer], &mut Roster) {
        let (all, roster) = self.split_mut(list);
        (all, roster)
    }

    fn split_mut(&mut self, list: PeerList) -> (&mut [Peer], &mut Roster) {
        let roster = match list {
            PeerList::Primaries => &mut self.primaries,
            PeerList::Backups => &mut self.backups,
        };
        (&mut self.all, roster)
    }

    /// Ejected by outlier detection, or back.
    pub(in crate::policy) fn eject(&mut self, id: PeerId, ejected: bool) {
        self.next_reopening = Nanos::ZERO;
        self.adjust(id, |peer| peer.eject(ejected));
    }

    /// An attempt at `id` ends that says nothing about the peer.
    pub(in crate::policy) fn withdraw(&mut self, id: PeerId) {
        self.adjust(id, Peer::release);
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
        self.roster(PeerList::of(&config)).push(Row::new(id, &config));
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
        self.roster(PeerList::of(&config)).push(Row::new(id, &config));
        let mut peer = Peer::new(id, config);
        if self.late {
            peer.be_late();
        }
        self.all.push(peer);
        id
    }

    /// Takes a peer out of its list; what it has in flight is still known.
    pub(in crate::policy) fn remove(&mut self, id: PeerId) {
        self.take_out(id);
        self.change(id, Peer::remove);
    }

    /// Gives a peer a new configuration; one of another list joins that at its end.
    pub(in crate::policy) fn configure(&mut self, id: PeerId, config: PeerConfig) {
        let Some(peer) = self.get(id).filter(|peer| !peer.is_removed()) else { return };
        if peer.config.backup != config.backup {
            let row = self.take_out(id).unwrap_or(Row::new(id, &config));
            self.roster(PeerList::of(&config)).push(row);
        }
        self.change(id, |peer| peer.configure(config));
    }

    /// Takes a peer out of its list, with its row.
    fn take_out(&mut self, id: PeerId) -> Option<Row> {
        let peer = self.get_mut(id)?;
        let (list, _) = peer.seat();
        peer.take_seat(list, NOWHERE);
        self.roster(list).remove(id)
    }

    pub(in crate::policy) fn change(&mut self, id: PeerId, change: impl FnOnce(&mut Peer)) {
        if let Some(peer) = self.get_mut(id) {
            change(peer);
        }
        self.recount();
    }

    fn recount(&mut self) {
        self.next_reopening = Nanos::ZERO;
        let in_service = self.all.iter().filter(|peer| peer.is_in_service()).count();
        self.tries = in_service.min(self.most_tries as usize) as u32;
        let alone = self.is_single();
        let denominator = if self.ramping { None } else { self.common_denominator() };
        for id in self.primaries.order().iter().chain(self.backups.order()) {
            self.all[id.index()].regroup(alone, denominator);
        }
        self.refresh_rows();
    }

    /// Brings all rows up to date with their peers, and these with their places.
    fn refresh_rows(&mut self) {
        for list in [PeerList::Primaries, PeerList::Backups] {
            let (all, roster) = self.split_mut(list);
            roster.refresh(|place, id| {
                let peer = &mut all[id.index()];
                peer.take_seat(list, place);
                (peer.load(), peer.weight())
            });
        }
    }

    /// The least common multiple of the weights, if it has at most 32 bits.
    fn common_denominator(&self) -> Option<u32> {
        let mut members = self.primaries.order().iter().chain(self.backups.order());
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
