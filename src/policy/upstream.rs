//! One upstream group as ONE machine: peers, balancer, health, limits and retry joined.
//!
//! The caller owns the clock, the sockets and the timers. It asks [`Upstream::admit`] where a
//! request goes, reports what became of the attempt, wakes the machine at
//! [`Upstream::next_timeout`] (too early or twice does no harm), and acts on what
//! [`Upstream::poll_event`] hands out.

use std::collections::VecDeque;

use super::affinity::Tokens;
pub use super::attempt::{
    Admission, Attempt, Detour, FirstAttempt, Head, Next, RequestFacts, Ticket,
};
use super::attempt::{Progress, SoFar};
use super::balance::{Algorithm, Balance, Balancer};
use super::envoy::{Envoy, as_host};
pub use super::event::{Event, PeerChange};
use super::group::{Group, Pick};
use super::haproxy::HaproxyBackend;
use super::health::active::{ActiveHealthConfig, CheckSchedule};
pub use super::limit::QueueConfig;
use super::limit::WaitingLine;
use super::load_report::LoadReport;
use super::outcome::{Outcome, Refusal, RefusalReason};
use super::peer::{Peer, PeerConfig, PeerId, PeerState};
use super::peers::{Effect, Peers};
use super::resilience::{Resilience, ResilienceConfig};
use super::retry::{RetryConfig, status_is_failure};
use super::rules::Rules;
use crate::units::{Nanos, Seed, Span};

/// An upstream group as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamConfig {
    /// The balancing algorithm.
    pub algorithm: Algorithm,
    /// Peers in configuration order; peer `i` gets [`PeerId`] `i`.
    pub peers: Vec<PeerConfig>,
    /// Retry on the next peer.
    pub retry: RetryConfig,
    /// Active health checks, if any.
    pub health: Option<ActiveHealthConfig>,
    /// The waiting line for when every peer is at its limit.
    pub queue: QueueConfig,
    /// What goes beyond NGINX.
    pub resilience: ResilienceConfig,
    /// Whose rules hold where the programs differ.
    pub rules: Rules,
}

impl UpstreamConfig {
    /// `peers` under `algorithm`, with NGINX's defaults for everything else: retry on errors and
    /// time-outs, no health checks, no waiting line.
    #[must_use]
    pub fn new(algorithm: Algorithm, peers: Vec<PeerConfig>) -> Self {
        Self {
            algorithm,
            peers,
            retry: RetryConfig::default(),
            health: None,
            queue: QueueConfig::default(),
            resilience: ResilienceConfig::default(),
            rules: Rules::default(),
        }
    }
}

/// The machine.
#[derive(Debug)]
pub struct Upstream {
    group: Group,
    retry: RetryConfig,
    checks: Option<Checks>,
    line: WaitingLine,
    /// When the line was last offered every free slot.
    line_served: Nanos,
    events: VecDeque<Event>,
    resilience: Option<Box<Resilience>>,
    tokens: Option<Box<Tokens>>,
    /// There are no health checks, no load probes and nothing beyond NGINX, by which it would want
    /// something by itself.
    is_calm: bool,
}

#[derive(Debug)]
struct Checks {
    rise: u32,
    fall: u32,
    interval: Span,
    schedule: CheckSchedule,
}

impl Upstream {
    /// Builds the group. `seed` addresses the draws of policies that draw.
    #[must_use]
    pub fn new(config: &UpstreamConfig, seed: Seed) -> Self {
        let balancer = Balancer::new(config.algorithm, &config.rules);
        Self::with_balancer(config, seed, balancer)
    }

    /// The same with a policy of one's own; `config.algorithm` is not used.
    #[must_use]
    pub fn with_policy(config: &UpstreamConfig, seed: Seed, policy: Box<dyn Balance>) -> Self {
        Self::with_balancer(config, seed, Balancer::Custom(policy))
    }

    fn with_balancer(config: &UpstreamConfig, seed: Seed, balancer: Balancer) -> Self {
        if let Rules::Envoy(rules) = &config.rules {
            return Self::under_envoy(config, rules, seed, balancer);
        }
        Self::build(config, None, seed, balancer)
    }

