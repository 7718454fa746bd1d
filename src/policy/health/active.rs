//! Active health checks: a peer goes out after `fall` failed checks in a row and returns after
//! `rise` passed ones.
//!
//! As NGINX Plus' `health_check` without `mandatory`, a peer counts as healthy until its checks
//! say otherwise. First checks are spread evenly over one interval in the order of the peers, as
//! HAProxy does (`start_checks` in `src/check.c`), so that they never come as a burst. Sending a
//! check and giving it up after its time-out is the caller's work: here is only when, and what
//! follows from the result.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde::{Deserialize, Serialize};

use crate::policy::peer::PeerId;
use crate::units::{Nanos, Span};

/// Active health checks as configured. NGINX Plus' `health_check` and HAProxy's `check` have the
/// same three numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActiveHealthConfig {
    /// Path asked for.
    pub path: String,
    /// Time from the start of one check to the start of the next.
    pub interval: Span,
    /// A check without an answer after this has failed.
    pub timeout: Span,
    /// Passed checks in a row that bring a peer back; at least 1.
    pub rise: u32,
    /// Failed checks in a row that take a peer out; at least 1.
    pub fall: u32,
}

/// What the checks of one peer have found so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckedHealth {
    out: bool,
    /// Results in a row that speak against the present state.
    against: u32,
    /// The next result is the first, and decides alone.
    first: bool,
}

impl CheckedHealth {
    /// Whether the peer is healthy as far as the checks know.
    #[must_use]
    #[inline]
    pub const fn is_healthy(&self) -> bool {
        !self.out
    }

    /// Envoy's beginning: the first result decides, whatever the numbers
    /// (`ActiveHealthCheckSession::handleSuccess` in `source/extensions/health_checkers/common/
    /// health_checker_base_impl.cc`). A peer that was there from the start counts as healthy until
    /// then, since Envoy opens its listeners only after the first round of checks; an added one
    /// counts as `out`.
    #[must_use]
    pub const fn unchecked(out: bool) -> Self {
        Self { out, against: 0, first: true }
    }

    /// Takes in one result; whether it turned the state. Numbers of 0 are taken as 1.
    pub fn record(&mut self, passed: bool, rise: u32, fall: u32) -> bool {
        let (rise, fall) = if std::mem::take(&mut self.first) { (1, 1) } else { (rise, fall) };
        if passed != self.out {
            self.against = 0;
            return false;
        }
        self.against += 1;
        let turns = self.against >= if passed { rise } else { fall };
        if turns {
            *self = Self { out: !self.out, ..Self::default() };
        }
        turns
    }
}

/// An interval below this is taken as this, lest the checks be all that happens.
const SHORTEST: Span = Span::from_millis(1);

/// When each peer is to be checked next.
#[derive(Debug)]
pub(in crate::policy) struct CheckSchedule {
    due: BinaryHeap<Reverse<(Nanos, PeerId)>>,
    /// Set by the first [`Self::start`]: the zero of the checks is the caller's first sign of life.
    started: bool,
}

impl CheckSchedule {
    pub(in crate::policy) const fn new() -> Self {
        Self { due: BinaryHeap::new(), started: false }
    }

    /// Spreads the first checks of `peers` over `width` from `now`. Later calls do nothing.
    pub(in crate::policy) fn start(&mut self, now: Nanos, width: Span, peers: &[PeerId]) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let count = peers.len() as u128;
        for (place, peer) in peers.iter().enumerate() {
            let offset = u128::from(width.0) * place as u128 / count;
            self.due.push(Reverse((now + Span(offset as u64), *peer)));
        }
    }

    /// A peer that joins later is checked at once, and no longer when it would have been.
    pub(in crate::policy) fn add(&mut self, now: Nanos, peer: PeerId) {
        if self.started {
            self.due.retain(|Reverse((_, other))| *other != peer);
            self.due.push(Reverse((now, peer)));
        }
    }

    /// When the next check is due; at once while the schedule has not started.
    pub(in crate::policy) fn next(&self) -> Option<Nanos> {
        if self.started { self.due.peek().map(|Reverse((at, _))| *at) } else { Some(Nanos::ZERO) }
    }

    /// A peer whose check is due at `now`. Its next is one interval after this one was due, so
    /// that lateness does not add up; whole intervals that were missed are left out. Peers that
    /// are not `wanted` fall out of the schedule.
    pub(in crate::policy) fn take_due(
        &mut self,
        now: Nanos,
        interval: Span,
        wanted: impl Fn(PeerId) -> bool,
    ) -> Option<PeerId> {
        loop {
            let Reverse((at, peer)) = *self.due.peek()?;
            if at > now {
                return None;
            }
            self.due.pop();
            if !wanted(peer) {
                continue;
            }
            let interval = interval.max(SHORTEST);
            let missed = now.since(at).0 / interval.0;
            self.due.push(Reverse((at + interval * (missed + 1), peer)));
            return Some(peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_fall_failures_in_a_row_to_go_out_and_rise_passes_to_return() {
        let mut health = CheckedHealth::default();
        let turned: Vec<bool> = [false, false, true, false, false, false]
            .map(|passed| health.record(passed, 2, 3))
            .into();
        assert_eq!(turned, [false, false, false, false, false, true]);
        let turned: Vec<bool> =
            [true, false, true, true].map(|passed| health.record(passed, 2, 3)).into();
        assert_eq!(turned, [false, false, false, true]);
        assert!(health.is_healthy());
    }

    #[test]
    fn in_envoy_the_first_result_decides_and_the_later_ones_need_their_numbers() {
        let mut added = CheckedHealth::unchecked(true);
        assert!(!added.is_healthy() && added.record(true, 3, 2) && added.is_healthy());
        let turned: Vec<bool> =
            [false, false, true, true, true].map(|passed| added.record(passed, 3, 2)).into();
        assert_eq!(turned, [false, true, false, false, true]);
        let mut present = CheckedHealth::unchecked(false);
        assert!(present.is_healthy() && present.record(false, 3, 2) && !present.is_healthy());
    }

    #[test]
    fn first_checks_are_spread_and_lateness_does_not_add_up() {
        const INTERVAL: Span = Span::from_millis(4);
        let mut schedule = CheckSchedule::new();
        assert_eq!(schedule.next(), Some(Nanos::ZERO));
        schedule.start(Nanos(100), INTERVAL, &[0, 1, 2, 3].map(PeerId));
        let mut take = |now| schedule.take_due(Nanos(now), INTERVAL, |_| true).map(|peer| peer.0);
        assert_eq!(take(100), Some(0));
        assert_eq!(take(100), None);
        assert_eq!(take(1_000_150), Some(1));
        assert_eq!(take(9_999_999), Some(2), "due at 2 000 100");
        assert_eq!(take(9_999_999), Some(3));
        assert_eq!(take(9_999_999), Some(0), "the slot at 8 000 100 was missed too");
        assert_eq!(take(9_999_999), Some(1));
        assert_eq!(take(9_999_999), None);
        assert_eq!(schedule.next(), Some(Nanos(10_000_100)));
    }

    #[test]
    fn a_peer_that_is_no_longer_wanted_is_not_checked() {
        let second = Span::from_secs(1);
        let mut schedule = CheckSchedule::new();
        schedule.start(Nanos::ZERO, second, &[0, 1].map(PeerId));
        assert_eq!(
            schedule.take_due(Nanos::MAX, second, |peer| peer != PeerId(0)),
            Some(PeerId(1))
        );
    }
}
