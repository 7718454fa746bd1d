//! Choosing a peer: the interface that every algorithm implements, and the enum over those built in.

use serde::{Deserialize, Serialize};

use super::peer::{PeerId, Peers};
use super::upstream::RequestFacts;
use crate::units::{Draw, Nanos, Span};

/// The built-in algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// Smooth weighted round robin.
    RoundRobin,
    /// Fewest requests in flight by weight; ties by smooth weighted round robin.
    LeastConn,
    /// Weighted random.
    Random,
    /// Two weighted random peers, the one with fewer requests in flight.
    RandomTwo,
}

/// What an algorithm hears and answers. Implement it to add a policy of one's own: it hears of
/// every start, finish and change of peers, and its picks are used in both worlds.
pub trait Balance: Send {
    /// Chooses among the peers for which [`Peers::eligible`] holds; `None` if there is none.
    fn pick(
        &mut self,
        peers: &mut Peers,
        request: &RequestFacts,
        now: Nanos,
        draw: &mut Draw,
    ) -> Option<PeerId>;

    /// An attempt at `peer` began.
    fn started(&mut self, _peers: &Peers, _peer: PeerId, _now: Nanos) {}

    /// An attempt at `peer` ended `took` after it began; `failed` as passive health counts it.
    fn finished(&mut self, _peers: &Peers, _peer: PeerId, _now: Nanos, _took: Span, _failed: bool) {
    }

    /// Peers came, went, or changed weight or health.
    fn peers_changed(&mut self, _peers: &Peers, _now: Nanos) {}
}
