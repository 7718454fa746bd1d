//! The modelled world: the state of one replication and the loop over what is due.

use super::ahead::Ahead;
use super::client::Client;
use super::event::Event;
use super::fleet::{self, Instance};
use super::flight::Due;
use super::flights::Flights;
use super::hop::Hops;
use super::load_probe::LoadProbes;
use super::observe::Observe;
use super::plain::Patience;
use super::queue::EventQueue;
use super::scale::Scaling;
use super::session::Sessions;
use super::timeline::Timeline;
use super::trend::Trend;
use super::view::View;
use super::{Counts, Options};
use crate::policy::RequestFacts;
use crate::record::Sink;
use crate::scenario::{PlannedKeys, Scenario};
use crate::traffic::{Plan, Request, Source};
use crate::units::{Nanos, Purpose, Seed};

/// One replication of the model.
pub(super) struct World<'a, S, O> {
    pub(super) scenario: &'a Scenario,
    pub(super) plan: &'a Plan,
    /// Requests may go the straight way.
    pub(super) straight: bool,
    /// Most requests in flight.
    pub(super) in_flight_cap: usize,
    pub(super) patience: Patience,
    pub(super) options: &'a Options<'a>,
    pub(super) replication: u32,
    pub(super) seed: Seed,
    pub(super) now: Nanos,
    pub(super) queue: EventQueue,
    pub(super) withdrawn: Withdrawn,
    pub(super) flights: Flights,
    pub(super) views: Vec<View>,
    /// How many of the views take requests; those behind belong to workers that were told to go.
    pub(super) serving: u32,
    pub(super) fleet: Vec<Instance<'a>>,
    pub(super) client: Client,
    pub(super) hops: Hops,
    pub(super) load_probes: LoadProbes,
    /// Whether a request of each class may be sent again once it was sent.
    pub(super) idempotent: Vec<bool>,
    /// The keys that requests carry, if the balancer looks at them.
    pub(super) keys: Option<PlannedKeys>,
    /// The next turn of each user of a closed loop.
    pub(super) turns: Vec<u32>,
    /// Cookies, where sessions stay with their peer.
    pub(super) sessions: Option<Sessions>,
    /// Who changes the number of instances, if anyone.
    pub(super) scaling: Option<Box<Scaling<'a>>>,
    /// Whether late requests get a second attempt.
    pub(super) hedges: bool,
    pub(super) timeline: Timeline,
    pub(super) trend: Trend,
    pub(super) counts: Counts,
    pub(super) sink: &'a mut S,
    pub(super) observer: &'a mut O,
}

/// When events would have been due that were withdrawn from the queue. A run ends with its last event,
/// void or not, so that its end does not depend on which of them had to be kept.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Withdrawn {
    /// The latest up to the end of the plan.
    in_time: Nanos,
    /// The latest of all.
    ever: Nanos,
}

impl Withdrawn {
    /// One that would have been due at `at` is withdrawn.
    pub(super) fn note(&mut self, at: Nanos, plan_end: Nanos) {
        self.ever = self.ever.max(at);
        if at <= plan_end {
            self.in_time = self.in_time.max(at);
        }
    }

    /// The latest that would have been taken from the queue: beyond the end of the plan only while a
    /// request was still in flight.
    const fn latest(&self, all_over: bool) -> Nanos {
        if all_over { self.in_time } else { self.ever }
    }
}

