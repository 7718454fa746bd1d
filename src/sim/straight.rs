//! The straight way of a request: admitted at once, sent at once to a backend that is in order,
//! which says at once when it will answer. Nearly every request of nearly every run goes this way,
//! so it is written in one piece, and its flight is kept in short ([`Plain`]). The outcome is that of
//! the steps in `request` and `attempt`, to which every other case goes.

use super::ahead::Planned;
use super::flight::{Due, Flight, Phase};
use super::flights::Found;
use super::observe::Observe;
use super::plain::Plain;
use super::station::{Entry, Owner, Station, Work};
use super::world::World;
use crate::policy::{Admission, Detour, FirstAttempt, PeerId, RequestFacts, Rules};
use crate::record::{AttemptOutcome, AttemptRow, PickedBecause, RequestRow, Sink};
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

    /// A request is due now.
    #[inline(always)]
    pub(super) fn arrive(&mut self, planned: Planned<'_>) {
        let request = planned.request;
        let in_flight = self.flights.len();
        self.trend.sample(self.now, in_flight, self.counts.planned);
        self.counts.planned += 1;
        let number = self.view_of(request.id);
        if self.straight && in_flight < self.in_flight_cap {
            let view = &mut self.views[number as usize];
            // Read while the view is at hand. Of an arrival that goes straight on no wish can come but
            // from a machine that is restless: this one had none left, and is told nothing else.
            let (keeps_any, restless) = (view.pool.keeps_any(), view.restless);
            let first = match view.upstream.admit_at_sight(self.now) {
                Some(first) => first,
                None => match self.admit_at_once(request, number) {
                    Some(first) => first,
                    None => return,
                },
            };
            self.launch(planned, number, first, keeps_any);
            if restless {
                self.settle(number);
            }
        } else {
            self.arrive_otherwise(request, number);
            self.settle(number);
        }
    }

    /// The first attempt of a request, if the balancer settles at once where it goes.
    #[inline(never)]
    fn admit_at_once(&mut self, request: &Request, number: u32) -> Option<FirstAttempt> {
        let facts = self.facts(request);
        let upstream = &mut self.views[number as usize].upstream;
        let detour = match upstream.admit_at_once(self.now, &facts) {
            Ok(first) => {
                if let Some((id, peer)) = self.views[number as usize].upstream.leader() {
                    self.fetch(id, peer);
                }
                return Some(first);
            }
            Err(detour) => detour,
        };
        self.admit_otherwise(request, facts, number, detour);
        self.settle(number);
        None
    }

    /// Where a request goes that the balancer did not settle at once.
    #[inline(never)]
    fn admit_otherwise(
        &mut self,
        request: &Request,
        facts: RequestFacts,
        view: u32,
        detour: Detour,
    ) {
        let upstream = &mut self.views[view as usize].upstream;
        let admission = upstream.admit_otherwise(self.now, facts, detour);
        let slot = self.hold_over(request, view);
        match admission {
            Admission::Go(attempt) => self.try_peer(slot, attempt, PickedBecause::Picked),
            Admission::Wait(ticket) => self.wait_in_line(slot, ticket),
            Admission::Refused(refusal) => self.refuse(slot, refusal),
        }
    }

    /// Gives a request to the peer that was picked for it; `keeps_any` tells whether there may be a
    /// connection for it in the pool.
    #[inline(always)]
    fn launch(&mut self, planned: Planned<'_>, view: u32, first: FirstAttempt, keeps_any: bool) {
        let Planned { request, demand } = planned;
        let instance = &mut self.fleet[first.peer().index()];
        let demand = match demand {
            Some(demand) => demand,
            None => instance.demand(request.demand_word),
        };
        let service = instance.service(demand);
        match &mut instance.station {
            Station::Fifo(fifo) if instance.calm && fifo.is_plain() => {
                let served = fifo.serve(self.now, service);
                let slot = self.flights.reserve();
                self.keep_in_short(request, demand, slot, served, (view, first, keeps_any));
            }
            _ => self.launch_remembered(request, demand, service, (view, first, keeps_any)),
        }
    }

    /// Keeps a request in short that will be `served` from one instant to another.
    #[inline(always)]
    fn keep_in_short(
        &mut self,
        request: &Request,
        demand: Span,
        slot: u32,
        served: (Nanos, Nanos),
        (view, first, keeps_any): (u32, FirstAttempt, bool),
    ) {
        let (now, (start, end)) = (self.now, served);
        let reused = keeps_any && self.views[view as usize].pool.take(first.peer(), now);
        let (id, at, class) = (request.id, now, request.class);
        let plain = Plain { id, at, start, end, demand, first, view, class, reused };
        let plan = self.flights.launch(slot, plain);
        if self.patience.suffices(now, end) {
            self.queue.push(end, super::event::Event::Flight { slot, plan });
        } else {
            self.wait_impatiently(slot, end);
        }
    }

    /// Gives a request to a backend whose station must know whose work it has, or that is not in
    /// order.
    #[inline(never)]
    fn launch_remembered(
        &mut self,
        request: &Request,
        demand: Span,
        service: Span,
        (view, first, keeps_any): (u32, FirstAttempt, bool),
    ) {
        let now = self.now;
        let slot = self.flights.reserve();
        let owner = Owner { slot, number: 1, id: request.id };
        let work = Work { owner, service, fixed: Span::ZERO };
        let instance = &mut self.fleet[first.peer().index()];
        let served = match &mut instance.station {
            Station::Fifo(fifo) if instance.calm => fifo.enter(now, work),
            Station::Sharing(_) if instance.calm => {
                return self.launch_shared(request, demand, work, view, first);
            }
            _ => Entry::Full,
        };
        if let Entry::Known { start, end } = served {
            let how = (view, first, keeps_any);
            return self.keep_in_short(request, demand, slot, (start, end), how);
        }
        self.flights.give_back(slot);
        self.launch_otherwise(request, view, first);
    }

    /// The backend shares its workers among its requests: nobody knows yet when it will answer.
    #[inline(always)]
    fn launch_shared(
        &mut self,
        request: &Request,
        demand: Span,
        work: Work,
        view: u32,
        first: FirstAttempt,
    ) {
        let (now, peer) = (self.now, first.peer());
        let slot = work.owner.slot;
        let entry = self.fleet[peer.index()].station.enter(now, work);
        let flight = Flight {
            sent: now,
            connected: now,
            phase: if entry == Entry::Full { Phase::Sent } else { Phase::Served },
            attempt: Some(first.whole(self.facts(request), now)),
            reused: self.views[view as usize].pool.take(peer, now),
            read_deadline: now + self.patience.balancer,
            attempts: 1,
            upstream: peer.0,
            entered: now,
            demand,
            ..Flight::new(*request, now, self.patience.client, view)
        };
        self.flights.fill(slot, flight);
        if entry == Entry::Full { self.overflow(slot) } else { self.share(slot) }
    }

    /// The backend is not in order, or has no room: the attempt begins step by step, and may end at
    /// once.
    #[inline(never)]
    fn launch_otherwise(&mut self, request: &Request, view: u32, first: FirstAttempt) {
        let attempt = first.whole(self.facts(request), self.now);
        let slot = self.hold_over(request, view);
        self.try_peer(slot, attempt, PickedBecause::Picked);
        self.settle(view);
    }

    /// A time-out comes before the answer.
    #[inline(never)]
    fn wait_impatiently(&mut self, slot: u32, end: Nanos) {
        self.unfold(slot);
        self.plan(slot, end, Due::Head(super::attempt::SERVED));
    }

    /// Something is due for a flight, if `plan` is still its plan.
    #[inline(always)]
    pub(super) fn fly(&mut self, slot: u32, plan: u32) {
        match self.flights.find(slot, plan) {
            Found::Plain(plain) => {
                let plain = *plain;
                self.land(slot, plain);
            }
            Found::Whole => self.fly_otherwise(slot),
            Found::Nothing => {}
        }
    }

    /// The answer to a plain flight reaches the balancer, and with it the client.
    #[inline(always)]
    fn land(&mut self, slot: u32, plain: Plain) {
        let (now, number) = (self.now, plain.view);
        self.flights.land(slot);
        let view = &mut self.views[number as usize];
        view.upstream.passed(now, plain.first, plain.at);
        view.pool.put(plain.first.peer(), now);
        // Asked while the view is at hand: nothing below tells its machine anything.
        let quiet = view.upstream.is_quiet();
        let row = plain.row(self.replication, now);
        if S::ATTEMPTS || S::TIMELINE {
            self.note_attempt(&row, number, plain.at);
        }
        self.counts.attempts += 1;
        self.counts.add(row.status, row.attempts, row.error);
        self.sink.request(&row);
        if !self.turns.is_empty() {
            self.plan_turn_after((row.id >> 32) as u32, now);
        }
        if !quiet {
            self.settle(number);
        }
    }

    /// Makes the flight in a slot whole, if it is plain: whatever happens to it, but for its answer,
    /// begins with this.
    pub(super) fn unfold(&mut self, slot: u32) {
        let Some(plain) = self.flights.plain(slot).copied() else { return };
        let request = self.plan.again(plain.id, plain.at);
        let flight = plain.whole(request, self.facts(&request), self.patience);
        self.flights.fill(slot, flight);
    }

    /// The flights that try `peer`, all whole, in order of the beginning of their attempts.
    pub(super) fn trying(&mut self, peer: PeerId) -> Vec<u32> {
        self.flights.plain_at(peer).into_iter().for_each(|slot| self.unfold(slot));
        self.flights.trying(peer)
    }

    /// Records the attempt whose answer ended the request.
    fn note_attempt(&mut self, row: &RequestRow, view: u32, started: Nanos) {
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
                because: PickedBecause::Picked,
            });
        }
    }

    /// A slot for a request that was sent and does not go straight on.
    fn hold_over(&mut self, request: &Request, view: u32) -> u32 {
        let slot = self.flights.reserve();
        let flight = Flight::new(*request, self.now, self.patience.client, view);
        let (sent, phase) = (self.now, Phase::Moving);
        self.flights.fill(slot, Flight { sent, connected: sent, phase, ..flight });
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::super::observe::Nobody;
    use super::super::{Counts, Options};
    use super::*;
    use crate::record::EventRow;
    use crate::scenario::{Scenario, parse};
    use crate::traffic::Plan;
    use crate::units::Seed;

    #[derive(Default)]
    struct Rows(Vec<RequestRow>, Vec<AttemptRow>, Vec<EventRow>);

    impl Sink for Rows {
        const TIMELINE: bool = false;
        fn request(&mut self, row: &RequestRow) {
            self.0.push(*row);
        }
        fn attempt(&mut self, row: &AttemptRow) {
            self.1.push(*row);
        }
        fn event(&mut self, row: &EventRow) {
            self.2.push(row.clone());
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
        assert_eq!(straight.2, stepwise.2, "the events differ");
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
    fn it_is_the_way_of_all_steps_under_other_algorithms() {
        let traffic = "rate = \"100/s\"\nclient = { timeout = \"200ms\" }";
        for algorithm in ["round_robin", "random", "random_two", "least_request"] {
            check_with(algorithm, traffic, BACKENDS);
        }
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
