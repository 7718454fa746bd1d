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

#[inline]
pub(super) fn pick(peers: &mut Peers, ask: Ask<'_>) -> Option<PeerId> {
    if peers.is_ramping() {
        return pick_fine(peers, ask, least(peers, ask)?);
    }
    if peers.is_long(ask.list) {
        return peers.ranked(ask.list, Order::ByLoad, ask.tried);
    }
    let roster = peers.roster(ask.list);
    if !(ask.tried.is_empty() && roster.is_whole()) {
        return pick_among(roster, ask.tried);
    }
    let (order, rows) = roster.rows();
    order.get(pick_whole(rows)?).copied()
}

/// The least load while a peer starts slowly: what is in flight over the share of the weight that
/// the peer has.
#[cold]
fn least(peers: &Peers, ask: Ask<'_>) -> Option<Load> {
    let members = peers.list(ask.list).iter().filter_map(|id| peers.get(*id));
    members.filter(|peer| ask.allows(peer)).map(Peer::load).min()
}

/// The choice while no effective weight is cut, as the place of the peer. One that is alone has a
/// round too: it wins, and pays what it was given. So it does not matter whether there is a tie, and
/// who wins is known before any score is written.
///
/// Selections instead of branches: who is tied with whom cannot be foreseen, and a wrong guess of
/// the processor costs more than the whole round.
#[inline]
fn pick_whole(rows: &mut [Row]) -> Option<usize> {
    // A load, and below it the score, turned round: the least is the choice.
    let mut least = (Load::INFINITE, i64::MAX);
    let mut winner = 0;
    for (place, row) in rows.iter().enumerate() {
        let key = (row.load, !(row.score + i64::from(row.weight)));
        let leads = (key.0 < least.0) | ((key.0 == least.0) & (key.1 < least.1));
        winner = select_unpredictable(leads, place, winner);
        least.0 = select_unpredictable(leads, key.0, least.0);
        least.1 = select_unpredictable(leads, key.1, least.1);
    }
    let (least, _) = least;
    if least == Load::INFINITE {
        return None;
    }
    let mut total = 0;
    for row in rows.iter_mut() {
        let weight = select_unpredictable(row.load == least, i64::from(row.weight), 0);
        row.score += weight;
        total += weight;
    }
    rows[winner].score -= total;
    Some(winner)
}

/// The choice while effective weights are cut, or among those not `tried`.
#[inline(never)]
fn pick_among(roster: &mut Roster, tried: &[PeerId]) -> Option<PeerId> {
    let (order, rows) = roster.rows();
    let load = |(id, row): (&PeerId, &Row)| {
        if tried.contains(id) { Load::INFINITE } else { row.load }
    };
    let loads = || order.iter().zip(rows.iter()).map(load);
    let least = loads().min().filter(|load| *load != Load::INFINITE)?;
    let tied = loads().filter(|load| *load == least).count() > 1;
    let mut round = Round::new();
    for (place, (id, row)) in order.iter().zip(rows.iter_mut()).enumerate() {
        let takes_part = load((id, row)) == least;
        round.enter(place, row, takes_part, tied);
    }
    let place = round.settle(rows)?;
    let id = order.get(place).copied();
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
