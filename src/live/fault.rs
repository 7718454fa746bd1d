//! Faults of the live world, and their proof: what was observed before, during and after each.
//!
//! A fault that did not bite makes the measurement invalid, so nothing is taken on trust: a crash
//! must refuse connections, a hang must leave the process stopped, injected errors must have been
//! counted by the backend that gave them.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use hyper::Method;
use serde::{Deserialize, Serialize};

use super::drain::Drained;
use super::engine::{Order, Sight};
use super::provider::Instance;
use super::sample::Sampler;
use super::world::{BackendEndpoint, LiveError, LiveOptions, Stack};
use crate::backend::fault::{FaultReport, FaultState};
use crate::host::call::{self, CallError};
use crate::host::clock;
use crate::policy::PeerState;
use crate::record::{EventKind, EventRow};
use crate::scenario::Scenario;
use crate::traffic::{Fault, FaultKind};
use crate::units::{Nanos, Span, World};

/// A probe without an answer after this shows that nobody answers.
const PROBE_LIMIT: Duration = Duration::from_millis(400);
/// What is asked for to see whether a backend answers: a health check would use up one of the
/// draws that decide which checks fail.
const PROBED: &str = "/metrics";
/// An order that is not obeyed by then has failed.
const ORDER_LIMIT: Duration = Duration::from_secs(2);

/// What was observed of one fault at one backend.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FaultProof {
    /// The fault's name.
    pub fault: String,
    /// The backend's name.
    pub target: String,
    /// Before it.
    pub before: String,
    /// While it lasted.
    pub during: String,
    /// After it.
    pub after: String,
    /// Whether it had its effect, and the effect ended.
    pub bit: bool,
}

/// One fault at one backend while it is being proved.
#[derive(Debug, Default)]
struct Watch {
    before: String,
    during: String,
    after: String,
    bit: bool,
    healed: bool,
    /// Of a drain that no balancer shows.
    drained: Option<Drained>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    Begin,
    /// In the middle: look whether it bites.
    Look,
    End,
}

/// Carries the scenario's faults out.
pub(super) struct FaultDriver {
    faults: Vec<Fault>,
    names: Vec<String>,
    // Sorted latest first, so that the next one is popped from the end.
    timeline: Vec<(Nanos, Edge, usize)>,
    watches: Vec<Vec<Watch>>,
    crashed: Vec<usize>,
    // Backends that an autoscaler starts and stops: it replaces those that a fault kills.
    scaled: Range<usize>,
    // What is injected into each backend now: faults of different kinds may overlap.
    injected: Vec<FaultState>,
    events: Vec<EventRow>,
    options: LiveOptions,
}

impl FaultDriver {
    pub(super) fn new(scenario: &Scenario, options: &LiveOptions) -> Self {
        let mut timeline = Vec::new();
        for (index, fault) in scenario.faults.iter().enumerate() {
            let length = fault.until.since(fault.at);
            timeline.push((fault.at, Edge::Begin, index));
            timeline.push((fault.at + length / 4, Edge::Look, index));
            timeline.push((fault.until, Edge::End, index));
        }
        timeline.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
        let watches = scenario
            .faults
            .iter()
            .map(|fault| fault.targets.iter().map(|_| Watch::default()).collect())
            .collect();
        Self {
            faults: scenario.faults.clone(),
            names: scenario.backends.iter().map(|backend| backend.name.clone()).collect(),
            timeline,
            watches,
            crashed: Vec::new(),
            scaled: scenario.autoscaler.as_ref().map_or(0..0, |scaler| scaler.slots.clone()),
            injected: vec![FaultState::default(); scenario.backends.len()],
            events: Vec::new(),
            options: options.clone(),
        }
    }

    /// When something is to be done next, since zero.
    pub(super) fn next_at(&self) -> Option<Nanos> {
        self.timeline.last().map(|(at, ..)| *at)
    }

    /// Whether the end of this backend is no reason to end the run: it is down on purpose, or
    /// somebody else sees to it.
    pub(super) fn may_end(&self, backend: usize) -> bool {
        self.crashed.contains(&backend) || self.scaled.contains(&backend)
    }

