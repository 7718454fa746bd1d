//! Spools of killed processes are read as far as they go; damaged ones are refused.

use std::fs;

use lab::record::spool::{SpoolEnd, SpoolWriter, merge_attempts, merge_events, read_spool};
use lab::record::{
    AttemptOutcome, AttemptRow, EventKind, EventRow, PickedBecause, RequestRow, Sink,
};
use lab::units::{Nanos, World};

use super::folder;

#[derive(Default)]
struct Collect {
    attempts: Vec<AttemptRow>,
    events: Vec<EventRow>,
}

impl Sink for Collect {
    fn request(&mut self, _row: &RequestRow) {}
    fn attempt(&mut self, row: &AttemptRow) {
        self.attempts.push(*row);
    }
    fn event(&mut self, row: &EventRow) {
        self.events.push(row.clone());
    }
}

fn attempt(id: u64) -> AttemptRow {
    AttemptRow {
        world: World::Live,
        replication: 0,
        id,
        number: 1,
        view: 0,
        upstream: 2,
        start_ns: 5_000 + id,
        end_ns: 9_000 + id,
        outcome: AttemptOutcome::Passed,
        status: 200,
        because: PickedBecause::Picked,
    }
}

#[test]
fn merging_moves_times_to_the_runs_zero_and_numbers_the_round() {
    let folder = folder("spool-merge");
    let (attempts, events) = (folder.join("attempts.jsonl"), folder.join("events.jsonl"));
    let mut spool = SpoolWriter::create(&attempts).unwrap();
    (0..100).for_each(|id| spool.write(&attempt(id), Nanos(id)).unwrap());
    spool.flush().unwrap();
    let event = EventRow {
        world: World::Live,
        replication: 0,
        at_ns: 100,
        kind: EventKind::Ejected,
        subject: "b".into(),
        reason: "3 failures,\nwith \"quotes\"".into(),
    };
    let mut spool = SpoolWriter::create(&events).unwrap();
    spool.write(&event, Nanos::ZERO).unwrap();
    spool.flush().unwrap();

    let mut rows = Collect::default();
    let end = merge_attempts(&attempts, 3, Nanos(1_000), &mut rows).unwrap();
    assert_eq!(end, SpoolEnd { rows: 100, torn: false });
    merge_events(&events, 3, Nanos(1_000), &mut rows).unwrap();
    let expected = AttemptRow { replication: 3, start_ns: 4_007, end_ns: 8_007, ..attempt(7) };
    assert_eq!(rows.attempts[7], expected);
    assert_eq!(rows.events, [EventRow { replication: 3, at_ns: 0, ..event }]);
}

#[test]
fn rows_reach_the_file_within_a_second() {
    let path = folder("spool-flush").join("attempts.jsonl");
    let mut spool = SpoolWriter::create(&path).unwrap();
    spool.write(&attempt(0), Nanos::ZERO).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    spool.write(&attempt(1), Nanos(1_000_000_000)).unwrap();
    assert_eq!(read_spool(&path, |_: AttemptRow| ()).unwrap().rows, 2);
}

#[test]
fn a_torn_last_line_is_left_out_wherever_it_is_torn() {
    let path = folder("spool-torn").join("attempts.jsonl");
    let line = |id| serde_json::to_string(&attempt(id)).unwrap();
    let whole = format!("{}\n{}\n", line(0), line(1));
    let last = line(2);
    for cut in 0..=last.len() {
        fs::write(&path, format!("{whole}{}", &last[..cut])).unwrap();
        let mut ids = Vec::new();
        let end = read_spool(&path, |row: AttemptRow| ids.push(row.id)).unwrap();
        // Only its line end may be missing: then the row is whole.
        let complete = cut == last.len();
        assert_eq!(ids.len(), if complete { 3 } else { 2 }, "cut at {cut}");
        assert_eq!(end.torn, cut > 0 && !complete, "cut at {cut}");
    }
}

#[test]
fn garbage_in_the_middle_is_an_error_with_its_line() {
    let path = folder("spool-garbage").join("attempts.jsonl");
    let line = serde_json::to_string(&attempt(0)).unwrap();
    for garbage in ["\0\0\0", "{", "{}", "7", ""] {
        fs::write(&path, format!("{line}\n{garbage}\n{line}\n")).unwrap();
        let text = read_spool(&path, |_: AttemptRow| ()).unwrap_err().to_string();
        assert!(text.contains("attempts.jsonl") && text.contains("line 2"), "{text}");
    }
}
