//! Several engines under the same scenario: each by its own rules in the model, and all by turns in the
//! live world, so that what disturbs the host meets none alone.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::entry::{Around, Entry, save};
use super::identity;
use super::run::{RunError, RunOptions};
use super::settle::{Settled, settle};
use crate::compare::{EngineColumn, EnginesResults, EnginesRun, MeasuredEngine};
use crate::engine;
use crate::live::{self, Watcher};
use crate::record::{RecordError, RunDirectory};
use crate::scenario::{Engine, Scenario};
use crate::units::draw::{Purpose, Seed};
use crate::units::{Span, World};

/// What a run of several engines came to. Dropping it without [`EnginesOutcome::commit`] leaves
/// nothing behind.
#[derive(Debug)]
pub struct EnginesOutcome {
    /// Its numbers.
    pub results: EnginesResults,
    directory: RunDirectory,
}

impl EnginesOutcome {
    /// Where files, such as charts, can be added before the run is complete.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.directory.path()
    }

    /// Completes the run: its folder gets its final name.
    ///
    /// # Errors
    /// When it cannot.
    pub fn commit(self) -> Result<(EnginesResults, std::path::PathBuf), RecordError> {
        let folder = self.directory.commit()?;
        Ok((self.results, folder))
    }
}

/// Runs the same scenario with several engines: `contestants` are its readings with one engine
/// each, all different. The models run first, then the rounds; each runs every engine once, in an
/// order drawn by the seed.
///
/// # Errors
/// See [`RunError`]; nothing is left behind then. An engine that is not installed is found before
/// anything starts.
pub fn run_engines(
    contestants: &[Scenario],
    options: &RunOptions,
    watcher: &dyn Watcher,
    stop: &AtomicBool,
) -> Result<EnginesOutcome, RunError> {
    if options.only != Some(World::Sim) {
        for contestant in contestants {
            live::check_installed(&contestant.balancer.engine)?;
        }
    }
    let settled: Vec<Settled> = contestants
        .iter()
        .map(|contestant| settle(contestant, &options.means(watcher, stop)))
        .collect::<Result<_, _>>()?;
    let (started, name) = (identity::wall(), contestants.first().map_or("", |it| &*it.name));
    let id = identity::run_id(started);
    let directory = RunDirectory::create(&options.out, name, &id)?;
    let watchers: Vec<Labelled<'_>> = contestants
        .iter()
        .map(|it| Labelled { label: it.balancer.engine.name(), inner: watcher })
        .collect();
    let around =
        |place: usize| Around { options, id: &id, started, watcher: &watchers[place], stop };
    let mut entries = Vec::new();
    for (place, contestant) in contestants.iter().enumerate() {
        let folder = directory.path().join(folder_name(&contestant.balancer.engine));
        std::fs::create_dir(&folder).map_err(RecordError::io("create the folder", &folder))?;
        let mut entry = Entry::open(&settled[place].scenario, &folder, &around(place))?;
        entry.warn(&settled[place].warnings);
        entries.push(entry);
    }
    let mut orders = Vec::new();
    let rounds = if options.only == Some(World::Sim) { 0 } else { options.rounds.max(1) };
    for round in 0..rounds {
        let mut ran = Vec::new();
        for place in order(contestants[0].seed, round, entries.len()) {
            if !stop.load(Ordering::Relaxed) {
                entries[place].round(round, &around(place))?;
                ran.push(watchers[place].label.clone());
            }
        }
        if !ran.is_empty() {
            orders.push(ran);
        }
    }
    watcher.phase("comparing");
    let mut engines = Vec::new();
    for (place, entry) in entries.into_iter().enumerate() {
        let (finished, engine) =
            (entry.finish(&around(place))?, &contestants[place].balancer.engine);
        engines.push(MeasuredEngine {
            column: EngineColumn {
                label: engine.name(),
                folder: folder_name(engine),
                facts: finished.facts,
                gaps: engine::gaps(&contestants[place], engine),
                results: finished.results,
            },
            sim: finished.sim,
            rounds: finished.rounds,
        });
    }
    let results = EnginesRun { run: id.clone(), order: orders, engines }.results();
    save(&results, directory.path())?;
    Ok(EnginesOutcome { results, directory })
}

/// The places of `count` engines in the order of round `round` (Fisher and Yates).
fn order(seed: u64, round: u32, count: usize) -> Vec<usize> {
    let mut draw = Seed::new(seed, 0).draw(Purpose::EngineOrder, u64::from(round), 0);
    let mut places: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        places.swap(last, draw.below(last as u64 + 1) as usize);
    }
    places
}

/// A name for the folder of an engine: a URL has letters that no folder may have.
fn folder_name(engine: &Engine) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    match engine {
        Engine::Elsewhere(url) => {
            let place = url.trim_start_matches("http://").trim_end_matches('/');
            format!("url-{}", place.chars().map(plain).collect::<String>())
        }
        named => named.name(),
    }
}

/// Says which engine a phase is about.
pub(super) struct Labelled<'a> {
    pub(super) label: String,
    pub(super) inner: &'a dyn Watcher,
}

impl Watcher for Labelled<'_> {
    fn phase(&self, what: &str) {
        self.inner.phase(&format!("{}: {what}", self.label));
    }

    fn passed(&self, time: Span) {
        self.inner.passed(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_permutations_that_differ_between_rounds_and_not_between_runs() {
        let orders: Vec<_> = (0..20).map(|round| order(42, round, 4)).collect();
        for order in &orders {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3]);
        }
        for place in 0..4 {
            assert!(orders.iter().any(|order| order[0] == place), "{place} is never first");
        }
        assert_eq!(orders[3], order(42, 3, 4));
    }

    #[test]
    fn folders_have_plain_names() {
        assert_eq!(folder_name(&Engine::Nginx), "nginx");
        let url = Engine::Elsewhere("http://127.0.0.1:8080/".to_owned());
        assert_eq!(folder_name(&url), "url-127.0.0.1-8080");
    }
}
