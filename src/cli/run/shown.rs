//! `lab run --metrics`, `--prometheus`: the run shown while it lasts.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::terminal::complain;
use crate::live::Watcher;
use crate::live::prometheus::{Prometheus, PrometheusError, PrometheusOptions};
use crate::monitor::{Board, MonitorError, Server};
use crate::scenario::AutoscalerFacts;
use crate::units::Span;

/// Where Prometheus keeps its data in the folder of a run.
const KEPT: &str = "prometheus";
/// Between two scrapes, where nobody counts on another one.
const INTERVAL: Span = Span::from_secs(15);
const INTERVAL_LEAST: Span = Span::from_millis(100);

/// Arguments of `lab run` that show it.
#[derive(Args, Clone, Debug)]
pub(super) struct ShowArgs {
    /// Show the run while it lasts, the model beside the live world: /metrics, and /sd/JOB for
    /// Prometheus' HTTP service discovery
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true, default_missing_value = "127.0.0.1:9464")]
    pub(super) metrics: Option<SocketAddr>,
    /// Run Prometheus beside it, which scrapes all of it and ends with it
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true, default_missing_value = "127.0.0.1:9090")]
    pub(super) prometheus: Option<SocketAddr>,
    /// How often Prometheus scrapes [default: `scrape_interval` of the scenario's autoscaler, else 15s]
    #[arg(long, value_name = "DURATION", value_parser = interval, requires = "prometheus")]
    scrape_interval: Option<Span>,
    /// Keep what Prometheus has scraped, in the folder of the run
    #[arg(long, requires = "prometheus")]
    keep_prometheus: bool,
}

/// Prometheus knows milliseconds, and scrapes of a program take some.
fn interval(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error| format!("{error}"))?;
    let allowed = span >= INTERVAL_LEAST && span <= Span::from_secs(3600);
    if allowed { Ok(span) } else { Err("it must be from 100ms to 1h".to_owned()) }
}

/// Why the run cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum ShowError {
    #[error(transparent)]
    Monitor(#[from] MonitorError),
    #[error(transparent)]
    Prometheus(#[from] PrometheusError),
    #[error("cannot keep Prometheus' data in {}: {error}", path.display())]
    Keep { path: PathBuf, error: std::io::Error },
}

/// What shows the run; nothing if it is not to be shown.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) board: Option<Board>,
    server: Option<Server>,
    prometheus: Option<Prometheus>,
    keep: bool,
}

impl Shown {
    /// Starts what was asked for, and says where it is unless `quiet`. Prometheus works in a hidden
    /// folder below `out`, which goes with it; it scrapes as often as `autoscaler` counts on.
    pub(super) fn start(
        args: &ShowArgs,
        autoscaler: Option<&AutoscalerFacts>,
        out: &Path,
        quiet: bool,
    ) -> Result<Self, ShowError> {
        if args.metrics.is_none() && args.prometheus.is_none() {
            return Ok(Self::default());
        }
        let board = Board::default();
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::start(args.metrics.unwrap_or(anywhere), board.clone())?;
        let lab = server.address();
        say(quiet, &format!("metrics at http://{lab}/metrics"));
        let mut shown = Self::default();
        (shown.board, shown.server) = (Some(board), Some(server));
        if let Some(listen) = args.prometheus {
            let folder = out.join(format!(".prometheus-{}", std::process::id()));
            let counted_on =
                || autoscaler.map_or(INTERVAL, |it| it.scrape_interval.max(INTERVAL_LEAST));
            let scrape_interval = args.scrape_interval.unwrap_or_else(counted_on);
            let options = PrometheusOptions { listen, scrape_interval, lab, folder };
            let started = Prometheus::start(&options).inspect_err(|_| forget(&options.folder));
            shown.prometheus = Some(started?);
            shown.keep = args.keep_prometheus;
            say(quiet, &format!("Prometheus at http://{listen}/"));
        }
        Ok(shown)
    }

    /// Where Prometheus answers.
    pub(super) fn prometheus(&self) -> Option<SocketAddr> {
        self.prometheus.as_ref().map(Prometheus::address)
    }

    /// Stops it all. What Prometheus has kept goes to `folder`, if it was to be kept.
    pub(super) fn finish(mut self, folder: &Path) -> Result<(), ShowError> {
        let Some(prometheus) = self.prometheus.take() else { return Ok(()) };
        let from = prometheus.folder().to_owned();
        if let Some(why) = prometheus.finish() {
            complain(&format!("Prometheus ended in the middle of the run ({why})"));
        }
        if self.keep {
            let to = folder.join(KEPT);
            std::fs::rename(&from, &to).map_err(|error| ShowError::Keep { path: to, error })?;
        } else {
            forget(&from);
        }
        Ok(())
    }
}

impl Drop for Shown {
    /// Of a run that failed nothing stays.
    fn drop(&mut self) {
        drop(self.server.take());
        if let Some(prometheus) = self.prometheus.take() {
            let folder = prometheus.folder().to_owned();
            drop(prometheus);
            forget(&folder);
        }
    }
}

/// What Prometheus had is of no use to anybody, and neither is a word about what cannot be removed.
fn forget(folder: &Path) {
    let _ = std::fs::remove_dir_all(folder);
}

fn say(quiet: bool, what: &str) {
    if !quiet {
        eprintln!("lab: {what}");
    }
}

/// Tells the board of every phase, too.
pub(super) struct Telling<'a> {
    pub(super) inner: &'a dyn Watcher,
    pub(super) board: Option<&'a Board>,
}

impl Watcher for Telling<'_> {
    fn phase(&self, what: &str) {
        if let Some(board) = self.board {
            board.phase(what);
        }
        self.inner.phase(what);
    }

    fn passed(&self, time: Span) {
        self.inner.passed(time);
    }
}
