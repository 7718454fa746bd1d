//! A peer of an upstream group and the state that balancing reads.
//!
//! The fields and their meaning are those of `ngx_http_upstream_rr_peer_t` in NGINX's
//! `src/http/ngx_http_upstream_round_robin.h`; draining, removal and active health are added.

use serde::{Deserialize, Serialize};

use super::health::active::CheckedHealth;
use super::health::passive::PassiveHealth;
use super::peers::PeerList;
use super::slow_start::{SlowStart, fine_weight};
use crate::units::{Nanos, Span};

/// Number of a peer: its place in order of addition. In a run it is never another peer's; one that
/// left and comes back under its name has it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PeerId(pub u32);

impl PeerId {
    /// As an index into per-peer arrays.
    #[must_use]
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A peer as configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerConfig {
    /// Name in reports and records.
    pub name: String,
    /// Share of the traffic relative to the other weights; at least 1 (0 is taken as 1).
    pub weight: u32,
    /// Serves only when no primary peer is eligible.
    pub backup: bool,
    /// Administratively out: never picked, and not counted in the number of tries.
    pub down: bool,
    /// Not there at the start, as if it had been removed: it has its number, and joins with it when
    /// a peer of its name is added. A slot of an autoscaled group.
    #[serde(default)]
    pub absent: bool,
    /// Most requests in flight; 0 is no limit.
    pub max_conns: u32,
    /// Failures after which the peer is left out for `fail_timeout`; 0 switches passive health off.
    pub max_fails: u32,
    /// Compared in whole seconds, as NGINX does; a fraction of a second is cut off.
    pub fail_timeout: Span,
    /// Its share of the traffic grows for this long after it came back or was added; zero is at
    /// once.
    pub slow_start: Span,
}

impl PeerConfig {
    /// A peer with NGINX's defaults: weight 1, one failure puts it out for 10 s.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            weight: 1,
            backup: false,
            down: false,
            absent: false,
            max_conns: 0,
            max_fails: 1,
            fail_timeout: Span::from_secs(10),
            slow_start: Span::ZERO,
        }
    }
}

/// Whether a peer may be picked, as shown to people; decided by
/// [`Peers::eligible`](super::Peers::eligible).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerState {
    /// May be picked.
    Up,
    /// Out after `max_fails` failures of client requests.
    Failed,
    /// Out since its active health checks failed.
    Unhealthy,
    /// Finishes what it has, gets nothing new.
    Draining,
    /// Administratively out.
    Down,
    /// Left the group.
    Removed,
    /// Out since its answers were worse than they should be (outlier detection).
    Ejected,
}

/// An operator's word on a peer's health, which goes before what checks and failures say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forced {
    /// May be picked although checks or failures took it out.
    Up,
    /// Never picked.
    Down,
}

/// A peer at run time. What balancing reads and writes of it with every pick is in a row beside
/// the order of its list.
///
/// What a pick and the end of an attempt touch comes first and fills one line of the processor's
/// cache, so that with thousands of peers each costs one miss.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Peer {
    /// Requests now assigned to it.
    conns: u32,
    /// `max_conns`, with the largest number for no limit.
    limit: u32,
    /// The denominator common to the loads of the group over this weight, or 0 if there is none.
    scale: u32,
    /// Its place in its list; [`NOWHERE`] once it has left.
    place: u32,
    passive: PassiveHealth,
    /// Closed, or out by failures as of the last [`Self::reopen`].
    shut: bool,
    /// Failures do not take it out: it is alone, up by an operator's word, or used in a panic.
    exempt: bool,
    /// Out by an operator or by its health checks.
    closed: bool,
    /// Its list.
    list: PeerList,
    id: PeerId,
    /// As configured, with the weight as last changed.
    pub config: PeerConfig,
    /// Those of its requests that a server of HAProxy does not count as served ([`Self::grab`]).
    grabbed: u32,
    /// Requests that wait for this very peer, under HAProxy's rules.
    waiting: u32,
    draining: bool,
    /// Up or down by an operator's word, whatever health checks and failures say.
    forced: Option<Forced>,
    removed: bool,
    /// The only peer of its group, which failures never take out (`peers->single`).
    alone: bool,
    /// Used whatever its health, since too few others are healthy.
    panicked: bool,
    /// Ejected by outlier detection.
    ejected: bool,
    /// Ejected or found unhealthy, as far as picks know.
    unfit: bool,
    /// Picks know of it only when they are told ([`Self::tell`]).
    late: bool,
    /// Since when its share of the traffic grows, and how far it has come; 1 is all of it.
    ramp: Option<Nanos>,
    share: f64,
    checks: CheckedHealth,
    /// What the outside was last told, if anything.
    reported: Option<PeerState>,
}

