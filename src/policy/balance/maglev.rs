//! Maglev hashing (D. Eisenbud et al.: "Maglev: a fast and reliable software network load
//! balancer", NSDI 2016, section 3.4), with Envoy's weights and hashes
//! (`source/extensions/load_balancing_policies/maglev/maglev_lb.cc`).
//!
//! Each peer has a permutation of the M entries of a table: offset + j × skip mod M, for a prime
//! M. Taking turns, each peer takes the first entry of its permutation that is free, until the
//! table is full. A peer of less than the greatest weight sits out turns in proportion. A key
//! belongs to the peer in entry h mod M.
//!
//! The table holds the peers that are in service and healthy, so that the keys of one that is out
//! are spread evenly, and few of the others' move. One that is out after failures keeps its
//! entries, since a request must test it: such an entry, and one tried before or full, leads to
//! the next, for 20 rounds over all attempts of the request, then smooth weighted round robin.

use twox_hash::XxHash64;

use super::algorithm::MaglevConfig;
use super::{Ask, rounds, smooth_weighted};
use crate::policy::peer::{Peer, PeerId, PeerState};
use crate::policy::peers::{PeerList, Peers};
use crate::units::Nanos;

/// The tables of a group.
#[derive(Debug)]
pub(in crate::policy) struct Maglev {
    size: u64,
    primaries: Table,
    backups: Table,
}

/// The table of one list; empty while it has no peer.
#[derive(Debug, Default)]
struct Table {
    entries: Vec<PeerId>,
    /// The peers and weights that it was built from.
    built_from: Vec<(PeerId, u32)>,
}

/// A peer's permutation, and how far the peer has come in it.
struct Walk {
    place: u64,
    skip: u64,
    weight: f64,
    /// It sits out turns until their number times its weight reaches this.
    target: f64,
}

impl Maglev {
    pub(super) fn new(config: MaglevConfig) -> Self {
        let size = u64::from(config.table_size.max(2));
        Self { size, primaries: Table::default(), backups: Table::default() }
    }

    /// `in_vain` counts rounds, over all attempts of the request.
    pub(super) fn pick(
        &self,
        peers: &mut Peers,
        ask: Ask<'_>,
        key: u64,
        in_vain: &mut u8,
    ) -> Option<PeerId> {
        let entries = match ask.list {
            PeerList::Primaries => &self.primaries.entries,
            PeerList::Backups => &self.backups.entries,
        };
        if rounds::are_used_up(*in_vain) || key == 0 || entries.is_empty() {
            return smooth_weighted::scan(peers, ask);
        }
        let mut place = (key % self.size) + u64::from(*in_vain);
        rounds::first_allowed(peers, ask, in_vain, |_| {
            let id = entries[(place % self.size) as usize];
            place += 1;
            Some(id)
        })
    }

    pub(super) fn peers_changed(&mut self, peers: &Peers, now: Nanos) {
        self.primaries.update(self.size, peers, PeerList::Primaries, now);
        self.backups.update(self.size, peers, PeerList::Backups, now);
    }
}

impl Table {
    /// Builds the table anew if its peers are others, or their weights.
    fn update(&mut self, size: u64, peers: &Peers, list: PeerList, now: Nanos) {
        let serves = |peer: &&Peer| matches!(peer.state(now), PeerState::Up | PeerState::Failed);
        let mut members: Vec<&Peer> = peers.placed(list).filter(serves).collect();
        let weights = members.iter().map(|peer| (peer.id(), peer.weight()));
        if weights.clone().eq(self.built_from.iter().copied()) {
            return;
        }
        self.built_from = weights.collect();
        // The order of turns does not depend on the order of configuration.
        members.sort_by(|one, other| one.name().cmp(other.name()));
        let sum: f64 = members.iter().map(|peer| f64::from(peer.weight())).sum();
        let walks = members.iter().map(|peer| Walk::new(peer, size, sum)).collect();
        let turns = fill(size, walks);
        self.entries = turns.into_iter().map(|turn| members[turn as usize].id()).collect();
    }
}

impl Walk {
    fn new(peer: &Peer, size: u64, sum: f64) -> Self {
        let name = peer.name().as_bytes();
        Self {
            place: XxHash64::oneshot(0, name) % size,
            skip: XxHash64::oneshot(1, name) % (size - 1) + 1,
            weight: f64::from(peer.weight()) / sum,
            target: 0.0,
        }
    }
}

/// For each entry the number of the walk that took it. More walks than entries leave the last
/// without any.
fn fill(size: u64, mut walks: Vec<Walk>) -> Vec<u32> {
    const FREE: u32 = u32::MAX;
    let heaviest = walks.iter().map(|walk| walk.weight).fold(0.0, f64::max);
    if walks.is_empty() {
        return Vec::new();
    }
    let mut table = vec![FREE; size as usize];
    let mut free = size;
    let mut turn = 0.0;
    loop {
        turn += 1.0;
        for (walk, number) in walks.iter_mut().zip(0..) {
            if turn * walk.weight < walk.target {
                continue;
            }
            walk.target += heaviest;
            // The permutation has every entry, so it has a free one.
            while table[walk.place as usize] != FREE {
                walk.place += walk.skip;
                walk.place -= if walk.place >= size { size } else { 0 };
            }
            table[walk.place as usize] = number;
            free -= 1;
            if free == 0 {
                return table;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Published {
        maglev_paper: Vec<Case>,
    }

    #[derive(serde::Deserialize)]
    struct Case {
        #[serde(rename = "M")]
        size: u64,
        offset_skip: Vec<(u64, u64)>,
        alive: Vec<u32>,
        table: Vec<u32>,
    }

    /// Table 1 of the paper, and the same after a backend has gone.
    #[test]
    fn tables_are_those_of_the_paper() {
        let text = include_str!("../../../tests/vectors/published.json");
        let published: Published = serde_json::from_str(text).unwrap();
        assert!(!published.maglev_paper.is_empty());
        for case in published.maglev_paper {
            let walk = |number: &u32| {
                let (place, skip) = case.offset_skip[*number as usize];
                Walk { place, skip, weight: 1.0, target: 0.0 }
            };
            let filled = fill(case.size, case.alive.iter().map(walk).collect());
            let table: Vec<u32> = filled.iter().map(|turn| case.alive[*turn as usize]).collect();
            assert_eq!(table, case.table);
        }
    }
}
