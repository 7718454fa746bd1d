//! The generator as a program: its thread and its signals.

use super::config::{LoadConfig, LoadError};
use super::run::{Outcome, run_watched};
use super::watch::Watch;
use crate::host::child::told_to_stop;
use crate::host::priority;

/// Runs on this thread until the plan's end, SIGINT or SIGTERM; the second of them ends the process
/// at once.
///
/// # Errors
/// See [`LoadError`]; real-time priority that is asked for and not permitted is one.
pub fn generate(
    config: LoadConfig,
    real_time: bool,
    watch: &mut dyn Watch,
) -> Result<Outcome, LoadError> {
    priority::precise_timers();
    if real_time {
        priority::real_time().map_err(LoadError::RealTime)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LoadError::Timer)?;
    runtime.block_on(run_watched(config, watch, async {
        // Without handlers for signals the default ones end the process.
        if told_to_stop().await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::spawn(async {
            if told_to_stop().await.is_ok() {
                #[expect(clippy::disallowed_methods, reason = "the user insists")]
                std::process::exit(130);
            }
        });
    }))
}
