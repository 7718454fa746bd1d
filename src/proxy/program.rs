//! `lab proxy` as a program: up, ready, told things by signals, down.
//!
//! | signal | |
//! |---|---|
//! | SIGHUP | reads the configuration again; one that is wrong changes nothing |
//! | SIGUSR1 | opens the access log again (log rotation) |
//! | SIGUSR2 | starts the program anew on the same sockets, and drains once that is ready |
//! | SIGTERM, SIGQUIT, SIGINT | stops accepting and drains; a second SIGINT ends at once |

use std::io;
use std::path::{Path, PathBuf};
use std::process;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use super::config::ProxyConfig;
use super::error::ProxyError;
use super::handover::{HandoverError, Inheritance, Program};
use super::instance::Source;
use super::journal::log;
use super::server::Proxy;
use crate::host::child::Ready;
use crate::units::Span;

/// How long a new program may take to be ready.
const HANDOVER_LIMIT: Span = Span::from_secs(60);

/// What the program is told on its command line, apart from the proxy itself.
#[derive(Debug, Default)]
pub struct Options {
    /// The number of the process that serves is written here.
    pub pid_file: Option<PathBuf>,
    /// Another program supervises this one and its number, so that it cannot be replaced.
    pub supervised: bool,
}

/// Serves until told to stop, then drains. `source` gives the configuration again for a reload;
/// `ready` is called once clients can connect.
///
/// # Errors
/// When the proxy cannot start, `ready` fails, or a worker or the spool has failed.
pub fn serve(
    config: &ProxyConfig,
    options: &Options,
    source: impl Fn() -> Result<ProxyConfig, String> + Send + Sync + 'static,
    ready: impl FnOnce(&Ready) -> io::Result<()>,
) -> Result<(), ProxyError> {
    raise_descriptor_limit();
    let program = Program::running().map_err(ProxyError::Start)?;
    // SAFETY: nothing has been opened yet but what every program has.
    let inheritance = unsafe { Inheritance::take() };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ProxyError::Start)?;
    let result = runtime.block_on(async {
        // Asked for before anybody can know that this process is there to be told.
        let signals = Signals::new().map_err(ProxyError::Start)?;
        run(config, options, Box::new(source), ready, inheritance, program, signals).await
    });
    // An end that was hurried does not wait for what it hurried past.
    runtime.shutdown_background();
    result
}

async fn run(
    config: &ProxyConfig,
    options: &Options,
    source: Source,
    ready: impl FnOnce(&Ready) -> io::Result<()>,
    mut inheritance: Inheritance,
    program: Program,
    mut signals: Signals,
) -> Result<(), ProxyError> {
    let proxy = Proxy::start_with(config, &inheritance.sockets, Some(source))?;
    inheritance.sockets = Default::default();
    if let Some(path) = &options.pid_file {
        write_pid(path).map_err(|source| ProxyError::PidFile { path: path.clone(), source })?;
    }
    ready(&Ready { listen: proxy.address().to_string(), control: proxy.admin_place() })
        .map_err(ProxyError::Start)?;
    if let Err(error) = inheritance.say_ready() {
        log(format_args!("the program that this one replaces is gone: {error}"));
    }
    let told = heed(&proxy, options, &program, &mut signals).await;
    let hurry = proxy.hurry();
    let mut ending = tokio::task::spawn_blocking(move || match told {
        Told::Stop => proxy.stop(),
        Told::Replaced => proxy.drain(),
    });
    let result = loop {
        tokio::select! {
            ended = &mut ending => break ended.unwrap_or(Err(ProxyError::Panicked("the end"))),
            _ = signals.interrupt.recv() => break Ok(()),
            _ = signals.terminate.recv() => hurry(),
            _ = signals.quit.recv() => hurry(),
        }
    };
    if told == Told::Stop
        && let Some(path) = &options.pid_file
    {
        drop(std::fs::remove_file(path));
    }
    result
}

/// Whole or not at all: the file of the process that this one replaces may be there.
fn write_pid(path: &Path) -> io::Result<()> {
    let new = path.with_added_extension("new");
    std::fs::write(&new, format!("{}\n", process::id()))?;
    std::fs::rename(new, path)
}

/// Why a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Stop,
    /// Another process serves in its place.
    Replaced,
}

/// Does what signals ask for, until one asks for the end.
async fn heed(proxy: &Proxy, options: &Options, program: &Program, signals: &mut Signals) -> Told {
    let mut successor: Option<JoinHandle<Result<u32, HandoverError>>> = None;
    loop {
        let handover = async {
            match &mut successor {
                Some(started) => started.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = handover => {
                successor = None;
                match ended {
                    Ok(Ok(pid)) => {
                        log(format_args!("process {pid} has taken over; draining"));
                        return Told::Replaced;
                    }
                    Ok(Err(error)) => log(format_args!("not replaced, serving on: {error}")),
                    Err(error) => log(format_args!("not replaced, serving on: {error}")),
                }
            }
            // What went wrong has been logged and counted where it happened.
            _ = signals.hangup.recv() => drop(proxy.reload_from_source()),
            _ = signals.rotate.recv() => proxy.reopen_log(),
            _ = signals.replace.recv() => {
                if options.supervised {
                    log(format_args!("not replaced: another program supervises this one"));
                } else if successor.is_none() {
                    let (program, sockets) = (program.clone(), proxy.sockets());
                    log(format_args!("starting {} in place of this process", program.path().display()));
                    successor = Some(tokio::task::spawn_blocking(move || {
                        program.take_over(&sockets, HANDOVER_LIMIT)
                    }));
                }
            }
            _ = signals.interrupt.recv() => return Told::Stop,
            _ = signals.terminate.recv() => return Told::Stop,
            _ = signals.quit.recv() => return Told::Stop,
        }
    }
}

struct Signals {
    hangup: Signal,
    rotate: Signal,
    replace: Signal,
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            rotate: signal(SignalKind::user_defined1())?,
            replace: signal(SignalKind::user_defined2())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
        })
    }
}

/// Each client takes a descriptor, and its request another; the soft limit is often 1024. What
/// cannot be raised stays: `accept` then reports it.
fn raise_descriptor_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}
