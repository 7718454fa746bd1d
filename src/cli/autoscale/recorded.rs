//! `lab autoscale --dry-run --series FILE`: what rules would have done about a load that was
//! recorded.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::experiment::dry_run;
use crate::import::series::{self, Columns, Series};
use crate::import::{SourceFile, hpa};
use crate::policy::scale::{Recording, Replay, ScaleConfig, ScaleMetric};
use crate::record::read;
use crate::scenario::{self, AutoscalerFacts};
use crate::units::{Nanos, Seed, Span};

type Error = Box<dyn std::error::Error>;

/// A rule to be tried.
struct Candidate {
    name: String,
    scale: ScaleConfig,
    start_up: Span,
}

impl Candidate {
    /// A series tells of one metric, of the instances: so others are left out, which is said.
    fn new(name: String, scale: &ScaleConfig, start_up: Span) -> Result<Self, Error> {
        let by_one = scale.by_instances();
        let by_one = by_one.ok_or_else(|| format!("{name}: no metric is one of the instances"))?;
        if scale.metrics.len() > 1 {
            let (all, one) = (scale.metrics.len(), &by_one.metrics[0]);
            eprintln!(
                "{name}: of {all} metrics a series tells of {one} alone; it is played by that"
            );
        }
        Ok(Self { name, scale: by_one, start_up })
    }
}

/// The text of what `facts`, from `file`, and the autoscalers of `others` would have done about the
/// load in `path`.
///
/// # Errors
/// When a file cannot be read, or is not what it should be.
pub(super) fn run(
    path: &Path,
    (file, facts): (&Path, &AutoscalerFacts),
    others: &[PathBuf],
    seed: u64,
) -> Result<String, Error> {
    let name = file.display().to_string();
    let mut candidates = vec![Candidate::new(name, &facts.scale, facts.start_up)?];
    for other in others {
        candidates.push(candidate(other, facts.start_up)?);
    }
    let mut text = String::new();
    let mut replays = Vec::new();
    for candidate in &candidates {
        let recording = recording(path, &facts.group, candidate.scale.unit())?;
        let seed = Seed::new(seed, 0);
        let replay = Replay::of(&recording, &candidate.scale, candidate.start_up, seed);
        decisions(&mut text, &candidate.name, &replay);
        replays.push(replay);
    }
    table(&mut text, &candidates, &replays);
    Ok(text)
}

/// A scenario or file of a proxy with an autoscaler, or a manifest of one.
fn candidate(path: &Path, start_up: Span) -> Result<Candidate, Error> {
    let name = path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("cannot read {name}: {error}"))?;
    if hpa::is_manifest(&text) {
        let scale = hpa::read(&SourceFile { name: name.clone(), text })?.scale;
        return Candidate::new(name, &scale, start_up);
    }
    let facts = scenario::load_balancer(path)?.autoscaler;
    let facts = facts.ok_or_else(|| format!("{name} has no section [autoscaler]"))?;
    Candidate::new(name, &facts.scale, facts.start_up)
}

/// A series of one's own as CSV or Parquet, or the timeline of a run.
fn recording(path: &Path, group: &str, metric: ScaleMetric) -> Result<Recording, Error> {
    let name = path.display().to_string();
    if path.extension().is_none_or(|extension| extension != "parquet") {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {name}: {error}"))?;
        return Ok(series::read(&SourceFile { name, text })?);
    }
    if read::facts(path).is_ok() {
        return Ok(dry_run::recording(path, group, metric)?);
    }
    let cells = read::cells(path)?;
    let columns = Columns::of(cells.names.iter().map(String::as_str))
        .map_err(|message| format!("{name}: {message}"))?;
    let mut series = Series::default();
    for (number, row) in (1..).zip(&cells.rows) {
        let pushed = series.push(&columns, |place| row.get(place).map_or("", String::as_str));
        pushed.map_err(|message| format!("{name}, row {number}: {message}"))?;
    }
    Ok(series.finish().map_err(|message| format!("{name}: {message}"))?)
}

/// Decisions that change something; runs of polls without metrics as one line.
fn decisions(text: &mut String, name: &str, replay: &Replay) {
    let _ = writeln!(text, "{name}:");
    let mut silent: Option<(Nanos, Nanos)> = None;
    let say_silence = |text: &mut String, silent: &mut Option<(Nanos, Nanos)>| {
        if let Some((from, until)) = silent.take() {
            let _ = writeln!(
                text,
                "  {:>8}  no metrics until {until}: nothing is done",
                from.to_string()
            );
        }
    };
    for (at, decision) in &replay.decisions {
        if decision.change == crate::policy::scale::Change::None {
            silent = Some((silent.map_or(*at, |(from, _)| from), *at));
            continue;
        }
        say_silence(text, &mut silent);
        let _ = writeln!(text, "  {:>8}  {decision}", at.to_string());
    }
    say_silence(text, &mut silent);
    if replay.decisions.is_empty() {
        text.push_str("  nothing to do\n");
    }
    text.push('\n');
}

/// One row for each rule, with the difference from the first.
fn table(text: &mut String, candidates: &[Candidate], replays: &[Replay]) {
    let width = candidates.iter().map(|one| one.name.chars().count()).max().unwrap_or(0).max(8);
    let Some(first) = replays.first() else { return };
    let _ = writeln!(
        text,
        "{:width$}  changes  flaps/h  sizes   instance-hours  of recorded  overloaded",
        ""
    );
    let hours = |span: Span| span.as_secs_f64() / 3600.0;
    let row = |text: &mut String, name: &str, replay: &Replay| {
        let recorded = hours(replay.recorded_instance_time);
        let share = if recorded > 0.0 { hours(replay.instance_time) / recorded } else { 0.0 };
        let sizes = format!("{}–{}", replay.sizes.0, replay.sizes.1);
        let _ = writeln!(
            text,
            "{name:width$}  {:>7}  {:>7.1}  {sizes:<6}  {:>14.3}  {:>10.0}%  {:>9.1}%",
            replay.changes,
            replay.flaps_per_hour(),
            hours(replay.instance_time),
            100.0 * share,
            100.0 * replay.overloaded.as_secs_f64() / replay.length.as_secs_f64().max(1e-9),
        );
    };
    for (candidate, replay) in candidates.iter().zip(replays) {
        row(text, &candidate.name, replay);
    }
    let _ = writeln!(
        text,
        "{:width$}  {:>7}  {:>7}  {:<6}  {:>14.3}",
        "recorded",
        "",
        "",
        "",
        hours(first.recorded_instance_time)
    );
    for (candidate, replay) in candidates.iter().zip(replays).skip(1) {
        let more = hours(replay.instance_time) - hours(first.instance_time);
        let _ = writeln!(
            text,
            "{} has {:+} changes and {more:+.3} instance-hours beside {}",
            candidate.name,
            i64::from(replay.changes) - i64::from(first.changes),
            candidates[0].name,
        );
    }
    text.push_str(
        "The load recorded is shared by the instances that there would have been: what adds up is \
         known, a queue\nthat would not have been is not, nor what came beside instances that were \
         all busy.\n",
    );
}
