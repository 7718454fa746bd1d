//! The straight way of a request: admitted at once, sent at once to a backend that is in order,
//! which says at once when it will answer. Nearly every request of nearly every run goes this way,
//! so it is written in one piece: the flight is built once, as it will stay until its departure.
//! The outcome is that of the steps in `request` and `attempt`, to which every other case goes.

use super::ahead::Planned;
use super::flight::{Due, Flight, Phase};
use super::observe::Observe;
use super::station::{Entry, Owner, Station, Work};
use super::world::World;
use crate::policy::{Admission, Attempt, Detour, Next, Rules};
use crate::record::{AttemptOutcome, AttemptRow, PickedBecause, RequestError, RequestRow, Sink};
use crate::traffic::Request;
use crate::units::{Nanos, Span, World as Which};

impl<S: Sink, O: Observe> World<'_, S, O> {
    /// Whether requests may go the straight way: nobody watches, nothing on the way costs
    /// anything, connections of the client are always to be had, services are as planned, and the
    /// balancer has no time-out but those that are known here.
    pub(super) const fn allows_straight(&self) -> bool {
        !O::WATCHES
            && !self.hops.cost_anything()
            && !self.client.is_followed()
            && self.options.driven.is_none()
            && self.sessions.is_none()
            && !self.hedges
            && !matches!(self.scenario.balancer.upstream.rules, Rules::Envoy(_))
    }

    /// A request is due.
    #[inline(always)]
    pub(super) fn arrive(&mut self, planned: Planned<'_>, scheduled: Nanos) {
        let request = planned.request;
        self.counts.planned += 1;
        let in_flight = self.flights.len();
        self.trend.sample(scheduled, in_flight);
        let view = self.view_of(request.id);
        if self.straight && in_flight < self.in_flight_cap {
            let facts = self.facts(request);
            match self.views[view as usize].upstream.admit_at_once(self.now, &facts) {
                Ok(attempt) => self.launch(planned, scheduled, view, attempt),
                Err(detour) => self.admit_otherwise(planned, scheduled, view, detour),
            }
        } else {
            self.arrive_otherwise(request, scheduled, view);
        }
        self.settle(view);
    }

    /// Where a request goes that the balancer did not settle at once.
    #[inline(never)]
    fn admit_otherwise(
        &mut self,
        planned: Planned<'_>,
        scheduled: Nanos,
        view: u32,
        detour: Detour,
    ) {
        let facts = self.facts(planned.request);
        match self.views[view as usize].upstream.admit_otherwise(self.now, facts, detour) {
            Admission::Go(attempt) => self.launch(planned, scheduled, view, attempt),
            Admission::Wait(ticket) => {
                let slot = self.hold_over(planned.request, scheduled, view);
                self.wait_in_line(slot, ticket);
            }
            Admission::Refused(refusal) => {
                let slot = self.hold_over(planned.request, scheduled, view);
                self.refuse(slot, refusal);
            }
        }
    }

    #[inline(always)]
    fn launch(&mut self, planned: Planned<'_>, scheduled: Nanos, view: u32, attempt: Attempt) {
        let Planned { request, demand } = planned;
        let now = self.now;
        let (peer, number) = (attempt.peer, attempt.number);
        let slot = self.flights.reserve();
        // First of all, while its fields are still in registers.
        self.flights[slot].attempt = Some(attempt);
        let instance = &mut self.fleet[peer.index()];
        let demand = match demand {
            Some(demand) => demand,
            None => instance.demand(request.demand_word),
        };
        let service = instance.service(demand);
        let (start, end, phase) = match &mut instance.station {
            Station::Fifo(fifo) if fifo.is_plain() && instance.calm => {
                let (start, end) = fifo.serve(now, service);
                (start, end, Phase::Served)
            }
            _ if !instance.calm => (now, Nanos::MAX, Phase::Moving),
            station => {
                let owner = Owner { slot, number, id: request.id };
                enter_other(station, now, Work { owner, service, fixed: Span::ZERO })
            }
        };
        let service = if end < Nanos::MAX { end.since(start) } else { Span::ZERO };
        let calm = instance.calm;
        let reused = calm && self.views[view as usize].pool.take(peer, now);
        let deadline = scheduled + self.scenario.traffic.client.timeout;
        let read_deadline = now + self.scenario.balancer.read_timeout;
        // Field by field, since the attempt is in place already.
        let flight = &mut self.flights[slot];
        let plan = flight.plan.wrapping_add(1);
        flight.request = *request;
        flight.scheduled = scheduled;
        flight.deadline = deadline;
        flight.sent = now;
        flight.connected = now;
        flight.leg = Span::ZERO;
        flight.view = view;
        flight.carried = 0;
        flight.attempts = number;
        flight.phase = phase;
        flight.due = Due::Head(super::attempt::SERVED);
        flight.plan = plan;
        flight.because = PickedBecause::Picked;
        flight.reused = reused;
        flight.read_deadline = read_deadline;
        flight.upstream = peer.0;
        flight.entered = now;
        flight.departs = end;
        flight.far_leg = Span::ZERO;
        flight.demand = demand;
        flight.queued = start.since(now);
        flight.service = service;
        if end <= deadline && end <= read_deadline && end < Nanos::MAX {
            self.queue.push(end, super::event::Event::Flight { slot, plan });
        } else {
            self.wait_otherwise(slot, end, phase);
        }
    }

    /// Something is due for a flight, if `plan` is still its plan.
    #[inline(always)]
    pub(super) fn fly(&mut self, slot: u32, plan: u32) {
        let flight = &mut self.flights[slot];
        if flight.plan != plan {
            return;
        }
        let cut = |world: &Self, peer: u32| world.fleet[peer as usize].cut_until > world.now;
        match flight.due {
            Due::Head(status) if self.straight => {
                let upstream = flight.upstream;
                if cut(self, upstream) { self.fly_otherwise(slot) } else { self.land(slot, status) }
            }
            _ => self.fly_otherwise(slot),
        }
    }

    /// A response reaches the balancer, and with it the client.
    #[inline(always)]
    fn land(&mut self, slot: u32, status: u16) {
        let now = self.now;
        let flight = &mut self.flights[slot];
        let Some(attempt) = &flight.attempt else { return };
        let (number, started, peer) = (flight.view, attempt.started, attempt.peer);
        let view = &mut self.views[number as usize];
        if let Some(next) = view.upstream.answered(now, &mut flight.attempt, status) {
            return self.go_round(slot, started, status, next);
        }
        view.pool.put(peer, now);
        let row = flight.row(self.replication, now, now, status, RequestError::None);
        flight.end();
        if S::ATTEMPTS || S::TIMELINE {
            let because = flight.because;
            self.note_attempt(&row, number, started, because);
        }
        self.counts.attempts += 1;
        self.counts.add(status, row.attempts, RequestError::None);
        self.sink.request(&row);
        self.flights.free(slot);
        if !self.turns.is_empty() {
            self.plan_turn_after((row.id >> 32) as u32, now);
        }
        self.settle(number);
    }

    /// The status led to another try.
    #[inline(never)]
    fn go_round(&mut self, slot: u32, started: Nanos, status: u16, next: Next) {
        self.flights[slot].phase = Phase::Moving;
        let view = self.flights[slot].view;
        self.attempt_ended(slot, started, AttemptOutcome::StatusRetried, status);
        self.follow(slot, next, PickedBecause::Retry);
        self.settle(view);
    }

    /// Records the attempt whose answer ended the request.
    fn note_attempt(&mut self, row: &RequestRow, view: u32, started: Nanos, why: PickedBecause) {
        if S::TIMELINE {
            let took = self.now.since(started);
            self.timeline.ended(row.upstream, took, row.status >= 500);
        }
        if S::ATTEMPTS {
            self.sink.attempt(&AttemptRow {
                world: Which::Sim,
                replication: self.replication,
                id: row.id,
                number: row.attempts,
                view: (view % self.serving) as u16,
                upstream: row.upstream,
                start_ns: started.0,
                end_ns: self.now.0,
                outcome: AttemptOutcome::Passed,
                status: row.status,
                because: why,
            });
        }
    }

    /// A slot for a request that was sent and does not go straight on.
    #[inline(never)]
    fn hold_over(&mut self, request: &Request, scheduled: Nanos, view: u32) -> u32 {
        let slot = self.flights.reserve();
        let timeout = self.scenario.traffic.client.timeout;
        let plan = self.flights[slot].plan;
        let flight = Flight::new(*request, scheduled, timeout, view, plan);
        let (sent, phase) = (self.now, Phase::Moving);
        self.flights[slot] = Flight { sent, connected: sent, phase, ..flight };
        slot
    }

    /// A launched flight that does not simply wait for a known departure.
    #[inline(never)]
    fn wait_otherwise(&mut self, slot: u32, end: Nanos, phase: Phase) {
        match phase {
            Phase::Moving => self.begin_again(slot),
            Phase::Sent => self.overflow(slot),
            _ if end == Nanos::MAX => self.share(slot),
            _ => self.plan(slot, end, Due::Head(super::attempt::SERVED)),
        }
    }

    /// The backend is not in order: the attempt begins step by step.
    fn begin_again(&mut self, slot: u32) {
        if let Some(attempt) = self.flights.take_attempt(slot) {
            self.try_peer(slot, attempt, PickedBecause::Picked);
        }
    }
}