    fn build(
        config: &UpstreamConfig,
        envoy: Option<Envoy>,
        seed: Seed,
        balancer: Balancer,
    ) -> Self {
        let ResilienceConfig { slow_start, panic, .. } = config.resilience;
        let mut peers = Peers::new(&config.peers).with_rules(slow_start, panic);
        let (retry, haproxy) = haproxy::build(config, &peers);
        peers.limit_tries(retry.tries);
        let group = Group::new(peers, balancer, seed);
        let checks = config.health.as_ref().filter(|_| haproxy.is_none()).map(Checks::new);
        let resilience = Resilience::new(&config.resilience, envoy, haproxy, seed);
        let mut upstream = Self {
            is_calm: checks.is_none() && resilience.is_none() && !group.probes_load(),
            group,
            retry,
            checks,
            line: WaitingLine::new(config.queue),
            line_served: Nanos::ZERO,
            events: VecDeque::new(),
            resilience,
            tokens: config.resilience.affinity.as_ref().map(|a| Box::new(Tokens::new(&a.secret))),
        };
        (0..upstream.peer_count() as u32).for_each(|id| upstream.membership_changed(PeerId(id)));
        upstream.drain_weightless(config);
        upstream
    }

    /// Whether the peers at which picks look first are known beforehand: [`Self::foresee`] tells them.
    #[must_use]
    pub const fn foresees(&self) -> bool {
        self.group.foresees()
    }

    /// Tells `see` of the peers at which the first pick for request `id` will look first, if the
    /// algorithm draws them. For whoever wants to have at hand what will be read; nothing is decided.
    #[inline]
    pub fn foresee(&self, id: u64, see: impl FnMut(PeerId, &Peer)) {
        self.group.foresee(id, see);
    }

    /// The peer that is likely to be picked next, where picks of very many peers keep one at hand. As
    /// with [`Self::foresee`] nothing is decided.
    #[must_use]
    pub fn leader(&self) -> Option<(PeerId, &Peer)> {
        self.group.peers.leader()
    }

    /// Where a new request goes.
    #[inline(always)]
    pub fn admit(&mut self, now: Nanos, facts: RequestFacts) -> Admission {
        if let Some(first) = self.admit_at_sight(now) {
            return Admission::Go(first.whole(facts, now));
        }
        match self.admit_at_once(now, &facts) {
            Ok(first) => Admission::Go(first.whole(facts, now)),
            Err(detour) => self.admit_otherwise(now, facts, detour),
        }
    }

    /// The first step of [`Self::admit`]: all there is to it where the algorithm looks at nothing but its
    /// peers and these are all well. `None` settles nothing, and [`Self::admit_at_once`] must be
    /// asked. The steps are apart, and with small answers, since a large one goes through memory, which
    /// costs as much as a pick.
    #[inline(always)]
    pub fn admit_at_sight(&mut self, now: Nanos) -> Option<FirstAttempt> {
        if self.is_involved() {
            return None;
        }
        let tries = self.group.peers.tries();
        let peer = self.group.pick_at_sight(now)?;
        Some(self.group.begin_at_sight(now, peer, tries))
    }

    /// The second step of [`Self::admit`], which settles nearly every request that the first does not;
    /// what it cannot settle must go to [`Self::admit_otherwise`] at once.
    ///
    /// # Errors
    /// Says why it cannot.
    #[inline(always)]
    pub fn admit_at_once(
        &mut self,
        now: Nanos,
        facts: &RequestFacts,
    ) -> Result<FirstAttempt, Detour> {
        if self.is_involved() {
            return Err(Detour::Involved);
        }
        self.admit_plainly(now, facts)
    }

    #[inline(always)]
    fn is_involved(&self) -> bool {
        !self.line.is_empty() || self.resilience.is_some()
    }

    #[inline(always)]
    fn admit_plainly(&mut self, now: Nanos, facts: &RequestFacts) -> Result<FirstAttempt, Detour> {
        let tries = self.group.peers.tries();
        match self.group.pick(now, facts, 1, SoFar::NOWHERE) {
            Some(pick) => Ok(self.group.begin_first(now, pick, tries)),
            None => Err(Detour::NoPeer),
        }
    }

