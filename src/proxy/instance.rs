//! What a proxy is made of while it runs: its sockets, the generation of workers that serves, those
//! that drain, and everything that outlives them.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::access_log::AccessLog;
use super::admin::{self, Token};
use super::config::ProxyConfig;
use super::count::Totals;
use super::driver::Driver;
use super::error::ProxyError;
use super::generation::Generation;
use super::journal::{Journal, log};
use super::reload;
use super::sockets::Sockets;
use super::spool::Spool;
use super::tally::Past;
use crate::host::clock;
use crate::scenario::StateSharing;
use crate::scenario::edge::LogFacts;
use crate::units::Nanos;

/// Where a configuration comes from, again and again. The error is for people.
pub(super) type Source = Box<dyn Fn() -> Result<ProxyConfig, String> + Send + Sync>;

/// Generations that drain at the same time; a further reload hurries the oldest.
const DRAINING_MAX: usize = 8;

/// What a reload did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    /// Peers added, removed or configured anew.
    pub peers: usize,
    /// Whether new workers have taken over.
    pub workers: bool,
}

impl fmt::Display for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workers = if self.workers { "new workers" } else { "the same workers" };
        write!(f, "{} peers changed, {workers}", self.peers)
    }
}

/// Reloads so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Reloads {
    pub(super) done: u64,
    pub(super) failed: u64,
    /// Wall time of the last that succeeded, the start included.
    pub(super) last: Nanos,
    /// Why the last one failed, until one succeeds.
    pub(super) error: Option<String>,
}

/// A running proxy, shared with its admin interface.
pub(super) struct Instance {
    state: Mutex<State>,
    control: Handle,
    spool: Option<Arc<Spool>>,
    source: Option<Source>,
}

struct State {
    config: Arc<ProxyConfig>,
    sockets: Sockets,
    current: Generation,
    draining: Vec<Generation>,
    /// The time-keepers of the drivers of each generation; they end with the last that uses them.
    keepers: Vec<(Arc<Driver>, AbortHandle)>,
    admin: Option<AbortHandle>,
    /// Counts of generations that have ended.
    past: Past,
    reloads: Reloads,
    /// No longer accepting.
    ending: bool,
}

/// What the admin interface and the metrics show.
pub(super) struct Glimpse {
    pub(super) config: Arc<ProxyConfig>,
    pub(super) generation: u64,
    pub(super) draining: usize,
    /// Views of the peers in use by the generation that serves.
    pub(super) drivers: Vec<Arc<Driver>>,
    /// Views that only draining generations use.
    pub(super) older: Vec<Arc<Driver>>,
    pub(super) totals: Totals,
    pub(super) past: Past,
    pub(super) reloads: Reloads,
    pub(super) ending: bool,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").finish_non_exhaustive()
    }
}

impl Instance {
    pub(super) fn start(
        config: &ProxyConfig,
        inherited: &Sockets,
        spool: Option<Arc<Spool>>,
        source: Option<Source>,
        control: Handle,
    ) -> Result<Arc<Self>, ProxyError> {
        config.check()?;
        let token = config.admin_token()?;
        let sockets = arrange(inherited, config)?;
        let log = config.balancer.edge.log.as_ref().map(open_log).transpose()?;
        let drivers = drivers(config, spool.as_ref());
        let current = Generation::start(1, config, &sockets, drivers, log, &control)?;
        let instance = Arc::new(Self {
            state: Mutex::new(State {
                config: Arc::new(config.clone()),
                sockets,
                current,
                draining: Vec::new(),
                keepers: Vec::new(),
                admin: None,
                past: Past::default(),
                reloads: Reloads { last: clock::wall(), ..Reloads::default() },
                ending: false,
            }),
            control,
            spool,
            source,
        });
        let mut state = instance.lock();
        instance.keep_time(&mut state);
        instance.serve_admin(&mut state, token)?;
        drop(state);
        Ok(instance)
    }

    /// See [`super::Proxy::reload`].
    pub(super) fn reload(self: &Arc<Self>, config: &ProxyConfig) -> Result<Reload, ProxyError> {
        let mut state = self.lock();
        let result = self.replace(&mut state, config);
        match &result {
            Ok(done) => {
                state.reloads.done += 1;
                state.reloads.last = clock::wall();
                state.reloads.error = None;
                log(format_args!("reloaded: {done}; configuration {}", config.hash()));
            }
            Err(error) => state.failed(error),
        }
        result
    }

