//! A round whose group of backends is scaled while it runs: the autoscaler's loop beside faults and
//! sampler, with the round's own backends as its fleet and the round's balancers to be told.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use hyper::Method;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;

use super::engine::Order;
use super::provider::Provider;
use super::sample::WatchList;
use super::shown;
use super::world::{LiveError, LiveOptions, Stack};
use crate::autoscaler::{
    Around, Balancing, BalancingError, Control, ControlConfig, Fleet, FleetError, Happening,
    Health, Instance, InstanceState, Measuring, SourceError,
};
use crate::host::{call, clock};
use crate::policy::scale::Scaler;
use crate::record::EventRow;
use crate::record::scaling::{self, InstanceNews};
use crate::scenario::{AutoscalerFacts, MetricSource, Scenario};
use crate::units::{Nanos, Seed, Span, World};

/// Time between two looks at the instances.
const STEP: Span = Span::from_millis(50);
/// A health check that is not answered by then has failed.
const HEALTH_LIMIT: Duration = Duration::from_secs(1);
/// How long a backend may take to stop; it has nothing in flight.
const PATIENCE: Duration = Duration::from_secs(2);
/// An instance is given up this much later than it should have been healthy.
const START_SLACK: Span = Span::from_secs(30);

/// The programs of a round, which its faults and its autoscaler change in turn.
pub(super) type SharedStack = Rc<Mutex<Stack>>;

/// The autoscaler of a round that runs.
pub(super) struct Scaling {
    task: JoinHandle<()>,
    stop: Option<oneshot::Sender<()>>,
    events: Rc<RefCell<Vec<EventRow>>>,
}

impl Scaling {
    /// Starts it, if the scenario has one. Called inside a `LocalSet`.
    pub(super) fn start(
        scenario: &Scenario,
        options: &LiveOptions,
        stack: &SharedStack,
        (provider, watched, admins): (&Rc<Provider>, WatchList, Vec<SocketAddr>),
        zero: Nanos,
    ) -> Result<Option<Self>, SourceError> {
        let Some(facts) = scenario.autoscaler.clone() else { return Ok(None) };
        let shared = Rc::new(Shared {
            scenario: scenario.clone(),
            options: options.clone(),
            stack: Rc::clone(stack),
            provider: Rc::clone(provider),
            first: facts.slots.start,
            facts,
            watched,
        });
        let facts = &shared.facts;
        let config = ControlConfig {
            group: facts.group.clone(),
            zero,
            step: STEP,
            start_limit: facts.start_up + START_SLACK,
            drain_timeout: facts.drain_timeout,
        };
        let scale = facts.scale.clone();
        let serving = 0..scale.initial;
        let source = source(facts, options.prometheus, admins)?;
        let scaler = Scaler::new(scale, Seed::new(options.seed, options.round));
        let events = Rc::<RefCell<Vec<EventRow>>>::default();
        let log = {
            let (events, group) = (Rc::clone(&events), facts.group.clone());
            let mut file = LogFile::open(options);
            let (round, board) = (options.round, options.board.clone());
            move |at: Nanos, happening: &Happening| {
                file.write(at, happening);
                let Some(row) = event(round, &group, at, happening) else { return };
                if let Some(board) = &board {
                    board.event(&row);
                }
                events.borrow_mut().push(row);
            }
        };
        let group = facts.group.clone();
        let parts = (Slots(Rc::clone(&shared)), Told(shared), source);
        let mut control = Control::new(config, scaler, parts, log, serving);
        if let Some(board) = &options.board {
            let status = control.status();
            board.also(move |page| {
                status.write(page, &group, Nanos(clock::now().since(zero).0));
            });
        }
        let (stop, stopped) = oneshot::channel();
        let task = tokio::task::spawn_local(async move {
            control
                .run(async {
                    let _ = stopped.await;
                })
                .await;
        });
        Ok(Some(Self { task, stop: Some(stop), events }))
    }

    /// Stops it, and gives what it did.
    pub(super) async fn finish(mut self) -> Vec<EventRow> {
        drop(self.stop.take());
        // What it is in the middle of is an order or a question, each with a limit of its own.
        let _ = (&mut self.task).await;
        self.events.take()
    }
}

impl Drop for Scaling {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What it decides by: the run's Prometheus where the scenario asks for one, else its own scrapes of
/// backends and proxies. What is external is asked of Prometheus wherever there is one.
fn source(
    facts: &AutoscalerFacts,
    prometheus: Option<SocketAddr>,
    admins: Vec<SocketAddr>,
) -> Result<Measuring, SourceError> {
    let around = Around {
        group: facts.group.clone(),
        scrape_interval: facts.scrape_interval,
        rate_window: facts.rate_window,
        prometheus: prometheus.map(|it| format!("http://{it}")),
        scrapes: facts.source == MetricSource::Scrape,
        admins,
        ..Around::default()
    };
    Measuring::new(&facts.scale.metrics, &around)
}

/// Decisions that change something are events of the run, and so is what becomes of instances.
fn event(round: u32, group: &str, at: Nanos, happening: &Happening) -> Option<EventRow> {
    let here = (World::Live, round);
    let news = |name: &str, news| Some(scaling::happened(here, at, name, &news));
    match happening {
        Happening::Decided(decision) if happening.is_change() => {
            Some(scaling::decided(here, at, group, decision))
        }
        Happening::Ready(name) => news(name, InstanceNews::Ready),
        Happening::Stopped(name) => news(name, InstanceNews::Stopped),
        Happening::Died(name, how) => news(name, InstanceNews::Ended(how.clone())),
        Happening::Decided(_) | Happening::Failed(_) => None,
    }
}

/// Everything that happens, as lines of JSON beside the other logs of the round.
struct LogFile(Option<std::fs::File>);

impl LogFile {
    fn open(options: &LiveOptions) -> Self {
        Self(std::fs::File::create(options.scratch.join("autoscaler.log")).ok())
    }

