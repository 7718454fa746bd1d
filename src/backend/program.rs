//! The backend as a program: its thread, its signals, its end.

use super::config::{BackendConfig, BackendError};
use super::server::Server;
use crate::host::child::{Ready, told_to_stop};

/// Serves until SIGINT or SIGTERM. `ready` hears where, once connections are accepted.
///
/// # Errors
/// See [`BackendError`]; also when `ready` fails, for then nobody knows of this backend.
pub fn serve(
    config: BackendConfig,
    ready: impl FnOnce(&Ready) -> std::io::Result<()>,
) -> Result<(), BackendError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(BackendError::System)?;
    runtime.block_on(async {
        let server = Server::bind(config)?;
        let control = server.control().map(|address| address.to_string());
        let stop = told_to_stop();
        ready(&Ready { listen: server.listen().to_string(), control })
            .map_err(BackendError::System)?;
        server
            .run(async {
                // Without handlers for signals the default ones end the process.
                if stop.await.is_err() {
                    std::future::pending::<()>().await;
                }
            })
            .await;
        Ok(())
    })
}
