//! An attempt under way. However it ends, also by the client's going away, it is given back to the
//! machine exactly once.

use std::sync::Arc;

use super::driver::{Driver, Step, Visit};
use super::endpoint::Endpoint;
use crate::host::clock;
use crate::policy::{Attempt, Outcome, PeerToken};
use crate::record::{AttemptOutcome, AttemptRow, PickedBecause};
use crate::units::{Nanos, World};

/// An attempt at a peer; dropping it reports that the client has gone, or after the head was
/// passed on, that the peer has responded.
pub(super) struct InFlight {
    driver: Arc<Driver>,
    visit: Visit,
    /// Present until it is given back.
    attempt: Option<Attempt>,
    endpoint: Arc<Endpoint>,
    because: PickedBecause,
    /// Status of the head that was passed on; 0 before.
    status: u16,
}

/// What becomes of a response head.
pub(super) enum Judged {
    /// It goes to the client.
    Pass(InFlight),
    /// It is thrown away, and the attempt has ended.
    Next(Step),
}

impl InFlight {
    pub(super) const fn new(
        driver: Arc<Driver>,
        visit: Visit,
        attempt: Attempt,
        endpoint: Arc<Endpoint>,
        because: PickedBecause,
    ) -> Self {
        Self { driver, visit, attempt: Some(attempt), endpoint, because, status: 0 }
    }

    pub(super) const fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// 1 for the first attempt of the request.
    pub(super) fn number(&self) -> u16 {
        self.attempt.as_ref().map_or(0, |attempt| attempt.number)
    }

    /// Part of the body was sent and not kept: no other peer can get the request.
    pub(super) fn is_spent(&mut self) {
        if let Some(attempt) = &mut self.attempt {
            attempt.repeatable = false;
        }
    }

    /// A head with `status` arrived at `now`.
    pub(super) fn head(mut self, now: Nanos, status: u16) -> Judged {
        let Some(attempt) = self.attempt.take() else {
            unreachable!("an attempt is given back only once")
        };
        let (number, started) = (attempt.number, attempt.started);
        let record = || self.record(number, started, now, AttemptOutcome::StatusRetried, status);
        match self.driver.head(now, self.visit, attempt, status, record) {
            Ok(step) => Judged::Next(step),
            Err(attempt) => {
                self.attempt = Some(attempt);
                self.status = status;
                Judged::Pass(self)
            }
        }
    }

    /// The cookie for the client, if its session moved to this peer.
    pub(super) fn cookie(&self, shown: Option<PeerToken>) -> Option<String> {
        self.driver.cookie(self.endpoint.id, shown)
    }

    /// When [`Self::hedge`] is to be asked, if at all.
    pub(super) fn hedge_at(&self) -> Option<Nanos> {
        self.attempt.as_ref().and_then(|attempt| self.driver.hedge_at(attempt))
    }

    /// A second attempt beside this one, at another peer, if there is to be one.
    pub(super) fn hedge(&mut self) -> Option<Self> {
        let first = self.attempt.as_mut()?;
        self.driver.hedge(self.visit, first)
    }

    /// A head with `status` arrived while `other` is under way. `Some`: it goes to the client, and
    /// the other is [superseded](Self::superseded). `None`: it is thrown away.
    pub(super) fn head_beside(mut self, status: u16, other: &mut Self) -> Option<Self> {
        let (attempt, other) = (self.attempt.take()?, other.attempt.as_mut()?);
        let (number, started, now) = (attempt.number, attempt.started, clock::now());
        match self.driver.head_beside(now, attempt, status, other) {
            Some(attempt) => {
                self.attempt = Some(attempt);
                self.status = status;
                Some(self)
            }
            None => {
                self.record(number, started, now, AttemptOutcome::StatusRetried, status);
                None
            }
        }
    }

    /// It broke while `other` is under way, which goes on alone.
    pub(super) fn lost(mut self, outcome: Outcome, other: &mut Self) {
        if let (Some(attempt), Some(other)) = (self.attempt.take(), other.attempt.as_mut()) {
            let now = clock::now();
            self.record(attempt.number, attempt.started, now, outcome.into(), 0);
            self.driver.lost(now, attempt, outcome, other);
        }
    }

    /// The other attempt answered first.
    pub(super) fn superseded(mut self) {
        if let Some(attempt) = self.attempt.take() {
            let now = clock::now();
            self.record(attempt.number, attempt.started, now, AttemptOutcome::Superseded, 0);
            self.driver.superseded(now, attempt);
        }
    }

    /// The attempt ended.
    pub(super) fn finished(mut self, outcome: Outcome) -> Step {
        self.give_back(clock::now(), outcome).unwrap_or(Step::Done)
    }

    /// The peer has sent all of its response, at `now`.
    pub(super) fn responded(mut self, now: Nanos) {
        let _ = self.give_back(now, Outcome::Responded);
    }

    fn give_back(&mut self, now: Nanos, outcome: Outcome) -> Option<Step> {
        let attempt = self.attempt.take()?;
        self.record(attempt.number, attempt.started, now, outcome.into(), self.status);
        Some(self.driver.finished(now, self.visit, attempt, outcome))
    }

    fn record(
        &self,
        number: u16,
        started: Nanos,
        end: Nanos,
        outcome: AttemptOutcome,
        status: u16,
    ) {
        let journal = self.driver.journal();
        journal.attempt(|| AttemptRow {
            world: World::Live,
            replication: journal.replication,
            id: self.visit.facts.id,
            number,
            view: journal.view,
            upstream: self.endpoint.id.0,
            start_ns: started.0,
            end_ns: end.0,
            outcome,
            status,
            because: self.because,
        });
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.attempt.is_none() {
            return;
        }
        let outcome = if self.status == 0 { Outcome::ClientGone } else { Outcome::Responded };
        let step = self.give_back(clock::now(), outcome);
        debug_assert!(matches!(step, None | Some(Step::Done)), "nothing follows a gone client");
    }
}
