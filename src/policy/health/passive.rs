//! Passive health: a peer that failed `max_fails` client requests is left out for `fail_timeout`.
//!
//! NGINX's rules to the letter (`ngx_http_upstream_get_peer` and
//! `ngx_http_upstream_free_round_robin_peer` in `src/http/ngx_http_upstream_round_robin.c`), which
//! are not a sliding window: failures are forgotten only by a success of a peer that was picked
//! more than `fail_timeout` after its last failure. After the pause exactly one request tests the
//! peer, since the pick itself moves `checked` and so shuts the door behind it. All times are
//! whole seconds.

use crate::units::{Nanos, Span};

/// The failure counters of one peer.
#[derive(Clone, Debug)]
pub struct PassiveHealth {
    /// Failures that take the peer out; 0 never does.
    max_fails: u32,
    fails: u32,
    /// Second of the last failure.
    accessed: u64,
    /// Second of the last failure, or of a later pick that tested the peer.
    checked: u64,
    /// `fail_timeout` in whole seconds.
    pause: u64,
    /// The first instant with now − `checked` > `pause` in whole seconds: kept, so that a pick
    /// compares two numbers instead of dividing.
    free_from: Nanos,
}

impl PassiveHealth {
    pub(in crate::policy) fn new(max_fails: u32, fail_timeout: Span) -> Self {
        let pause = Nanos(fail_timeout.0).whole_seconds();
        let mut health =
            Self { max_fails, fails: 0, accessed: 0, checked: 0, pause, free_from: Nanos::ZERO };
        health.set_checked(0);
        health
    }

    /// Failures counted towards `max_fails`.
    #[must_use]
    pub const fn fails(&self) -> u32 {
        self.fails
    }

    /// Whether the failures suffice to take the peer out, whatever the time.
    #[must_use]
    #[inline]
    pub const fn has_failed(&self) -> bool {
        self.fails >= self.max_fails && self.max_fails != 0
    }

    /// Whether the peer is out at `now`.
    #[must_use]
    #[inline]
    pub fn is_out(&self, now: Nanos) -> bool {
        self.has_failed() && now < self.free_from
    }

    /// The first instant at which a peer that has failed may be picked again.
    #[must_use]
    pub const fn free_from(&self) -> Nanos {
        self.free_from
    }

    /// NGINX does this for every pick, not only for peers that were out. What it notes is read only
    /// once there are failures, and the first of them notes it anew.
    #[inline]
    pub(in crate::policy) fn picked(&mut self, now: Nanos) {
        if now >= self.free_from {
            self.set_checked(now.whole_seconds());
        }
    }

    pub(in crate::policy) fn failed(&mut self, now: Nanos) {
        self.fails = self.fails.saturating_add(1);
        self.accessed = now.whole_seconds();
        self.set_checked(self.accessed);
    }

    /// Whether this success cleared failures.
    #[inline]
    pub(in crate::policy) const fn succeeded(&mut self) -> bool {
        let clears = self.fails != 0 && self.accessed < self.checked;
        if clears {
            self.fails = 0;
        }
        clears
    }

    /// New numbers; the failures counted so far stay.
    pub(in crate::policy) fn configure(&mut self, max_fails: u32, fail_timeout: Span) {
        self.max_fails = max_fails;
        self.pause = Nanos(fail_timeout.0).whole_seconds();
        self.set_checked(self.checked);
    }

    /// Takes over the failures that another has counted.
    pub(in crate::policy) fn inherit(&mut self, other: &Self) {
        self.fails = other.fails;
        self.accessed = other.accessed;
        self.set_checked(other.checked);
    }

    fn set_checked(&mut self, second: u64) {
        self.checked = second;
        let end = second.saturating_add(self.pause).saturating_add(1);
        self.free_from = Nanos::ZERO + Span::from_secs(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Nanos {
        Nanos(second * 1_000_000_000)
    }

    #[test]
    fn the_pause_is_counted_in_whole_seconds_and_ends_after_it() {
        let mut health = PassiveHealth::new(1, Span::from_secs(2));
        health.failed(at(10) + Span::from_millis(900));
        assert!((10..=12).all(|second| health.is_out(at(second) + Span::from_millis(999))));
        assert!(!health.is_out(at(13)));
        assert_eq!(health.free_from(), at(13));
    }

    #[test]
    fn one_request_tests_and_its_success_brings_the_peer_back() {
        let mut health = PassiveHealth::new(1, Span::from_secs(2));
        health.failed(at(10));
        health.picked(at(13));
        assert!(health.is_out(at(13)) && health.is_out(at(15)), "the door is shut behind the test");
        assert!(health.succeeded());
        assert!(!health.is_out(at(13)));
    }

    #[test]
    fn successes_within_the_pause_clear_nothing() {
        let mut health = PassiveHealth::new(2, Span::from_secs(5));
        health.failed(at(1));
        health.picked(at(3));
        assert!(!health.succeeded());
        health.failed(at(6));
        assert!(health.is_out(at(6)), "two failures five seconds apart add up");
    }

    #[test]
    fn max_fails_of_zero_never_takes_out() {
        let mut health = PassiveHealth::new(0, Span::from_secs(5));
        (0..100).for_each(|second| health.failed(at(second)));
        assert!(!health.is_out(at(99)));
    }
}
