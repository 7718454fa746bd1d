//! The decision core in the real world: [`Upstream`] behind one short lock, its timer, and the
//! requests that wait for their turn. Nothing is decided here.
//!
//! The lock is held for one call of the machine and never across an `await`. What a call sets
//! free (the turn of a waiting request) is delivered after the lock is released, since a turn for
//! a client that has gone calls back into the machine.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;
use tokio::sync::{Notify, oneshot};

use super::affinity;
use super::config::ProxyConfig;
use super::connect::Connector;
use super::endpoint::Endpoint;
use super::in_flight::InFlight;
use super::journal::Journal;
use super::load_probe;
use super::probe;
use super::tally::{Past, Tally};
use crate::host::clock;
use crate::host::timer::Timer;
use crate::policy::{
    ActiveHealthConfig, Admission, AffinityConfig, Attempt, Event, Forced, Head, LoadReport, Next,
    Outcome, Peer, PeerChange, PeerConfig, PeerId, PeerState, PeerToken, Refusal, RequestFacts,
    Ticket, Upstream, UpstreamConfig,
};
use crate::record::{AttemptOutcome, PickedBecause};
use crate::units::{Nanos, Seed, Span};

/// One view of the peers, shared by the workers that share it.
pub(super) struct Driver {
    state: Mutex<State>,
    /// Wakes [`Driver::run`] for an earlier deadline or a health check.
    wake: Notify,
    journal: Journal,
    health: Option<ActiveHealthConfig>,
    /// Time-out of load probes, for an algorithm that sends them.
    load_probes: Option<Span>,
    affinity: Option<AffinityConfig>,
    hedges: bool,
}

struct State {
    upstream: Upstream,
    /// Peer `i` at `i`.
    endpoints: Vec<Arc<Endpoint>>,
    waiting: HashMap<Ticket, Waiter>,
    /// Endpoints made so far.
    lines: u32,
    /// Those whose load probes have yet to be started.
    newcomers: Vec<Arc<Endpoint>>,
    /// Peers whose health check is due.
    probes: Vec<PeerId>,
    /// How they reach their peers.
    connector: Option<Arc<Connector>>,
    /// What [`Driver::run`] sleeps until.
    armed: Nanos,
    tally: Tally,
}

/// A request since it asked for a peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    pub(super) facts: RequestFacts,
    pub(super) admitted: Nanos,
}

struct Waiter {
    visit: Visit,
    turn: oneshot::Sender<Turn>,
}

type Turn = Result<InFlight, Refusal>;

/// What a call of the machine leads to.
pub(super) enum Step {
    /// Try this peer.
    Go(InFlight),
    /// Wait for a turn.
    Wait(Place),
    /// Answer the client with this.
    Refused(Refusal),
    /// Nothing more.
    Done,
}

impl Step {
    /// Waits for the turn if there is one to wait for. `None` when nothing is left to do.
    pub(super) async fn resolve(self) -> Result<Option<InFlight>, Refusal> {
        match self {
            Self::Go(in_flight) => Ok(Some(in_flight)),
            Self::Wait(place) => place.turn().await.map(Some),
            Self::Refused(refusal) => Err(refusal),
            Self::Done => Ok(None),
        }
    }
}

/// A place in the waiting line; dropping it leaves the line.
pub(super) struct Place {
    driver: Arc<Driver>,
    ticket: Ticket,
    turn: oneshot::Receiver<Turn>,
}

impl Place {
    async fn turn(mut self) -> Turn {
        // The driver keeps the sender until it sends, and this place keeps the driver.
        (&mut self.turn).await.unwrap_or_else(|_| unreachable!("a waiter left without an answer"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let ticket = self.ticket;
        // After a turn the ticket is unknown to both, and this does nothing. A turn that is on its
        // way is dropped with the receiver, which gives the attempt back.
        self.driver.with(|state| {
            state.waiting.remove(&ticket);
            state.upstream.abandon(clock::now(), ticket);
        });
    }
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("view", &self.journal.view).finish_non_exhaustive()
    }
}

impl Driver {
    pub(super) fn new(
        config: &UpstreamConfig,
        seed: Seed,
        addresses: &[SocketAddr],
        journal: Journal,
    ) -> Self {
        let endpoint = |((peer, address), id): ((&PeerConfig, &SocketAddr), u32)| {
            let endpoint = Endpoint::new(PeerId(id), PeerId(id), &peer.name, *address);
            if peer.absent {
                endpoint.remove();
            }
            Arc::new(endpoint)
        };
        let endpoints: Vec<_> = config.peers.iter().zip(addresses).zip(0..).map(endpoint).collect();
        let state = State {
            upstream: Upstream::new(config, seed),
            lines: endpoints.len() as u32,
            newcomers: endpoints.iter().filter(|e| !e.is_removed()).cloned().collect(),
            endpoints,
            waiting: HashMap::new(),
            probes: Vec::new(),
            connector: None,
            armed: Nanos::MAX,
            tally: Tally::default(),
        };
        Self {
            state: Mutex::new(state),
            wake: Notify::new(),
            journal,
            health: config.health.clone(),
            load_probes: config.algorithm.load_probe_timeout(),
            affinity: config.resilience.affinity.clone(),
            hedges: config.resilience.hedge.is_some(),
        }
    }

