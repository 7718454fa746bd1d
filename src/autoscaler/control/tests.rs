//! The loop over a fleet, balancers and metrics that do as they are told: what is done, in which
//! order, and what is not.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::autoscaler::{BalancingError, FleetError, Health};
use crate::policy::backoff::BackoffConfig;
use crate::policy::scale::{Reading, ScaleConfig, Usage};
use crate::units::Seed;

const POLL: Span = Span::from_millis(50);

/// The world outside: what it is like, and what was done to it.
#[derive(Default)]
struct Outside {
    instances: Vec<Instance>,
    healthy: bool,
    usage: f64,
    in_flight: u64,
    fleet_is_gone: bool,
    starts_fail: bool,
    balancers_are_gone: bool,
    metrics_are_gone: bool,
    orders: Vec<String>,
    happened: Vec<Happening>,
}

type World = Rc<RefCell<Outside>>;

struct FakeFleet(World);
struct FakeBalancing(World);
struct FakeSource(World);

fn instance(slot: u32) -> Instance {
    let address = Some(SocketAddr::from(([127, 0, 0, 1], 9000 + slot as u16)));
    Instance { slot, state: InstanceState::Running, address, metrics: address, cpus: 1.0 }
}

impl Fleet for FakeFleet {
    async fn list(&mut self) -> Result<Vec<Instance>, FleetError> {
        let world = self.0.borrow();
        if world.fleet_is_gone {
            let (provider, reason) = ("Docker".to_owned(), "no such socket".to_owned());
            return Err(FleetError::Unreachable { provider, reason });
        }
        Ok(world.instances.clone())
    }

    /// The first one is always well.
    async fn health(&mut self, slot: u32) -> Health {
        match slot == 0 || self.0.borrow().healthy {
            true => Health::Passing,
            false => Health::Failing("503".to_owned()),
        }
    }

    async fn start(&mut self, slot: u32) -> Result<(), FleetError> {
        let mut world = self.0.borrow_mut();
        world.orders.push(format!("start {}", slot + 1));
        if world.starts_fail {
            let (order, reason) = (format!("start g-{}", slot + 1), "no such image".to_owned());
            return Err(FleetError::Refused { provider: "Docker".to_owned(), order, reason });
        }
        world.instances.retain(|instance| instance.slot != slot);
        world.instances.push(instance(slot));
        Ok(())
    }

    async fn stop(&mut self, slot: u32) -> Result<(), FleetError> {
        let mut world = self.0.borrow_mut();
        world.orders.push(format!("stop {}", slot + 1));
        world.instances.retain(|instance| instance.slot != slot);
        Ok(())
    }
}

impl FakeBalancing {
    fn order(&self, order: String) -> Result<(), BalancingError> {
        let mut world = self.0.borrow_mut();
        if world.balancers_are_gone {
            let (balancer, reason) = ("a".to_owned(), "refused".to_owned());
            return Err(BalancingError::Unreachable { balancer, reason });
        }
        world.orders.push(order);
        Ok(())
    }
}

impl Balancing for FakeBalancing {
    async fn add(&mut self, name: &str, _address: SocketAddr) -> Result<(), BalancingError> {
        self.order(format!("add {name}"))
    }

    async fn drain(&mut self, name: &str) -> Result<(), BalancingError> {
        self.order(format!("drain {name}"))
    }

    async fn in_flight(&mut self, _name: &str) -> Result<Option<u64>, BalancingError> {
        Ok(Some(self.0.borrow().in_flight))
    }

    async fn remove(&mut self, name: &str) -> Result<(), BalancingError> {
        self.order(format!("remove {name}"))
    }
}

impl Source for FakeSource {
    fn next_look(&self) -> Option<Nanos> {
        None
    }

    async fn look(&mut self, _at: Nanos, _instances: &[&Instance]) {}

