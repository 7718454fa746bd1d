//! One round of the live world: start in order, wait until everything answers, run the traffic,
//! disturb it as the scenario says, watch it, stop it in order.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::engine::{self, Balancers, own_spool};
use super::fault::{FaultDriver, FaultProof};
use super::ports;
use super::provider::{
    self, DockerError, Instance, Program, ProgramError, Provider, ProviderOptions,
};
use super::sample::{Sample, Sampler, Watched};
use super::scale::{Scaling, SharedStack};
use super::shown::Shown;
use crate::autoscaler::SourceError;
use crate::engine::UserConfigurationError;
use crate::host::call;
use crate::host::{clock, usage};
use crate::load::LoadReport;
use crate::monitor::Board;
use crate::record::{EventRow, manifest};
use crate::scenario::{Engine, Scenario};
use crate::units::time::NANOS_PER_SECOND;
use crate::units::{Nanos, Span};
use rustix::process::Signal;
use tokio::sync::Mutex;
use tokio::task::LocalSet;

/// From the moment everything is ready to the zero of the run: time for the generator to start.
const LEAD: Span = Span::from_millis(500);
/// How long the generator may drain after an interruption.
const DRAIN: Duration = Duration::from_secs(5);
/// How long any other program may take to stop.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a live round failed.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// A program could not be started.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Docker did not do as told.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// An engine is not installed.
    #[error("{command} is not installed here: it comes with {package}")]
    Missing {
        /// The program.
        command: String,
        /// The package that has it.
        package: String,
    },
    /// The user's own configuration of an engine cannot be run.
    #[error("the engine's configuration: {0}")]
    Configuration(#[from] UserConfigurationError),
    /// A program ended in the middle of the run.
    #[error("{name} ended in the middle of the run ({status}){log}")]
    Died {
        /// Which.
        name: String,
        /// Its exit status.
        status: String,
        /// The end of its log.
        log: String,
    },
    /// A program did not do as told.
    #[error("{name}: {error}")]
    Control {
        /// Which.
        name: String,
        /// What went wrong.
        error: call::CallError,
    },
    /// An engine did not do as told.
    #[error("{name}: {error}")]
    Refused {
        /// Which.
        name: String,
        /// What it said.
        error: String,
    },
    /// The autoscaler has nobody to ask.
    #[error("the autoscaler: {0}")]
    Source(#[from] SourceError),
    /// The system refused something.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        error: std::io::Error,
    },
    /// The generator's closing report cannot be read.
    #[error("the load generator ended without a report{0}")]
    NoReport(String),
}

/// What a live round needs to know beside the scenario.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// The scenario's file, as the programs read it.
    pub scenario_file: PathBuf,
    /// Keys of the scenario that are replaced, for the programs to replace too.
    pub overrides: Vec<(String, String)>,
    /// A folder for spools and logs.
    pub scratch: PathBuf,
    /// The seed, which may differ from the scenario's.
    pub seed: u64,
    /// Number of the round, from 0.
    pub round: u32,
    /// Give the threads that keep time, in the generator and the backends, real-time priority.
    pub real_time: bool,
    /// The text of the user's own configuration of the engine; `None` writes one from the scenario.
    pub engine_config: Option<String>,
    /// Where the round is shown while it lasts.
    pub board: Option<Board>,
    /// A Prometheus that scrapes this run.
    pub prometheus: Option<SocketAddr>,
    /// Where the backends live.
    pub provider: ProviderOptions,
}

/// A finished round.
#[derive(Debug)]
pub struct LiveRun {
    /// Number of the round.
    pub round: u32,
    /// The run's zero on the monotonic clock.
    pub zero: Nanos,
    /// The balancer that ran.
    pub engine: manifest::Engine,
    /// Spool of requests (relative to zero).
    pub requests: PathBuf,
    /// Spools of attempts, one per balancer instance (absolute times).
    pub attempts: Vec<PathBuf>,
    /// Spools of events, one per balancer instance (absolute times).
    pub events: Vec<PathBuf>,
    /// Faults, changes of the number of backends, and what an engine that writes no events showed of
    /// its peers (relative to zero).
    pub happenings: Vec<EventRow>,
    /// What proves the faults.
    pub proofs: Vec<FaultProof>,
    /// Per second and backend.
    pub samples: Vec<Sample>,
    /// The generator's report.
    pub load: LoadReport,
    /// Share of all cores' time that the hypervisor took away.
    pub stolen: f64,
    /// How much more the wall clock moved than the monotonic one, in nanoseconds.
    pub clock_drift_ns: i64,
    /// Time that all programs together were ready to run and had no core.
    pub waited_for_core: Span,
    /// Most descriptors open in the generator or a balancer.
    pub descriptors: u64,
    /// How each program ended.
    pub exits: Vec<ProgramExit>,
    /// When it was interrupted, since zero; `None` if it ran to its end.
    pub interrupted: Option<Nanos>,
}