    /// From now on health checks reach their peers so.
    pub(super) fn check_with(&self, connector: &Arc<Connector>) {
        self.lock().connector = Some(Arc::clone(connector));
    }

    /// Session affinity, if there is any.
    pub(super) const fn affinity(&self) -> Option<&AffinityConfig> {
        self.affinity.as_ref()
    }

    /// Whether late requests get a second attempt.
    pub(super) const fn hedges(&self) -> bool {
        self.hedges
    }

    /// Where a request that came at `now` goes, which has shown the cookie of a session.
    pub(super) fn admit(
        self: &Arc<Self>,
        now: Nanos,
        facts: RequestFacts,
        shown: Option<PeerToken>,
    ) -> Step {
        let visit = Visit { facts, admitted: now };
        self.with(|state| {
            state.tally.requests += 1;
            let admission = match shown {
                None => state.upstream.admit(visit.admitted, facts),
                Some(_) => state.upstream.admit_session(visit.admitted, facts, shown),
            };
            match admission {
                Admission::Go(attempt) => self.go(state, visit, attempt, PickedBecause::Picked),
                Admission::Wait(ticket) => self.wait(state, visit, ticket),
                Admission::Refused(refusal) => self.refuse(state, visit, 0, refusal),
            }
        })
    }

    /// A response head arrived at `now`. `Err` means: pass it on, the attempt goes on.
    pub(super) fn head(
        self: &Arc<Self>,
        now: Nanos,
        visit: Visit,
        attempt: Attempt,
        status: u16,
        record: impl FnOnce(),
    ) -> Result<Step, Attempt> {
        let (peer, number) = (attempt.peer, attempt.number);
        let step = self.with(|state| match state.upstream.head(now, attempt, status) {
            Head::Pass(attempt) => Err(attempt),
            Head::Next(next) => {
                state.tally.attempt(peer.index(), AttemptOutcome::StatusRetried);
                Ok(self.next(state, visit, number, next))
            }
        })?;
        record();
        Ok(step)
    }

    /// The cookie for a client whose request `peer` answers, if it has not shown that one.
    pub(super) fn cookie(&self, peer: PeerId, shown: Option<PeerToken>) -> Option<String> {
        let config = self.affinity.as_ref()?;
        let token = self.lock().upstream.token_to_set(peer, shown)?;
        Some(affinity::line(config, token))
    }

    /// When a second attempt is to be asked for.
    pub(super) fn hedge_at(&self, attempt: &Attempt) -> Option<Nanos> {
        self.lock().upstream.hedge_at(attempt)
    }

    /// A second attempt beside `first`, if there is to be one.
    pub(super) fn hedge(self: &Arc<Self>, visit: Visit, first: &mut Attempt) -> Option<InFlight> {
        let step = self.with(|state| {
            let second = state.upstream.hedge(clock::now(), first)?;
            Some(self.go(state, visit, second, PickedBecause::Hedge))
        });
        match step {
            Some(Step::Go(in_flight)) => Some(in_flight),
            _ => None,
        }
    }

    /// A head answers one of two attempts: the attempt if it is passed on.
    pub(super) fn head_beside(
        self: &Arc<Self>,
        now: Nanos,
        attempt: Attempt,
        status: u16,
        other: &mut Attempt,
    ) -> Option<Attempt> {
        let peer = attempt.peer;
        self.with(|state| {
            let passed = state.upstream.head_beside(now, attempt, status, other);
            if passed.is_none() {
                state.tally.attempt(peer.index(), AttemptOutcome::StatusRetried);
            }
            passed
        })
    }

    /// One of two attempts broke.
    pub(super) fn lost(
        self: &Arc<Self>,
        now: Nanos,
        attempt: Attempt,
        outcome: Outcome,
        other: &mut Attempt,
    ) {
        let peer = attempt.peer;
        self.with(|state| {
            state.tally.attempt(peer.index(), outcome.into());
            state.upstream.lost(now, attempt, outcome, other);
        });
    }

