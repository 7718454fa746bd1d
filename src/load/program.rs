//! The generator as a program: its thread and its signals.

use std::time::Duration;

use super::config::{LoadConfig, LoadError};
use super::run::{Outcome, run_watched};
use super::watch::Watch;
use super::wire::Dialer;
use crate::host::child::told_to_stop;
use crate::host::priority;

/// How long a server may take to open a connection before a run.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens a connection to each target, and closes it: a server that is not there, a certificate that
/// nobody believes, or a server that does not speak HTTP/2, is better told before a run than by each
/// of its requests.
///
/// # Errors
/// The first target that cannot be reached; where there are several, those without TLS may be away
/// as long as one of them is there, since that may be what is tried.
pub fn reach(config: &LoadConfig) -> Result<(), LoadError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LoadError::Timer)?;
    runtime.block_on(async {
        let mut away = Vec::new();
        for (target, dialer) in config.targets.iter().zip(Dialer::all(config)?) {
            let opened = tokio::time::timeout(PATIENCE, dialer.open(0)).await;
            let late = || Err(std::io::ErrorKind::TimedOut.into());
            if let Err(source) = opened.unwrap_or_else(|_| late()) {
                let error = LoadError::Unreachable { authority: target.authority.clone(), source };
                if target.secure {
                    return Err(error);
                }
                away.push(error);
            }
        }
        let nobody = away.len() == config.targets.len();
        away.into_iter().next().filter(|_| nobody).map_or(Ok(()), Err)
    })
}

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