/// How a program of the round ended.
#[derive(Clone, Debug)]
pub struct ProgramExit {
    /// Its name.
    pub name: String,
    /// Its exit status, in words.
    pub status: String,
    /// Whether it ended as told to, with status 0.
    pub orderly: bool,
}

/// Hears how far a round is.
pub trait Watcher {
    /// A new phase, in words.
    fn phase(&self, what: &str);
    /// Time of the run that has passed.
    fn passed(&self, time: Span);
}

/// Where the program of `engine` is: on the search path; Envoy where `$ENVOY` says, or on the path,
/// or beside the build, where `tests/run` installs it. `None` for those that lab does not start.
///
/// # Errors
/// [`LiveError::Missing`], with the package that has it.
pub fn find_program(engine: &Engine) -> Result<Option<PathBuf>, LiveError> {
    engine::find_program(engine)
}

/// Says whether the program of `engine` is installed, before anything is started.
///
/// # Errors
/// [`LiveError::Missing`], with the package that has it.
pub fn check_installed(engine: &Engine) -> Result<(), LiveError> {
    find_program(engine).map(drop)
}

/// Runs one round, until its end or until `stop` is set.
///
/// # Errors
/// See [`LiveError`]. Every program that was started is stopped first.
pub fn run(
    scenario: &Scenario,
    options: &LiveOptions,
    watcher: &dyn Watcher,
    stop: &AtomicBool,
) -> Result<LiveRun, LiveError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| LiveError::System { what: "cannot start the runtime", error })?;
    raise_descriptor_limit();
    // The autoscaler works beside the round, on the same thread.
    let local = LocalSet::new();
    let round = local.run_until(async {
        watcher.phase("starting");
        let provider = Rc::new(Provider::open(scenario, options).await?);
        let ran = round(scenario, options, &provider, watcher, stop).await;
        provider.close().await;
        ran
    });
    runtime.block_on(round)
}

/// The programs of a round. Dropping them kills what still runs.
pub(super) struct Stack {
    pub(super) provider: Rc<Provider>,
    /// By the scenario's order; `None` are those that are not there.
    pub(super) backends: Vec<Option<Instance>>,
    /// Those of the absent are where they will be.
    pub(super) endpoints: Vec<BackendEndpoint>,
    pub(super) balancers: Balancers,
}

/// Where a backend serves and takes orders.
#[derive(Clone, Copy, Debug)]
pub(super) struct BackendEndpoint {
    pub(super) listen: SocketAddr,
    pub(super) control: SocketAddr,
    pub(super) pid: u32,
}

