//! Session affinity: requests that name the peer which served their session before.

use super::{Admission, Attempt, Nanos, PeerId, RequestFacts, Upstream};
use crate::policy::affinity::PeerToken;
use crate::policy::group::Pick;

impl Upstream {
    /// Where a new request of a session goes: to the peer that `token` names while that may be used,
    /// else as any other ([`Self::admit`]). A peer that drains keeps its sessions.
    pub fn admit_session(
        &mut self,
        now: Nanos,
        facts: RequestFacts,
        token: Option<PeerToken>,
    ) -> Admission {
        match token.and_then(|token| self.bound(now, token)) {
            Some(peer) if self.is_haproxy() => self.admit_at_haproxy(now, facts, Some(peer)),
            Some(attempt) => Admission::Go(self.begin_bound(now, facts, attempt)),
            None => self.admit(now, facts),
        }
    }

    /// The token to give to the client whose request was answered by `peer`, unless it has shown
    /// that one. `None` also without affinity.
    #[must_use]
    pub fn token_to_set(&self, peer: PeerId, shown: Option<PeerToken>) -> Option<PeerToken> {
        let token = self.tokens.as_ref()?.of(peer);
        token.filter(|token| shown != Some(*token))
    }

    fn bound(&mut self, now: Nanos, token: PeerToken) -> Option<PeerId> {
        let id = self.tokens.as_ref()?.peer(token)?;
        if self.is_haproxy() {
            return self.keeps_session(id).then_some(id);
        }
        self.group.peers.reopen(now);
        self.peer(id)?.keeps_sessions(now).then_some(id)
    }

    fn begin_bound(&mut self, now: Nanos, facts: RequestFacts, peer: PeerId) -> Attempt {
        if let Some(resilience) = &mut self.resilience {
            resilience.admitted(now);
        }
        let on_backups = self.peer(peer).is_some_and(|peer| peer.config.backup);
        let tries = self.group.peers.tries().max(1);
        let pick = Pick { peer, draws: 0, on_backups };
        self.group.begin_first(now, pick, tries).whole(facts, now)
    }
}
