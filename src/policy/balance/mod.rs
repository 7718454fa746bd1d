//! Choosing a peer: the interface that every algorithm implements, and the enum over those built in.
//!
//! What is common to all of NGINX's methods (who is eligible, the switch to the backups, the marks
//! and counters of a pick) is done around them by the group; a method only chooses.

mod algorithm;
mod bounded_load;
mod candidates;
mod consistent_hash;
pub mod edf;
mod envoy_ring;
mod envoy_shuffle;
pub mod haproxy;
mod hash;
mod ip_hash;
mod ketama;
mod key;
mod least_conn;
pub mod least_request;
mod maglev;
mod own;
pub mod peak_ewma;
pub mod prequal;
mod random;
mod random_two;
mod ranges;
mod rounds;
mod schedules;
mod smooth_weighted;
mod uniform;

use std::fmt;

pub use self::algorithm::{Algorithm, ConsistentHashConfig, LoadFactor, MaglevConfig, Ring};
pub use self::candidates::Candidates;
use self::consistent_hash::ConsistentHash;
use self::haproxy::{HaproxyBalancer, Judge};
use self::least_request::LeastRequest;
use self::maglev::Maglev;
pub use self::own::{Policy, RegisterError, check_names, register, registered};
use self::peak_ewma::PeakEwmaTwo;
use self::prequal::Prequal;
use self::ranges::Ranges;
use self::schedules::Schedules;
use super::attempt::RequestFacts;
use super::load_report::LoadReport;
use super::peer::{Peer, PeerId};
use super::peers::{PeerList, Peers};
use super::ranking::Order;
use super::rules::Rules;
use crate::units::{Draw, Nanos, Span};

/// What an algorithm hears and answers. Implement it to add a policy of one's own: it hears of
/// every start, finish and change of peers, and its picks are used in both worlds.
///
/// `examples/quickest_of_two.rs` is a policy with its tests and the whole command line around it,
/// and `lab new --policy NAME` begins another: as [`Policy`] it has a name that any scenario may
/// choose. [`Kit`](super::kit::Kit) checks what every policy must keep;
/// [`Upstream::with_policy`](super::Upstream::with_policy) takes one without a name. With
/// `hash_key` in the scenario a request's key comes as the xxHash64 of its bytes, 0 without one.
///
/// Retry, health, limits and backups stay with the machine: when no primary is eligible, `pick`
/// is asked again about the backups. To keep runs repeatable, take randomness from `draw` alone
/// and time from the calls.
///
/// ```
/// use lab::policy::{Balance, Candidates, PeerId, RequestFacts};
/// use lab::units::Draw;
///
/// /// Always the first peer that may be asked: everything else is a spare.
/// struct FirstEligible;
///
/// impl Balance for FirstEligible {
///     fn pick(
///         &mut self,
///         candidates: &Candidates<'_>,
///         _request: &RequestFacts,
///         _draw: &mut Draw,
///     ) -> Option<PeerId> {
///         candidates.iter().next().map(|peer| peer.id())
///     }
/// }
/// ```
pub trait Balance: Send {
    /// Chooses among the candidates; `None` if there is none. A choice that is not a candidate
    /// counts as `None`, and the request gets "no live upstream".
    fn pick(
        &mut self,
        candidates: &Candidates<'_>,
        request: &RequestFacts,
        draw: &mut Draw,
    ) -> Option<PeerId>;

    /// An attempt at `peer` began; `peers` counts it already.
    fn started(&mut self, _peers: &Peers, _peer: PeerId, _now: Nanos) {}

    /// An attempt at `peer` ended `took` after it began; `failed` as passive health counts it.
    /// `peers` no longer counts it.
    fn finished(&mut self, _peers: &Peers, _peer: PeerId, _now: Nanos, _took: Span, _failed: bool) {
    }

    /// Peers came, went, or changed weight or health. Also called once before the first pick.
    fn peers_changed(&mut self, _peers: &Peers, _now: Nanos) {}
}

