//! One run of the generator, from the first arrival to the last row.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::mpsc;

use super::config::{LoadConfig, LoadError};
use super::generator::{Ended, Generator};
use super::ledger::Ledger;
use super::pacer::Pacer;
use super::report::{Connections, LoadReport};
use super::tally::Tally;
use super::watch::{Seen, Watch};
use super::{closed, open};
use crate::host::clock;
use crate::record::spool::SpoolWriter;
use crate::traffic::{Plan, Source};
use crate::units::{Nanos, Span};

/// How long requests in flight may take after an interruption.
const DRAIN: Duration = Duration::from_secs(2);
/// Rows are flushed, and whoever watches looks.
const LOOK: Duration = Duration::from_millis(250);

/// A finished run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// For the program that started it.
    pub report: LoadReport,
    /// For a person.
    pub tally: Tally,
    /// Name of each server in the tally, by index.
    pub servers: Vec<String>,
}

/// Sends the plan until its end and waits for what is in flight, each request at most until its
/// time-out. When `stop` resolves, arrivals end, and what is not answered 2 s later is interrupted.
///
/// # Errors
/// See [`LoadError`]. Rows that were written stay.
pub async fn run(config: LoadConfig, stop: impl Future<Output = ()>) -> Result<Outcome, LoadError> {
    run_watched(config, &mut (), stop).await
}

/// As [`run`], while `watch` looks on.
///
/// # Errors
/// As [`run`].
pub async fn run_watched(
    config: LoadConfig,
    watch: &mut dyn Watch,
    stop: impl Future<Output = ()>,
) -> Result<Outcome, LoadError> {
    if config.targets.is_empty() {
        return Err(LoadError::NoTarget);
    }
    let spool = config.spool.as_deref().map(SpoolWriter::create).transpose()?;
    let plan = Plan::new(&config.traffic, config.seed, config.end);
    let users = match config.traffic.source {
        Source::Closed { users, .. } => Some(users),
        Source::Open { .. } => None,
    };
    let (ended, turns) = mpsc::unbounded_channel();
    let ledger = Ledger::new(
        spool,
        config.backends.clone(),
        Tally::new(&config.traffic, config.extras.warm_up),
    );
    let generator = Generator::new(&config, ledger, users.map(|_| ended))?;
    let mut pacer = Pacer::new(config.pace).map_err(LoadError::Timer)?;
    let cpu = cpu_time();
    let partial = {
        let traffic = drive(&generator, &plan, users, &mut pacer, turns);
        to_the_end(&generator, watch, traffic, stop).await.map_err(LoadError::Timer)?
    };
    let connections =
        Connections { opened: generator.connections_opened(), resent: generator.resent() };
    let cpu = Span(cpu_time().0 - cpu.0);
    let mut ledger = generator.ledger();
    ledger.flush();
    match ledger.failure.take() {
        Some(error) => Err(error.into()),
        None => Ok(Outcome {
            report: LoadReport::new(&ledger.tally, connections, cpu, partial),
            tally: ledger.tally.clone(),
            servers: ledger.servers.names.clone(),
        }),
    }
}

async fn drive(
    generator: &Arc<Generator>,
    plan: &Plan,
    users: Option<u32>,
    pacer: &mut Pacer,
    turns: mpsc::UnboundedReceiver<Ended>,
) -> std::io::Result<()> {
    match users {
        Some(users) => closed::drive(generator, plan, users, pacer, turns).await?,
        None => open::drive(generator, plan, pacer).await?,
    }
    generator.drained().await;
    Ok(())
}

/// Lets the traffic run, rows flushed and the watch called now and then; tells whether it was cut
/// short.
async fn to_the_end(
    generator: &Generator,
    watch: &mut dyn Watch,
    traffic: impl Future<Output = std::io::Result<()>>,
    stop: impl Future<Output = ()>,
) -> std::io::Result<bool> {
    let (mut traffic, mut stop) = (pin!(traffic), pin!(stop));
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            ended = traffic.as_mut() => return ended.map(|()| false),
            () = stop.as_mut() => break,
            _ = tick.tick() => {
                let mut ledger = generator.ledger();
                ledger.flush();
                let at = clock::now().since(generator.instant(Nanos::ZERO));
                let seen = Seen { at, tally: &ledger.tally, servers: &ledger.servers.names };
                if watch.look(&seen).is_break() {
                    break;
                }
            }
        }
    }
    if tokio::time::timeout(DRAIN, generator.drained()).await.is_err() {
        generator.give_up();
        generator.drained().await;
    }
    Ok(true)
}

/// CPU time of this process, to the nanosecond.
fn cpu_time() -> Span {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Span(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}