    /// See [`super::Proxy::reload_from_source`].
    pub(super) fn reload_from_source(self: &Arc<Self>) -> Result<Reload, ProxyError> {
        let config = match &self.source {
            Some(source) => source(),
            None => Err("this proxy has no file to read again".to_owned()),
        };
        match config {
            Ok(config) => self.reload(&config),
            Err(error) => {
                let error = ProxyError::Reload(error);
                self.lock().failed(&error);
                Err(error)
            }
        }
    }

    fn replace(
        self: &Arc<Self>,
        state: &mut State,
        config: &ProxyConfig,
    ) -> Result<Reload, ProxyError> {
        if state.ending {
            return Err(ProxyError::Reload("the proxy is about to end".to_owned()));
        }
        config.check()?;
        let token = config.admin_token()?;
        let sockets = arrange(&state.sockets, config)?;
        let workers = reload::needs_workers(&state.config, config);
        let keep = reload::keeps_drivers(&state.config, config);
        if workers {
            let log = state.log_for(config)?;
            let drivers = if keep {
                state.current.drivers.clone()
            } else {
                drivers(config, self.spool.as_ref())
            };
            let number = state.current.number + 1;
            let next = Generation::start(number, config, &sockets, drivers, log, &self.control)?;
            if !keep {
                for (place, driver) in next.drivers.iter().enumerate() {
                    let old = &state.current.drivers;
                    driver.inherit(&old[place % old.len()]);
                }
            }
            let old = std::mem::replace(&mut state.current, next);
            old.drain();
            state.draining.push(old);
        }
        let changes = |driver: &Arc<Driver>| driver.align(config);
        let peers = state.current.drivers.iter().map(changes).max().unwrap_or(0);
        state.sockets = sockets;
        state.config = Arc::new(config.clone());
        state.settle();
        self.keep_time(state);
        self.serve_admin(state, token)?;
        Ok(Reload { peers, workers })
    }

    /// Lets the time of every driver pass that has no time-keeper yet.
    fn keep_time(&self, state: &mut State) {
        for driver in &state.current.drivers {
            if !state.keepers.iter().any(|(kept, _)| Arc::ptr_eq(kept, driver)) {
                let keeper = self.control.spawn(keep_time(Arc::clone(driver)));
                state.keepers.push((Arc::clone(driver), keeper.abort_handle()));
            }
        }
    }

    /// Serves the admin interface at the socket there is, in place of what served before.
    fn serve_admin(
        self: &Arc<Self>,
        state: &mut State,
        token: Option<Token>,
    ) -> Result<(), ProxyError> {
        if let Some(before) = state.admin.take() {
            before.abort();
        }
        if let Some(socket) = state.sockets.admin() {
            let _inside = self.control.enter();
            let listener = admin::Listener::of(socket).map_err(ProxyError::Start)?;
            let serving = admin::serve(listener, Arc::downgrade(self), token.map(Arc::new));
            state.admin = Some(self.control.spawn(serving).abort_handle());
        }
        Ok(())
    }

    pub(super) fn reopen_log(&self) {
        let state = self.lock();
        let older = state.draining.iter().filter_map(|generation| generation.log.as_ref());
        state.current.log.as_ref().into_iter().chain(older).for_each(|log| log.reopen());
    }

    pub(super) fn sockets(&self) -> Sockets {
        self.lock().sockets.clone()
    }

    /// First step of the end, another process accepting from now on: nobody new, nor any order.
    pub(super) fn drain(&self) {
        let mut state = self.lock();
        state.end();
        if let Some(admin) = state.admin.take() {
            admin.abort();
        }
        state.current.drain();
    }

    /// Second step of the end: idle connections are closed.
    pub(super) fn tell(&self) {
        let mut state = self.lock();
        state.end();
        state.current.tell();
        state.draining.iter().for_each(Generation::tell);
    }