/// A job enters a station that is not plain: when its service starts and ends, and where the
/// flight is then; without an end it shares the workers, or was refused.
#[inline(never)]
fn enter_other(station: &mut Station, now: Nanos, work: Work) -> (Nanos, Nanos, Phase) {
    match station.enter(now, work) {
        Entry::Known { start, end } => (start, end, Phase::Served),
        Entry::Shared => (now, Nanos::MAX, Phase::Served),
        Entry::Full => (now, Nanos::MAX, Phase::Sent),
    }
}

#[cfg(test)]
mod tests {
    use super::super::observe::Nobody;
    use super::super::{Counts, Options};
    use super::*;
    use crate::scenario::{Scenario, parse};
    use crate::traffic::Plan;
    use crate::units::Seed;

    #[derive(Default)]
    struct Rows(Vec<RequestRow>, Vec<AttemptRow>);

    impl Sink for Rows {
        const TIMELINE: bool = false;
        fn request(&mut self, row: &RequestRow) {
            self.0.push(*row);
        }
        fn attempt(&mut self, row: &AttemptRow) {
            self.1.push(*row);
        }
    }

    fn rows(scenario: &Scenario, straight: bool) -> (Rows, Counts) {
        let plan = Plan::new(&scenario.traffic, Seed::new(scenario.seed, 0), scenario.end());
        let (mut rows, mut nobody) = (Rows::default(), Nobody(None));
        let options = Options::default();
        let mut world = World::new(scenario, &plan, 0, &options, &mut rows, &mut nobody);
        assert!(world.straight, "the scenario allows the straight way");
        world.straight = straight;
        world.run();
        let counts = world.counts;
        (rows, counts)
    }

