//! Fewest requests in flight by weight (`src/http/modules/ngx_http_upstream_least_conn_module.c`).
//!
//! The configured weight counts, never the effective one. Only a tie opens a round of smooth
//! weighted round robin, and only among the tied: without a tie no score moves and no effective
//! weight recovers. All idle peers tie whatever their weights.

use std::hint::select_unpredictable;

use super::Ask;
use super::smooth_weighted::{Round, pick_fine};
use crate::policy::peer::{Load, Peer, PeerId};
use crate::policy::peers::Peers;
use crate::policy::ranking::Order;
use crate::policy::roster::{Roster, Row};

pub(super) fn pick(peers: &mut Peers, ask: Ask<'_>) -> Option<PeerId> {
    if peers.is_ramping() {
        return pick_fine(peers, ask, least(peers, ask)?);
    }
    if peers.is_long(ask.list) {
        return peers.ranked(ask.list, Order::ByLoad, ask.tried);
    }
    scan(peers.roster(ask.list), ask.tried)
}

/// The least load while a peer starts slowly: what is in flight over the share of the weight that
/// the peer has.
#[cold]
fn least(peers: &Peers, ask: Ask<'_>) -> Option<Load> {
    let members = peers.list(ask.list).iter().filter_map(|id| peers.get(*id));
    members.filter(|peer| ask.allows(peer)).map(Peer::load).min()
}

/// The choice while no effective weight is cut. One that is alone has a round too: it wins, and pays
/// what it was given. So it does not matter whether there is a tie.
///
/// Selections instead of branches: who is tied with whom cannot be foreseen, and a wrong guess of the
/// processor costs more than the whole round.
#[inline(always)]
pub(super) fn pick_whole(rows: &mut [Row]) -> Option<PeerId> {
    let least = least_load(rows);
    if least == Load::INFINITE {
        return None;
    }
    let mut round = Round::new();
    for (place, row) in rows.iter_mut().enumerate() {
        round.enter_whole(place, row, row.load == least);
    }
    round.settle(rows)
}

/// Two at a time: of one long chain of selections the compiler makes branches.
#[inline(always)]
fn least_load(rows: &[Row]) -> Load {
    let lower = |one: Load, other: Load| select_unpredictable(one < other, one, other);
    let pairs = rows.chunks_exact(2);
    let last = pairs.remainder().first().map_or(Load::INFINITE, |row| row.load);
    pairs.fold(last, |least, pair| lower(lower(pair[0].load, pair[1].load), least))
}

/// The choice while effective weights are cut, or among those not `tried`.
#[inline(never)]
fn scan(roster: &mut Roster, tried: &[PeerId]) -> Option<PeerId> {
    let rows = roster.rows();
    let load = |row: &Row| if tried.contains(&row.id) { Load::INFINITE } else { row.load };
    let least = rows.iter().map(load).min().filter(|load| *load != Load::INFINITE)?;
    let tied = rows.iter().filter(|row| load(row) == least).count() > 1;
    let mut round = Round::new();
    for (place, row) in rows.iter_mut().enumerate() {
        let takes_part = load(row) == least;
        round.enter(place, row, takes_part, tied);
    }
    let id = round.settle(rows);
    roster.look_for_cuts();
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::peer::PeerConfig;
    use crate::policy::peers::PeerList;
    use crate::units::Nanos;

    /// Two peers of weight 2, of which the first has lost weight to a failure.
    fn peers() -> Peers {
        let config = PeerConfig { weight: 2, max_fails: 2, ..PeerConfig::new("peer") };
        let mut peers = Peers::new(&[config.clone(), config]);
        peers.assign(PeerId(0), Nanos::ZERO);
        peers.release(PeerId(0), Nanos::ZERO, true);
        peers
    }

    fn weights(peers: &Peers) -> Vec<(u32, i64)> {
        peers
            .iter()
            .map(|peer| (peers.effective_weight(peer.id()), peers.score(peer.id())))
            .collect()
    }

    #[test]
    fn without_a_tie_no_weight_moves() {
        let mut peers = peers();
        peers.assign(PeerId(1), Nanos::ZERO);
        let ask = Ask { list: PeerList::Primaries, tried: &[], now: Nanos::ZERO };
        assert_eq!(pick(&mut peers, ask), Some(PeerId(0)));
        assert_eq!(weights(&peers), [(1, 0), (2, 0)]);
    }

    #[test]
    fn a_tie_is_a_round_of_smooth_weighted_round_robin() {
        let mut peers = peers();
        let ask = Ask { list: PeerList::Primaries, tried: &[], now: Nanos::ZERO };
        assert_eq!(pick(&mut peers, ask), Some(PeerId(1)));
        assert_eq!(weights(&peers), [(2, 1), (2, -1)], "the first recovers by taking part");
    }
}
