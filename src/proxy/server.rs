//! The proxy as a whole: started, listening, stopped.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Runtime};

use super::account::Account;
use super::admin;
use super::driver::Driver;
use super::error::ProxyError;
use super::journal::{Journal, log};
use super::listen::{self, Stop};
use super::pool;
use super::spool::{Spool, Writer};
use super::worker::{Limits, Worker};
use crate::scenario::{BalancerFacts, StateSharing};
use crate::units::{Seed, Span};

/// A proxy as configured.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// Where clients connect; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where the admin interface listens, if anywhere; a loopback address.
    pub admin: Option<SocketAddr>,
    /// What it does.
    pub balancer: BalancerFacts,
    /// Address of each peer, in the order of the configuration.
    pub addresses: Vec<SocketAddr>,
    /// Addresses the draws of policies that draw.
    pub seed: Seed,
    /// Number of the replication or round, for rows.
    pub replication: u32,
    /// Number of this instance's first view of the peers, for rows.
    pub view_base: u16,
    /// Folder for rows of attempts and events, if they are wanted; it must exist.
    pub spool: Option<PathBuf>,
    /// How long open requests may take to end after [`Proxy::stop`].
    pub drain: Span,
}

impl ProxyConfig {
    /// A proxy for `balancer` at a port of the system's choice, without admin interface and spool.
    #[must_use]
    pub fn new(balancer: BalancerFacts, addresses: Vec<SocketAddr>) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin: None,
            balancer,
            addresses,
            seed: Seed::new(0, 0),
            replication: 0,
            view_base: 0,
            spool: None,
            drain: Span::from_secs(5),
        }
    }
}

/// A running proxy. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Proxy {
    listen: SocketAddr,
    admin: Option<SocketAddr>,
    stop: Arc<Stop>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    writer: Option<Writer>,
}

impl Proxy {
    /// Starts all workers; when this returns, clients can connect.
    ///
    /// # Errors
    /// When an address is missing or taken, or the spool's files cannot be created.
    pub fn start(config: &ProxyConfig) -> Result<Self, ProxyError> {
        check(config)?;
        let workers = config.balancer.workers.max(1);
        let bind = |address, count| {
            listen::bind(address, count).map_err(|source| ProxyError::Bind { address, source })
        };
        let listeners = bind(config.listen, workers)?;
        let mut admin_listener = None;
        if let Some(address) = config.admin {
            admin_listener = bind(address, 1)?.pop();
        }
        let writer = config.spool.as_deref().map(Writer::start).transpose()?;
        let address = |listener: &TcpListener| listener.local_addr().map_err(ProxyError::Start);
        let mut proxy = Self {
            listen: address(&listeners[0])?,
            admin: admin_listener.as_ref().map(address).transpose()?,
            stop: Arc::default(),
            threads: Vec::new(),
            writer,
        };
        proxy.start_threads(config, listeners, admin_listener)?;
        Ok(proxy)
    }

    fn start_threads(
        &mut self,
        config: &ProxyConfig,
        listeners: Vec<TcpListener>,
        admin_listener: Option<TcpListener>,
    ) -> Result<(), ProxyError> {
        let spool = self.writer.as_ref().map(Writer::spool);
        let drivers = drivers(config, spool.as_ref(), listeners.len());
        for (number, listener) in listeners.into_iter().enumerate() {
            let driver = &drivers[number % drivers.len()];
            // The first worker that uses a driver gives it its time.
            let timed = (number < drivers.len()).then(|| Arc::clone(driver));
            let worker = Arc::new(worker(config, number as u16, Arc::clone(driver)));
            self.spawn(format!("worker {number}"), {
                let stop = Arc::clone(&self.stop);
                let drain = config.drain.to_std();
                move |runtime| {
                    let _entered = runtime.enter();
                    runtime.spawn(Arc::clone(&worker).care());
                    if let Some(driver) = timed {
                        runtime.spawn(keep_time(driver));
                    }
                    runtime.block_on(listen::accept(listener, worker, stop, drain))
                }
            })?;
        }
        if let Some(listener) = admin_listener {
            let stop = Arc::clone(&self.stop);
            self.spawn("admin".to_owned(), move |runtime| {
                runtime.block_on(admin::serve(listener, drivers.into(), stop))
            })?;
        }
        Ok(())
    }

    fn spawn(
        &mut self,
        name: String,
        run: impl FnOnce(&Runtime) -> io::Result<()> + Send + 'static,
    ) -> Result<(), ProxyError> {
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(ProxyError::Start)?;
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || run(&runtime))
            .map_err(ProxyError::Start)?;
        self.threads.push(thread);
        Ok(())
    }

    /// Where clients connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.listen
    }

    /// Where the admin interface listens, if it does.
    #[must_use]
    pub const fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Stops accepting, lets open requests end for the drain time, and writes the last rows.
    ///
    /// # Errors
    /// When a worker failed or rows could not be written.
    pub fn stop(mut self) -> Result<(), ProxyError> {
        self.stop.tell();
        for thread in self.threads.drain(..) {
            thread
                .join()
                .map_err(|_| ProxyError::Panicked("a worker"))?
                .map_err(ProxyError::Worker)?;
        }
        self.writer.take().map_or(Ok(()), Writer::finish)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.tell();
    }
}

/// Without its time a driver neither checks health nor ends a wait: that must not go unnoticed.
async fn keep_time(driver: Arc<Driver>) {
    if let Err(error) = driver.run().await {
        log(format_args!("health checks and queue time-outs have ended: {error}"));
    }
}

fn check(config: &ProxyConfig) -> Result<(), ProxyError> {
    let (peers, addresses) = (config.balancer.upstream.peers.len(), config.addresses.len());
    if peers != addresses {
        return Err(ProxyError::Addresses { peers, addresses });
    }
    match config.admin {
        Some(address) if !address.ip().is_loopback() => Err(ProxyError::AdminNotLoopback(address)),
        _ => Ok(()),
    }
}

/// One driver for all workers, or one each.
fn drivers(config: &ProxyConfig, spool: Option<&Arc<Spool>>, workers: usize) -> Vec<Arc<Driver>> {
    let views = match config.balancer.state {
        StateSharing::Shared => 1,
        StateSharing::PerWorker => workers as u16,
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

fn worker(config: &ProxyConfig, number: u16, driver: Arc<Driver>) -> Worker {
    let limits = Limits {
        connect_timeout: config.balancer.connect_timeout,
        read_timeout: config.balancer.read_timeout,
    };
    let idle = config.balancer.keepalive as usize;
    let upstream = &config.balancer.edge.upstream;
    let keepalive = pool::Limits {
        requests: upstream.requests_per_connection,
        age: upstream.connection_age,
        ..pool::Limits::new(idle, config.balancer.keepalive_timeout)
    };
    let account = Account { counters: Arc::default(), log: None };
    let edge = Arc::new(config.balancer.edge.clone());
    Worker::new(number, driver, account, limits, edge, keepalive)
}