/// The place of a peer that is in no list.
pub(in crate::policy) const NOWHERE: u32 = u32::MAX;

/// Requests in flight per weight, as a number that is ordered and compared like the fraction.
///
/// NGINX compares fractions by multiplying crosswise. Here they are brought to one denominator
/// when weights change, so that a pick compares integers. Where the weights have no common
/// multiple of 32 bits, the bits of the quotient serve, which are ordered like the numbers: equal
/// fractions have equal quotients, and different ones lie further apart than one step of an `f64`
/// while requests × weight stay below 2^53.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::policy) struct Load(u64);

impl Load {
    /// Above the load of any peer.
    pub(in crate::policy) const INFINITE: Self = Self(u64::MAX);

    /// `scale` is the common denominator over the weight.
    #[inline]
    fn scaled(conns: u32, scale: u32) -> Self {
        Self(u64::from(conns) * u64::from(scale))
    }

    /// Without a common denominator; `share` of the weight counts while a peer ramps up.
    #[cold]
    fn quotient(conns: u32, weight: u32, share: f64) -> Self {
        debug_assert!(u64::from(conns) * u64::from(weight) < 1 << 53);
        Self((f64::from(conns) / (f64::from(weight) * share)).to_bits())
    }
}

impl Peer {
    pub(in crate::policy) fn new(id: PeerId, mut config: PeerConfig) -> Self {
        config.weight = config.weight.max(1);
        Self {
            id,
            conns: 0,
            grabbed: 0,
            limit: limit(config.max_conns),
            waiting: 0,
            closed: config.down,
            scale: 0,
            place: NOWHERE,
            list: PeerList::of(&config),
            shut: config.down,
            draining: false,
            forced: None,
            removed: false,
            alone: false,
            exempt: false,
            panicked: false,
            ejected: false,
            unfit: false,
            late: false,
            ramp: None,
            share: 1.0,
            passive: PassiveHealth::new(config.max_fails, config.fail_timeout),
            checks: CheckedHealth::default(),
            reported: None,
            config,
        }
    }

    /// Its number.
    #[must_use]
    #[inline]
    pub const fn id(&self) -> PeerId {
        self.id
    }

    /// Its name in reports and records.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Configured weight, at least 1.
    #[must_use]
    #[inline]
    pub const fn weight(&self) -> u32 {
        self.config.weight
    }

    /// Requests now assigned to the peer.
    #[must_use]
    #[inline]
    pub const fn in_flight(&self) -> u32 {
        self.conns
    }

    /// Requests in flight per configured weight; infinite if it may not be picked.
    #[inline]
    pub(in crate::policy) fn load(&self) -> Load {
        if self.is_available() { self.finite_load() } else { Load::INFINITE }
    }

    #[inline]
    fn finite_load(&self) -> Load {
        self.scaled_load()
            .unwrap_or_else(|| Load::quotient(self.conns, self.config.weight, self.share))
    }

    /// Requests in flight per configured weight, if the weights of the group have a common
    /// denominator and no peer starts slowly.
    #[inline]
    pub(in crate::policy) fn scaled_load(&self) -> Option<Load> {
        (self.scale != 0).then(|| Load::scaled(self.conns, self.scale))
    }