    /// Goes on where [`Self::admit_at_once`] left off.
    #[inline(never)]
    pub fn admit_otherwise(
        &mut self,
        now: Nanos,
        facts: RequestFacts,
        detour: Detour,
    ) -> Admission {
        if detour == Detour::Involved {
            // Nobody overtakes: a peer that returned since belongs to those who wait.
            self.serve_line(now);
            if let Some(resilience) = &mut self.resilience {
                if resilience.haproxy.is_some() {
                    return self.admit_at_haproxy(now, facts, None);
                }
                resilience.admitted(now);
                if resilience.envoy.is_some() {
                    return self.admit_as_envoy(now, &facts);
                }
            }
            if let Ok(first) = self.admit_plainly(now, &facts) {
                return Admission::Go(first.whole(facts, now));
            }
        }
        let tries = self.group.peers.tries();
        match self.wait_first(now, &facts, tries) {
            Ok(ticket) => Admission::Wait(ticket),
            Err(refusal) => Admission::Refused(refusal),
        }
    }

    /// A response head with `status` arrived: pass it on, or try the next peer?
    #[inline]
    pub fn head(&mut self, now: Nanos, attempt: Attempt, status: u16) -> Head {
        self.watch_head(now, &attempt, status);
        if self.acts_on_status(&attempt, status, now) && self.may_retry(now, &attempt.facts) {
            Head::Next(self.bad_status(now, attempt, status))
        } else {
            Head::Pass(attempt)
        }
    }

    /// A whole response with `status` arrived at once: [`Self::head`], and [`Self::finished`] if it
    /// is passed on. `None` means that it is; otherwise what follows. The attempt is taken out of
    /// where it is kept, and ended there where nothing follows: the usual case moves nothing.
    #[inline(always)]
    pub fn answered(
        &mut self,
        now: Nanos,
        kept: &mut Option<Attempt>,
        status: u16,
    ) -> Option<Next> {
        let attempt = kept.as_ref()?;
        self.watch_head(now, attempt, status);
        if self.acts_on_status(attempt, status, now) && self.may_retry(now, &attempt.facts) {
            return kept.take().map(|attempt| self.bad_status(now, attempt, status));
        }
        self.end(now, attempt, false);
        *kept = None;
        self.serve_line(now);
        None
    }

    /// The whole answer to an attempt that was given at sight or at once arrived at once, with a
    /// status below 400, which is always passed on: what [`Self::answered`] comes to then.
    #[inline(always)]
    pub fn passed(&mut self, now: Nanos, first: FirstAttempt, started: Nanos) {
        debug_assert!(self.resilience.is_none(), "then nothing is settled at once");
        self.end_plainly(now, first.peer(), started, false);
        self.serve_line(now);
    }

    #[inline(always)]
    fn acts_on_status(&self, attempt: &Attempt, status: u16, now: Nanos) -> bool {
        // The statuses that NGINX can list begin at 403, see `RetryConditions::statuses`; Envoy's
        // are not errors below 400 either.
        status >= 400 && self.lists_status(attempt, status, now)
    }

    #[cold]
    fn lists_status(&self, attempt: &Attempt, status: u16, now: Nanos) -> bool {
        match self.envoy() {
            Some(envoy) => envoy.retries_status(attempt, status, now),
            None => self.retry.acts_on_status(attempt, status, now),
        }
    }

    #[cold]
    fn bad_status(&mut self, now: Nanos, attempt: Attempt, status: u16) -> Next {
        if self.envoy().is_some() {
            return self.bad_status_as_envoy(now, attempt, status);
        }
        if self.is_haproxy() {
            return self.retry_at_haproxy(now, attempt, None);
        }
        self.end(now, &attempt, status_is_failure(status));
        let (facts, number) = (attempt.facts, next_number(&attempt));
        let next = self.go_on(now, &facts, number, self.group.after(attempt));
        self.serve_line(now);
        next
    }

    /// An attempt ended. After [`Head::Pass`] only [`Outcome::Responded`] and
    /// [`Outcome::ClientGone`] make sense: nothing is retried once the client has a head.
    #[inline]
    pub fn finished(&mut self, now: Nanos, attempt: Attempt, outcome: Outcome) -> Next {
        if outcome.is_failure() {
            return self.broke(now, attempt, outcome);
        }
        if self.resilience.is_some() && outcome == Outcome::ClientGone {
            self.doom_connection(attempt.peer);
        }
        self.end(now, &attempt, false);
        self.serve_line(now);
        Next::Done
    }

