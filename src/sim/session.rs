//! Session affinity: what the client's cookies hold. A session is a key of the plan.

use std::collections::BTreeMap;

use super::observe::Observe;
use super::world::World;
use crate::policy::{Admission, AffinityConfig, PeerId, PeerToken, RequestFacts};
use crate::record::Sink;
use crate::units::{Nanos, Span};

/// The cookies of all sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    ttl: Option<Span>,
    /// By session: the peer it is bound to, and until when.
    cookies: BTreeMap<u64, (PeerToken, Nanos)>,
    /// What the request in a slot has shown.
    shown: BTreeMap<u32, PeerToken>,
}

impl Sessions {
    pub(super) const fn new(config: &AffinityConfig) -> Self {
        Self { ttl: config.ttl, cookies: BTreeMap::new(), shown: BTreeMap::new() }
    }

    /// The cookie that a request of `session` carries in `slot`.
    fn show(&mut self, now: Nanos, slot: u32, session: u64) -> Option<PeerToken> {
        let held = self.cookies.get(&session).filter(|(_, until)| now < *until);
        let token = held.map(|(token, _)| *token);
        match token {
            Some(token) => self.shown.insert(slot, token),
            None => self.shown.remove(&slot),
        };
        token
    }

    fn set(&mut self, now: Nanos, session: u64, token: PeerToken) {
        let until = self.ttl.map_or(Nanos::MAX, |ttl| now + ttl);
        self.cookies.insert(session, (token, until));
    }
}

impl<S: Sink, O: Observe> World<'_, S, O> {
    /// Asks the machine for a peer, with the cookie of the request's session if there are any.
    pub(super) fn ask(&mut self, slot: u32, view: u32, facts: RequestFacts) -> Admission {
        let upstream = &mut self.views[view as usize].upstream;
        match &mut self.sessions {
            None => upstream.admit(self.now, facts),
            Some(sessions) => {
                let session = self.flights[slot].request.key;
                let shown = sessions.show(self.now, slot, session);
                upstream.admit_session(self.now, facts, shown)
            }
        }
    }

    /// The answer of `peer` goes to the client, with a cookie if its session moved.
    pub(super) fn bind_session(&mut self, slot: u32, peer: PeerId) {
        let Some(sessions) = &mut self.sessions else { return };
        let flight = &self.flights[slot];
        let upstream = &self.views[flight.view as usize].upstream;
        let shown = sessions.shown.get(&slot).copied();
        if let Some(token) = upstream.token_to_set(peer, shown) {
            sessions.set(self.now, flight.request.key, token);
        }
    }
}