    /// Whether it may be picked by a request that has been nowhere yet, as of the last
    /// [`Self::reopen`].
    #[inline]
    pub(in crate::policy) const fn is_available(&self) -> bool {
        !self.shut & !self.is_full()
    }

    /// Where its row is: its list, and its place there.
    #[inline]
    pub(in crate::policy) const fn seat(&self) -> (PeerList, u32) {
        (self.list, self.place)
    }

    /// It has a place in a list, or with [`NOWHERE`] none.
    pub(in crate::policy) const fn take_seat(&mut self, list: PeerList, place: u32) {
        (self.list, self.place) = (list, place);
    }

    /// Failures counted towards `max_fails`; not a sliding window (see [`PassiveHealth`]).
    #[must_use]
    pub const fn fails(&self) -> u32 {
        self.passive.fails()
    }

    /// Whether it is at its limit of requests in flight.
    #[must_use]
    #[inline]
    pub const fn is_full(&self) -> bool {
        self.conns >= self.limit
    }

    /// Requests in flight that HAProxy's rules count (`served`).
    #[inline]
    pub(in crate::policy) const fn served(&self) -> u32 {
        self.conns - self.grabbed
    }

    /// Whether HAProxy's rules let so many more be in flight.
    pub(in crate::policy) const fn may_serve(&self, more: u32) -> bool {
        self.served().saturating_add(more) <= self.limit
    }

    /// It takes a request out of HAProxy's queue as it comes back, and does not count it: so
    /// `pendconn_grab_from_px` leaves `served`.
    pub(in crate::policy) fn grab(&mut self) {
        self.conns += 1;
        self.grabbed += 1;
    }

    /// The end of an attempt that it grabbed.
    pub(in crate::policy) fn let_go(&mut self) {
        self.grabbed = self.grabbed.saturating_sub(1);
        self.release();
    }

    /// Requests that wait for this very peer, which HAProxy's rules alone know.
    #[must_use]
    #[inline]
    pub const fn waiting(&self) -> u32 {
        self.waiting
    }

    /// One more or one less waits for this very peer.
    pub(in crate::policy) const fn wait(&mut self, more: bool) {
        self.waiting =
            if more { self.waiting.saturating_add(1) } else { self.waiting.saturating_sub(1) };
    }

    /// Whether it is full by HAProxy's rules: at its limit, or somebody waits for it. With `room`
    /// as many may wait.
    #[inline]
    pub(in crate::policy) const fn lacks_room(&self, room: u32) -> bool {
        let busy = self.served().saturating_add(self.waiting);
        let limited = self.config.max_conns != 0;
        limited && (busy >= self.limit.saturating_add(room) || (room == 0 && self.waiting > 0))
    }

    /// In service and healthy as far as health checks know (`srv_currently_usable`).
    #[inline]
    pub(in crate::policy) const fn is_usable(&self) -> bool {
        !self.closed
    }

    /// Healthy as far as its checks know.
    pub(in crate::policy) const fn passes_checks(&self) -> bool {
        self.checks.is_healthy()
    }

    /// What is in flight at most, for the time of a slow start; at least 1.
    pub(in crate::policy) fn set_limit(&mut self, most: u32) {
        self.limit = most.max(1);
    }

    /// The limit is that of the configuration again.
    pub(in crate::policy) fn unlimit(&mut self) {
        self.limit = limit(self.config.max_conns);
    }

    /// Most requests in flight.
    #[cfg(test)]
    pub(in crate::policy) const fn limit(&self) -> u32 {
        self.limit
    }

    /// The share of its weight that counts, for the time of a slow start.
    pub(in crate::policy) const fn set_share(&mut self, share: f64) {
        self.share = share;
    }

    /// Its state at `now`. A peer out by failures reads [`PeerState::Up`] again once
    /// `fail_timeout` has passed, since then one request may test it.
    #[must_use]
    pub fn state(&self, now: Nanos) -> PeerState {
        match self.standing() {
            PeerState::Failed if !self.passive.is_out(now) => PeerState::Up,
            standing => standing,
        }
    }