    async fn readings(
        &mut self,
        at: Nanos,
        instances: &[&Instance],
    ) -> Vec<Result<Reading, MetricsError>> {
        let world = self.0.borrow();
        if world.metrics_are_gone {
            return vec![Err(MetricsError("Prometheus does not answer".to_owned()))];
        }
        let usage = Usage { value: world.usage, from: at, until: at };
        let usages = instances.iter().map(|instance| (instance.slot, usage)).collect();
        vec![Ok(Reading::Instances(usages))]
    }

    fn forget(&mut self, _slot: u32) {}
}

/// A group of one, which works at half of what it can.
fn calm() -> World {
    let instances = vec![instance(0)];
    Rc::new(RefCell::new(Outside { instances, healthy: true, usage: 0.5, ..Outside::default() }))
}

/// Runs the loop over a calm world while `script` plays, and gives what became of it.
async fn played(script: impl AsyncFnOnce(&World)) -> World {
    let world = calm();
    let backoff = BackoffConfig { base: Span::from_millis(40), max: Span::from_millis(400) };
    let scale = ScaleConfig { poll: POLL, backoff, ..ScaleConfig::new(1, 3) };
    let config = ControlConfig {
        group: "g".to_owned(),
        zero: clock::now(),
        step: Span::from_millis(10),
        start_limit: Span::from_millis(300),
        drain_timeout: Span::from_millis(500),
    };
    let log = {
        let world = Rc::clone(&world);
        move |_: Nanos, happening: &Happening| world.borrow_mut().happened.push(happening.clone())
    };
    let parts = (
        FakeFleet(Rc::clone(&world)),
        FakeBalancing(Rc::clone(&world)),
        FakeSource(Rc::clone(&world)),
    );
    let scaler = Scaler::new(scale, Seed::new(1, 0));
    let mut control = Control::new(config, scaler, parts, log, [0]);
    control.run(script(&world)).await;
    world
}

async fn millis(count: u64) {
    tokio::time::sleep(Duration::from_millis(count)).await;
}

fn orders(world: &World) -> Vec<String> {
    world.borrow().orders.clone()
}

fn decisions(world: &World) -> usize {
    let happened = &world.borrow().happened;
    happened.iter().filter(|one| matches!(one, Happening::Decided(_))).count()
}

/// Waits until `what` was ordered.
async fn ordered(world: &World, what: &str) {
    for _ in 0..300 {
        if world.borrow().orders.iter().any(|order| order == what) {
            return;
        }
        millis(10).await;
    }
    panic!("`{what}` was not ordered within 3 s: {:?}", orders(world));
}

#[tokio::test]
async fn an_instance_is_told_to_the_balancers_when_it_is_healthy_and_leaves_them_before_it_stops() {
    let world = played(async |world: &World| {
        world.borrow_mut().healthy = false;
        world.borrow_mut().usage = 0.9;
        ordered(world, "start 2").await;
        world.borrow_mut().usage = 0.5;
        millis(100).await;
        assert_eq!(orders(world), ["start 2"], "it is not healthy yet");
        world.borrow_mut().healthy = true;
        ordered(world, "add g-2").await;

        world.borrow_mut().in_flight = 3;
        world.borrow_mut().usage = 0.1;
        ordered(world, "drain g-2").await;
        world.borrow_mut().usage = 0.5;
        millis(150).await;
        assert_eq!(orders(world).len(), 3, "it has requests in flight");
        world.borrow_mut().in_flight = 0;
        ordered(world, "stop 2").await;
    })
    .await;
    assert_eq!(orders(&world), ["start 2", "add g-2", "drain g-2", "remove g-2", "stop 2"]);
}

#[tokio::test]
async fn a_drain_ends_at_its_time_out() {
    played(async |world: &World| {
        world.borrow_mut().instances.push(instance(1));
        ordered(world, "add g-2").await;
        world.borrow_mut().in_flight = 1;
        world.borrow_mut().usage = 0.1;
        ordered(world, "drain g-2").await;
        world.borrow_mut().usage = 0.5;
        millis(400).await;
        assert!(!orders(world).contains(&"remove g-2".to_owned()), "before its time-out");
        ordered(world, "stop 2").await;
    })
    .await;
}

