//! The peers among which a policy of one's own may choose.

use crate::policy::peer::{Peer, PeerId};
use crate::policy::peers::{PeerList, Peers};
use crate::units::Nanos;

/// The peers among which one pick may choose: those of one list that are in service, healthy,
/// below their limit, and not yet tried by this request.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'a> {
    peers: &'a Peers,
    list: PeerList,
    tried: &'a [PeerId],
    now: Nanos,
}

impl<'a> Candidates<'a> {
    pub(super) const fn new(
        peers: &'a Peers,
        list: PeerList,
        tried: &'a [PeerId],
        now: Nanos,
    ) -> Self {
        Self { peers, list, tried, now }
    }

    /// The candidates in the order of configuration.
    pub fn iter(&self) -> impl Iterator<Item = &'a Peer> + use<'a> {
        let Self { peers, list, tried, now } = *self;
        peers
            .list(list)
            .iter()
            .filter(move |id| peers.eligible(**id, tried, now))
            .filter_map(move |id| peers.get(*id))
    }

    /// Whether `id` may be chosen.
    #[must_use]
    pub fn contains(&self, id: PeerId) -> bool {
        self.peers.list(self.list).contains(&id) && self.peers.eligible(id, self.tried, self.now)
    }

    /// All peers of the group, those that may not be chosen too.
    #[must_use]
    pub const fn peers(&self) -> &'a Peers {
        self.peers
    }

    /// Whether the choice is among primaries or backups.
    #[must_use]
    pub const fn list(&self) -> PeerList {
        self.list
    }

    /// What this request has tried before.
    #[must_use]
    pub const fn tried(&self) -> &'a [PeerId] {
        self.tried
    }

    /// The instant of the choice.
    #[must_use]
    pub const fn now(&self) -> Nanos {
        self.now
    }
}