    /// The state that lasts until something happens, whatever the time.
    const fn standing(&self) -> PeerState {
        if self.removed {
            PeerState::Removed
        } else if self.config.down || matches!(self.forced, Some(Forced::Down)) {
            PeerState::Down
        } else if self.draining {
            PeerState::Draining
        } else if matches!(self.forced, Some(Forced::Up)) {
            PeerState::Up
        } else if !self.checks.is_healthy() {
            PeerState::Unhealthy
        } else if self.ejected {
            PeerState::Ejected
        } else if self.passive.has_failed() && !self.alone {
            PeerState::Failed
        } else {
            PeerState::Up
        }
    }

    /// Administratively in, so that it counts in the number of tries (`peers->tries`).
    pub(in crate::policy) const fn is_in_service(&self) -> bool {
        let down = self.config.down || matches!(self.forced, Some(Forced::Down));
        !(self.removed || down || self.draining)
    }

    /// In service and not found unfit, whatever the time.
    pub(in crate::policy) fn is_healthy(&self) -> bool {
        self.standing() == PeerState::Up
    }

    /// Whether health checks are sent to it: also while it drains, but not when it is down.
    pub(in crate::policy) const fn is_checked(&self) -> bool {
        !(self.removed || self.config.down)
    }

    /// The test of every method (`ngx_http_upstream_get_peer`), but for the limit and for what
    /// the request has tried.
    pub(in crate::policy) fn is_open(&self, now: Nanos) -> bool {
        !self.closed && (self.exempt || !self.passive.is_out(now))
    }

    /// Opens the door to a peer whose pause after failures is over, so that one request may test
    /// it; the end of the pause if that is yet to come.
    pub(in crate::policy) fn reopen(&mut self, now: Nanos) -> Option<Nanos> {
        let waits = self.shut && !self.closed;
        if waits && self.is_open(now) {
            self.shut = false;
            return None;
        }
        waits.then(|| self.passive.free_from())
    }

    /// The end of the pause of a peer that is out by failures alone; never if it is not.
    pub(in crate::policy) const fn opens_at(&self) -> Nanos {
        if self.shut && !self.closed { self.passive.free_from() } else { Nanos::MAX }
    }

    /// A pick. If it tests a peer that was out, the door shuts behind it; whether it did.
    #[inline]
    pub(in crate::policy) fn assign(&mut self, now: Nanos) -> bool {
        self.conns += 1;
        // Without failures, what passive health notes of a pick is never read.
        self.fails() != 0 && self.assign_suspect(now)
    }

    #[cold]
    fn assign_suspect(&mut self, now: Nanos) -> bool {
        let tests = !self.exempt && {
            self.passive.picked(now);
            self.passive.has_failed()
        };
        self.shut |= tests;
        tests
    }

    #[inline]
    pub(in crate::policy) fn release(&mut self) {
        debug_assert!(self.conns > 0, "an attempt at {} was given back twice", self.config.name);
        self.conns = self.conns.saturating_sub(1);
    }

    /// A failed attempt: counts it; how much weight it takes off.
    pub(in crate::policy) fn failed(&mut self, now: Nanos) -> u32 {
        self.passive.failed(now);
        self.refresh();
        self.config.weight.checked_div(self.config.max_fails).unwrap_or(0)
    }

    /// An attempt that did not fail; whether it cleared failures.
    #[inline]
    pub(in crate::policy) fn succeeded(&mut self) -> bool {
        let cleared = self.passive.succeeded();
        if cleared {
            self.refresh();
        }
        cleared
    }

    /// The first instant at which a peer that is out by failures alone may be tested.
    pub(in crate::policy) fn tested_from(&self) -> Option<Nanos> {
        (!self.closed && !self.exempt && self.passive.has_failed())
            .then(|| self.passive.free_from())
    }

