//! Why a peer was chosen, in words, for each algorithm.

use crate::policy::{
    Algorithm, Attempt, LeastRequestConfig, LoadFactor, Peer, PeerId, PeerState, Upstream,
};
use crate::units::{Nanos, Ratio};

/// The scores of the peers before a decision; everything else can be told from the state after.
#[derive(Clone, Debug, Default)]
pub(super) struct Before {
    scores: Vec<i64>,
}

impl Before {
    /// The present state.
    pub(super) fn of(upstream: &Upstream) -> Self {
        let peers = upstream.peers();
        let score = |id| peers.score(id) + i64::from(peers.effective_weight(id));
        Self { scores: (0..peers.count() as u32).map(PeerId).map(score).collect() }
    }

    /// Why `attempt` went where it went.
    pub(super) fn reason(
        &self,
        algorithm: Algorithm,
        upstream: &Upstream,
        now: Nanos,
        attempt: &Attempt,
    ) -> String {
        let scene = Scene::new(upstream, now, attempt);
        let chosen = &scene.chosen;
        if scene.candidates.len() == 1 && upstream.peer_count() > 1 {
            return format!("{chosen} is the only one that may be picked{}", scene.others);
        }
        if scene.candidates.len() <= 1 {
            return format!("{chosen} is the only peer");
        }
        let why = match algorithm {
            Algorithm::RoundRobin => {
                let (scores, won) = (self.scores(&scene, |_| true), self.won(&scene, |_| true));
                format!("round_robin: scores {scores}; {chosen} {won}")
            }
            Algorithm::LeastConn => self.least_conn(&scene),
            Algorithm::Random => {
                format!("random: {chosen} drawn by weight among {}", scene.list(weight))
            }
            Algorithm::RandomTwo => format!(
                "random_two: {} in flight by weight; of two drawn by weight {chosen} has no more \
                 than the other",
                scene.list(load)
            ),
            Algorithm::IpHash | Algorithm::Hash | Algorithm::Maglev(_) => {
                format!("{algorithm}: {} leads to {chosen}", key(attempt))
            }
            Algorithm::ConsistentHash(config) => match config.bounded_load {
                None => format!("{algorithm}: {} leads to {chosen}", key(attempt)),
                Some(LoadFactor(factor)) => format!(
                    "{algorithm}: {} leads to {chosen}, with at most {} of its share among {} in \
                     flight by weight",
                    key(attempt),
                    Ratio(f64::from(factor) / 10_000.0),
                    scene.list(load)
                ),
            },
            Algorithm::Own(policy) => {
                format!("{}: among {} in flight by weight", policy.name, scene.list(load))
            }
            Algorithm::RoundRobinEdf => {
                format!(
                    "round_robin_edf: {chosen} has the earliest deadline of {}",
                    scene.list(weight)
                )
            }
            Algorithm::LeastRequest(config) => {
                let among = match config {
                    LeastRequestConfig { full_scan: true, .. } => "all".to_owned(),
                    LeastRequestConfig { choices, .. } => format!("{choices} drawn"),
                };
                let loads = scene.list(load);
                format!(
                    "least_request: {loads} in flight by weight; {chosen} has the fewest of {among}"
                )
            }
            Algorithm::PeakEwma(_) => format!(
                "peak_ewma: {} in flight by weight; of two drawn {chosen} has the lower latency × \
                 (in flight + 1)",
                scene.list(load)
            ),
            Algorithm::Haproxy(haproxy) if haproxy.hashes() => {
                format!("{algorithm}: {} leads to {chosen}", key(attempt))
            }
            Algorithm::Haproxy(_) => {
                format!("{algorithm}: {} in flight by weight; {chosen} is next", scene.list(load))
            }
            Algorithm::Prequal(_) => format!(
                "prequal: {} in flight by weight; {chosen} is the best of the answers to load \
                 probes, or drawn if there are fewer than two",
                scene.list(load)
            ),
        };
        why + &scene.others
    }

    fn least_conn(&self, scene: &Scene<'_>) -> String {
        let chosen = &scene.chosen;
        let loads = scene.list(load);
        let least = scene.candidates.iter().find(|(peer, _)| peer.id() == scene.peer);
        let Some((best, conns)) = least else { return format!("least_conn: {loads}") };
        let tied = |peer: &Peer, other: u32| {
            u64::from(other) * u64::from(best.weight())
                == u64::from(*conns) * u64::from(peer.weight())
        };
        let ties = scene.candidates.iter().filter(|(peer, other)| tied(peer, *other)).count();
        if ties < 2 {
            return format!("least_conn: {loads} in flight by weight; {chosen} has the fewest");
        }
        let takes_part = |one: &(&Peer, u32)| tied(one.0, one.1);
        let (scores, won) = (self.scores(scene, takes_part), self.won(scene, takes_part));
        format!("least_conn: {loads} in flight by weight; a tie, scores {scores}: {chosen} {won}")
    }

