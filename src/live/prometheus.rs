//! A real Prometheus beside a run: it finds what the run starts by HTTP service discovery, keeps what
//! it scrapes in a folder of its own, and ends with the run.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hyper::Method;
use tokio::sync::oneshot;

use super::engine::on_path;
use super::provider::{Program, ProgramError};
use crate::host::{call, clock};
use crate::monitor::Job;
use crate::units::Span;

/// What a person names, with the package that has it.
const COMMAND: &str = "prometheus";
const PACKAGE: &str = "the package prometheus (Debian)";
/// How long it may take to be ready: it reads its data first.
const START_LIMIT: Span = Span::from_secs(30);
/// How long it may take to write its data and end.
const STOP_LIMIT: Duration = Duration::from_secs(20);
const QUESTION_LIMIT: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A scrape takes no longer, however long the interval.
const SCRAPE_TIMEOUT_MAX: Span = Span::from_secs(10);
/// Prometheus asks for new targets this often, or once in an interval if that is shorter.
const DISCOVERY_INTERVAL_MAX: Span = Span::from_secs(5);

/// The rules that are shipped for Prometheus, as in the folder `compose/prometheus/rules`.
pub const RULES: [(&str, &str); 2] = [
    ("recording.yml", include_str!("../../compose/prometheus/rules/recording.yml")),
    ("alerts.yml", include_str!("../../compose/prometheus/rules/alerts.yml")),
];

/// Why there is no Prometheus beside the run.
#[derive(Debug, thiserror::Error)]
pub enum PrometheusError {
    /// It is not installed.
    #[error("{COMMAND} is not installed here: it comes with {PACKAGE}")]
    Missing,
    /// Its folder cannot be written.
    #[error("cannot write {}: {error}", path.display())]
    Folder {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The address is taken by another program.
    #[error(
        "Prometheus cannot listen at {address}: {error}; give another with --prometheus=ADDRESS"
    )]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The process could not be made, or ended before it was ready.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The thread that keeps it could not begin.
    #[error("cannot start the thread of Prometheus: {0}")]
    Thread(io::Error),
}

/// How Prometheus is to run.
#[derive(Clone, Debug)]
pub struct PrometheusOptions {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How often it scrapes, and evaluates its rules; at least a millisecond.
    pub scrape_interval: Span,
    /// Where the run's own endpoint is.
    pub lab: SocketAddr,
    /// A folder for its configuration, log and data; made if it is not there.
    pub folder: PathBuf,
}

/// A running Prometheus. Dropping it stops it.
#[derive(Debug)]
pub struct Prometheus {
    address: SocketAddr,
    folder: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Option<String>>>,
}

impl Prometheus {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// See [`PrometheusError`].
    pub fn start(options: &PrometheusOptions) -> Result<Self, PrometheusError> {
        let program = on_path(Path::new(COMMAND)).ok_or(PrometheusError::Missing)?;
        // It would say so too, in a log that nobody looks for.
        let address = options.listen;
        std::net::TcpListener::bind(address)
            .map_err(|error| PrometheusError::Listen { address, error })?;
        write_configuration(options)?;
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let wanted = options.clone();
        // The kernel ties its life to the thread that starts it.
        let thread = thread::Builder::new()
            .name("prometheus".to_owned())
            .spawn(move || keep(&program, &wanted, &tell, stopped))
            .map_err(PrometheusError::Thread)?;
        let ended = || Err(PrometheusError::Thread(io::Error::other("it ended")));
        told.recv().unwrap_or_else(|_| ended())?;
        Ok(Self { address, folder: options.folder.clone(), stop: Some(stop), thread: Some(thread) })
    }

    /// Where it answers.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder of its configuration and data.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Stops it; its data is whole then. Says how it ended, if it was not told to.
    pub fn finish(mut self) -> Option<String> {
        self.end()
    }

    fn end(&mut self) -> Option<String> {
        drop(self.stop.take());
        self.thread.take()?.join().ok()?
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.end();
    }
}

/// The thread of one Prometheus, from its start to its end. Gives how it ended, if too early.
fn keep(
    program: &Path,
    options: &PrometheusOptions,
    tell: &mpsc::Sender<Result<(), PrometheusError>>,
    stopped: oneshot::Receiver<()>,
) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = tell.send(Err(PrometheusError::Thread(error)));
            return None;
        }
    };
    runtime.block_on(async {
        let mut prometheus = match started(program, options).await {
            Ok(prometheus) => prometheus,
            Err(error) => {
                let _ = tell.send(Err(error));
                return None;
            }
        };
        let _ = tell.send(Ok(()));
        tokio::select! {
            _ = stopped => {}
            status = prometheus.wait() => {
                let status = status.map_or_else(|| "unknown".to_owned(), |it| it.to_string());
                return Some(format!("{status}{}", prometheus.log_tail()));
            }
        }
        prometheus.stop(STOP_LIMIT).await;
        None
    })
}