/// The algorithm of a group. An enum, so that the model's inner loop calls no virtual function.
pub(super) enum Balancer {
    RoundRobin,
    LeastConn,
    Random(Ranges),
    RandomTwo(Ranges),
    IpHash(Ranges),
    Hash(Ranges),
    ConsistentHash(Box<ConsistentHash>),
    Maglev(Box<Maglev>),
    RoundRobinEdf(Schedules),
    LeastRequest(LeastRequest),
    PeakEwma(PeakEwmaTwo),
    /// Envoy's `RANDOM`, which looks at no weights.
    Uniform,
    Prequal(Box<Prequal>),
    Haproxy(Box<HaproxyBalancer>),
    Custom(Box<dyn Balance>),
}

/// Whom a pick is for: which list, what was tried, and when.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) list: PeerList,
    pub(super) tried: &'a [PeerId],
    pub(super) now: Nanos,
}

impl Ask<'_> {
    /// The test of `ngx_http_upstream_get_peer`.
    #[inline]
    fn allows(&self, peer: &Peer) -> bool {
        peer.is_available() && !self.tried.contains(&peer.id())
    }
}

impl Balancer {
    pub(super) fn new(algorithm: Algorithm, rules: &Rules) -> Self {
        match algorithm {
            Algorithm::Random if matches!(rules, Rules::Envoy(_)) => Self::Uniform,
            Algorithm::RoundRobin => Self::RoundRobin,
            Algorithm::LeastConn => Self::LeastConn,
            Algorithm::Random => Self::Random(Ranges::default()),
            Algorithm::RandomTwo => Self::RandomTwo(Ranges::default()),
            Algorithm::IpHash => Self::IpHash(Ranges::default()),
            Algorithm::Hash => Self::Hash(Ranges::default()),
            Algorithm::ConsistentHash(config) => {
                let by_shuffle = matches!(rules, Rules::Envoy(_));
                Self::ConsistentHash(Box::new(ConsistentHash::new(config, by_shuffle)))
            }
            Algorithm::Maglev(config) => Self::Maglev(Box::new(Maglev::new(config))),
            Algorithm::Own(policy) => Self::Custom((policy.make)()),
            Algorithm::RoundRobinEdf => Self::RoundRobinEdf(Schedules::default()),
            Algorithm::LeastRequest(config) => Self::LeastRequest(LeastRequest::new(config)),
            Algorithm::PeakEwma(config) => Self::PeakEwma(PeakEwmaTwo::new(config)),
            Algorithm::Prequal(config) => Self::Prequal(Box::new(Prequal::new(config))),
            Algorithm::Haproxy(algorithm) => {
                Self::Haproxy(Box::new(HaproxyBalancer::new(algorithm)))
            }
        }
    }

    /// The order of the algorithms that look at nothing but the rows of the peers, and hear of
    /// nothing; `None` for any other.
    pub(super) const fn order(&self) -> Option<Order> {
        match self {
            Self::LeastConn => Some(Order::ByLoad),
            Self::RoundRobin => Some(Order::InTurn),
            _ => None,
        }
    }