    /// How the score of the chosen one compares.
    fn won(&self, scene: &Scene<'_>, takes_part: impl Fn(&(&Peer, u32)) -> bool) -> &'static str {
        let score = |id: PeerId| self.scores.get(id.index()).copied().unwrap_or_default();
        let highest = score(scene.peer);
        let equal = scene.candidates.iter().filter(|one| takes_part(one));
        match equal.filter(|(peer, _)| score(peer.id()) == highest).count() {
            0 | 1 => "has the highest",
            _ => "is the first of the highest",
        }
    }

    /// The scores as smooth weighted round robin compared them.
    fn scores(&self, scene: &Scene<'_>, takes_part: impl Fn(&(&Peer, u32)) -> bool) -> String {
        let scores = scene.candidates.iter().filter(|one| takes_part(one)).map(|(peer, _)| {
            let before = self.scores.get(peer.id().index()).copied().unwrap_or_default();
            format!("{} {before}", peer.name())
        });
        scores.collect::<Vec<_>>().join(", ")
    }
}

/// What a decision chose among.
struct Scene<'a> {
    peer: PeerId,
    chosen: String,
    /// Who might have been picked, with the requests in flight that the decision saw.
    candidates: Vec<(&'a Peer, u32)>,
    /// Who might not, and why not.
    others: String,
}

impl<'a> Scene<'a> {
    fn new(upstream: &'a Upstream, now: Nanos, attempt: &Attempt) -> Self {
        let peers = (0..upstream.peer_count() as u32).filter_map(|id| upstream.peer(PeerId(id)));
        let backup = upstream.peer(attempt.peer).is_some_and(|peer| peer.config.backup);
        let (mut candidates, mut others) = (Vec::new(), String::new());
        for peer in peers {
            let chosen = peer.id() == attempt.peer;
            let seen = peer.in_flight() - u32::from(chosen);
            let full = peer.config.max_conns != 0 && seen >= peer.config.max_conns;
            let excuse = if chosen {
                None
            } else if peer.config.backup && !backup {
                continue;
            } else if attempt.tried().contains(&peer.id()) {
                Some("was tried")
            } else if peer.state(now) != PeerState::Up {
                Some(state(peer.state(now)))
            } else if full {
                Some("full")
            } else if backup && !peer.config.backup {
                Some("not to be picked")
            } else {
                None
            };
            match excuse {
                None => candidates.push((peer, seen)),
                Some(excuse) => others += &format!("; {} {}", peer.name(), is(excuse)),
            }
        }
        Self { peer: attempt.peer, chosen: name(upstream, attempt.peer), candidates, others }
    }

    fn list(&self, show: impl Fn(&Peer, u32) -> String) -> String {
        let shown = self.candidates.iter().map(|(peer, seen)| show(peer, *seen));
        shown.collect::<Vec<_>>().join(", ")
    }
}

fn is(excuse: &str) -> String {
    if excuse.starts_with("was") { excuse.to_owned() } else { format!("is {excuse}") }
}

/// A request's key as it was digested; without one the hashing algorithms take turns by weight.
fn key(attempt: &Attempt) -> String {
    match attempt.facts.key {
        0 => "no key, so smooth weighted round robin".to_owned(),
        key => format!("key digest {key:x}"),
    }
}

fn load(peer: &Peer, in_flight: u32) -> String {
    format!("{} {in_flight}/{}", peer.name(), peer.weight())
}

fn weight(peer: &Peer, _: u32) -> String {
    format!("{} {}", peer.name(), peer.weight())
}

/// A peer's name.
pub(super) fn name(upstream: &Upstream, peer: PeerId) -> String {
    upstream.peer(peer).map_or_else(|| "nobody".to_owned(), |peer| peer.name().to_owned())
}

/// A peer's state as one says it.
pub(super) const fn state(state: PeerState) -> &'static str {
    match state {
        PeerState::Up => "up",
        PeerState::Failed => "out after failures",
        PeerState::Unhealthy => "out by its health checks",
        PeerState::Draining => "draining",
        PeerState::Down => "down",
        PeerState::Removed => "removed",
        PeerState::Ejected => "ejected as an outlier",
    }
}
