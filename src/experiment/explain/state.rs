//! What state the servers of a world were in, from its events.

use crate::compare::breakdown::Disturbed;
use crate::experiment::recorded::Recorded;
use crate::record::{EventKind, EventRow, RecordError, read};
use crate::traffic::Fault;
use crate::units::World;

const ABSENT: &str = "not there";

/// The events of the first replication of a world, by their time.
pub(super) struct States {
    events: Vec<EventRow>,
    /// Of each server its name, and whether it is there from the start.
    servers: Vec<(String, bool)>,
    disturbed: Vec<Disturbed>,
    /// The fault behind each of these.
    faults: Vec<String>,
}

impl States {
    pub(super) fn read(recorded: &Recorded, world: World) -> Result<Self, RecordError> {
        let events = events(recorded, world)?;
        let (disturbed, faults) = disturbed(&events, &recorded.scenario().faults);
        let layout = recorded.layout();
        let there = |place: usize| {
            let scaling = layout.scaling.as_ref().filter(|it| it.slots.contains(&place));
            scaling.is_none_or(|it| place - it.slots.start < it.initial as usize)
        };
        let servers = layout.peers.iter().enumerate();
        let servers = servers.map(|(place, peer)| (peer.name.clone(), there(place))).collect();
        Ok(Self { events, servers, disturbed, faults })
    }

    /// Which servers faults disturbed, and when.
    pub(super) fn disturbed(&self) -> &[Disturbed] {
        &self.disturbed
    }

    /// Why the server in this place was not up at `at`; empty if it was.
    pub(super) fn of(&self, place: usize, at: u64) -> String {
        let (name, there) = &self.servers[place];
        let mut why = if *there { String::new() } else { ABSENT.to_owned() };
        for event in self.events.iter().take_while(|event| event.at_ns <= at) {
            if event.subject != *name {
                continue;
            }
            match event.kind {
                EventKind::Ejected => why = format!("out: {}", event.reason),
                EventKind::Drained => why = "draining".to_owned(),
                EventKind::Restored => why.clear(),
                EventKind::Scaled if event.reason.contains("is ready") => why.clear(),
                EventKind::Scaled => why = ABSENT.to_owned(),
                _ => {}
            }
        }
        let hit =
            |it: &Disturbed| it.upstream as usize == place && (it.from..it.until).contains(&at);
        if let Some(fault) = self.disturbed.iter().position(hit).map(|i| &self.faults[i]) {
            why = if why.is_empty() { fault.clone() } else { format!("{fault}, {why}") };
        }
        why
    }

    /// What befell the servers, in words.
    pub(super) fn notes(&self) -> Vec<String> {
        let told = |event: &&EventRow| {
            matches!(
                event.kind,
                EventKind::FaultBegan
                    | EventKind::FaultEnded
                    | EventKind::Ejected
                    | EventKind::Restored
                    | EventKind::PanicBegan
            ) && (event.kind != EventKind::Restored || !event.reason.contains("added"))
        };
        let mut notes: Vec<String> = Vec::new();
        for event in self.events.iter().filter(told).take(8) {
            let at = event.at_ns as f64 / 1e9;
            let what = match event.kind {
                EventKind::FaultBegan => "begins",
                EventKind::FaultEnded => "ends",
                EventKind::Ejected => "is out",
                EventKind::Restored => "is back",
                _ => "panics",
            };
            notes.push(format!("at {at:.3}s {} {what}: {}", event.subject, event.reason));
        }
        let more = self.events.iter().filter(told).count().saturating_sub(notes.len());
        if more > 0 {
            notes.push(format!("… and {more} more events, in events.parquet"));
        }
        notes
    }
}

fn events(recorded: &Recorded, world: World) -> Result<Vec<EventRow>, RecordError> {
    let mut events = Vec::new();
    read::events(&recorded.folder().join("events.parquet"), |row| {
        if row.world == world && row.replication == 0 {
            events.push(row.clone());
        }
    })?;
    events.sort_by_key(|event| event.at_ns);
    Ok(events)
}

/// From each beginning of a fault to its end (without one, to the end of the run), with its name. A
/// live fault is noted once it was done, and then has had its effect for a moment: it counts from
/// the instant it was planned for.
fn disturbed(events: &[EventRow], faults: &[Fault]) -> (Vec<Disturbed>, Vec<String>) {
    let (mut all, mut names) = (Vec::new(), Vec::new());
    for fault in faults {
        let of = |kind| {
            events.iter().filter(move |event| event.kind == kind && event.subject == fault.name)
        };
        for began in of(EventKind::FaultBegan) {
            let ended = of(EventKind::FaultEnded).find(|event| event.at_ns >= began.at_ns);
            let until = ended.map_or(u64::MAX, |event| event.at_ns);
            let from = began.at_ns.min(fault.at.0);
            for target in &fault.targets {
                all.push(Disturbed { upstream: *target as u32, from, until });
                names.push(fault.name.clone());
            }
        }
    }
    (all, names)
}

/// What the autoscaler decided, in words.
pub(super) fn scaling_notes(recorded: &Recorded, world: World) -> Result<Vec<String>, RecordError> {
    let group = recorded.scenario().autoscaler.as_ref().map(|facts| facts.group.clone());
    let events = events(recorded, world)?;
    let decided = events
        .iter()
        .filter(|event| event.kind == EventKind::Scaled && Some(&event.subject) == group.as_ref());
    Ok(decided
        .map(|event| format!("at {:.2}s {}", event.at_ns as f64 / 1e9, event.reason))
        .collect())
}