    fn check(traffic: &str, rest: &str) {
        check_with("least_conn", traffic, rest);
    }

    fn check_with(algorithm: &str, traffic: &str, rest: &str) {
        let text = format!(
            "schema_version = 1\n[scenario]\nduration = \"20s\"\n[traffic]\n{traffic}\n\
             [balancer]\nalgorithm = \"{algorithm}\"\n{rest}"
        );
        let scenario = parse(&text, "test.toml").unwrap_or_else(|problems| panic!("{problems}"));
        let (straight, counts) = rows(&scenario, true);
        let (stepwise, others) = rows(&scenario, false);
        assert_eq!(counts, others);
        assert!(counts.finished > 500);
        assert!(straight.0 == stepwise.0, "the requests differ");
        assert!(straight.1 == stepwise.1, "the attempts differ");
    }

    const BACKENDS: &str = "[[backend]]\nname = \"f\"\ncount = 2\nservice = { law = \
        \"exponential\", mean = \"30ms\" }\n[[backend]]\nname = \"p\"\ndiscipline = \"ps\"\n\
        workers = 2\nspeed = 0.7\nservice = { law = \"exponential\", mean = \"30ms\" }\n";

    #[test]
    fn it_is_the_way_of_all_steps_in_an_open_loop() {
        check("rate = \"100/s\"\nclient = { timeout = \"200ms\" }", BACKENDS);
    }

    #[test]
    fn it_is_the_way_of_all_steps_while_backends_are_asked_for_their_load() {
        let traffic = "rate = \"100/s\"\nclient = { timeout = \"200ms\" }";
        check_with("prequal", traffic, &format!("instances = 2\n{BACKENDS}"));
        check_with("peak_ewma", traffic, BACKENDS);
    }

    #[test]
    fn it_is_the_way_of_all_steps_in_a_closed_loop() {
        check("users = 9\nthink = { law = \"exponential\", mean = \"40ms\" }", BACKENDS);
    }

    #[test]
    fn it_is_the_way_of_all_steps_when_limits_are_met() {
        let limits = "queue_limit = 2\nmax_conns = 5\n";
        let backends = BACKENDS.replace("workers = 2\n", limits);
        let line = "read_timeout = \"150ms\"\nqueue = { length = 3, timeout = \"50ms\" }\n\
            retry = { on = [\"http_503\", \"timeout\"], tries = 2 }\n";
        let traffic = "rate = \"140/s\"\nclient = { timeout = \"300ms\", in_flight_cap = 12 }";
        check(traffic, &format!("{line}{backends}"));
    }

    #[test]
    fn it_is_the_way_of_all_steps_while_instances_come_and_go() {
        let backends = "[[backend]]\nname = \"s\"\nworkers = 2\nservice = { law = \
            \"exponential\", mean = \"30ms\" }\n";
        let autoscaler = "[autoscaler]\nmax = 5\npoll = \"1s\"\nscrape_interval = \"1s\"\n\
            rate_window = \"2s\"\nstart_up = \"1s\"\ndrain_timeout = \"50ms\"\n";
        let traffic = "rate = \"140/s\"\nclient = { timeout = \"1s\" }";
        for discipline in ["fifo", "ps"] {
            let backends = format!("{backends}discipline = \"{discipline}\"\n");
            check(traffic, &format!("{backends}{autoscaler}"));
        }
    }

    #[test]
    fn it_is_the_way_of_all_steps_while_faults_come_and_go() {
        let mut faults = String::new();
        for (place, kind) in ["crash", "hang", "partition", "drain"].iter().enumerate() {
            faults += &format!(
                "[[fault]]\nname = \"{kind}\"\nkind = \"{kind}\"\ntarget = \"f-1\"\n\
                 at = \"{}s\"\nfor = \"2s\"\n",
                2 + 4 * place
            );
        }
        let rest = "connect_timeout = \"200ms\"\nread_timeout = \"300ms\"\n";
        let traffic = "rate = \"60/s\"\nclient = { timeout = \"1s\" }";
        check(traffic, &format!("{rest}{BACKENDS}{faults}"));
    }
}
