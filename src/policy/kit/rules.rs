//! Long scripts of everything that can happen to a group, played twice.

use super::witness::Witness;
use super::{Broken, Kit};
use crate::policy::{
    Admission, Attempt, Next, Outcome, PeerChange, PeerConfig, PeerId, PeerList, PeerState,
    RetryConfig, Upstream,
};
use crate::units::{Draw, Nanos, Purpose, Seed, Span};

const SCRIPTS: u64 = 40;
const STEPS: u32 = 500;
pub(super) const ONLY_ELIGIBLE: &str = "chooses only who may be chosen";
pub(super) const SOMEBODY: &str = "chooses somebody whenever somebody may be chosen";
pub(super) const REPEATABLE: &str = "chooses the same again for the same seed";

/// Every choice is one that may be made, and the same again for the same seed.
pub(super) fn check(kit: &Kit) -> Result<(), Broken> {
    for script in 0..SCRIPTS {
        let picks = play(kit, script)?;
        if picks != play(kit, script)? {
            let what = format!("script {script} went otherwise the second time");
            return Err(kit.broken(REPEATABLE, what));
        }
    }
    Ok(())
}

/// What is played: the group, the requests under way, and the choices so far.
struct Play<'a> {
    kit: &'a Kit,
    upstream: Upstream,
    witness: Witness,
    draw: Draw,
    now: Nanos,
    id: u64,
    open: Vec<Attempt>,
    picks: Vec<PeerId>,
}

fn play(kit: &Kit, script: u64) -> Result<Vec<PeerId>, Broken> {
    let mut draw = Seed::new(script, 1).draw(Purpose::Resample, script, 0);
    let peers = (0..draw.below(7)).map(|number| peer(&mut draw, number)).collect();
    let (upstream, witness) = kit.group(peers, RetryConfig::default(), script);
    let (open, picks) = (Vec::new(), Vec::new());
    let mut play = Play { kit, upstream, witness, draw, now: Nanos::ZERO, id: 0, open, picks };
    for _ in 0..STEPS {
        play.step()?;
        while play.upstream.poll_event().is_some() {}
    }
    Ok(play.picks)
}

fn peer(draw: &mut Draw, number: u64) -> PeerConfig {
    PeerConfig {
        weight: 1 + draw.below(6) as u32,
        backup: draw.below(6) == 0,
        down: draw.below(10) == 0,
        max_conns: if draw.below(3) == 0 { 1 + draw.below(3) as u32 } else { 0 },
        max_fails: draw.below(3) as u32,
        fail_timeout: Span::from_secs(draw.below(3)),
        ..PeerConfig::new(format!("peer-{number}"))
    }
}

impl Play<'_> {
    fn step(&mut self) -> Result<(), Broken> {
        match self.draw.below(20) {
            0..8 => self.admit(),
            8..14 => self.finish(),
            14..17 => {
                self.now += Span::from_millis(self.draw.below(1500));
                Ok(())
            }
            17 => {
                let number = self.upstream.peer_count() as u64;
                let config = peer(&mut self.draw, number);
                self.change(PeerChange::Add(config))
            }
            _ => self.change_some(),
        }
    }

    fn admit(&mut self) -> Result<(), Broken> {
        let eligible = self.eligible(&[]);
        let request = self.kit.request(self.id);
        self.id += 1;
        match self.upstream.admit(self.now, request) {
            Admission::Go(attempt) => self.begun(attempt, &eligible),
            _ => self.nobody(&eligible),
        }
    }

    /// An attempt ends, in one case of four with a failure, which leads to another.
    fn finish(&mut self) -> Result<(), Broken> {
        if self.open.is_empty() {
            return Ok(());
        }
        let which = self.draw.below(self.open.len() as u64) as usize;
        let attempt = self.open.swap_remove(which);
        let failed = self.draw.below(4) == 0;
        let outcome = if failed { Outcome::ConnectFailed } else { Outcome::Responded };
        let mut tried = attempt.tried().to_vec();
        tried.push(attempt.peer);
        match self.upstream.finished(self.now, attempt, outcome) {
            Next::Retry(attempt) => {
                let eligible = self.eligible(&tried);
                self.begun(attempt, &eligible)
            }
            _ => self.complaint(),
        }
    }

    fn change_some(&mut self) -> Result<(), Broken> {
        let count = self.upstream.peer_count() as u64;
        if count == 0 {
            return Ok(());
        }
        let id = PeerId(self.draw.below(count) as u32);
        let change = match self.draw.below(4) {
            0 => PeerChange::Remove(id),
            1 => PeerChange::Drain(id),
            2 => PeerChange::Resume(id),
            _ => PeerChange::Weight(id, 1 + self.draw.below(6) as u32),
        };
        self.change(change)
    }

    fn change(&mut self, change: PeerChange) -> Result<(), Broken> {
        let _added = self.upstream.apply(self.now, change);
        self.complaint()
    }

    /// Who may be chosen, as the peers show it: primaries, or else backups.
    fn eligible(&self, tried: &[PeerId]) -> Vec<PeerId> {
        let peers = self.upstream.peers();
        let of = |list| -> Vec<PeerId> {
            let may = |id: &PeerId| {
                let up = |peer: &crate::policy::Peer| peer.state(self.now) == PeerState::Up;
                !tried.contains(id) && peers.get(*id).is_some_and(|p| up(p) && !p.is_full())
            };
            peers.list(list).iter().copied().filter(may).collect()
        };
        let primaries = of(PeerList::Primaries);
        if primaries.is_empty() { of(PeerList::Backups) } else { primaries }
    }

    fn begun(&mut self, attempt: Attempt, eligible: &[PeerId]) -> Result<(), Broken> {
        self.complaint()?;
        // A retry was begun already, and may have filled its peer or tested it.
        if attempt.number == 1 && !eligible.contains(&attempt.peer) {
            let what = format!("peer {} for request {}, of {eligible:?}", attempt.peer.0, self.id);
            return Err(self.kit.broken(ONLY_ELIGIBLE, what));
        }
        self.picks.push(attempt.peer);
        self.open.push(attempt);
        Ok(())
    }

    fn nobody(&self, eligible: &[PeerId]) -> Result<(), Broken> {
        self.complaint()?;
        if eligible.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> =
            eligible.iter().filter_map(|id| self.upstream.peer(*id)).map(|p| p.name()).collect();
        let what = format!("nobody for request {}, though {names:?} might", self.id - 1);
        Err(self.kit.broken(SOMEBODY, what))
    }

    fn complaint(&self) -> Result<(), Broken> {
        self.witness.complaint().map_or(Ok(()), |what| Err(self.kit.broken(ONLY_ELIGIBLE, what)))
    }
}