    /// Chooses a peer. `draws` counts the fruitless draws of this request.
    #[inline]
    pub(super) fn pick(
        &mut self,
        peers: &mut Peers,
        ask: Ask<'_>,
        request: &RequestFacts,
        draws: &mut u8,
        draw: Draw,
    ) -> Option<PeerId> {
        if !matches!(self, Self::Custom(_)) && peers.is_single() {
            return only(peers, ask);
        }
        match self {
            Self::RoundRobin => smooth_weighted::pick(peers, ask),
            Self::LeastConn => least_conn::pick(peers, ask),
            Self::Random(ranges) => random::pick(peers, ask, ranges, draws, draw),
            Self::RandomTwo(ranges) => random_two::pick(peers, ask, ranges, draws, draw),
            Self::IpHash(ranges) => ip_hash::pick(peers, ask, ranges, request.key, draws),
            Self::Hash(ranges) => hash::pick(peers, ask, ranges, request.key, draws),
            Self::ConsistentHash(rings) => rings.pick(peers, ask, request.key, draws),
            Self::Maglev(tables) => tables.pick(peers, ask, request.key, draws),
            Self::RoundRobinEdf(schedules) => schedules.pick_in_turn(peers, ask, draw),
            Self::LeastRequest(policy) => policy.pick(peers, ask, draw),
            Self::PeakEwma(policy) => policy.pick(peers, ask, draw),
            Self::Uniform => uniform::any(peers, ask, draw),
            Self::Prequal(policy) => policy.pick(peers, ask, draw),
            Self::Haproxy(policy) => {
                policy.pick(peers, ask.list, Judge::Eligible(ask), request.key, draw)
            }
            Self::Custom(policy) => ask_own(policy.as_mut(), peers, ask, request, draw),
        }
    }

    /// How many peers a pick draws before it looks at anything else, if all goes well. None for those
    /// that mostly serve under Envoy's rules, where the first draw is for the priority.
    const fn draws(&self) -> u32 {
        match self {
            Self::Random(_) => 1,
            Self::RandomTwo(_) | Self::PeakEwma(_) => 2,
            _ => 0,
        }
    }

    /// Whether [`Self::foresee`] has anything to tell.
    pub(super) const fn foresees(&self) -> bool {
        self.draws() > 0
    }

    /// Tells `see` of the primaries that a pick will draw, if all goes well. Nothing is read of them.
    #[inline]
    pub(super) fn foresee(
        &self,
        peers: &Peers,
        mut draw: Draw,
        mut see: impl FnMut(PeerId, &Peer),
    ) {
        let list = peers.list(PeerList::Primaries);
        for _ in 0..self.draws() {
            let drawn = match self {
                Self::Random(ranges) | Self::RandomTwo(ranges) => {
                    ranges.draw(peers, PeerList::Primaries, &mut draw)
                }
                _ => list.get(draw.below(list.len() as u64) as usize).copied(),
            };
            if let Some(id) = drawn
                && let Some(peer) = peers.get(id)
            {
                see(id, peer);
            }
        }
    }

    #[inline]
    pub(super) fn started(&mut self, peers: &Peers, peer: PeerId, now: Nanos) {
        match self {
            Self::ConsistentHash(rings) => rings.started(peer),
            Self::Custom(policy) => policy.started(peers, peer, now),
            Self::PeakEwma(policy) => policy.started(peer),
            Self::Haproxy(policy) => policy.started(peers, peer),
            _ => {}
        }
    }

    #[inline]
    pub(super) fn finished(
        &mut self,
        peers: &Peers,
        peer: PeerId,
        now: Nanos,
        took: Span,
        failed: bool,
    ) {
        match self {
            Self::ConsistentHash(rings) => rings.finished(peer),
            Self::Custom(policy) => policy.finished(peers, peer, now, took, failed),
            Self::PeakEwma(policy) => policy.finished(peer, now, took),
            Self::Haproxy(policy) => policy.finished(peers, peer),
            _ => {}
        }
    }

    pub(super) fn peers_changed(&mut self, peers: &Peers, now: Nanos) {
        match self {
            Self::Random(ranges)
            | Self::RandomTwo(ranges)
            | Self::IpHash(ranges)
            | Self::Hash(ranges) => ranges.rebuild(peers),
            Self::ConsistentHash(rings) => rings.peers_changed(peers, now),
            Self::Maglev(tables) => tables.peers_changed(peers, now),
            Self::RoundRobinEdf(schedules) => schedules.peers_changed(peers),
            Self::LeastRequest(policy) => policy.peers_changed(peers),
            Self::PeakEwma(policy) => policy.peers_changed(peers, now),
            Self::Prequal(policy) => policy.peers_changed(peers),
            Self::Haproxy(policy) => policy.peers_changed(peers),
            Self::Custom(policy) => policy.peers_changed(peers, now),
            Self::RoundRobin | Self::LeastConn | Self::Uniform => {}
        }
    }

