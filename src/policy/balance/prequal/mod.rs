//! Prequal: probes ahead of the requests, and the hot-cold lexicographic choice among their
//! answers (B. Wydrowski, R. Kleinberg, S. Rumble, A. Archer, "Load is not what you should
//! balance: Introducing Prequal", NSDI 2024; asynchronous mode).
//!
//! Each pick sends `probes` load probes to peers drawn uniformly without replacement. An answer
//! says how many requests the peer has in flight (RIF) and how long one that came now would take,
//! and goes to a pool of at most `pool` answers, for **later** requests. A peer whose RIF is above
//! the quantile `q_rif` of what was reported lately is hot, else cold. The choice is the cold one
//! with the lowest latency; if all are hot, the one with the lowest RIF. With fewer than two usable
//! answers, and so without any answers at all, it is a uniformly random peer.
//!
//! An answer is used a limited number of times (the paper's `b_reuse`), each use adds one to its
//! RIF for the request that it sent there, and it dies of age. Each pick also removes `remove`
//! answers, in turn the oldest and the worst.
//!
//! What is ours, where the paper does not say or means fleets of a hundred and more:
//! - One answer per peer: a new one replaces the old, which is only staler.
//! - The pool holds at most a quarter of the fleet, nor less than two answers. Otherwise, up to 24
//!   peers at the paper's values, new answers come no faster than removals and the formula for the
//!   reuse has no meaning, or, a little above, a large one: an answer is then used when it is long
//!   out of date. Where it has none all the same, reuse is not limited; age and removal are.
//! - Fractions of probes and removals are paid out evenly, not at random: the mean is the same.
//! - Without requests for `idle`, the next peers in turn are probed, so that the pool is not empty
//!   when they come again.
//! - Weights play no part, as in the paper: a peer with more room has fewer in flight by itself.

mod config;
mod pool;
mod recent;

use smallvec::SmallVec;

pub use self::config::{PrequalConfig, b_reuse};
use self::pool::Pool;
use self::recent::RecentLoads;
use super::{Ask, uniform};
use crate::policy::load_report::LoadReport;
use crate::policy::peer::{Peer, PeerId};
use crate::policy::peers::{PeerList, Peers};
use crate::units::{Draw, Nanos};

/// State of the policy.
pub(in crate::policy) struct Prequal {
    config: PrequalConfig,
    pool: Pool,
    recent: RecentLoads,
    /// Times that an answer may be used.
    reuse: f64,
    /// Fractions of a probe and of a removal that are not paid out yet.
    probes_owed: f64,
    removals_owed: f64,
    oldest_next: bool,
    /// Probes to be sent, the last first.
    due: SmallVec<[PeerId; 8]>,
    /// When probes were last asked for; `None` before the first.
    probed: Option<Nanos>,
    /// The place in the list of primaries that is probed next while there are no requests.
    turn: usize,
}

impl Prequal {
    pub(super) fn new(config: PrequalConfig) -> Self {
        Self {
            config,
            pool: Pool::default(),
            recent: RecentLoads::default(),
            reuse: 1.0,
            probes_owed: 0.0,
            removals_owed: 0.0,
            oldest_next: true,
            due: SmallVec::new(),
            probed: None,
            turn: 0,
        }
    }

    pub(super) fn peers_changed(&mut self, peers: &Peers) {
        let fleet = peers.list(PeerList::Primaries).len();
        let room = self.config.pool_of(fleet);
        self.pool.resize(room);
        self.reuse = self.config.reuse_of(fleet);
    }

    /// What `peer` answered before it left counts no longer.
    pub(super) fn forget(&mut self, peer: PeerId) {
        self.pool.remove(peer);
        self.due.retain(|other| *other != peer);
    }

    pub(super) fn pick(&mut self, peers: &Peers, ask: Ask<'_>, mut draw: Draw) -> Option<PeerId> {
        self.pool.forget(ask.now, self.config.age);
        let usable = |id: PeerId| {
            let backup = ask.list == PeerList::Backups;
            peers.get(id).is_some_and(|peer| peer.config.backup == backup && ask.allows(peer))
        };
        let limit = self.recent.hot_above(self.config.q_rif);
        let peer = match self.pool.best(limit, usable) {
            Some(place) => self.pool.take(place, self.reuse, &mut draw),
            None => {
                let peer = uniform::one(peers, ask, None, &mut draw)?;
                self.pool.sent(peer);
                peer
            }
        };
        self.remove(limit);
        self.ask_some(peers, ask, &mut draw);
        Some(peer)
    }

    fn remove(&mut self, limit: Option<u32>) {
        self.removals_owed += self.config.remove;
        while self.removals_owed >= 1.0 {
            self.removals_owed -= 1.0;
            if self.oldest_next {
                self.pool.remove_oldest();
            } else {
                self.pool.remove_worst(limit);
            }
            self.oldest_next = !self.oldest_next;
        }
    }

    /// Probes of a request: peers without replacement and in random order, by Floyd's algorithm P
    /// (J. Bentley, "Programming pearls: a sample of brilliance", CACM 30(9), 1987). Those that are out
    /// get none. The order counts: a pool with less room than there are probes keeps the last answers
    /// alone, and a peer that was always asked first would never be chosen.
    fn ask_some(&mut self, peers: &Peers, ask: Ask<'_>, draw: &mut Draw) {
        self.probed = Some(ask.now);
        self.probes_owed += self.config.probes;
        let whole = libm::floor(self.probes_owed);
        self.probes_owed -= whole;
        let list = peers.list(ask.list);
        let mut places: SmallVec<[usize; 8]> = SmallVec::new();
        for last in list.len().saturating_sub(whole as usize)..list.len() {
            let place = draw.below(last as u64 + 1) as usize;
            match places.iter().position(|other| *other == place) {
                None => places.insert(0, place),
                Some(known) => places.insert(known + 1, last),
            }
        }
        let ready = |id: PeerId| peers.get(id).is_some_and(Peer::is_available);
        self.due.extend(places.iter().map(|place| list[*place]).filter(|id| ready(*id)));
    }

    /// The next probe to send; `None` if there is none.
    pub(super) fn next_probe(&mut self) -> Option<PeerId> {
        self.due.pop()
    }

    /// When to call [`Self::handle_timeout`].
    pub(super) fn next_timeout(&self) -> Nanos {
        self.probed.map_or(Nanos::ZERO, |at| at + self.config.idle)
    }

    /// Probes some peers in turn if there was no request for long.
    pub(super) fn handle_timeout(&mut self, peers: &Peers, now: Nanos) {
        if now < self.next_timeout() {
            return;
        }
        self.probed = Some(now);
        let list = peers.list(PeerList::Primaries);
        for _ in 0..(libm::ceil(self.config.probes) as usize).min(list.len()) {
            self.turn = (self.turn + 1) % list.len();
            self.due.push(list[self.turn]);
        }
    }

    /// The answer of a probe.
    pub(super) fn load_reported(&mut self, peer: PeerId, load: LoadReport, now: Nanos) {
        self.recent.add(load.rif);
        self.pool.add(peer, load, now);
    }
}

#[cfg(test)]
mod tests;