    /// Does what is next in the timeline.
    pub(super) async fn act(
        &mut self,
        scenario: &Scenario,
        stack: &mut Stack,
        sampler: &Sampler,
        zero: Nanos,
    ) -> Result<(), LiveError> {
        let Some((_, edge, index)) = self.timeline.pop() else { return Ok(()) };
        let fault = self.faults[index].clone();
        let sight = stack.balancers.sight();
        for (place, &target) in fault.targets.iter().enumerate() {
            match edge {
                Edge::Begin => {
                    self.begin(&fault, scenario, target, stack, sampler).await?;
                    sampler.count_also(&stack.balancers.processes());
                    self.event(EventKind::FaultBegan, &fault, target, zero, describe(fault.kind));
                    if fault.kind == FaultKind::Crash && self.scaled.contains(&target) {
                        // Later another one is in its place.
                        self.observe(&fault, (index, place), target, stack, zero).await;
                    }
                }
                Edge::Look if fault.kind == FaultKind::Crash && self.scaled.contains(&target) => {}
                Edge::Look if fault.kind == FaultKind::Drain && sight.is_blind() => {
                    let control = stack.endpoints[target].control;
                    let before = Span(fault.at.0);
                    let watch = &mut self.watches[index][place];
                    match Drained::look(control, before).await {
                        Ok(seen) => watch.drained = Some(seen),
                        Err(error) => watch.during = error,
                    }
                }
                Edge::Look => {
                    self.observe(&fault, (index, place), target, stack, zero).await;
                }
                Edge::End => {
                    self.count(&fault, index, place, target, stack, zero).await;
                    self.end(&fault, scenario, target, stack, sampler).await?;
                    sampler.count_also(&stack.balancers.processes());
                    self.event(EventKind::FaultEnded, &fault, target, zero, String::new());
                }
            }
        }
        Ok(())
    }

    /// Looks whether a fault bites.
    async fn observe(
        &mut self,
        fault: &Fault,
        (index, place): (usize, usize),
        target: usize,
        stack: &Stack,
        zero: Nanos,
    ) {
        let Some(instance) = &stack.backends[target] else {
            "there was no such instance".clone_into(&mut self.watches[index][place].during);
            return;
        };
        let sight = stack.balancers.sight();
        let endpoint = stack.endpoints[target];
        let seen = look(fault, instance, endpoint, &sight, &self.names[target]).await;
        let watch = &mut self.watches[index][place];
        if let Some((bit, words)) = seen {
            watch.bit = bit;
            watch.during.clone_from(&words);
            self.event(EventKind::FaultObserved, fault, target, zero, words);
        }
    }

    /// The healthy state of every target.
    pub(super) async fn observe_before(&mut self, stack: &Stack) {
        for (index, fault) in self.faults.iter().enumerate() {
            for (place, &target) in fault.targets.iter().enumerate() {
                let (well, words) = wellness(stack, target).await;
                let watch = &mut self.watches[index][place];
                watch.before = words;
                watch.healed = well;
            }
        }
    }

    /// Whether the targets have recovered.
    pub(super) async fn observe_after(&mut self, stack: &Stack) {
        for (index, fault) in self.faults.iter().enumerate() {
            for (place, &target) in fault.targets.iter().enumerate() {
                let (well, words) = wellness(stack, target).await;
                let watch = &mut self.watches[index][place];
                watch.after = words;
                watch.healed &= well;
            }
        }
    }

    pub(super) fn take_events(&mut self) -> Vec<EventRow> {
        std::mem::take(&mut self.events)
    }

    pub(super) fn into_proofs(self) -> Vec<FaultProof> {
        let mut proofs = Vec::new();
        for (fault, watches) in self.faults.iter().zip(self.watches) {
            for (target, watch) in fault.targets.iter().zip(watches) {
                proofs.push(FaultProof {
                    fault: fault.name.clone(),
                    target: self.names[*target].clone(),
                    before: watch.before,
                    during: watch.during,
                    after: watch.after,
                    bit: watch.bit && watch.healed,
                });
            }
        }
        proofs
    }

