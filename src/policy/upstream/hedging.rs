//! Hedged requests: two attempts at once, of which the first good answer counts.
//!
//! The caller asks [`Upstream::hedge_at`] when an attempt has begun, and at that instant
//! [`Upstream::hedge`] for a second one. While both are in flight, each is reported together with
//! the other: a head by [`Upstream::head_beside`], a broken attempt by [`Upstream::lost`]. After an
//! answer was passed on the other is [`Upstream::superseded`]; after one was lost the other goes on
//! as if it had been alone.

use super::{Attempt, Nanos, Outcome, Progress, SoFar, Upstream};
use crate::policy::retry::status_is_failure;

impl Upstream {
    /// Whether attempts are hedged at all.
    #[must_use]
    pub fn hedges(&self) -> bool {
        self.resilience.as_ref().is_some_and(|resilience| resilience.hedging.is_some())
    }

    /// When to ask for a second attempt beside this one; `None` if there will be none.
    #[must_use]
    pub fn hedge_at(&self, attempt: &Attempt) -> Option<Nanos> {
        let hedging = self.resilience.as_ref()?.hedging.as_ref()?;
        let patience = hedging.patience()?;
        may_be_hedged(attempt).then(|| attempt.started + patience)
    }

    /// A second attempt beside `first`, at another peer; `None` if there is no such peer, or if
    /// the budget is used up.
    pub fn hedge(&mut self, now: Nanos, first: &mut Attempt) -> Option<Attempt> {
        let resilience = self.resilience.as_mut()?;
        let hedging = resilience.hedging.as_mut()?;
        if !may_be_hedged(first) || self.group.peers.is_single() {
            return None;
        }
        if !hedging.may_begin(now) {
            resilience.counts.hedges_withheld += 1;
            return None;
        }
        let mut tried = first.progress.tried.clone();
        tried.push(first.peer);
        let Progress { draws, on_backups, .. } = first.progress;
        let so_far = SoFar { tried: &tried, draws, on_backups };
        // Backups are for when no primary can serve, not for when one is late.
        let pick = self.group.pick(now, &first.facts, 2, so_far)?;
        if pick.on_backups != on_backups {
            return None;
        }
        hedging.begin(now);
        resilience.counts.hedges += 1;
        first.progress.hedged = true;
        let Progress { first_started, tries, seat, .. } = first.progress;
        let progress =
            Progress { tried, first_started, tries, draws, on_backups, hedged: true, seat };
        Some(self.group.begin(now, &first.facts, 2, pick, progress))
    }

    /// A head with `status` arrived while the other attempt is in flight. `Some`: pass it on, and
    /// report the other as [`Self::superseded`]. `None`: throw it away, the other goes on alone.
    pub fn head_beside(
        &mut self,
        now: Nanos,
        attempt: Attempt,
        status: u16,
        other: &mut Attempt,
    ) -> Option<Attempt> {
        self.watch_head(now, &attempt, status);
        if self.retry.on.statuses.contains(&status) {
            self.end(now, &attempt, status_is_failure(status));
            self.leave_alone(now, &attempt, other);
            return None;
        }
        if let (true, Some(resilience)) = (attempt.is_hedge(), &mut self.resilience) {
            resilience.counts.hedges_won += 1;
        }
        Some(attempt)
    }

    /// An attempt broke while the other is in flight, which goes on alone.
    pub fn lost(&mut self, now: Nanos, attempt: Attempt, outcome: Outcome, other: &mut Attempt) {
        self.watch_outcome(now, &attempt, outcome);
        self.end(now, &attempt, outcome.is_failure());
        self.leave_alone(now, &attempt, other);
    }

    /// The other attempt answered first: this one is cancelled, which says nothing about its peer.
    pub fn superseded(&mut self, now: Nanos, attempt: Attempt) {
        self.learn(now, &attempt);
        if let Some(resilience) = &mut self.resilience {
            resilience.ended(&attempt);
        }
        self.group.withdraw(now, &attempt);
        self.serve_line(now);
    }

    /// What `ended` has used up is no more to be had by `other`.
    fn leave_alone(&mut self, now: Nanos, ended: &Attempt, other: &mut Attempt) {
        let progress = &mut other.progress;
        progress.tries = progress.tries.saturating_sub(1);
        if !progress.tried.contains(&ended.peer) {
            progress.tried.push(ended.peer);
        }
        self.serve_line(now);
    }

    /// How long first attempts take is what hedging waits by.
    pub(super) fn learn(&mut self, now: Nanos, attempt: &Attempt) {
        if attempt.number == 1
            && let Some(hedging) = self.resilience.as_mut().and_then(|r| r.hedging.as_mut())
        {
            hedging.learn(now.since(attempt.started));
        }
    }
}

/// The first attempt of a request that may be sent twice, with another try left.
fn may_be_hedged(attempt: &Attempt) -> bool {
    let Attempt { facts, number, progress, repeatable, .. } = attempt;
    *number == 1 && facts.idempotent && *repeatable && !progress.hedged && progress.tries > 1
}