    /// A waiting request's client is gone. Unknown tickets are ignored. If the turn has come but
    /// the event was not yet polled, the event is taken back.
    pub fn abandon(&mut self, now: Nanos, ticket: Ticket) {
        if let Some(waiter) = self.line.leave(ticket) {
            self.gave_up(&waiter);
            // A policy of one's own may have kept the first in line waiting for a peer that those
            // behind do not want.
            self.serve_line(now);
            return;
        }
        if self.leave_pause(now, ticket) {
            return;
        }
        let waits = |event: &Event| matches!(event, Event::Turn(t, _) | Event::Expired(t, _) if *t == ticket);
        let Some(place) = self.events.iter().position(waits) else { return };
        if let Some(Event::Turn(_, attempt)) = self.events.remove(place) {
            let _ = self.finished(now, attempt, Outcome::ClientGone);
        }
    }

    /// The number that a peer of this name gets when it is added now.
    #[must_use]
    pub fn number_of(&self, name: &str) -> PeerId {
        let next = PeerId(self.peer_count() as u32);
        self.group.peers.left(name).unwrap_or(next)
    }

    /// Changes the peers; the id of an added one.
    pub fn apply(&mut self, now: Nanos, change: PeerChange) -> Option<PeerId> {
        let change = self.translated(change);
        let adds = matches!(change, PeerChange::Add(_));
        let late = self.resilience.as_ref().is_some_and(|r| r.envoy.is_some());
        let merges = matches!(change, PeerChange::Weight(..));
        let (change, max_conns) = if late { as_of_host(change) } else { (change, None) };
        let peers = &mut self.group.peers;
        let (id, reason, checked_at_once) = match change {
            PeerChange::Add(config) => {
                let (id, returns) = peers.add(config);
                if returns {
                    // What was kept under its number says nothing of it.
                    self.group.forget(now, id);
                }
                if let Some(backend) = self.haproxy_mut() {
                    backend.join(now, id);
                }
                (id, "added", true)
            }
            PeerChange::Remove(id) => {
                peers.remove(id);
                self.close_connections(id);
                (id, "removed", false)
            }
            PeerChange::Drain(id) => {
                peers.change(id, |peer| peer.drain(true));
                (id, "drained", false)
            }
            PeerChange::Resume(id) => {
                peers.change(id, |peer| peer.drain(false));
                (id, "resumed", false)
            }
            PeerChange::Weight(id, weight) => {
                peers.change(id, |peer| peer.set_weight(weight));
                (id, "weight changed", false)
            }
            PeerChange::Force(id, forced) => {
                peers.change(id, |peer| peer.force(forced));
                (id, "an operator's word", false)
            }
            PeerChange::Configure(id, config) => {
                let was_down = peers.get(id).is_some_and(|peer| peer.config.down);
                // One that was down fell out of the schedule of checks.
                let returns = was_down && !config.down;
                peers.configure(id, config);
                (id, "configured anew", returns)
            }
        };
        self.membership_changed(id);
        if let Some(limit) = max_conns {
            self.limit_connections(id, limit);
        }
        if late && adds {
            self.added_as_envoy(now, id);
        }
        self.report(now, id, reason);
        // Failures do not take out a peer that is alone, so that others may change too.
        for other in 0..self.peer_count() as u32 {
            self.report(now, PeerId(other), "the group changed size");
        }
        if late && merges {
            self.turned(now, id);
        } else {
            self.group_changed(now, id);
        }
        if checked_at_once {
            self.check_added(now, id);
        }
        self.serve_line(now);
        adds.then_some(id)
    }

    /// Takes over what another group knows of `peer`, the same server, as that of `id`: health,
    /// failures, an operator's word. What it has in flight there is not counted here.
    pub fn inherit(&mut self, now: Nanos, id: PeerId, peer: &Peer) {
        self.group.peers.change(id, |mine| mine.inherit(peer));
        self.group_changed(now, id);
    }

    /// A health check ended. Results for unknown or removed peers, or without health checks
    /// configured, are ignored.
    pub fn probe_result(&mut self, now: Nanos, peer: PeerId, passed: bool) {
        if self.is_haproxy() {
            return self.checked_by_haproxy(now, peer, passed);
        }
        let Some(Checks { rise, fall, .. }) = self.checks else { return };
        self.checked(now, peer, passed, rise, fall);
    }