    /// From now on picks learn of its health only by [`Self::tell`].
    pub(in crate::policy) const fn be_late(&mut self) {
        self.late = true;
    }

    /// Tells picks of its health.
    pub(in crate::policy) fn tell(&mut self) {
        self.unfit = self.is_unfit();
        self.refresh();
    }

    /// Its first health check decides alone; until then it counts as unfit if it is `new`.
    pub(in crate::policy) fn await_check(&mut self, new: bool) {
        self.checks = CheckedHealth::unchecked(new);
        self.tell();
    }

    const fn is_unfit(&self) -> bool {
        self.ejected || !self.checks.is_healthy()
    }

    /// Whether picks take it for fit, and nobody took it out of service.
    pub(in crate::policy) const fn seems_fit(&self) -> bool {
        self.is_in_service() && !self.unfit
    }

    /// Whether it may be picked but for its failures, its limit, and what a request has tried:
    /// whether tables and schedules have it as a member.
    pub(in crate::policy) const fn takes_part(&self) -> bool {
        !self.closed
    }

    /// The result of a health check; whether the peer went out or came back by it.
    pub(in crate::policy) fn checked(&mut self, passed: bool, rise: u32, fall: u32) -> bool {
        let turned = self.checks.record(passed, rise, fall);
        self.refresh();
        turned
    }

    /// Ejected by outlier detection, or back.
    pub(in crate::policy) fn eject(&mut self, ejected: bool) {
        self.ejected = ejected;
        self.refresh();
    }

    /// Whether it is used whatever its health.
    pub(in crate::policy) const fn is_panicked(&self) -> bool {
        self.panicked
    }

    /// Used whatever its health, or no longer.
    pub(in crate::policy) fn panic(&mut self, panicked: bool) {
        self.panicked = panicked;
        self.refresh();
    }

    /// Whether a session that is bound to it goes there: also while it drains, and else like any
    /// request.
    pub(in crate::policy) fn keeps_sessions(&self, now: Nanos) -> bool {
        let unfit = self.ejected || !self.checks.is_healthy() || self.passive.is_out(now);
        let down = matches!(self.forced, Some(Forced::Down));
        self.is_checked() && !down && !self.is_full() && (!unfit || self.is_open(now))
    }

    /// The share of its weight that counts, above 0 and at most 1: below 1 while it starts slowly.
    #[must_use]
    pub const fn share(&self) -> f64 {
        self.share
    }

    /// Whether it starts slowly.
    #[must_use]
    pub const fn is_ramping(&self) -> bool {
        self.ramp.is_some()
    }

    /// Begins a slow start, if it is to have one; whether it does.
    pub(in crate::policy) fn begin_ramp(&mut self, now: Nanos) -> bool {
        self.ramp = (self.config.slow_start > Span::ZERO).then_some(now);
        self.ramp.is_some()
    }

    /// Brings the slow start up to `now`; whether it goes on.
    pub(in crate::policy) fn ramp(&mut self, now: Nanos, slow_start: &SlowStart) -> bool {
        let Some(since) = self.ramp else { return false };
        let (elapsed, window) = (now.since(since), self.config.slow_start);
        self.share = slow_start.share(elapsed, window);
        if elapsed >= window {
            self.ramp = None;
        }
        self.ramp.is_some()
    }

    /// An effective weight of it in thousandths, cut by its slow start.
    pub(in crate::policy) fn fine_weight(&self, effective_weight: u32) -> i64 {
        fine_weight(effective_weight, self.share)
    }

    pub(in crate::policy) fn drain(&mut self, draining: bool) {
        self.draining = draining;
        self.refresh();
    }

    pub(in crate::policy) fn remove(&mut self) {
        self.removed = true;
        self.ramp = None;
        self.share = 1.0;
        self.refresh();
    }