    /// Waits for the workers of every generation, after they were told to end.
    ///
    /// # Errors
    /// When one of them failed.
    pub(super) fn wait(&self) -> Result<(), ProxyError> {
        // Not under the lock: the admin interface goes on, and they may have to be hurried.
        while !self.lock().is_over() {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let mut state = self.lock();
        let State { current, draining, keepers, .. } = &mut *state;
        keepers.drain(..).for_each(|(_, keeper)| keeper.abort());
        draining.iter_mut().chain([current]).try_for_each(Generation::join)
    }

    /// A look at everything, for people and metrics.
    pub(super) fn glimpse(&self) -> Glimpse {
        let mut state = self.lock();
        state.settle();
        let mut totals = state.past.totals.clone();
        state.current.count_into(&mut totals);
        state.draining.iter().for_each(|generation| generation.count_into(&mut totals));
        let drivers = state.current.drivers.clone();
        let mut older: Vec<Arc<Driver>> = Vec::new();
        for driver in state.draining.iter().flat_map(|generation| &generation.drivers) {
            if !drivers.iter().chain(&older).any(|known| Arc::ptr_eq(known, driver)) {
                older.push(Arc::clone(driver));
            }
        }
        Glimpse {
            config: Arc::clone(&state.config),
            generation: state.current.number,
            draining: state.draining.len(),
            drivers,
            older,
            totals,
            past: state.past.clone(),
            reloads: state.reloads.clone(),
            ending: state.ending,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn failed(&mut self, error: &ProxyError) {
        self.reloads.failed += 1;
        self.reloads.error = Some(error.to_string());
        log(format_args!("the old configuration stays, the new one cannot be used: {error}"));
    }

    /// The log that is open, if the configuration means the same.
    fn log_for(&self, config: &ProxyConfig) -> Result<Option<Arc<AccessLog>>, ProxyError> {
        let Some(facts) = &config.balancer.edge.log else { return Ok(None) };
        match &self.current.log {
            Some(log) if log.facts() == facts => Ok(Some(Arc::clone(log))),
            _ => open_log(facts).map(Some),
        }
    }

    /// Takes leave of generations that have ended, and hurries the oldest if there are many.
    fn settle(&mut self) {
        let mut place = 0;
        while place < self.draining.len() {
            if !self.draining[place].is_over() {
                place += 1;
                continue;
            }
            let mut over = self.draining.remove(place);
            if let Err(error) = over.join() {
                log(format_args!("generation {} ended badly: {error}", over.number));
            }
            over.count_into(&mut self.past.totals);
            self.past.totals.forget_gauges();
            for driver in &over.drivers {
                self.retire(driver);
            }
        }
        let many = self.draining.len().saturating_sub(DRAINING_MAX);
        self.draining[..many].iter().for_each(Generation::tell);
    }

    /// Keeps the counts of a driver that nobody uses any longer.
    fn retire(&mut self, driver: &Arc<Driver>) {
        let others = self.draining.iter().chain([&self.current]);
        let used = |generation: &Generation| {
            generation.drivers.iter().any(|other| Arc::ptr_eq(other, driver))
        };
        if others.into_iter().any(used) {
            return;
        }
        if let Some(place) = self.keepers.iter().position(|(kept, _)| Arc::ptr_eq(kept, driver)) {
            self.keepers.remove(place).1.abort();
            driver.count_into(&mut self.past);
            driver.retire();
        }
    }

    /// Each worker closes its copies when it has accepted who waits there.
    fn end(&mut self) {
        self.ending = true;
        self.sockets.close();
    }

    fn is_over(&self) -> bool {
        self.draining.iter().chain([&self.current]).all(Generation::is_over)
    }
}

/// Without its time a driver neither checks health nor ends a wait: that must not go unnoticed.
async fn keep_time(driver: Arc<Driver>) {
    if let Err(error) = driver.run().await {
        log(format_args!("health checks and queue time-outs have ended: {error}"));
    }
}

fn arrange(sockets: &Sockets, config: &ProxyConfig) -> Result<Sockets, ProxyError> {
    let listeners = config.listeners();
    let addresses: Vec<_> = listeners.iter().map(|listener| listener.address).collect();
    sockets.arrange(&addresses, config.workers(), config.balancer.edge.admin.listen.as_ref())
}

fn open_log(facts: &LogFacts) -> Result<Arc<AccessLog>, ProxyError> {
    let log = AccessLog::start(facts);
    log.map(Arc::new).map_err(|source| ProxyError::AccessLog { path: facts.path.clone(), source })
}

/// One driver for all workers, or one each.
fn drivers(config: &ProxyConfig, spool: Option<&Arc<Spool>>) -> Vec<Arc<Driver>> {
    let views = match config.balancer.state {
        StateSharing::Shared => 1,
        StateSharing::PerWorker => config.workers() as u16,
    };
    (0..views)
        .map(|number| {
            let journal = Journal {
                view: config.view_base + number,
                replication: config.replication,
                spool: spool.map(Arc::clone),
            };
            let upstream = &config.balancer.upstream;
            Arc::new(Driver::new(upstream, config.seed, &config.addresses, journal))
        })
        .collect()
}
