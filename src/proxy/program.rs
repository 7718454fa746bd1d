//! `lab proxy` as a program: up, ready, told to stop, down.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::error::ProxyError;
use super::server::{Proxy, ProxyConfig};
use crate::host::child::{Ready, told_to_stop};

/// Serves until SIGINT or SIGTERM, then drains. `ready` is called once clients can connect.
///
/// # Errors
/// When the proxy cannot start, `ready` fails, or a worker or the spool has failed.
pub fn serve(
    config: &ProxyConfig,
    ready: impl FnOnce(&Ready) -> io::Result<()>,
) -> Result<(), ProxyError> {
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ProxyError::Start)?;
    runtime.block_on(async {
        // Asked for before anybody can know that this process is there to be told.
        let mut stopped = std::pin::pin!(told_to_stop());
        std::future::poll_fn(|context| {
            let _ = stopped.as_mut().poll(context);
            std::task::Poll::Ready(())
        })
        .await;
        let proxy = Proxy::start(config)?;
        let at = Ready {
            listen: proxy.address().to_string(),
            control: proxy.admin_address().map(|address| address.to_string()),
        };
        ready(&at).map_err(ProxyError::Start)?;
        stopped.await.map_err(ProxyError::Start)?;
        proxy.stop()
    })
}

/// Each client takes a descriptor, and its request another; the soft limit is often 1024. What
/// cannot be raised stays: `accept` then reports it.
fn raise_descriptor_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}
