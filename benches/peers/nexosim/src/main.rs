//! The system of benches/sim.rs in NeXosim: a balancer and four servers, each a model of its own,
//! whose ports are joined; one thread. Prints requests per second and the mean latency in ms.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use nexosim::model::{Context, Model, schedulable};
use nexosim::ports::{EventSinkReader, Output, SinkState, event_queue};
use nexosim::simulation::{Mailbox, SimInit};
use nexosim::time::MonotonicTime;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, Exp1};
use serde::{Deserialize, Serialize};

const SERVERS: usize = 4;
const LOAD: f64 = 0.8;
const SERVICE_S: f64 = 0.010;

/// Draws that nobody saves.
#[derive(Serialize, Deserialize)]
struct Random {
    #[serde(skip, default = "unseeded")]
    words: Xoshiro256PlusPlus,
}

fn unseeded() -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(0)
}

impl Random {
    fn exponential(&mut self, mean_s: f64) -> Duration {
        let draw: f64 = Exp1.sample(&mut self.words);
        // An event cannot be scheduled for now.
        Duration::from_nanos(((mean_s * draw * 1e9) as u64).max(1))
    }
}

#[derive(Serialize, Deserialize)]
struct Balancer {
    servers: Vec<Output<MonotonicTime>>,
    in_flight: [u32; SERVERS],
    last: usize,
    to_come: u64,
    answered: u64,
    latency_ns: u64,
    random: Random,
    result: Output<f64>,
}

#[Model]
impl Balancer {
    #[nexosim(init)]
    async fn begin(&mut self, cx: &Context<Self>, _: &mut ()) {
        self.next(cx);
    }

    #[nexosim(schedulable)]
    async fn arrive(&mut self, _: (), cx: &Context<Self>) {
        let mut server = (self.last + 1) % SERVERS;
        for step in 2..=SERVERS {
            let other = (self.last + step) % SERVERS;
            if self.in_flight[other] < self.in_flight[server] {
                server = other;
            }
        }
        self.last = server;
        self.in_flight[server] += 1;
        self.to_come -= 1;
        if self.to_come > 0 {
            self.next(cx);
        }
        self.servers[server].send(cx.time()).await;
    }

    async fn done(&mut self, (server, latency_ns): (usize, u64)) {
        self.in_flight[server] -= 1;
        self.answered += 1;
        self.latency_ns += latency_ns;
        if self.to_come == 0 && self.in_flight == [0; SERVERS] {
            self.result.send(self.latency_ns as f64 / self.answered as f64 / 1e6).await;
        }
    }
}

impl Balancer {
    fn next(&mut self, cx: &Context<Self>) {
        let gap = self.random.exponential(SERVICE_S / (SERVERS as f64 * LOAD));
        cx.schedule_event(gap, schedulable!(Self::arrive), ()).expect("a gap is positive");
    }
}

#[derive(Serialize, Deserialize)]
struct Server {
    place: usize,
    /// When those present arrived; the first is being served.
    present: VecDeque<MonotonicTime>,
    random: Random,
    done: Output<(usize, u64)>,
}

#[Model]
impl Server {
    async fn take(&mut self, arrived: MonotonicTime, cx: &Context<Self>) {
        self.present.push_back(arrived);
        if self.present.len() == 1 {
            self.serve(cx);
        }
    }

    #[nexosim(schedulable)]
    async fn finish(&mut self, _: (), cx: &Context<Self>) {
        let arrived = self.present.pop_front().expect("one is served");
        let latency = cx.time().duration_since(arrived);
        if !self.present.is_empty() {
            self.serve(cx);
        }
        self.done.send((self.place, latency.as_nanos() as u64)).await;
    }
}

impl Server {
    fn serve(&mut self, cx: &Context<Self>) {
        let demand = self.random.exponential(SERVICE_S);
        cx.schedule_event(demand, schedulable!(Self::finish), ()).expect("a demand is positive");
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|text| text.parse().ok());
    let requests: u64 = arguments.next().unwrap_or(1_000_000);
    let seed: u64 = arguments.next().unwrap_or(1);
    let random =
        |number: u64| Random { words: Xoshiro256PlusPlus::seed_from_u64(seed * 100 + number) };

    let (sink, mut results) = event_queue(SinkState::Enabled);
    let mut balancer = Balancer {
        servers: (0..SERVERS).map(|_| Output::default()).collect(),
        in_flight: [0; SERVERS],
        last: 0,
        to_come: requests,
        answered: 0,
        latency_ns: 0,
        random: random(0),
        result: Output::default(),
    };
    balancer.result.connect_sink(sink);
    let desk = Mailbox::new();
    let mut bench = SimInit::with_num_threads(1);
    for place in 0..SERVERS {
        let mut server = Server {
            place,
            present: VecDeque::new(),
            random: random(1 + place as u64),
            done: Output::default(),
        };
        let mailbox = Mailbox::new();
        balancer.servers[place].connect(Server::take, &mailbox);
        server.done.connect(Balancer::done, &desk);
        bench = bench.add_model(server, mailbox, &format!("server {place}"));
    }
    let bench = bench.add_model(balancer, desk, "balancer");
    let mut simulation = bench.init(MonotonicTime::EPOCH).expect("the bench is whole");

    let begun = Instant::now();
    let mean_ms = loop {
        simulation.step().expect("the models cannot fail");
        if let Some(mean_ms) = results.try_read() {
            break mean_ms;
        }
    };
    println!("{} {mean_ms}", requests as f64 / begun.elapsed().as_secs_f64());
}