impl<'a, S: Sink, O: Observe> World<'a, S, O> {
    /// The world before its first event.
    pub(super) fn new(
        scenario: &'a Scenario,
        plan: &'a Plan,
        replication: u32,
        options: &'a Options<'a>,
        sink: &'a mut S,
        observer: &'a mut O,
    ) -> Self {
        let seed = plan.seed();
        let balancer = &scenario.balancer;
        let follows = fleet::connections_matter(scenario);
        let hops = Hops::new(&options.costs, seed);
        let mut world = Self {
            scenario,
            plan,
            straight: false,
            in_flight_cap: match scenario.traffic.client.in_flight_cap {
                0 => usize::MAX,
                cap => cap as usize,
            },
            patience: Patience::new(scenario.traffic.client.timeout, balancer.read_timeout),
            options,
            replication,
            seed,
            now: Nanos::ZERO,
            queue: EventQueue::new(),
            withdrawn: Withdrawn::default(),
            flights: Flights::new(),
            views: (0..balancer.views()).map(|_| View::new(balancer, seed, follows)).collect(),
            serving: balancer.views(),
            fleet: fleet::fleet(scenario, S::TIMELINE),
            client: Client::new(&scenario.traffic.client, hops.connections_cost()),
            hops,
            load_probes: LoadProbes::new(balancer.upstream.algorithm),
            idempotent: scenario.traffic.classes.iter().map(|class| class.idempotent()).collect(),
            keys: PlannedKeys::new(scenario),
            turns: Vec::new(),
            sessions: balancer.upstream.resilience.affinity.as_ref().map(Sessions::new),
            scaling: scenario.autoscaler.as_ref().map(|facts| Box::new(Scaling::new(facts, seed))),
            hedges: balancer.upstream.resilience.hedge.is_some(),
            timeline: Timeline::new(scenario.backends.len()),
            trend: Trend::new(scenario),
            counts: Counts::default(),
            sink,
            observer,
        };
        world.straight = world.allows_straight();
        world.plan_ahead();
        world
    }

    /// Puts what is known from the start into the queue.
    fn plan_ahead(&mut self) {
        for (number, fault) in self.scenario.faults.iter().enumerate() {
            self.queue.push(fault.at, Event::Fault(number as u32, true));
            self.queue.push(fault.until, Event::Fault(number as u32, false));
        }
        if S::TIMELINE {
            self.queue.push(Nanos::from_secs_f64(1.0), Event::Second);
        }
        self.plan_scaling();
        for view in 0..self.views.len() {
            self.settle(view as u32);
        }
        if let Source::Closed { users, .. } = self.scenario.traffic.source {
            self.turns = vec![0; users as usize];
            (0..users).for_each(|user| self.plan_turn(user));
        }
    }

    /// Runs to the end: every request is answered or given up, and the last fault of the planned
    /// time is over.
    pub(super) fn run(&mut self) {
        let plan = self.plan;
        let mut ahead = Ahead::new(plan.arrivals(), self.scenario);
        let foresees = self.foresees();
        while !self.observer.is_satisfied() && ahead.go_on() {
            if foresees {
                self.foresee(ahead.ids());
            }
            for planned in ahead.iter() {
                // An event of the same instant goes first: who leaves makes room for who comes.
                while !self.has_seen_enough() && self.queue.next_at() <= planned.request.at {
                    self.step();
                }
                if self.has_seen_enough() {
                    return self.finish();
                }
                self.now = planned.request.at;
                self.arrive(planned);
            }
        }
        while !self.observer.is_satisfied() && !self.is_over(self.queue.next_at()) && self.step() {}
        if !self.observer.is_satisfied() {
            self.now = self.now.max(self.withdrawn.latest(self.flights.len() == 0));
        }
        self.finish();
    }

    /// Whether an observer wants no more. Whoever watches nothing is asked once in many arrivals.
    #[inline(always)]
    fn has_seen_enough(&self) -> bool {
        O::WATCHES && self.observer.is_satisfied()
    }

    /// Does what is due next; whether there was anything.
    #[inline(always)]
    fn step(&mut self) -> bool {
        let Some((at, event)) = self.queue.pop() else { return false };
        debug_assert!(at >= self.now, "time never goes backwards");
        self.now = at;
        self.look_ahead();
        match event.flight() {
            Some((slot, plan)) => self.fly(slot, plan),
            None => self.handle(event.into()),
        }
        true
    }

