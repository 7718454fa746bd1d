//! The proxy as a whole: started, reloaded, stopped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle};

use super::config::ProxyConfig;
use super::error::ProxyError;
use super::instance::{Instance, Reload, Source};
use super::listen::Stop;
use super::sockets::Sockets;
use super::spool::Writer;

/// A running proxy. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Proxy {
    instance: Arc<Instance>,
    control: Control,
    writer: Option<Writer>,
}

impl Proxy {
    /// Starts all workers; when this returns, clients can connect.
    ///
    /// # Errors
    /// When an address is missing or taken, or a certificate, a token or a file cannot be used.
    pub fn start(config: &ProxyConfig) -> Result<Self, ProxyError> {
        Self::start_with(config, &Sockets::default(), None)
    }

    /// The same with sockets that another process left, and with a source of configuration for
    /// [`Self::reload_from_source`].
    ///
    /// # Errors
    /// As [`Self::start`].
    pub(super) fn start_with(
        config: &ProxyConfig,
        inherited: &Sockets,
        source: Option<Source>,
    ) -> Result<Self, ProxyError> {
        let writer = config.spool.as_deref().map(Writer::start).transpose()?;
        let spool = writer.as_ref().map(Writer::spool);
        let control = Control::start()?;
        let instance = Instance::start(config, inherited, spool, source, control.handle.clone())?;
        Ok(Self { instance, control, writer })
    }

    /// Where clients connect: the first listener.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.addresses().first().copied().unwrap_or_else(|| ([0, 0, 0, 0], 0).into())
    }

    /// Where clients connect, with the ports that the system chose.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.instance.sockets().addresses().unwrap_or_default()
    }

    /// Where the admin interface listens, if it does so at an address.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_place()?.parse().ok()
    }

    /// Where the admin interface listens: an address, or `unix:PATH`.
    #[must_use]
    pub fn admin_place(&self) -> Option<String> {
        self.instance.sockets().admin().map(|socket| socket.address())
    }

    /// Goes on with another configuration. Changed peers are changed in place, with their health and
    /// what they have in flight; for anything else new workers take over the sockets, and the old
    /// ones finish what they have.
    ///
    /// # Errors
    /// When it cannot be used; everything stays as it was then.
    pub fn reload(&self, config: &ProxyConfig) -> Result<Reload, ProxyError> {
        self.instance.reload(config)
    }

    /// [`Self::reload`] from where the configuration came from.
    ///
    /// # Errors
    /// As [`Self::reload`], and when there is no such place or it holds none.
    pub(super) fn reload_from_source(&self) -> Result<Reload, ProxyError> {
        self.instance.reload_from_source()
    }

    /// Opens the access log again, after it was moved away.
    pub(super) fn reopen_log(&self) {
        self.instance.reopen_log();
    }

    /// The listening sockets.
    pub(super) fn sockets(&self) -> Sockets {
        self.instance.sockets()
    }

    /// Stops accepting and lets clients finish, idle ones too, until all have left or the drain
    /// time is over: for when another process accepts from the same sockets.
    ///
    /// # Errors
    /// As [`Self::stop`].
    pub fn drain(self) -> Result<(), ProxyError> {
        self.instance.drain();
        self.instance.wait()?;
        self.stop()
    }

    /// Stops accepting, closes idle connections, lets open requests end for the drain time, and
    /// writes the last rows.
    ///
    /// # Errors
    /// When a worker failed or rows could not be written.
    pub fn stop(mut self) -> Result<(), ProxyError> {
        self.instance.tell();
        self.instance.wait()?;
        self.control.end()?;
        self.writer.take().map_or(Ok(()), Writer::finish)
    }

    /// Tells a proxy that drains to close idle connections now.
    pub(super) fn hurry(&self) -> impl Fn() + Send + use<> {
        let instance = Arc::clone(&self.instance);
        move || instance.tell()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.instance.tell();
    }
}

/// The thread of what is no worker's: the admin interface, health checks and other deadlines of the
/// machine. It outlives generations of workers.
#[derive(Debug)]
struct Control {
    handle: Handle,
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Control {
    fn start() -> Result<Self, ProxyError> {
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(ProxyError::Start)?;
        let handle = runtime.handle().clone();
        let stop = Arc::<Stop>::default();
        let told = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || {
                runtime.block_on(told.wait());
                // A configuration that is just being read does not hold up the end.
                runtime.shutdown_background();
            })
            .map_err(ProxyError::Start)?;
        Ok(Self { handle, stop, thread: Some(thread) })
    }

    fn end(&mut self) -> Result<(), ProxyError> {
        self.stop.tell();
        let thread = self.thread.take();
        thread.map_or(Ok(()), JoinHandle::join).map_err(|_| ProxyError::Panicked("control"))
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.stop.tell();
    }
}