    /// The other of two attempts answered first.
    pub(super) fn superseded(self: &Arc<Self>, now: Nanos, attempt: Attempt) {
        let peer = attempt.peer;
        self.with(|state| {
            state.tally.attempt(peer.index(), AttemptOutcome::Superseded);
            state.upstream.superseded(now, attempt);
        });
    }

    /// An attempt ended at `now`.
    pub(super) fn finished(
        self: &Arc<Self>,
        now: Nanos,
        visit: Visit,
        attempt: Attempt,
        outcome: Outcome,
    ) -> Step {
        let (peer, number, started) = (attempt.peer, attempt.number, attempt.started);
        self.with(|state| {
            state.tally.attempt(peer.index(), outcome.into());
            if outcome == Outcome::Responded {
                state.tally.responded(peer.index(), now.since(started));
            }
            let next = state.upstream.finished(now, attempt, outcome);
            self.next(state, visit, number, next)
        })
    }

    fn next(self: &Arc<Self>, state: &mut State, visit: Visit, number: u16, next: Next) -> Step {
        match next {
            Next::Done => Step::Done,
            Next::Retry(attempt) => self.go(state, visit, attempt, PickedBecause::Retry),
            Next::Wait(ticket) => self.wait(state, visit, ticket),
            Next::Refused(refusal) => self.refuse(state, visit, number, refusal),
        }
    }

    fn go(
        self: &Arc<Self>,
        state: &State,
        visit: Visit,
        attempt: Attempt,
        because: PickedBecause,
    ) -> Step {
        let endpoint = Arc::clone(&state.endpoints[attempt.peer.index()]);
        Step::Go(InFlight::new(Arc::clone(self), visit, attempt, endpoint, because))
    }

    fn wait(self: &Arc<Self>, state: &mut State, visit: Visit, ticket: Ticket) -> Step {
        let (sender, turn) = oneshot::channel();
        state.waiting.insert(ticket, Waiter { visit, turn: sender });
        Step::Wait(Place { driver: Arc::clone(self), ticket, turn })
    }

    fn refuse(&self, state: &mut State, visit: Visit, number: u16, refusal: Refusal) -> Step {
        state.tally.refuse(refusal.reason);
        self.journal.refusal(visit, number, refusal);
        Step::Refused(refusal)
    }

    pub(super) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Calls the machine under the lock, then does what its events ask for.
    fn with<R>(self: &Arc<Self>, call: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = call(&mut state);
        let turns = self.collect(&mut state);
        let earlier = state.upstream.next_timeout().is_some_and(|at| at < state.armed);
        let wake = earlier || !state.probes.is_empty();
        drop(state);
        if wake {
            self.wake.notify_one();
        }
        for (waiter, turn) in turns {
            // A client that has gone drops the turn, which gives its attempt back.
            drop(waiter.send(turn));
        }
        result
    }

    fn collect(
        self: &Arc<Self>,
        state: &mut State,
    ) -> SmallVec<[(oneshot::Sender<Turn>, Turn); 1]> {
        let mut turns = SmallVec::new();
        while let Some(event) = state.upstream.poll_event() {
            match event {
                Event::Turn(ticket, attempt) => turns.extend(self.turn(state, ticket, attempt)),
                Event::Expired(ticket, refusal) => {
                    if let Some(waiter) = state.waiting.remove(&ticket) {
                        self.refuse(state, waiter.visit, 0, refusal);
                        turns.push((waiter.turn, Err(refusal)));
                    }
                }
                Event::ProbeDue(peer) => state.probes.push(peer),
                Event::LoadProbeDue(peer) => state.endpoints[peer.index()].want_load(),
                Event::RetryWithheld { id } => self.journal.retry_withheld(id),
                Event::Panic(begins) => self.journal.panic(begins),
                Event::Changed { peer, state: to, reason } => {
                    if to == PeerState::Removed {
                        state.endpoints[peer.index()].remove();
                    }
                    self.journal.change(&state.endpoints[peer.index()].name, to, reason);
                }
            }
        }
        turns
    }