    async fn begin(
        &mut self,
        fault: &Fault,
        scenario: &Scenario,
        target: usize,
        stack: &mut Stack,
        sampler: &Sampler,
    ) -> Result<(), LiveError> {
        match fault.kind {
            FaultKind::Drain => stack.balancers.order(scenario, target, Order::Drain).await?,
            kind => {
                if kind == FaultKind::Crash {
                    self.crashed.push(target);
                }
                let Some(instance) = &mut stack.backends[target] else { return Ok(()) };
                if instance.disturb(kind).await? {
                    if matches!(kind, FaultKind::Slow(_)) {
                        sampler.limited(target, true);
                    }
                    return Ok(());
                }
                inject(&mut self.injected[target], kind);
                self.order_backend(target, stack.endpoints[target].control).await?;
            }
        }
        Ok(())
    }

    async fn end(
        &mut self,
        fault: &Fault,
        scenario: &Scenario,
        target: usize,
        stack: &mut Stack,
        sampler: &Sampler,
    ) -> Result<(), LiveError> {
        let endpoint = stack.endpoints[target];
        match fault.kind {
            FaultKind::Crash if self.scaled.contains(&target) => {
                self.crashed.retain(|index| *index != target);
            }
            FaultKind::Crash => {
                let backend = &scenario.backends[target];
                let (provider, at) = (&stack.provider, endpoint.listen);
                let mut instance = provider.start(&self.options, backend, at, Span::ZERO).await?;
                let endpoint = instance.ready().await?;
                sampler.watched().moved(target, endpoint.control, endpoint.pid);
                stack.backends[target] = Some(instance);
                stack.endpoints[target] = endpoint;
                self.crashed.retain(|index| *index != target);
            }
            FaultKind::Drain => stack.balancers.order(scenario, target, Order::Resume).await?,
            kind => {
                let Some(instance) = &mut stack.backends[target] else { return Ok(()) };
                if instance.relieve(kind).await? {
                    if matches!(kind, FaultKind::Slow(_)) {
                        sampler.limited(target, stack.provider.limits_cpu());
                    }
                    return Ok(());
                }
                heal(&mut self.injected[target], kind);
                self.order_backend(target, endpoint.control).await?;
            }
        }
        Ok(())
    }

    /// At its end, what the backend has counted while the fault lasted.
    async fn count(
        &mut self,
        fault: &Fault,
        index: usize,
        place: usize,
        target: usize,
        stack: &Stack,
        zero: Nanos,
    ) {
        let watch = &mut self.watches[index][place];
        let control = stack.endpoints[target].control;
        let (bit, words) = match fault.kind {
            FaultKind::Crash | FaultKind::Hang | FaultKind::Partition => return,
            FaultKind::Drain => {
                let Some(seen) = watch.drained else { return };
                let length = fault.until.since(fault.at);
                seen.prove(control, Span(length.0 - length.0 / 4)).await
            }
            kind => match call::get(control, "/fault", PROBE_LIMIT).await {
                Ok(report) => counted(kind, &report),
                Err(error) => (false, error.to_string()),
            },
        };
        watch.bit = bit;
        watch.during.clone_from(&words);
        self.event(EventKind::FaultObserved, fault, target, zero, words);
    }

    async fn order_backend(&self, target: usize, control: SocketAddr) -> Result<(), LiveError> {
        let order = serde_json::to_value(self.injected[target]).expect("plain numbers are JSON");
        call::post(control, "/fault", Some(&order), ORDER_LIMIT).await.map_err(|error| {
            LiveError::Control { name: format!("backend {}", self.names[target]), error }
        })
    }

    fn event(&mut self, kind: EventKind, fault: &Fault, target: usize, zero: Nanos, words: String) {
        let row = EventRow {
            world: World::Live,
            replication: self.options.round,
            at_ns: clock::now().since(zero).0,
            kind,
            subject: fault.name.clone(),
            reason: if words.is_empty() {
                self.names[target].clone()
            } else {
                format!("{}: {words}", self.names[target])
            },
        };
        if let Some(board) = &self.options.board {
            board.event(&row);
        }
        self.events.push(row);
    }
}

fn describe(kind: FaultKind) -> String {
    match kind {
        FaultKind::Crash => "killed".to_owned(),
        FaultKind::Hang => "stopped".to_owned(),
        FaultKind::Slow(factor) => format!("service takes {factor} times as long"),
        FaultKind::ErrorRate(share) => format!("{share} of the requests get an error"),
        FaultKind::HealthFlap(share) => format!("{share} of the health checks fail"),
        FaultKind::Partition => "cut off from the network".to_owned(),
        FaultKind::Drain => "drained at the balancer".to_owned(),
    }
}

