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
}

impl PassiveHealth {
    pub(in crate::policy) const fn new(max_fails: u32, fail_timeout: Span) -> Self {
        let pause = Nanos(fail_timeout.0).whole_seconds();
        Self { max_fails, fails: 0, accessed: 0, checked: 0, pause }
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

    /// Whether the peer is out in second `now_s`.
    #[must_use]
    #[inline]
    pub const fn is_out(&self, now_s: u64) -> bool {
        self.has_failed() && now_s.saturating_sub(self.checked) <= self.pause
    }

    /// The first instant at which a peer that has failed may be picked again.
    #[must_use]
    pub fn tested_from(&self) -> Nanos {
        Nanos::ZERO + Span::from_secs(self.checked.saturating_add(self.pause).saturating_add(1))
    }

    /// NGINX does this for every pick, not only for peers that were out.
    #[inline]
    pub(in crate::policy) const fn picked(&mut self, now_s: u64) {
        if now_s.saturating_sub(self.checked) > self.pause {
            self.checked = now_s;
        }
    }

    pub(in crate::policy) const fn failed(&mut self, now_s: u64) {
        self.fails = self.fails.saturating_add(1);
        self.accessed = now_s;
        self.checked = now_s;
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_is_counted_in_whole_seconds_and_ends_after_it() {
        let mut health = PassiveHealth::new(1, Span::from_secs(2));
        health.failed(10);
        assert!((10..=12).all(|second| health.is_out(second)));
        assert!(!health.is_out(13));
        assert_eq!(health.tested_from(), Nanos(13_000_000_000));
    }

    #[test]
    fn one_request_tests_and_its_success_brings_the_peer_back() {
        let mut health = PassiveHealth::new(1, Span::from_secs(2));
        health.failed(10);
        health.picked(13);
        assert!(health.is_out(13) && health.is_out(15), "the door is shut behind the test");
        assert!(health.succeeded());
        assert!(!health.is_out(13));
    }

    #[test]
    fn successes_within_the_pause_clear_nothing() {
        let mut health = PassiveHealth::new(2, Span::from_secs(5));
        health.failed(1);
        health.picked(3);
        assert!(!health.succeeded());
        health.failed(6);
        assert!(health.is_out(6), "two failures five seconds apart add up");
    }

    #[test]
    fn max_fails_of_zero_never_takes_out() {
        let mut health = PassiveHealth::new(0, Span::from_secs(5));
        (0..100).for_each(|second| health.failed(second));
        assert!(!health.is_out(99));
    }
}