    fn turn(
        self: &Arc<Self>,
        state: &mut State,
        ticket: Ticket,
        attempt: Attempt,
    ) -> Option<(oneshot::Sender<Turn>, Turn)> {
        let Some(waiter) = state.waiting.remove(&ticket) else {
            // Left the line in the same call: the attempt goes back as one nobody wanted.
            let next = state.upstream.finished(clock::now(), attempt, Outcome::ClientGone);
            debug_assert!(matches!(next, Next::Done));
            return None;
        };
        match self.go(state, waiter.visit, attempt, PickedBecause::Turn) {
            Step::Go(in_flight) => Some((waiter.turn, Ok(in_flight))),
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the machine's time pass and sends its health checks; runs until dropped.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub(super) async fn run(self: Arc<Self>) -> io::Result<()> {
        let mut timer = Timer::new()?;
        loop {
            self.probe_loads();
            self.with(|state| state.upstream.handle_timeout(clock::now()));
            let (probes, deadline) = self.arm();
            for peer in probes {
                self.probe(peer);
            }
            tokio::select! {
                () = self.wake.notified() => {}
                result = timer.until(deadline.unwrap_or(Nanos::MAX)), if deadline.is_some() => {
                    result?;
                }
            }
        }
    }

    fn arm(&self) -> (Vec<PeerId>, Option<Nanos>) {
        let mut state = self.lock();
        let deadline = state.upstream.next_timeout();
        state.armed = deadline.unwrap_or(Nanos::MAX);
        (std::mem::take(&mut state.probes), deadline)
    }

    fn probe(self: &Arc<Self>, peer: PeerId) {
        let Some(health) = self.health.clone() else { return };
        let driver = Arc::clone(self);
        let state = self.lock();
        let endpoint = Arc::clone(&state.endpoints[peer.index()]);
        let connector = state.connector.clone();
        drop(state);
        tokio::spawn(async move {
            let passed = match connector {
                Some(connector) => probe::passes(&endpoint, &health, &connector).await,
                None => false,
            };
            // One that has left meanwhile may have given its number to another.
            if !endpoint.is_removed() {
                driver.with(|state| state.upstream.probe_result(clock::now(), peer, passed));
            }
        });
    }

    /// Starts the load probes of peers that are new, if there are to be any.
    fn probe_loads(self: &Arc<Self>) {
        let newcomers = std::mem::take(&mut self.lock().newcomers);
        let Some(limit) = self.load_probes else { return };
        for endpoint in newcomers {
            tokio::spawn(load_probe::run(Arc::clone(self), endpoint, limit));
        }
    }

    /// A load probe was answered.
    pub(super) fn load_reported(self: &Arc<Self>, peer: PeerId, load: LoadReport) {
        self.with(|state| {
            state.tally.load_probes.answered += 1;
            state.upstream.load_probe_result(clock::now(), peer, load);
        });
    }

    /// A load probe brought nothing, since its answer was `late` or for another reason.
    pub(super) fn load_probe_lost(&self, late: bool) {
        let probes = &mut self.lock().tally.load_probes;
        *(if late { &mut probes.late } else { &mut probes.failed }) += 1;
    }

    /// Adds a peer at `address`.
    pub(super) fn add(self: &Arc<Self>, peer: PeerConfig, address: SocketAddr) {
        self.with(|state| state.add(clock::now(), peer, address));
        self.wake.notify_one();
    }

    /// Applies `change` to the peer called `name`; false if there is none.
    pub(super) fn change(
        self: &Arc<Self>,
        name: &str,
        change: impl FnOnce(PeerId) -> PeerChange,
    ) -> bool {
        self.with(|state| {
            let Some(endpoint) = state.named(name) else { return false };
            let change = change(endpoint.id);
            state.upstream.apply(clock::now(), change);
            true
        })
    }

    /// Every peer that has not left, for the admin interface.
    pub(super) fn peers(&self) -> Vec<PeerView> {
        let now = clock::now();
        let state = self.lock();
        state
            .endpoints
            .iter()
            .filter_map(|endpoint| {
                let peer = state.upstream.peer(endpoint.id)?;
                Some(PeerView {
                    endpoint: Arc::clone(endpoint),
                    state: peer.state(now),
                    weight: peer.weight(),
                    backup: peer.config.backup,
                    in_flight: peer.in_flight(),
                    fails: peer.fails(),
                    max_conns: peer.config.max_conns,
                    forced: peer.forced(),
                })
            })
            .filter(|peer| peer.state != PeerState::Removed)
            .collect()
    }

    /// Whether a peer of this name is in the group.
    pub(super) fn has(&self, name: &str) -> bool {
        self.lock().named(name).is_some()
    }

    /// The lines of the peers that have not left.
    pub(super) fn lines(&self) -> Vec<PeerId> {
        let state = self.lock();
        state.endpoints.iter().filter(|peer| !peer.is_removed()).map(|peer| peer.line).collect()
    }

    /// Requests that wait now.
    pub(super) fn waiting(&self) -> usize {
        self.lock().upstream.waiting()
    }

    /// Adds what was counted.
    pub(super) fn count_into(&self, past: &mut Past) {
        let state = self.lock();
        past.take_in(&state.tally, state.endpoints.iter().map(|endpoint| endpoint.name.as_str()));
        past.resilience += state.upstream.resilience_counts();
        if let Some(counts) = state.upstream.outlier_counts() {
            past.outlier += counts;
        }
    }

    /// Makes the peers those of a configuration: adds, removes and changes in place, all at once. A
    /// peer is the same if its name and address are. How many were changed.
    pub(super) fn align(self: &Arc<Self>, config: &ProxyConfig) -> usize {
        let peers = config.balancer.upstream.peers.iter().zip(config.addresses.iter().copied());
        let changes = self.with(|state| state.align(clock::now(), peers));
        self.wake.notify_one();
        changes
    }

    /// Nobody uses this view any longer: what still asks its peers something ends.
    pub(super) fn retire(&self) {
        self.lock().endpoints.iter().for_each(|endpoint| endpoint.remove());
    }

    /// Takes over what another view knows of the same peers: health, failures, drain.
    pub(super) fn inherit(self: &Arc<Self>, other: &Self) {
        let now = clock::now();
        let known: Vec<(Arc<Endpoint>, Peer)> = {
            let other = other.lock();
            let peer = |endpoint: &Arc<Endpoint>| other.upstream.peer(endpoint.id).cloned();
            let with_peer =
                |endpoint: &Arc<Endpoint>| Some((Arc::clone(endpoint), peer(endpoint)?));
            other.endpoints.iter().filter(|e| !e.is_removed()).filter_map(with_peer).collect()
        };
        self.with(|state| {
            let present = state.present();
            for (endpoint, peer) in &known {
                if let Some(id) = present.get(&(endpoint.name.clone(), endpoint.address)) {
                    state.upstream.inherit(now, *id, peer);
                }
            }
        });
    }
}

impl State {
    /// The peers that have not left, by name and address.
    fn present(&self) -> HashMap<(String, SocketAddr), PeerId> {
        let here = self.endpoints.iter().filter(|endpoint| !endpoint.is_removed());
        here.map(|endpoint| ((endpoint.name.clone(), endpoint.address), endpoint.id)).collect()
    }