async fn round(
    scenario: &Scenario,
    options: &LiveOptions,
    provider: &Rc<Provider>,
    watcher: &dyn Watcher,
    stop: &AtomicBool,
) -> Result<LiveRun, LiveError> {
    let mut stack = Stack::start(scenario, options, provider).await?;
    let mut faults = FaultDriver::new(scenario, options);
    faults.observe_before(&stack).await;

    let zero = next_second(&scenario.balancer.engine);
    let wall_before = clock::wall().0 as i128 - clock::now().0 as i128;
    let cpu_before = usage::host_cpu_time();
    let spool = options.scratch.join("requests.jsonl");
    let mut load = Program::start(
        "load generator",
        &load_arguments(options, &stack.balancers.urls(), zero, &spool),
        &options.scratch.join("load.log"),
    )?;
    watcher.phase("running");
    let counted = stack.balancers.processes().into_iter().chain([load.pid()]).collect();
    let spools = |name: &str| -> Vec<PathBuf> {
        (0..scenario.balancer.instances)
            .map(|instance| own_spool(&options.scratch, instance).join(name))
            .collect()
    };
    let events = spools("events.jsonl");
    let shown = Shown::begin(scenario, options, &stack, zero, (&spool, &events));
    let sight = stack.balancers.sight();
    let admins = sight.admins();
    let board = options.board.clone();
    let sampler =
        Sampler::start((zero, options.round), stack.watched(scenario), sight, counted, board);
    let stack = Rc::new(Mutex::new(stack));
    let beside = (provider, sampler.watched(), admins);
    let scaling = Scaling::start(scenario, options, &stack, beside, zero)?;
    let ended =
        drive(scenario, &stack, &mut faults, &mut load, &sampler, zero, (watcher, stop)).await;
    let scaled = match scaling {
        Some(scaling) => scaling.finish().await,
        None => Vec::new(),
    };
    let mut stack = stack.lock().await;
    let seen = sampler.finish();
    drop(shown);
    let (report, interrupted) = match ended {
        Ok(ended) => ended,
        Err(error) => {
            load.kill().await;
            return Err(error);
        }
    };
    watcher.phase("stopping");
    faults.observe_after(&stack).await;
    let engine = stack.balancers.facts(scenario).await;
    let exits = stack.stop().await;

    let wall_after = clock::wall().0 as i128 - clock::now().0 as i128;
    Ok(LiveRun {
        round: options.round,
        zero,
        engine,
        requests: spool,
        attempts: spools("attempts.jsonl"),
        events,
        happenings: faults.take_events().into_iter().chain(scaled).chain(seen.events).collect(),
        proofs: faults.into_proofs(),
        samples: seen.samples,
        load: report,
        stolen: stolen_share(cpu_before, usage::host_cpu_time()),
        clock_drift_ns: (wall_after - wall_before) as i64,
        waited_for_core: seen.waited,
        descriptors: seen.descriptors,
        exits,
        interrupted,
    })
}

/// Waits for the generator while faults happen; its report, and when the round was cut short.
async fn drive(
    scenario: &Scenario,
    stack: &SharedStack,
    faults: &mut FaultDriver,
    load: &mut Program,
    sampler: &Sampler,
    zero: Nanos,
    (watcher, stop): (&dyn Watcher, &AtomicBool),
) -> Result<(LoadReport, Option<Nanos>), LiveError> {
    let mut interrupted = None;
    let mut deadline = None;
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        let next_fault = faults.next_at().map(|at| zero + Span(at.0));
        tokio::select! {
            line = load.line() => {
                let report = line.and_then(|line| serde_json::from_str(&line).ok());
                let _ = load.wait().await;
                return match report {
                    Some(report) => Ok((report, interrupted)),
                    None => Err(LiveError::NoReport(load.log_tail())),
                };
            }
            () = sleep_until(next_fault), if next_fault.is_some() && interrupted.is_none() => {
                faults.act(scenario, &mut *stack.lock().await, sampler, zero).await?;
            }
            _ = tick.tick() => {
                let passed = clock::now().since(zero);
                watcher.passed(Span(passed.0.min(scenario.duration.0)));
                // Whoever holds it looks for the dead itself, or is gone soon.
                if let Ok(mut stack) = stack.try_lock() {
                    stack.check_alive(faults)?;
                }
                if interrupted.is_none() && stop.load(Ordering::Relaxed) {
                    interrupted = Some(Nanos(clock::now().since(zero).0));
                    deadline = Some(clock::now() + Span(DRAIN.as_nanos() as u64));
                    watcher.phase("interrupted, draining");
                    load.signal(Signal::INT);
                }
                if deadline.is_some_and(|deadline| clock::now() >= deadline) {
                    load.kill().await;
                }
            }
        }
    }
}

/// The zero of the run: a whole second of the clock that the balancer compares pauses by, as in the
/// model. NGINX cuts the wall clock to seconds, lab's proxy the monotonic one.
fn next_second(engine: &Engine) -> Nanos {
    let soon = clock::now() + LEAD;
    let ahead = match engine {
        Engine::Nginx => clock::wall().0.wrapping_sub(clock::now().0) % NANOS_PER_SECOND,
        _ => 0,
    };
    Nanos(((soon.0 + ahead) / NANOS_PER_SECOND + 1) * NANOS_PER_SECOND - ahead)
}

async fn sleep_until(at: Option<Nanos>) {
    let Some(at) = at else { return std::future::pending().await };
    tokio::time::sleep(at.since(clock::now()).to_std()).await;
}