    fn write(&mut self, at: Nanos, happening: &Happening) {
        use std::io::Write as _;
        if let Some(file) = &mut self.0 {
            let _ = writeln!(file, "{}", happening.json(at));
        }
    }
}

/// What fleet and balancing have in common.
struct Shared {
    scenario: Scenario,
    options: LiveOptions,
    facts: AutoscalerFacts,
    /// The backend of slot 0.
    first: usize,
    stack: SharedStack,
    provider: Rc<Provider>,
    watched: WatchList,
}

impl Shared {
    fn place(&self, slot: u32) -> usize {
        self.first + slot as usize
    }

    fn place_of(&self, name: &str) -> Option<usize> {
        self.scenario.backends.iter().position(|backend| backend.name == name)
    }
}

/// The group's backends as a fleet.
struct Slots(Rc<Shared>);

impl Fleet for Slots {
    async fn list(&mut self) -> Result<Vec<Instance>, FleetError> {
        let shared = &self.0;
        let mut stack = shared.stack.lock().await;
        let mut listed = Vec::new();
        for slot in 0..shared.facts.scale.max {
            let place = shared.place(slot);
            let endpoint = stack.endpoints[place];
            let Some(instance) = &mut stack.backends[place] else { continue };
            let state = instance.ended().map_or(InstanceState::Running, InstanceState::Ended);
            listed.push(Instance {
                slot,
                state,
                address: Some(endpoint.listen),
                metrics: Some(endpoint.control),
                cpus: 1.0,
            });
        }
        Ok(listed)
    }

    async fn health(&mut self, slot: u32) -> Health {
        let listen = self.0.stack.lock().await.endpoints[self.0.place(slot)].listen;
        match call::call(listen, Method::GET, "/health", None, HEALTH_LIMIT).await {
            Ok((200, _)) => Health::Passing,
            Ok((status, _)) => Health::Failing(format!("/health answered {status}")),
            Err(error) => Health::Failing(error.to_string()),
        }
    }

    async fn start(&mut self, slot: u32) -> Result<(), FleetError> {
        let shared = &self.0;
        let place = shared.place(slot);
        let backend = &shared.scenario.backends[place];
        let address = shared.stack.lock().await.endpoints[place].listen;
        let started = async {
            let ready_after = shared.facts.start_up;
            let start = shared.provider.start(&shared.options, backend, address, ready_after);
            let mut instance = start.await?;
            let endpoint = instance.ready().await?;
            Ok::<_, LiveError>((instance, endpoint))
        };
        let (instance, endpoint) = started.await.map_err(|error| FleetError::Refused {
            provider: "the host".to_owned(),
            order: format!("start {}", backend.name),
            reason: error.to_string(),
        })?;
        // Not before its health check passed and the balancers were told.
        shared.watched.serves(place, false);
        shared.watched.moved(place, endpoint.control, endpoint.pid);
        let mut stack = shared.stack.lock().await;
        stack.endpoints[place] = endpoint;
        stack.backends[place] = Some(instance);
        if let Some(board) = &shared.options.board {
            shown::found(board, &backend.name, endpoint.listen);
        }
        Ok(())
    }

    async fn stop(&mut self, slot: u32) -> Result<(), FleetError> {
        let place = self.0.place(slot);
        // Nobody else looks at it from now on, so the others need not wait for it.
        let instance = self.0.stack.lock().await.backends[place].take();
        if let Some(mut instance) = instance {
            instance.stop(PATIENCE).await;
        }
        self.0.watched.left(place);
        if let Some(board) = &self.0.options.board {
            shown::lost(board, &self.0.scenario.backends[place].name);
        }
        Ok(())
    }
}

/// The round's balancers.
struct Told(Rc<Shared>);

impl Told {
    fn serves(&self, name: &str, serves: bool) {
        if let Some(place) = self.0.place_of(name) {
            self.0.watched.serves(place, serves);
        }
    }

    async fn order(&self, name: &str, (word, order): (&str, Order)) -> Result<(), BalancingError> {
        let refused = |reason| BalancingError::Refused {
            balancer: self.0.scenario.balancer.engine.name().to_owned(),
            order: format!("{word} {name}"),
            reason,
        };
        let place = self.0.place_of(name);
        let place = place.ok_or_else(|| refused("the scenario has no such backend".to_owned()))?;
        let mut stack = self.0.stack.lock().await;
        let done = stack.balancers.order(&self.0.scenario, place, order).await;
        done.map_err(|error| refused(error.to_string()))
    }
}

impl Balancing for Told {
    async fn add(&mut self, name: &str, address: SocketAddr) -> Result<(), BalancingError> {
        self.order(name, ("add", Order::Add(address))).await?;
        self.serves(name, true);
        Ok(())
    }

    async fn drain(&mut self, name: &str) -> Result<(), BalancingError> {
        self.order(name, ("drain", Order::Drain)).await?;
        self.serves(name, false);
        Ok(())
    }

    async fn in_flight(&mut self, name: &str) -> Result<Option<u64>, BalancingError> {
        let mut stack = self.0.stack.lock().await;
        if stack.balancers.is_still_draining() {
            return Ok(Some(1));
        }
        let sight = stack.balancers.sight();
        drop(stack);
        sight.in_flight(name).await.map_err(|reason| BalancingError::Unreachable {
            balancer: self.0.scenario.balancer.engine.name().to_owned(),
            reason,
        })
    }

    async fn remove(&mut self, name: &str) -> Result<(), BalancingError> {
        self.order(name, ("remove", Order::Remove)).await
    }
}