    fn align<'a>(
        &mut self,
        now: Nanos,
        peers: impl Iterator<Item = (&'a PeerConfig, SocketAddr)>,
    ) -> usize {
        let mut leaving = self.present();
        let mut changes = 0;
        for (peer, address) in peers {
            if peer.absent {
                // Whether it is there is not for a configuration to say.
                leaving.remove(&(peer.name.clone(), address));
                continue;
            }
            let wanted = PeerConfig { weight: peer.weight.max(1), ..peer.clone() };
            match leaving.remove(&(peer.name.clone(), address)) {
                None => self.add(now, wanted, address),
                Some(id) if self.upstream.peer(id).is_some_and(|had| had.config != wanted) => {
                    self.upstream.apply(now, PeerChange::Configure(id, wanted));
                }
                Some(_) => continue,
            }
            changes += 1;
        }
        // Last, so that there is always somebody to pick.
        let mut leaving: Vec<PeerId> = leaving.into_values().collect();
        leaving.sort_unstable();
        for id in &leaving {
            self.upstream.apply(now, PeerChange::Remove(*id));
        }
        changes + leaving.len()
    }

    fn add(&mut self, now: Nanos, peer: PeerConfig, address: SocketAddr) {
        let id = self.upstream.number_of(&peer.name);
        // The endpoint comes first: events of the change already name it.
        let line = PeerId(self.lines);
        self.lines += 1;
        let endpoint = Arc::new(Endpoint::new(id, line, &peer.name, address));
        self.newcomers.push(Arc::clone(&endpoint));
        match self.endpoints.get_mut(id.index()) {
            Some(place) => *place = endpoint,
            None => self.endpoints.push(endpoint),
        }
        let added = self.upstream.apply(now, PeerChange::Add(peer));
        debug_assert_eq!(added, Some(id));
    }

    /// The peer of this name; of several, the one added last.
    fn named(&self, name: &str) -> Option<&Endpoint> {
        self.endpoints
            .iter()
            .rev()
            .map(AsRef::as_ref)
            .find(|endpoint| endpoint.name == name && !endpoint.is_removed())
    }
}

/// A peer as the admin interface shows it.
pub(super) struct PeerView {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) state: PeerState,
    pub(super) weight: u32,
    pub(super) backup: bool,
    pub(super) in_flight: u32,
    pub(super) fails: u32,
    /// 0 is no limit.
    pub(super) max_conns: u32,
    /// An operator's word on its health.
    pub(super) forced: Option<Forced>,
}