impl Stack {
    async fn start(
        scenario: &Scenario,
        options: &LiveOptions,
        provider: &Rc<Provider>,
    ) -> Result<Self, LiveError> {
        let instances = scenario.balancer.instances as usize;
        let addresses = ports::free(scenario.backends.len() + instances)
            .map_err(|error| LiveError::System { what: "cannot find free ports", error })?;
        let (backend_addresses, balancer_addresses) = addresses.split_at(scenario.backends.len());

        let known_elsewhere = matches!(scenario.balancer.engine, Engine::Elsewhere(_));
        let mut backends = Vec::new();
        let mut endpoints = Vec::new();
        for (backend, free) in scenario.backends.iter().zip(backend_addresses) {
            let address = backend.address.filter(|_| known_elsewhere).unwrap_or(*free);
            endpoints.push(BackendEndpoint { listen: address, control: address, pid: 0 });
            backends.push(if backend.absent {
                None
            } else {
                Some(provider.start(options, backend, address, Span::ZERO).await?)
            });
        }
        for (instance, endpoint) in backends.iter_mut().zip(&mut endpoints) {
            if let Some(instance) = instance {
                *endpoint = instance.ready().await?;
            }
        }

        let balancers = Balancers::start(scenario, options, balancer_addresses, &endpoints).await?;
        Ok(Self { provider: Rc::clone(provider), backends, endpoints, balancers })
    }

    fn watched(&self, scenario: &Scenario) -> Vec<Watched> {
        self.endpoints
            .iter()
            .zip(&scenario.backends)
            .map(|(endpoint, backend)| Watched {
                name: backend.name.clone(),
                control: endpoint.control,
                pid: endpoint.pid,
                limited: self.provider.limits_cpu(),
                serves: !backend.absent,
            })
            .collect()
    }

    /// A program that ended without being told to ends the run.
    fn check_alive(&mut self, faults: &FaultDriver) -> Result<(), LiveError> {
        let died =
            |name: &str, status, log| Err(LiveError::Died { name: name.to_owned(), status, log });
        for (index, instance) in self.backends.iter_mut().enumerate() {
            if !faults.may_end(index)
                && let Some(instance) = instance
                && let Some(status) = instance.ended()
            {
                return died(instance.name(), status, instance.log_tail());
            }
        }
        for program in self.balancers.programs() {
            if let Some(status) = program.ended() {
                return died(program.name(), status.to_string(), program.log_tail());
            }
        }
        Ok(())
    }

    /// The balancer first, so that it never sees its peers go.
    async fn stop(&mut self) -> Vec<ProgramExit> {
        let mut exits = Vec::new();
        for program in self.balancers.programs() {
            exits.push(provider::stop_program(program, PATIENCE).await);
        }
        for instance in self.backends.iter_mut().flatten() {
            exits.push(instance.stop(PATIENCE).await);
        }
        exits
    }
}

fn load_arguments(
    options: &LiveOptions,
    targets: &[String],
    zero: Nanos,
    spool: &Path,
) -> Vec<String> {
    let mut arguments = vec![
        "load".to_owned(),
        format!("--scenario={}", options.scenario_file.display()),
        format!("--target={}", targets.join(",")),
        format!("--zero={}", zero.0),
        format!("--seed={}", options.seed),
        format!("--spool={}", spool.display()),
        // The generator shares its cores with what it measures: it takes no core to spin on.
        "--pace=timer".to_owned(),
    ];
    arguments.extend(overrides(options));
    arguments.extend(options.real_time.then(|| "--real-time".to_owned()));
    arguments
}

pub(super) fn overrides(options: &LiveOptions) -> impl Iterator<Item = String> {
    options.overrides.iter().map(|(key, value)| format!("--set={key}={value}"))
}

pub(super) fn no_control(program: &Program) -> ProgramError {
    ProgramError::NotReady {
        name: program.name().to_owned(),
        what: "it named no control address".to_owned(),
        log: program.log_tail(),
    }
}

pub(super) fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// An open loop may need a descriptor per request in flight.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused, the validity verdict says when the limit was met.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

fn stolen_share(before: Option<(Span, Span)>, after: Option<(Span, Span)>) -> f64 {
    match (before, after) {
        (Some((all_before, stolen_before)), Some((all, stolen))) if all > all_before => {
            (stolen - stolen_before).as_secs_f64() / (all - all_before).as_secs_f64()
        }
        _ => 0.0,
    }
}