async fn started(program: &Path, options: &PrometheusOptions) -> Result<Program, PrometheusError> {
    let folder = &options.folder;
    let arguments = [
        format!("--config.file={}", folder.join("prometheus.yml").display()),
        format!("--storage.tsdb.path={}", folder.join("data").display()),
        format!("--web.listen-address={}", options.listen),
        "--log.level=warn".to_owned(),
    ];
    let program = program.display().to_string();
    let log = folder.join("prometheus.log");
    let mut prometheus = Program::start_foreign("Prometheus", &program, &arguments, &log)?;
    let deadline = clock::now() + START_LIMIT;
    loop {
        if let Some(status) = prometheus.ended() {
            return Err(prometheus.not_ready(format!("it ended with {status}")).into());
        }
        let ready = call::call(options.listen, Method::GET, "/-/ready", None, QUESTION_LIMIT);
        if matches!(ready.await, Ok((200, _))) {
            return Ok(prometheus);
        }
        if clock::now() >= deadline {
            return Err(prometheus.not_ready(format!("no answer within {START_LIMIT}")).into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn write_configuration(options: &PrometheusOptions) -> Result<(), PrometheusError> {
    let folder = |path: &Path| {
        fs::create_dir_all(path)
            .map_err(|error| PrometheusError::Folder { path: path.to_owned(), error })
    };
    let file = |path: PathBuf, text: &str| {
        fs::write(&path, text).map_err(|error| PrometheusError::Folder { path, error })
    };
    let rules = options.folder.join("rules");
    folder(&rules)?;
    for (name, text) in RULES {
        file(rules.join(name), text)?;
    }
    file(options.folder.join("prometheus.yml"), &configuration(options))
}

/// The configuration: as `compose/prometheus/prometheus.yml`, but all that a run starts is found at
/// the run's own endpoint.
fn configuration(options: &PrometheusOptions) -> String {
    let interval = options.scrape_interval.max(Span::from_millis(1));
    let mut text = format!(
        "# Written by lab for one run.\n\
         global:\n  scrape_interval: {interval}\n  scrape_timeout: {timeout}\n  evaluation_interval: {interval}\n\
         rule_files:\n  - rules/*.yml\n\
         scrape_configs:\n\
         \x20 - job_name: prometheus\n    static_configs:\n      - targets: ['{itself}']\n\
         \x20 - job_name: lab\n    static_configs:\n      - targets: ['{lab}']\n",
        interval = duration(interval),
        timeout = duration(interval.min(SCRAPE_TIMEOUT_MAX)),
        itself = options.listen,
        lab = options.lab,
    );
    for job in Job::ALL {
        let _ = write!(
            text,
            "  - job_name: {job}\n    http_sd_configs:\n      - url: http://{lab}/sd/{job}\n        refresh_interval: {refresh}\n",
            job = job.name(),
            lab = options.lab,
            refresh = duration(interval.min(DISCOVERY_INTERVAL_MAX)),
        );
    }
    text
}

/// In whole milliseconds, as Prometheus writes durations.
fn duration(span: Span) -> String {
    format!("{}ms", (span.0 / 1_000_000).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_says_how_often_and_where() {
        let mut options = PrometheusOptions {
            listen: ([127, 0, 0, 1], 9090).into(),
            scrape_interval: Span::from_millis(1500),
            lab: ([127, 0, 0, 1], 9464).into(),
            folder: PathBuf::new(),
        };
        let text = configuration(&options);
        for line in [
            "  scrape_interval: 1500ms",
            "  scrape_timeout: 1500ms",
            "      - targets: ['127.0.0.1:9464']",
            "  - job_name: backends",
            "      - url: http://127.0.0.1:9464/sd/balancer",
            "        refresh_interval: 1500ms",
        ] {
            assert!(text.lines().any(|found| found == line), "{line:?} is not in\n{text}");
        }
        options.scrape_interval = Span::from_secs(60);
        assert!(configuration(&options).contains("scrape_timeout: 10000ms"));
        assert!(configuration(&options).contains("refresh_interval: 5000ms"));
    }
}
