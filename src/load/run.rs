//! One run of the generator, from the first arrival to the last row.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::config::{LoadConfig, LoadError, Pace};
use super::generator::{Ended, Generator};
use super::ledger::{Ledger, Rows};
use super::pacer::Pacer;
use super::plain::{self, Shared};
use super::report::{Connections, LoadReport};
use super::tally::Tally;
use super::watch::{Seen, Watch};
use super::{closed, open};
use crate::host::{clock, usage};
use crate::traffic::{Plan, Source};
use crate::units::{Nanos, Span};

/// How long requests in flight may take after an interruption.
pub(super) const DRAIN: Duration = Duration::from_secs(2);
/// Rows are flushed, and whoever watches looks.
pub(super) const LOOK: Duration = Duration::from_millis(250);

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
    let rows = Rows::create(config.spool.as_deref())?;
    let cpu = usage::own_cpu_time();
    let (sent, partial) = if plain::carries(&config) {
        plain::run(Shared::new(&config, rows), watch, stop).await?
    } else {
        carried(&config, rows, watch, stop).await?
    };
    let cpu = Span(usage::own_cpu_time().0 - cpu.0);
    let connections = Connections { opened: sent.opened, resent: sent.resent };
    let mut report = LoadReport::new(&sent.tally, connections, cpu, partial);
    report.busiest_thread_cpu_ns = sent.busiest.0;
    report.spun_ns = sent.spun.0;
    report.waited_for_core_ns = sent.waited_for_core.0;
    report.most_connections = sent.most_open;
    report.unopened = sent.starved;
    if let Pace::Batch(grid) = config.pace {
        report.grid_ns = grid.0;
    }
    Ok(Outcome { report, tally: sent.tally, servers: sent.servers })
}

/// What a data path did.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    pub(super) tally: Tally,
    pub(super) servers: Vec<String>,
    /// Connections opened.
    pub(super) opened: u64,
    /// Requests that had to change theirs.
    pub(super) resent: u64,
    /// Most connections open at once.
    pub(super) most_open: u64,
    /// Connections that were not to be had, for want of a local port or a descriptor.
    pub(super) starved: u64,
    /// CPU time of the thread that had most, without what it spun.
    pub(super) busiest: Span,
    /// CPU time that all spun.
    pub(super) spun: Span,
    /// Time that the threads together were ready to run and had no core.
    pub(super) waited_for_core: Span,
}

/// By tasks: TLS, HTTP/2, WebSocket.
async fn carried(
    config: &LoadConfig,
    rows: Rows,
    watch: &mut dyn Watch,
    stop: impl Future<Output = ()>,
) -> Result<(Sent, bool), LoadError> {
    let plan = Plan::new(&config.traffic, config.seed, config.end);
    let users = match config.traffic.source {
        Source::Closed { users, .. } => Some(users),
        Source::Open { .. } => None,
    };
    let (ended, turns) = mpsc::unbounded_channel();
    let tally = Tally::new(&config.traffic, config.extras.warm_up);
    let ledger = Ledger::new(rows, config.backends.clone(), tally);
    let generator = Generator::new(config, ledger, users.map(|_| ended))?;
    let pace = match (config.pace, users) {
        (Pace::Exact, Some(_)) => Pace::Timer,
        (pace, _) => pace,
    };
    let mut pacer = Pacer::new(pace).map_err(LoadError::Timer)?;
    let (cpu, waited) = (usage::thread_cpu_time(), usage::thread_waited_for_core());
    let partial = {
        let traffic = drive(&generator, &plan, users, &mut pacer, turns);
        to_the_end(&generator, watch, traffic, stop).await.map_err(LoadError::Timer)?
    };
    let cpu = Span(usage::thread_cpu_time().0 - cpu.0);
    let spun = pacer.spun().min(cpu);
    let busiest = Span(cpu.0 - spun.0);
    let waited_for_core = usage::thread_waited_for_core().0.saturating_sub(waited.0);
    let (opened, resent) = (generator.connections_opened(), generator.resent());
    let mut ledger = generator.ledger();
    ledger.rows.flush();
    if let Some(error) = ledger.rows.failure.take() {
        return Err(error.into());
    }
    let (tally, servers) = (ledger.tally.clone(), ledger.servers.names.clone());
    let most_open = opened.min(tally.max_in_flight);
    let waited_for_core = Span(waited_for_core);
    let sent = Sent {
        tally,
        servers,
        opened,
        resent,
        most_open,
        starved: 0,
        busiest,
        spun,
        waited_for_core,
    };
    Ok((sent, partial))
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
                ledger.rows.flush();
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