    /// A health check was answered with a status that speaks against the peer: a failed check, and
    /// under Envoy's rules enough to take the peer out, whatever `fall` says, unless they are told
    /// to count it
    /// ([`EnvoyRules::retriable_statuses`](crate::policy::rules::EnvoyRules::retriable_statuses)).
    pub fn probe_answered_badly(&mut self, now: Nanos, peer: PeerId) {
        if self.is_haproxy() {
            return self.checked_by_haproxy(now, peer, false);
        }
        let Some(Checks { rise, fall, .. }) = self.checks else { return };
        let decides = self.envoy().is_some_and(|envoy| !envoy.rules.retriable_statuses);
        let fall = if decides { 1 } else { fall };
        self.checked(now, peer, false, rise, fall);
    }

    fn checked(&mut self, now: Nanos, peer: PeerId, passed: bool, rise: u32, fall: u32) {
        let returned = passed && self.check_returns(now, peer);
        let turned = self.group.peers.checked(peer, passed, rise, fall);
        if turned || returned {
            let failed = |peer: &Peer| peer.state(now) == PeerState::Failed;
            let reason = match passed {
                true if self.peer(peer).is_some_and(failed) => {
                    "health checks passed, but failed requests keep it out"
                }
                true => "health checks passed",
                false => "health checks failed",
            };
            self.report(now, peer, reason);
            if self.envoy().is_some() {
                if turned && passed {
                    self.group.peers.begin_slow_start(peer, now);
                }
                self.turned(now, peer);
            } else {
                self.peers_changed(now);
            }
            self.serve_line(now);
        }
    }

    /// The answer to a load probe ([`Event::LoadProbeDue`]) arrived. Of a probe that was lost or
    /// took longer than the policy allows, nothing is reported. Answers of unknown or removed
    /// peers, or to a policy that does not ask, are ignored.
    pub fn load_probe_result(&mut self, now: Nanos, peer: PeerId, load: LoadReport) {
        self.group.load_reported(now, peer, load);
    }

    /// When to call [`Self::handle_timeout`]; `None` while nothing is pending. With health checks
    /// or load probes it is at once until the first call, which starts them.
    #[must_use]
    #[inline]
    pub fn next_timeout(&self) -> Option<Nanos> {
        let mut next = self.checks.as_ref().and_then(|checks| checks.schedule.next());
        if self.group.probes_load() {
            next = earliest(next, self.group.next_timeout());
        }
        if let Some(resilience) = &self.resilience {
            next = earliest(next, resilience.next_timeout());
        }
        if self.line.is_empty() { next } else { earliest(next, self.next_in_line()) }
    }

    /// Lets time pass. Calling it early or twice is harmless.
    pub fn handle_timeout(&mut self, now: Nanos) {
        if let Some(checks) = &mut self.checks {
            let peers = &self.group.peers;
            let envoy = self.resilience.as_ref().and_then(|r| r.envoy.as_ref());
            // Envoy checks all at once at first.
            let width = if envoy.is_some() { Span::ZERO } else { checks.interval };
            let present = peers.iter().filter(|peer| !peer.is_removed()).map(Peer::id);
            checks.schedule.start(now, width, &present.collect::<Vec<_>>());
            let unused = envoy.filter(|envoy| !envoy.used);
            let interval = unused.map_or(checks.interval, |e| e.rules.no_traffic_interval);
            let wanted = |id| peers.get(id).is_some_and(Peer::is_checked);
            while let Some(peer) = checks.schedule.take_due(now, interval, wanted) {
                self.events.push_back(Event::ProbeDue(peer));
            }
        }
        self.group.handle_timeout(now);
        self.serve_line(now);
        self.let_resilience_pass(now);
    }

