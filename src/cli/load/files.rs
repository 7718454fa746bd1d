//! The files of `lab load --out`: rows as Parquet and CSV, an `.hlog`, charts, and the result as
//! JSON; all of them, or none.

use std::fs;
use std::path::{Path, PathBuf};

use super::finished::Finished;
use crate::compare::baseline::hold;
use crate::compare::layout::{PeerFacts, Period, StageFacts};
use crate::compare::{Baseline, Digest, Evidence, Layout, results};
use crate::load::{LoadConfig, Outcome};
use crate::record::csv::CsvWriter;
use crate::record::hlog::HlogWriter;
use crate::record::spool::{SpoolEnd, read_spool};
use crate::record::{Both, Names, RecordError, Recorder, RequestRow, Sink};
use crate::report::chart::{ChartError, draw_of_client};
use crate::units::{Nanos, Span, World};

const SPOOL: &str = "spool.jsonl";
const HLOG_INTERVAL: Span = Span::from_secs(1);
/// Tables of a run with a balancer of lab's, which here would be empty.
const NOT_HERE: [&str; 3] = ["attempts.parquet", "timeline.parquet", "events.parquet"];

/// Why the files could not be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilesError {
    #[error("`{}` exists already: nothing is overwritten; choose another folder", .0.display())]
    Exists(PathBuf),
    #[error("`{}` cannot be a new folder", .0.display())]
    Name(PathBuf),
    #[error("cannot {action} `{}`: {error}", path.display())]
    Io { action: &'static str, path: PathBuf, error: std::io::Error },
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Chart(#[from] ChartError),
}

/// The folder of a run while it is written; dropped without [`Files::finish`] it is removed.
#[derive(Debug)]
pub(super) struct Files {
    whole: PathBuf,
    partial: PathBuf,
    baseline: Option<Baseline>,
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.partial);
    }
}

impl Files {
    /// Begins the folder that will be `whole`; the run will be held against `baseline`.
    pub(super) fn begin(whole: &Path, baseline: Option<Baseline>) -> Result<Self, FilesError> {
        let name = whole.file_name().ok_or_else(|| FilesError::Name(whole.to_owned()))?;
        if whole.symlink_metadata().is_ok() {
            return Err(FilesError::Exists(whole.to_owned()));
        }
        let name = format!(".partial-{}-{}", name.to_string_lossy(), std::process::id());
        let partial = whole.with_file_name(name);
        fs::create_dir_all(&partial).map_err(|error| FilesError::Io {
            action: "create the folder",
            path: partial.clone(),
            error,
        })?;
        Ok(Self { whole: whole.to_owned(), partial, baseline })
    }

    /// Where the rows go while the run lasts.
    pub(super) fn spool(&self) -> PathBuf {
        self.partial.join(SPOOL)
    }

    /// Makes the files of the rows, holds the run against the baseline, gives the folder its name,
    /// and says so. `started` is the wall clock's time of the run's zero.
    pub(super) fn finish(
        self,
        config: &LoadConfig,
        finished: &mut Finished,
        started: Nanos,
        seed: u64,
    ) -> Result<(), FilesError> {
        let outcome = &finished.outcome;
        let classes = config.traffic.classes.iter().map(|class| class.name.clone());
        let names = Names::new(outcome.servers.clone(), classes);
        let layout = layout(config, outcome);
        let mut digest = Digest::new(&layout, World::Live);
        let folder = &self.partial;
        let files = Both(
            Recorder::create(folder, "load", &names)?,
            HlogWriter::create(&folder.join("latency.hlog"), HLOG_INTERVAL, started)?,
        );
        let csv = CsvWriter::create(&folder.join("requests.csv"), &names)?;
        let mut sinks = Both(files, csv);
        let _: SpoolEnd = read_spool(&self.spool(), |row: RequestRow| {
            sinks.request(&row);
            digest.request(&row);
        })?;
        let Both(Both(recorder, hlog), csv) = sinks;
        recorder.finish()?;
        hlog.finish()?;
        csv.finish()?;
        if outcome.report.partial {
            digest.end_at(Nanos(outcome.tally.wall().0));
        }
        let evidence = Evidence {
            scenario: "lab load",
            run: &self.whole.file_name().unwrap_or_default().to_string_lossy(),
            seed,
            partial: outcome.report.partial,
            live: std::slice::from_ref(&digest),
            validity: Some(finished.validity.clone()),
            ..Evidence::default()
        };
        let mut results = results(&evidence);
        if let Some(Baseline { results: before, limits }) = &self.baseline {
            results.regressions = hold(limits, before, &results);
            finished.regressions.clone_from(&results.regressions);
        }
        draw_of_client(&results, folder)?;
        // Plain numbers and strings: this cannot fail.
        let summary = serde_json::to_string_pretty(&results).unwrap_or_default();
        for (name, text) in [("load.json", finished.to_json()), ("summary.json", summary)] {
            let path = folder.join(name);
            fs::write(&path, text + "\n").map_err(|error| FilesError::Io {
                action: "write",
                path,
                error,
            })?;
        }
        for file in NOT_HERE.iter().chain(&[SPOOL]) {
            let path = folder.join(file);
            fs::remove_file(&path).map_err(|error| FilesError::Io {
                action: "remove",
                path,
                error,
            })?;
        }
        fs::rename(folder, &self.whole).map_err(|error| FilesError::Io {
            action: "complete the folder",
            path: self.whole.clone(),
            error,
        })?;
        eprintln!("lab: wrote {}", self.whole.display());
        Ok(())
    }
}

/// What statistics need to know of the run: its servers are those that answered.
fn layout(config: &LoadConfig, outcome: &Outcome) -> Layout {
    let stages = config.traffic.stages().iter().map(|stage| StageFacts {
        period: Period { name: stage.name.clone(), from: stage.from, until: stage.until },
        rate: stage.mean_rate().0,
        from_rate: stage.rate_from.0,
        until_rate: stage.rate_until.0,
        steady: stage.rate_from == stage.rate_until,
    });
    let peer = |name: &String| PeerFacts {
        name: name.clone(),
        group: name.clone(),
        weight: 1,
        backup: false,
        workers: 1,
        capacity: f64::INFINITY,
        third_moment: true,
    };
    let mut layout = Layout::default();
    layout.classes = config.traffic.classes.iter().map(|class| class.name.clone()).collect();
    layout.stages = stages.collect();
    layout.peers = outcome.servers.iter().map(peer).collect();
    layout.warm_up = config.extras.warm_up;
    layout.end = config.end;
    layout.timeout = config.traffic.client.timeout;
    layout.recut()
}
