//! Two scenarios in the live world, in rounds that take turns.
//!
//! What disturbs a host comes and goes within minutes; if all rounds of A ran before those of B, it
//! would count as a difference between them. The rounds go A B B A A B B A …, so that each pair is
//! of neighbours, and what grows steadily falls on both alike. A pair has the same requests, and each
//! pair others (the seed of A plus the number of the round), so that what is found is not true of one
//! choice of requests alone.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::engines::Labelled;
use super::entry::{Around, Entry, save};
use super::identity;
use super::run::{RunError, RunOptions};
use super::settle::settle;
use crate::compare::versus::versus;
use crate::compare::{Question, Results, Versus};
use crate::live::{self, Watcher};
use crate::record::{RecordError, RunDirectory};
use crate::scenario::Scenario;
use crate::units::World;

/// Names of the folders of A and B in that of the comparison.
const SIDES: [&str; 2] = ["a", "b"];

/// What a comparison in turns found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Turns {
    /// Id of the comparison.
    pub run: String,
    /// What A and B are.
    pub labels: [String; 2],
    /// Seed of the first round; each later one adds 1.
    pub seed: u64,
    /// Who ran, in order: `a` or `b`.
    pub order: Vec<String>,
    /// Interrupted before its end.
    pub partial: bool,
    /// A held against B; `None` if either has no whole round.
    pub versus: Option<Versus>,
}

/// A comparison while its folder is written. Dropping it without [`TurnsOutcome::commit`] leaves
/// nothing behind.
#[derive(Debug)]
pub struct TurnsOutcome {
    /// What it found.
    pub turns: Turns,
    /// The results of A and of B, with the validity of each.
    pub results: [Results; 2],
    directory: RunDirectory,
}

impl TurnsOutcome {
    /// Completes the run: its folder gets its final name.
    ///
    /// # Errors
    /// When it cannot.
    pub fn commit(self) -> Result<PathBuf, RecordError> {
        self.directory.commit()
    }
}

/// Runs `options.rounds` rounds of each of `sides` in turn, and holds them against each other.
///
/// # Errors
/// See [`RunError`]; nothing is left behind then.
pub fn take_turns(
    sides: [&Scenario; 2],
    labels: [String; 2],
    question: &Question,
    options: &RunOptions,
    watcher: &dyn Watcher,
    stop: &AtomicBool,
) -> Result<TurnsOutcome, RunError> {
    for side in sides {
        live::check_installed(&side.balancer.engine)?;
    }
    let options = RunOptions { only: Some(World::Live), ..options.clone() };
    let settled = [
        settle(sides[0], &options.means(watcher, stop))?,
        settle(sides[1], &options.means(watcher, stop))?,
    ];
    let (started, name) = (identity::wall(), folder_name(sides));
    let id = identity::run_id(started);
    let directory = RunDirectory::create(&options.out, &name, &id)?;
    let watchers = SIDES.map(|side| Labelled { label: side.to_uppercase(), inner: watcher });
    let around = |side: usize| Around {
        options: &options,
        id: &id,
        started,
        watcher: &watchers[side],
        stop,
    };
    let mut entries = Vec::new();
    for (number, side) in settled.iter().enumerate() {
        let folder = directory.path().join(SIDES[number]);
        std::fs::create_dir(&folder).map_err(RecordError::io("create the folder", &folder))?;
        let mut entry = Entry::open(&side.scenario, &folder, &around(number))?;
        entry.warn(&side.warnings);
        entries.push(entry);
    }
    let mut order = Vec::new();
    for round in 0..options.rounds.max(1) {
        for side in pair(round) {
            if !stop.load(Ordering::Relaxed) {
                watchers[side].phase(&format!("round {} of {}", round + 1, options.rounds));
                let seed = sides[0].seed.wrapping_add(u64::from(round));
                entries[side].round_of(round, seed, &around(side))?;
                order.push(SIDES[side].to_owned());
            }
        }
    }
    let partial = stop.load(Ordering::Relaxed);
    // A round that was cut short is no measurement.
    let whole = order.len().saturating_sub(usize::from(partial)) / 2;
    let blocks = [0, 1].map(|side| {
        let mut blocks = entries[side].blocks();
        blocks.truncate(whole);
        blocks
    });
    let versus = versus(question, World::Live, &blocks[0], &blocks[1]);
    let mut finished = Vec::new();
    for (number, entry) in entries.into_iter().enumerate() {
        finished.push(entry.finish(&around(number))?.results);
    }
    let seed = sides[0].seed;
    let turns = Turns { run: id.clone(), labels, seed, order, partial, versus };
    save(&turns, directory.path())?;
    let Ok(results) = finished.try_into() else { return Err(RunError::TooLittle) };
    Ok(TurnsOutcome { turns, results, directory })
}

/// Who goes first in a round.
const fn pair(round: u32) -> [usize; 2] {
    if round.is_multiple_of(2) { [0, 1] } else { [1, 0] }
}

/// The folder of scenarios that have one name, or two.
fn folder_name([a, b]: [&Scenario; 2]) -> String {
    if a.name == b.name { a.name.clone() } else { format!("{}-vs-{}", a.name, b.name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_change_places() {
        let order: Vec<usize> = (0..4).flat_map(pair).collect();
        assert_eq!(order, [0, 1, 1, 0, 0, 1, 1, 0]);
    }
}
