//! What a policy answered before the machine looked at it: the machine takes a choice that may not
//! be made for none, and the kit wants to know.

use std::sync::{Arc, Mutex, PoisonError};

use crate::policy::{Balance, Candidates, PeerId, Peers, RequestFacts};
use crate::units::{Draw, Nanos, Span};

/// Keeps the first choice that might not be made.
#[derive(Clone, Debug, Default)]
pub(super) struct Witness(Arc<Mutex<Option<String>>>);

/// A policy under observation.
pub(super) struct Watched {
    policy: Box<dyn Balance>,
    witness: Witness,
}

impl Witness {
    pub(super) fn watch(&self, policy: Box<dyn Balance>) -> Watched {
        Watched { policy, witness: self.clone() }
    }

    pub(super) fn complaint(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Balance for Watched {
    fn pick(
        &mut self,
        candidates: &Candidates<'_>,
        request: &RequestFacts,
        draw: &mut Draw,
    ) -> Option<PeerId> {
        let choice = self.policy.pick(candidates, request, draw);
        if let Some(id) = choice.filter(|id| !candidates.contains(*id)) {
            let may: Vec<u32> = candidates.iter().map(|peer| peer.id().0).collect();
            let complaint = format!("it chose peer {} of request {}, of {may:?}", id.0, request.id);
            let mut kept = self.witness.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.get_or_insert(complaint);
        }
        choice
    }

    fn started(&mut self, peers: &Peers, peer: PeerId, now: Nanos) {
        self.policy.started(peers, peer, now);
    }

    fn finished(&mut self, peers: &Peers, peer: PeerId, now: Nanos, took: Span, failed: bool) {
        self.policy.finished(peers, peer, now, took, failed);
    }

    fn peers_changed(&mut self, peers: &Peers, now: Nanos) {
        self.policy.peers_changed(peers, now);
    }
}