fn inject(state: &mut FaultState, kind: FaultKind) {
    match kind {
        FaultKind::Slow(factor) => state.slow = factor,
        FaultKind::ErrorRate(share) => state.error_rate = share.0,
        FaultKind::HealthFlap(share) => state.health_failure = Some(share.0),
        FaultKind::Partition => state.partition = true,
        FaultKind::Crash | FaultKind::Hang | FaultKind::Drain => {}
    }
}

fn heal(state: &mut FaultState, kind: FaultKind) {
    let well = FaultState::default();
    match kind {
        FaultKind::Slow(_) => state.slow = well.slow,
        FaultKind::ErrorRate(_) => state.error_rate = well.error_rate,
        FaultKind::HealthFlap(_) => state.health_failure = well.health_failure,
        FaultKind::Partition => state.partition = well.partition,
        FaultKind::Crash | FaultKind::Hang | FaultKind::Drain => {}
    }
}

/// Whether a fault that cuts a backend off can be seen from outside now; `None` for those that
/// are proved by counting.
async fn look(
    fault: &Fault,
    instance: &Instance,
    endpoint: BackendEndpoint,
    sight: &Sight,
    name: &str,
) -> Option<(bool, String)> {
    let probe = || call::call(endpoint.listen, Method::GET, PROBED, None, PROBE_LIMIT);
    match fault.kind {
        FaultKind::Crash => Some(match probe().await {
            Err(CallError::Connect(_, error)) => (true, format!("connecting: {error}")),
            other => (false, format!("expected a refused connection, saw {}", words(&other))),
        }),
        FaultKind::Hang => {
            let (stopped, state) = instance.is_hanging().await;
            let answer = probe().await;
            let silent = matches!(answer, Err(CallError::TimedOut(..)));
            Some((stopped && silent, format!("{state}, {}", words(&answer))))
        }
        FaultKind::Partition => {
            let answer = probe().await;
            Some((matches!(answer, Err(CallError::TimedOut(..))), words(&answer)))
        }
        FaultKind::Drain => {
            let views = sight.views().await;
            let draining = views.iter().all(|peers| {
                peers.iter().any(|peer| peer.name == name && peer.state == PeerState::Draining)
            });
            let word = if draining { "is draining" } else { "is not draining" };
            Some((draining, format!("{word} in the eyes of {} balancers", views.len())))
        }
        FaultKind::Slow(_) | FaultKind::ErrorRate(_) | FaultKind::HealthFlap(_) => None,
    }
}

fn words(answer: &Result<(u16, bytes::Bytes), CallError>) -> String {
    match answer {
        Ok((status, _)) => format!("status {status}"),
        Err(error) => error.to_string(),
    }
}

/// Whether a backend answers at all; one that is not there, as an autoscaler wants it, is well.
async fn wellness(stack: &Stack, target: usize) -> (bool, String) {
    if stack.backends[target].is_none() {
        return (true, "not there".to_owned());
    }
    let endpoint = stack.endpoints[target];
    let answer =
        call::call(endpoint.listen, Method::GET, PROBED, None, Duration::from_secs(1)).await;
    (answer.is_ok(), words(&answer))
}

/// What the backend has counted since its injected state last changed, and whether it shows the
/// fault.
fn counted(kind: FaultKind, report: &FaultReport) -> (bool, String) {
    let counts = &report.counts;
    match kind {
        FaultKind::Slow(factor) => {
            let ratio = report.service_ratio.unwrap_or(1.0);
            // Half the effect must show: timers add a little, and the rest is rounding.
            let bit = counts.served > 0 && (ratio - 1.0) / (factor - 1.0) > 0.5;
            (bit, format!("{} served in {ratio:.2} times the time asked for", counts.served))
        }
        FaultKind::ErrorRate(_) => (
            counts.errors_injected > 0,
            format!("{} errors in {} requests", counts.errors_injected, counts.requests),
        ),
        FaultKind::HealthFlap(_) => (
            counts.health_failed > 0,
            format!("{} of {} health checks failed", counts.health_failed, counts.health_checks),
        ),
        FaultKind::Crash | FaultKind::Hang | FaultKind::Partition | FaultKind::Drain => {
            (false, String::new())
        }
    }
}