    /// Closes what is still open: the last second of the timeline, and a request that nothing
    /// could end any more.
    fn finish(&mut self) {
        for slot in self.flights.all() {
            self.interrupt(slot);
        }
        if S::TIMELINE && self.timeline.has_ended() {
            self.end_second();
        }
    }

    fn is_over(&self, due: Nanos) -> bool {
        self.flights.len() == 0 && due > self.plan.end()
    }

    #[inline(never)]
    fn handle(&mut self, event: Event) {
        match event {
            Event::Flight { slot, plan } => self.fly(slot, plan),
            Event::Departure { backend, plan } => self.depart(backend, plan),
            Event::Fault(number, begins) => self.change_fault(number as usize, begins),
            Event::Wake(view) => self.wake(view),
            Event::Probe { view, backend, answered } => self.end_probe(view, backend, answered),
            Event::ConnectionFree { view, carried } => self.free_connection(view, carried),
            Event::User(user) => self.take_turn(user),
            Event::Second => self.end_second(),
            Event::Hedge { slot, brief } => self.hedge(slot, brief),
            Event::LoadProbe(slot) => self.go_on_probing(slot),
            Event::Scrape => self.scrape(),
            Event::Poll => self.poll(),
            Event::InstanceReady { slot, instance } => self.instance_ready(slot, instance),
            Event::InstanceLeaves { slot, instance } => self.instance_leaves(slot, instance),
        }
    }

    /// Does what is due for a flight, step by step.
    #[inline(never)]
    pub(super) fn fly_otherwise(&mut self, slot: u32) {
        self.unfold(slot);
        let flight = &mut self.flights[slot];
        let view = flight.view;
        match std::mem::replace(&mut flight.due, Due::Nothing) {
            Due::Head(status) => self.take_head(slot, status),
            Due::Nothing => {}
            Due::AtBalancer => self.admit(slot),
            Due::AtBackend => self.reach(slot),
            Due::Ends(outcome) => self.end_and_follow(slot, outcome),
            Due::GivesUp => self.give_up(slot),
        }
        self.settle(view);
    }

    /// Plans what happens to a flight next: `due` at `at`, unless a time-out comes before. Only
    /// the earliest is put into the queue, so a time-out that cannot fire costs nothing.
    pub(super) fn plan(&mut self, slot: u32, at: Nanos, due: Due) {
        let flight = &mut self.flights[slot];
        let (mut at, mut due) = (at, due);
        if flight.read_deadline < at {
            (at, due) = (flight.read_deadline, Due::Ends(crate::policy::Outcome::ReadTimedOut));
        }
        if flight.deadline < at {
            (at, due) = (flight.deadline, Due::GivesUp);
        }
        let before = std::mem::replace(&mut flight.due, due);
        if matches!(before, Due::GivesUp | Due::Ends(_)) {
            // A time-out that cannot fire any more would be in the queue for long.
            self.withdraw(Event::Flight { slot, plan: self.flights.plan_of(slot) });
        }
        let plan = self.flights.plan_anew(slot);
        if at < Nanos::MAX {
            self.queue.push(at, Event::Flight { slot, plan });
        }
    }

    /// Takes an event back that has become void.
    pub(super) fn withdraw(&mut self, event: Event) {
        if let Some(at) = self.queue.withdraw(event) {
            self.withdrawn.note(at, self.plan.end());
        }
    }

    /// What the balancer knows of a request.
    #[inline(always)]
    pub(super) fn facts(&self, request: &Request) -> RequestFacts {
        RequestFacts {
            id: request.id,
            key: match &self.keys {
                None => 0,
                Some(keys) => keys.digest(request.class, request.key),
            },
            idempotent: self.idempotent[request.class as usize],
        }
    }

    /// The view that request `id` reaches.
    #[inline]
    pub(super) fn view_of(&self, id: u64) -> u32 {
        if self.serving == 1 {
            return 0;
        }
        let word = self.seed.words(Purpose::View, id)[0];
        ((u128::from(word) * u128::from(self.serving)) >> 64) as u32
    }
}
