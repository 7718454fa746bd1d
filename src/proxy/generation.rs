//! A generation of workers: the threads that serve under one configuration. A reload starts the
//! next one on the same sockets and lets the last one finish what it has.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle};
use tokio::task::AbortHandle;

use super::access_log::AccessLog;
use super::account::Account;
use super::config::ProxyConfig;
use super::connect::Connector;
use super::count::{Counters, Totals};
use super::driver::Driver;
use super::error::ProxyError;
use super::listen::{self, Door, Stop};
use super::pool;
use super::request_key::RequestKey;
use super::sockets::Sockets;
use super::worker::{Limits, Worker};
use crate::scenario::edge::Listener;

/// The workers of one configuration. Dropping it tells them to stop, without waiting.
#[derive(Debug)]
pub(super) struct Generation {
    /// 1 for that of the start.
    pub(super) number: u64,
    /// Its views of the peers: one for all workers, or one each.
    pub(super) drivers: Vec<Arc<Driver>>,
    /// How its peers are reached.
    connector: Arc<Connector>,
    /// Where its lines go.
    pub(super) log: Option<Arc<AccessLog>>,
    counters: Vec<Arc<Counters>>,
    stop: Arc<Stop>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    /// Looking after certificates.
    watches: Vec<AbortHandle>,
}

impl Generation {
    /// Starts workers; when this returns, clients are served. `control` runs what is no worker's.
    ///
    /// # Errors
    /// When a certificate cannot be used or a thread cannot be started; nothing is left of it then.
    pub(super) fn start(
        number: u64,
        config: &ProxyConfig,
        sockets: &Sockets,
        drivers: Vec<Arc<Driver>>,
        log: Option<Arc<AccessLog>>,
        control: &Handle,
    ) -> Result<Self, ProxyError> {
        let (doors, watches) = doors(config, sockets, control)?;
        let connector = Arc::new(Connector::new(&config.balancer.edge.upstream)?);
        connector.warn();
        drivers.iter().for_each(|driver| driver.check_with(&connector));
        let mut generation = Self {
            number,
            drivers,
            connector,
            log,
            counters: Vec::new(),
            stop: Arc::default(),
            threads: Vec::new(),
            watches,
        };
        let workers = config.workers();
        for worker in 0..workers {
            let sockets = sockets.of_worker(worker, workers).map_err(ProxyError::Start)?;
            let sockets = sockets.into_iter();
            let entrances =
                sockets.map(|(place, socket)| (Arc::clone(&doors[place]), socket)).collect();
            generation.spawn(config, worker, entrances)?;
        }
        Ok(generation)
    }

    fn spawn(
        &mut self,
        config: &ProxyConfig,
        number: usize,
        entrances: Vec<(Arc<Door>, std::net::TcpListener)>,
    ) -> Result<(), ProxyError> {
        let counters = Arc::<Counters>::default();
        self.counters.push(Arc::clone(&counters));
        let log = self.log.as_ref().map(|log| log.sink(self.number << 16 | number as u64));
        let driver = Arc::clone(&self.drivers[number % self.drivers.len()]);
        let (account, connector) = (Account { counters, log }, Arc::clone(&self.connector));
        let worker = Arc::new(worker(config, number as u16, driver, account, connector));
        let edge = &config.balancer.edge;
        let (limit, drain) = (edge.client.connections as usize, edge.drain_timeout.to_std());
        let stop = Arc::clone(&self.stop);
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(ProxyError::Start)?;
        let thread = thread::Builder::new()
            .name(format!("worker {number}"))
            .spawn(move || {
                let _entered = runtime.enter();
                runtime.spawn(Arc::clone(&worker).care());
                runtime.block_on(listen::serve(entrances, worker, stop, limit, drain))
            })
            .map_err(ProxyError::Start)?;
        self.threads.push(thread);
        Ok(())
    }

    /// Accepts nobody new, and lets clients finish.
    pub(super) fn drain(&self) {
        self.stop.drain();
        self.watches.iter().for_each(AbortHandle::abort);
    }

    /// Lets requests end, and closes what is idle.
    pub(super) fn tell(&self) {
        self.stop.tell();
    }

    /// Whether all of its workers have ended.
    pub(super) fn is_over(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Waits for its workers.
    ///
    /// # Errors
    /// When one of them failed.
    pub(super) fn join(&mut self) -> Result<(), ProxyError> {
        for thread in self.threads.drain(..) {
            thread
                .join()
                .map_err(|_| ProxyError::Panicked("a worker"))?
                .map_err(ProxyError::Worker)?;
        }
        Ok(())
    }

    /// What its workers have counted.
    pub(super) fn count_into(&self, totals: &mut Totals) {
        self.counters.iter().for_each(|counters| totals.take_in(counters));
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.tell();
        self.watches.iter().for_each(AbortHandle::abort);
    }
}

/// What each listener does with its clients, in the order of the configuration.
fn doors(
    config: &ProxyConfig,
    sockets: &Sockets,
    control: &Handle,
) -> Result<(Vec<Arc<Door>>, Vec<AbortHandle>), ProxyError> {
    let addresses: Vec<SocketAddr> = sockets.addresses().map_err(ProxyError::Start)?;
    let listeners: Vec<Listener> = config.listeners();
    let mut watches = Vec::new();
    let mut doors = Vec::new();
    for (listener, address) in listeners.into_iter().zip(addresses) {
        let door = Door::new(listener, address)?;
        if let Some(tls) = &door.tls {
            watches.push(control.spawn(Arc::clone(tls).watch()).abort_handle());
        }
        doors.push(Arc::new(door));
    }
    Ok((doors, watches))
}

fn worker(
    config: &ProxyConfig,
    number: u16,
    driver: Arc<Driver>,
    account: Account,
    connector: Arc<Connector>,
) -> Worker {
    let limits = Limits {
        connect_timeout: config.balancer.connect_timeout,
        read_timeout: config.balancer.read_timeout,
    };
    let idle = config.balancer.keepalive as usize;
    let keepalive = pool::Limits {
        requests: config.balancer.edge.upstream.requests_per_connection,
        age: config.balancer.edge.upstream.connection_age,
        ..pool::Limits::new(idle, config.balancer.keepalive_timeout)
    };
    let edge = Arc::new(config.balancer.edge.clone());
    let mut worker = Worker::new(number, driver, account, limits, edge, connector, keepalive);
    worker.keys = RequestKey::new(&config.balancer);
    worker
}