#[tokio::test]
async fn an_instance_that_died_is_replaced_before_the_next_poll() {
    let world = played(async |world: &World| {
        millis(130).await;
        let before = decisions(world);
        world.borrow_mut().instances[0].state = InstanceState::Ended("signal: 9".to_owned());
        ordered(world, "start 1").await;
        assert!(decisions(world) <= before + 2, "one poll at most went by");
        ordered(world, "add g-1").await;
    })
    .await;
    assert_eq!(orders(&world), ["remove g-1", "start 1", "add g-1"]);
    let happened = &world.borrow().happened;
    assert!(happened.iter().any(|one| matches!(one, Happening::Died(name, _) if name == "g-1")));
}

#[tokio::test]
async fn without_metrics_nothing_is_done_and_polls_back_off() {
    played(async |world: &World| {
        world.borrow_mut().usage = 0.9;
        world.borrow_mut().metrics_are_gone = true;
        millis(1000).await;
        assert_eq!(orders(world), [""; 0], "nobody knows the load");
        let polls = decisions(world);
        assert!((3..15).contains(&polls), "{polls} polls where 20 would have been on time");
        world.borrow_mut().metrics_are_gone = false;
        ordered(world, "start 2").await;
    })
    .await;
}

#[tokio::test]
async fn without_whoever_has_the_instances_nothing_is_done_until_they_are_back() {
    played(async |world: &World| {
        world.borrow_mut().usage = 0.9;
        world.borrow_mut().fleet_is_gone = true;
        millis(1000).await;
        assert_eq!(orders(world), [""; 0]);
        assert!(
            world.borrow().happened.iter().any(|one| one.to_string().contains("no such socket"))
        );
        let failed = |one: &&Happening| matches!(one, Happening::Failed(_));
        let looks = world.borrow().happened.iter().filter(failed).count();
        assert!((2..40).contains(&looks), "{looks} looks where 100 would have been on time");
        world.borrow_mut().fleet_is_gone = false;
        ordered(world, "add g-2").await;
    })
    .await;
}

#[tokio::test]
async fn a_start_that_fails_is_tried_again_after_pauses() {
    played(async |world: &World| {
        world.borrow_mut().usage = 0.9;
        world.borrow_mut().starts_fail = true;
        millis(1000).await;
        let tries = orders(world).len();
        assert!((2..12).contains(&tries), "{tries} tries within a second");
        world.borrow_mut().starts_fail = false;
        ordered(world, "add g-2").await;
    })
    .await;
}

#[tokio::test]
async fn an_instance_that_never_gets_healthy_is_given_up_and_no_balancer_hears_of_it() {
    let world = played(async |world: &World| {
        world.borrow_mut().healthy = false;
        world.borrow_mut().usage = 0.9;
        ordered(world, "start 2").await;
        world.borrow_mut().usage = 0.5;
        ordered(world, "stop 2").await;
    })
    .await;
    assert_eq!(orders(&world)[..2], ["start 2", "stop 2"]);
}

#[tokio::test]
async fn balancers_that_cannot_be_reached_hear_of_it_later() {
    let world = played(async |world: &World| {
        world.borrow_mut().balancers_are_gone = true;
        world.borrow_mut().usage = 0.9;
        ordered(world, "start 2").await;
        world.borrow_mut().usage = 0.5;
        millis(200).await;
        world.borrow_mut().balancers_are_gone = false;
        ordered(world, "add g-2").await;
        world.borrow_mut().balancers_are_gone = true;
        world.borrow_mut().usage = 0.1;
        millis(200).await;
        assert!(!orders(world).contains(&"stop 2".to_owned()), "it serves on");
        world.borrow_mut().balancers_are_gone = false;
        ordered(world, "stop 2").await;
    })
    .await;
    let last: Vec<String> = orders(&world).into_iter().skip(2).collect();
    assert_eq!(last, ["drain g-2", "remove g-2", "stop 2"]);
}