    /// The number of a peer that left is a new peer's now, of which it knows nothing; `active` of
    /// the old one's requests have yet to end.
    pub(super) fn forget(&mut self, peer: PeerId, active: u32, now: Nanos) {
        match self {
            Self::PeakEwma(policy) => policy.forget(peer, active, now),
            Self::Prequal(policy) => policy.forget(peer),
            Self::Haproxy(policy) => policy.forget(peer),
            _ => {}
        }
    }

    /// Whether it asks peers for their load, and so has wishes of its own.
    #[inline]
    pub(super) const fn probes_load(&self) -> bool {
        matches!(self, Self::Prequal(_))
    }

    /// The next peer to be asked for its load.
    pub(super) fn next_probe(&mut self) -> Option<PeerId> {
        match self {
            Self::Prequal(policy) => policy.next_probe(),
            _ => None,
        }
    }

    /// When it wants to be woken, if ever.
    pub(super) fn next_timeout(&self) -> Option<Nanos> {
        match self {
            Self::Prequal(policy) => Some(policy.next_timeout()),
            _ => None,
        }
    }

    pub(super) fn handle_timeout(&mut self, peers: &Peers, now: Nanos) {
        if let Self::Prequal(policy) = self {
            policy.handle_timeout(peers, now);
        }
    }

    pub(super) fn load_reported(&mut self, peer: PeerId, load: LoadReport, now: Nanos) {
        if let Self::Prequal(policy) = self {
            policy.load_reported(peer, load, now);
        }
    }
}

/// A group of one leaves no choice.
#[cold]
fn only(peers: &Peers, ask: Ask<'_>) -> Option<PeerId> {
    peers.list(ask.list).iter().copied().find(|id| peers.eligible(*id, ask.tried, ask.now))
}

/// Asks a policy of one's own. Not inlined, as its arguments are taken by reference and would
/// otherwise live in memory for the built-in algorithms too.
#[inline(never)]
fn ask_own(
    policy: &mut dyn Balance,
    peers: &Peers,
    ask: Ask<'_>,
    request: &RequestFacts,
    mut draw: Draw,
) -> Option<PeerId> {
    let candidates = Candidates::new(peers, ask.list, ask.tried, ask.now);
    policy.pick(&candidates, request, &mut draw).filter(|id| candidates.contains(*id))
}

/// The first choice for a request among the primaries, if it can be made at sight. `None` settles
/// nothing: [`Balancer::pick`] must be asked.
#[inline(always)]
pub(super) fn pick_at_sight(order: Order, peers: &mut Peers) -> Option<PeerId> {
    let rows = peers.roster(PeerList::Primaries).whole_rows()?;
    match order {
        Order::ByLoad => least_conn::pick_whole(rows),
        Order::InTurn => smooth_weighted::pick_whole(rows),
    }
}

impl fmt::Debug for Balancer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RoundRobin => "RoundRobin",
            Self::LeastConn => "LeastConn",
            Self::Random(_) => "Random",
            Self::RandomTwo(_) => "RandomTwo",
            Self::IpHash(_) => "IpHash",
            Self::Hash(_) => "Hash",
            Self::ConsistentHash(_) => "ConsistentHash",
            Self::Maglev(_) => "Maglev",
            Self::RoundRobinEdf(_) => "RoundRobinEdf",
            Self::LeastRequest(_) => "LeastRequest",
            Self::PeakEwma(_) => "PeakEwma",
            Self::Uniform => "Uniform",
            Self::Prequal(_) => "Prequal",
            Self::Haproxy(_) => "Haproxy",
            Self::Custom(_) => "Custom",
        })
    }
}