    /// The next thing to do or to know; `None` when there is nothing.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if event.is_none() && self.group.probes_load() {
            return self.group.next_load_probe().map(Event::LoadProbeDue);
        }
        event
    }

    /// Whether there is neither anything to poll nor anything to be woken for.
    #[must_use]
    #[inline]
    pub fn is_quiet(&self) -> bool {
        self.is_calm && self.events.is_empty() && self.line.is_empty()
    }

    /// A peer, for reports and `lab trace`.
    #[must_use]
    pub fn peer(&self, id: PeerId) -> Option<&Peer> {
        self.group.peers.get(id)
    }

    /// All peers, for reports and `lab trace`: read before a call to see what it decided on.
    #[must_use]
    pub const fn peers(&self) -> &Peers {
        &self.group.peers
    }

    /// How many peers were ever added.
    #[must_use]
    pub const fn peer_count(&self) -> usize {
        self.group.peers.count()
    }

    /// Requests waiting in the line.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let haproxy = self.haproxy().map_or(0, HaproxyBackend::waiting);
        self.line.len() + haproxy
    }

    /// Ends an attempt and reports what that did to its peer.
    #[inline]
    fn end(&mut self, now: Nanos, attempt: &Attempt, failed: bool) {
        if let Some(resilience) = &mut self.resilience {
            if resilience.haproxy.is_some() {
                return self.end_at_haproxy(now, attempt);
            }
            resilience.ended(attempt);
            if resilience.envoy.is_some() {
                return self.end_as_envoy(now, attempt, failed);
            }
        }
        self.end_plainly(now, attempt.peer, attempt.started, failed);
    }

    #[inline(always)]
    fn end_plainly(&mut self, now: Nanos, peer: PeerId, started: Nanos, failed: bool) {
        match self.group.end_at(now, peer, started, failed) {
            Effect::None => {}
            Effect::Failed => self.health_changed(now, peer, "too many failed requests"),
            Effect::Cleared => self.health_changed(now, peer, "a request succeeded again"),
        }
    }

    /// An attempt broke; what follows (`ngx_http_upstream_next`).
    #[cold]
    fn broke(&mut self, now: Nanos, attempt: Attempt, outcome: Outcome) -> Next {
        if self.envoy().is_some() {
            return self.broke_as_envoy(now, attempt, outcome);
        }
        if self.is_haproxy() {
            return self.broke_at_haproxy(now, attempt, outcome);
        }
        self.watch_outcome(now, &attempt, outcome);
        self.end(now, &attempt, true);
        let (facts, number) = (attempt.facts, next_number(&attempt));
        let repeatable = attempt.repeatable;
        let mut progress = self.group.after(attempt);
        if outcome == (Outcome::Closed { reused: true }) {
            // The peer may just have closed an idle connection: the try is given back.
            progress.tries += 1;
        }
        let next = if repeatable
            && self.retry.acts_on_outcome(&progress, facts.idempotent, outcome, now)
            && self.may_retry(now, &facts)
        {
            self.go_on(now, &facts, number, progress)
        } else if outcome.is_timeout() {
            Next::Refused(Refusal::new(RefusalReason::AttemptTimedOut))
        } else {
            Next::Refused(Refusal::new(RefusalReason::AttemptFailed))
        };
        self.serve_line(now);
        next
    }

    /// Begins a later attempt, or waits for it, or refuses the request.
    fn go_on(&mut self, now: Nanos, facts: &RequestFacts, number: u16, progress: Progress) -> Next {
        let progress = match self.pause(now, facts, number, progress) {
            Ok(ticket) => return Next::Wait(ticket),
            Err(progress) => progress,
        };
        match self.group.pick(now, facts, number, progress.so_far()) {
            Some(pick) => Next::Retry(self.group.begin(now, facts, number, pick, progress)),
            None => match self.wait(now, facts, number, progress) {
                Ok(ticket) => Next::Wait(ticket),
                Err(refusal) => {
                    self.retry_over();
                    Next::Refused(refusal)
                }
            },
        }
    }

    #[cold]
    fn wait_first(
        &mut self,
        now: Nanos,
        facts: &RequestFacts,
        tries: u32,
    ) -> Result<Ticket, Refusal> {
        self.wait(now, facts, 1, Progress::new(tries))
    }

    /// A place in the line if there is one, and if waiting can help.
    fn wait(
        &mut self,
        now: Nanos,
        facts: &RequestFacts,
        number: u16,
        progress: Progress,
    ) -> Result<Ticket, Refusal> {
        if !self.line.is_on() || !self.group.is_full_for(&progress, now) {
            return Err(Refusal::new(RefusalReason::NoLiveUpstream));
        }
        self.line_served = self.line_served.max(now);
        let ticket = self.line.join(now, *facts, number, progress);
        ticket.ok_or(Refusal::new(RefusalReason::QueueFull))
    }

    /// Lets those wait no longer whose time is over, then offers every free slot in order.
    #[inline]
    fn serve_line(&mut self, now: Nanos) {
        if !self.line.is_empty() {
            self.serve_waiting(now);
        }
    }

    fn serve_waiting(&mut self, now: Nanos) {
        self.line_served = self.line_served.max(now);
        while let Some(waiter) = self.line.expire(now) {
            let (ticket, refusal) = (waiter.ticket, Refusal::new(RefusalReason::QueueTimedOut));
            self.gave_up(&waiter);
            self.events.push_back(Event::Expired(ticket, refusal));
        }
        let mut place = 0;
        while let Some(waiter) = self.line.get(place) {
            let so_far = waiter.progress.so_far();
            match self.group.pick(now, &waiter.facts, waiter.number, so_far) {
                Some(pick) => self.give_turn(now, place, pick),
                // A request that has been nowhere takes any peer: there is none for those behind.
                None if waiter.progress.is_fresh() => return,
                None => place += 1,
            }
        }
    }

    fn give_turn(&mut self, now: Nanos, place: usize, pick: Pick) {
        let Some(waiter) = self.line.take(place) else { return };
        let attempt = self.group.begin(now, &waiter.facts, waiter.number, pick, waiter.progress);
        self.events.push_back(Event::Turn(waiter.ticket, attempt));
    }

    /// When the line needs a look: a wait gets too long, or a peer may be tested again.
    fn next_in_line(&self) -> Option<Nanos> {
        earliest(self.line.next_deadline(), self.group.next_test_after(self.line_served))
    }

    #[cold]
    fn health_changed(&mut self, now: Nanos, peer: PeerId, reason: &'static str) {
        let news = self.report(now, peer, reason);
        if self.envoy().is_some() {
            self.turned(now, peer);
        } else if news {
            self.peers_changed(now);
        }
    }

    /// Reports a peer's state if it is news.
    fn report(&mut self, now: Nanos, id: PeerId, reason: &'static str) -> bool {
        let news = self.group.peers.news(id);
        if let Some(state) = news {
            self.events.push_back(Event::Changed { peer: id, state, reason });
            if self.envoy().is_some() {
                // Envoy knows nothing of what picks have not been told, and a peer that was ejected
                // does not start slowly.
                return true;
            }
            if state == PeerState::Up && !self.is_haproxy() {
                self.group.peers.begin_slow_start(id, now);
            }
            if let Some(begins) = self.group.peers.reassess_panic() {
                self.events.push_back(Event::Panic(begins));
            }
        }
        news.is_some()
    }

    fn check_added(&mut self, now: Nanos, id: PeerId) {
        if let Some(checks) = &mut self.checks {
            checks.schedule.add(now, id);
        }
    }
}

impl Checks {
    fn new(config: &ActiveHealthConfig) -> Self {
        let ActiveHealthConfig { rise, fall, interval, .. } = *config;
        Self { rise, fall, interval, schedule: CheckSchedule::new() }
    }
}

/// The change as Envoy takes it, and the limit of connections that it brings.
fn as_of_host(change: PeerChange) -> (PeerChange, Option<u32>) {
    match change {
        PeerChange::Add(config) => {
            let limit = config.max_conns;
            (PeerChange::Add(as_host(config)), Some(limit))
        }
        PeerChange::Configure(id, config) => {
            let limit = config.max_conns;
            (PeerChange::Configure(id, as_host(config)), Some(limit))
        }
        change => (change, None),
    }
}

fn next_number(attempt: &Attempt) -> u16 {
    let last = if attempt.progress.hedged { attempt.number.max(2) } else { attempt.number };
    last.saturating_add(1)
}

fn earliest(one: Option<Nanos>, other: Option<Nanos>) -> Option<Nanos> {
    one.into_iter().chain(other).min()
}

mod envoy;
mod haproxy;
mod haproxy_servers;
mod hedging;
mod pausing;
mod sessions;
#[cfg(test)]
mod tests;
mod watching;
