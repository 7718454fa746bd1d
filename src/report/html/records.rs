//! The files of a run, read twice: once for the charts and once for the replay's window.

use std::path::Path;

use serde::Serialize;

use super::facts::Facts;
use super::happening::Happening;
use super::replay::{PackedReplay, Replay};
use super::series::{Latencies, Series, bin_seconds};
use super::window::window;
use crate::compare::Results;
use crate::record::{EventKind, RecordError, RequestError, read};
use crate::units::World;

/// Events that a page shows; a run that flaps has more than anyone reads.
const EVENTS: usize = 2_000;

/// What the records of a run give, of the first replication of each world.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Records {
    series: Vec<Series>,
    events: Vec<Happening>,
    /// Events that are not among them.
    events_left_out: usize,
    replays: Vec<PackedReplay>,
}

/// Reads the records in `folder`, whose replays may hold `most` requests each.
pub(super) fn read(
    folder: &Path,
    results: &Results,
    facts: &Facts,
    most: usize,
) -> Result<Records, RecordError> {
    let (events, events_left_out) = events(&folder.join("events.parquet"), facts)?;
    let worlds: Vec<World> = results.worlds.iter().map(|world| world.world).collect();
    let seconds = results.worlds.iter().map(|world| world.seconds.len()).max().unwrap_or(0);
    let bin_s = bin_seconds(seconds as u64);
    let mut latencies = vec![Latencies::new(bin_s); worlds.len()];
    let window = window(&results.worlds, most, interesting(&events, facts));
    let mut replays: Vec<Replay> =
        worlds.iter().map(|world| Replay::new(*world, window, most)).collect();
    read::requests(&folder.join("requests.parquet"), |row| {
        let Some(place) = worlds.iter().position(|world| *world == row.world) else { return };
        if row.replication == 0 {
            replays[place].request(row);
            if row.error != RequestError::Interrupted {
                latencies[place].add(row);
            }
        }
    })?;
    let until = replays.iter_mut().map(Replay::close).min().unwrap_or(window.until);
    replays.iter_mut().for_each(|replay| replay.end_at(until));
    attempts(&folder.join("attempts.parquet"), &mut replays)?;
    let series = results.worlds.iter().zip(&latencies);
    Ok(Records {
        series: series.map(|(world, latencies)| Series::new(world, latencies)).collect(),
        events,
        events_left_out,
        replays: replays.into_iter().map(Replay::pack).collect(),
    })
}

fn attempts(path: &Path, replays: &mut [Replay]) -> Result<(), RecordError> {
    let ids: Vec<Vec<u64>> = replays.iter().map(Replay::ids).collect();
    read::attempts(path, |row| {
        for (replay, ids) in replays.iter_mut().zip(&ids) {
            if replay.is_of(row.world, row.replication) && ids.binary_search(&row.id).is_ok() {
                replay.attempt(row);
            }
        }
    })?;
    Ok(())
}

/// In order of their time; and how many more there were.
fn events(path: &Path, facts: &Facts) -> Result<(Vec<Happening>, usize), RecordError> {
    let mut events = Vec::new();
    read::events(path, |row| {
        if row.replication == 0 {
            events.push(Happening::of(row.clone(), facts));
        }
    })?;
    events.sort_by_key(|event| (event.at_ns, event.world as u32));
    let left_out = events.len().saturating_sub(EVENTS);
    events.truncate(EVENTS);
    Ok((events, left_out))
}

/// Where the first fault begins, or else the first thing happens; the end of the warm-up without.
fn interesting(events: &[Happening], facts: &Facts) -> u64 {
    let fault = events.iter().find(|event| event.kind == EventKind::FaultBegan);
    let first = fault.or(events.first());
    first.map_or(facts.warm_up_ns, |event| event.at_ns)
}