    /// It comes back as a new peer. What it still has in flight ends as before.
    pub(in crate::policy) fn revive(&mut self, config: PeerConfig) {
        let Self { id, conns, grabbed, waiting, late, .. } = *self;
        *self = Self { conns, grabbed, waiting, late, ..Self::new(id, config) };
        self.refresh();
    }

    /// A new weight.
    pub(in crate::policy) fn set_weight(&mut self, weight: u32) {
        self.config.weight = weight.max(1);
    }

    /// The state to report if it is not the one reported last.
    pub(in crate::policy) fn news(&mut self) -> Option<PeerState> {
        let state = self.standing();
        (self.reported.replace(state) != Some(state)).then_some(state)
    }

    /// What the peer must know of its group: whether it is alone, and the common denominator of
    /// all loads, if there is one.
    pub(in crate::policy) fn regroup(&mut self, alone: bool, denominator: Option<u32>) {
        self.alone = alone;
        self.scale = denominator.map_or(0, |denominator| denominator / self.config.weight);
        self.refresh();
    }

    fn refresh(&mut self) {
        if !self.late {
            self.unfit = self.is_unfit();
        }
        let believed = matches!(self.forced, Some(Forced::Up)) || self.panicked;
        self.exempt = self.alone || believed;
        self.closed = !self.is_in_service() || (self.unfit && !believed);
        self.shut = self.closed || (!self.exempt && self.passive.has_failed());
    }

    /// An operator's word on its health, or its withdrawal.
    pub(in crate::policy) fn force(&mut self, forced: Option<Forced>) {
        self.forced = forced;
        self.refresh();
    }

    /// The operator's word on its health, if there is one.
    #[must_use]
    pub const fn forced(&self) -> Option<Forced> {
        self.forced
    }

    /// Whether it has left the group.
    #[must_use]
    pub const fn is_removed(&self) -> bool {
        self.removed
    }

    /// Whether an operator lets it finish what it has.
    #[must_use]
    pub const fn is_draining(&self) -> bool {
        self.draining
    }

    /// A new configuration; health, failures and requests in flight stay.
    pub(in crate::policy) fn configure(&mut self, config: PeerConfig) {
        self.set_weight(config.weight);
        self.limit = limit(config.max_conns);
        self.passive.configure(config.max_fails, config.fail_timeout);
        let weight = self.config.weight;
        self.config = PeerConfig { weight, ..config };
        self.refresh();
    }

    /// Takes over what is known of a peer in another group: the same server, configured anew.
    pub(in crate::policy) fn inherit(&mut self, other: &Self) {
        self.draining = other.draining;
        self.forced = other.forced;
        self.checks = other.checks;
        self.passive.inherit(&other.passive);
        self.refresh();
        self.reported = Some(self.standing());
    }
}

/// The limit of requests in flight, as compared.
const fn limit(max_conns: u32) -> u32 {
    if max_conns == 0 { u32::MAX } else { max_conns }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the common denominator and by the quotient: the order of NGINX's crosswise products.
    #[test]
    fn loads_are_ordered_like_the_fractions() {
        let weights = [1u32, 2, 3, 7, 10, 49, 65_521];
        let denominator = 7 * 7 * 2 * 3 * 5 * 65_521;
        let fractions: Vec<(u32, u32)> =
            weights.iter().flat_map(|&weight| (0..60).map(move |conns| (conns, weight))).collect();
        for &(conns, weight) in &fractions {
            for &(other_conns, other_weight) in &fractions {
                let crosswise = (u64::from(conns) * u64::from(other_weight))
                    .cmp(&(u64::from(other_conns) * u64::from(weight)));
                let one = Load::scaled(conns, denominator / weight);
                let other = Load::scaled(other_conns, denominator / other_weight);
                assert_eq!(one.cmp(&other), crosswise, "{conns}/{weight}");
                let one = Load::quotient(conns, weight, 1.0);
                let other = Load::quotient(other_conns, other_weight, 1.0);
                assert_eq!(one.cmp(&other), crosswise, "{conns}/{weight}");
            }
        }
    }
}
