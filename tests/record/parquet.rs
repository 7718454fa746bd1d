//! The four Parquet files: what is written comes back, in any tool, in bounded memory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use lab::policy::PeerState;
use lab::record::{
    AttemptOutcome, AttemptRow, EventKind, EventRow, NO_UPSTREAM, Names, PickedBecause,
    RecordError, Recorder, RequestError, RequestRow, Sink, TimelineRow, read,
};
use lab::units::World;
use polars::prelude::{DataFrame, DataType, ParquetReader, SerReader};

use super::folder;

fn names() -> Names {
    Names::new(["a", "b", "née ☂"], ["page", "api"])
}

/// Every column takes its extremes, and every enum all of its values.
fn request(id: u64) -> RequestRow {
    let scheduled_ns = id * 3_000_000;
    let world = if id.is_multiple_of(3) { World::Live } else { World::Sim };
    // The model's times coincide, the live world's don't; an unreached phase is 0.
    let apart = u64::from(world == World::Live) * (id % 5);
    RequestRow {
        world,
        replication: (id % 7) as u32,
        id: if id == 5 { u64::MAX } else { id },
        class: (id % 2) as u16,
        scheduled_ns,
        sent_ns: scheduled_ns + apart,
        connected_ns: if id.is_multiple_of(11) { 0 } else { scheduled_ns + 2 * apart },
        first_byte_ns: if id.is_multiple_of(13) { 0 } else { scheduled_ns + 9_000 },
        finished_ns: scheduled_ns + 9_000 + apart,
        demand_ns: id % 1000 * 7,
        queued_ns: id % 100,
        service_ns: id % 1000 * 7 + apart,
        upstream: [0, 1, 2, NO_UPSTREAM][id as usize % 4],
        attempts: if id == 6 { u16::MAX } else { (id % 3) as u16 },
        status: [200, 0, 503, 499][id as usize % 4],
        error: RequestError::ALL[id as usize % RequestError::ALL.len()],
        bytes: if id == 7 { u64::MAX } else { id },
    }
}

fn attempt(id: u64) -> AttemptRow {
    AttemptRow {
        world: World::Live,
        replication: 1,
        id,
        number: (id % 4) as u16,
        view: (id % 2) as u16,
        upstream: [0, 1, 2, NO_UPSTREAM][id as usize % 4],
        start_ns: id * 10,
        end_ns: id * 10 + id % 17,
        outcome: AttemptOutcome::ALL[id as usize % AttemptOutcome::ALL.len()],
        status: (id % 600) as u16,
        because: PickedBecause::ALL[id as usize % PickedBecause::ALL.len()],
    }
}

fn second(second: u32) -> TimelineRow {
    let states = [
        PeerState::Up,
        PeerState::Failed,
        PeerState::Unhealthy,
        PeerState::Draining,
        PeerState::Down,
        PeerState::Removed,
    ];
    TimelineRow {
        world: World::Sim,
        replication: 0,
        second,
        upstream: [0, NO_UPSTREAM][second as usize % 2],
        finished: second * 2,
        failed: second,
        in_flight: 3,
        queue: u32::MAX,
        p50_ns: 1,
        p99_ns: u64::from(second),
        cpu: 0.25,
        instances: 4,
        state: states[second as usize % states.len()],
    }
}

fn event(at_ns: u64) -> EventRow {
    EventRow {
        world: World::Live,
        replication: 0,
        at_ns,
        kind: EventKind::ALL[at_ns as usize % EventKind::ALL.len()],
        subject: "crash-b".into(),
        reason: format!("seen {at_ns} times, \"quoted\"\nand ☂"),
    }
}

/// Several row groups of requests, and a file that was begun and got nothing.
const REQUESTS: u64 = 300_000;

fn write(folder: &Path, mut recorder: Recorder) -> PathBuf {
    for id in 0..REQUESTS {
        recorder.request(&request(id));
        if id < 5000 {
            recorder.attempt(&attempt(id));
            recorder.event(&event(id));
        }
    }
    (0..60).for_each(|s| recorder.timeline(&second(s)));
    recorder.finish().unwrap();
    folder.join("requests.parquet")
}

fn collect<R: Clone>(
    read: impl FnOnce(&mut dyn FnMut(&R)) -> Result<read::TableFacts, RecordError>,
) -> (Vec<R>, read::TableFacts) {
    let mut rows = Vec::new();
    let facts = read(&mut |row: &R| rows.push(row.clone())).unwrap();
    (rows, facts)
}

fn assert_same<R: PartialEq + std::fmt::Debug>(found: &[R], expected: impl Fn(usize) -> R) {
    for (index, row) in found.iter().enumerate() {
        assert_eq!(*row, expected(index), "row {index}");
    }
}

#[test]
fn every_row_comes_back() {
    let folder = folder("round-trip");
    write(&folder, Recorder::create(&folder, "steady", &names()).unwrap());

    let (rows, facts) = collect(|take| read::requests(&folder.join("requests.parquet"), take));
    let expected = read::TableFacts { scenario: "steady".into(), names: names(), rows: REQUESTS };
    assert_eq!((rows.len() as u64, facts), (REQUESTS, expected));
    assert_same(&rows, |index| request(index as u64));
    let (rows, _) = collect(|take| read::attempts(&folder.join("attempts.parquet"), take));
    assert_eq!(rows.len(), 5000);
    assert_same(&rows, |index| attempt(index as u64));
    let (rows, _) = collect(|take| read::timeline(&folder.join("timeline.parquet"), take));
    assert_eq!(rows.len(), 60);
    assert_same(&rows, |index| second(index as u32));
    let (rows, _) = collect(|take| read::events(&folder.join("events.parquet"), take));
    assert_eq!(rows.len(), 5000);
    assert_same(&rows, |index| event(index as u64));
}

#[test]
fn a_thread_of_its_own_writes_the_same_bytes() {
    let (here, there) = (folder("here"), folder("there"));
    write(&here, Recorder::create(&here, "steady", &names()).unwrap());
    write(&there, Recorder::threaded(&there, "steady", &names()).unwrap());
    for file in ["requests", "attempts", "timeline", "events"] {
        let name = format!("{file}.parquet");
        assert!(
            fs::read(here.join(&name)).unwrap() == fs::read(there.join(&name)).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn files_without_rows_are_whole_files() {
    let folder = folder("no-rows");
    Recorder::create(&folder, "steady", &Names::default()).unwrap().finish().unwrap();
    let (rows, facts) = collect(|take| read::requests(&folder.join("requests.parquet"), take));
    assert_eq!((rows.len(), facts.rows), (0, 0));
    assert_eq!(open(&folder.join("events.parquet")).height(), 0);
}

fn open(path: &Path) -> DataFrame {
    ParquetReader::new(File::open(path).unwrap()).finish().unwrap()
}

#[test]
fn other_tools_see_words_and_plain_numbers() {
    let folder = folder("dtypes");
    let frame = open(&write(&folder, Recorder::create(&folder, "steady", &names()).unwrap()));
    assert_eq!(frame.height() as u64, REQUESTS);
    let expected = [
        ("world", DataType::String),
        ("replication", DataType::UInt32),
        ("id", DataType::UInt64),
        ("class", DataType::String),
        ("scheduled_ns", DataType::Int64),
        ("sent_ns", DataType::Int64),
        ("connected_ns", DataType::Int64),
        ("first_byte_ns", DataType::Int64),
        ("finished_ns", DataType::Int64),
        ("demand_ns", DataType::Int64),
        ("queued_ns", DataType::Int64),
        ("service_ns", DataType::Int64),
        ("upstream", DataType::String),
        ("attempts", DataType::UInt32),
        ("status", DataType::UInt32),
        ("error", DataType::String),
        ("bytes", DataType::UInt64),
    ];
    let found: Vec<(&str, DataType)> =
        frame.columns().iter().map(|c| (c.name().as_str(), c.dtype().clone())).collect();
    assert_eq!(found, expected);
    let cell = |column: &str, row| frame.column(column).unwrap().str().unwrap().get(row);
    assert_eq!(cell("world", 0), Some("live"));
    assert_eq!(cell("world", 1), Some("sim"));
    assert_eq!(cell("error", 1), Some("timeout"));
    assert_eq!(cell("upstream", 2), Some("née ☂"));
    assert_eq!(cell("upstream", 3), None);
    assert_eq!(cell("class", 299_999), Some("api"));
}

#[test]
fn a_truncated_file_is_an_error_wherever_it_was_cut() {
    let folder = folder("truncated");
    let path = write(&folder, Recorder::create(&folder, "steady", &names()).unwrap());
    let whole = fs::read(&path).unwrap();
    let torn = folder.join("torn.parquet");
    let length = whole.len();
    for cut in [0, 1, 4, 11, 12, 100, length / 3, length / 2, length - 1000, length - 8, length - 1]
    {
        fs::write(&torn, &whole[..cut]).unwrap();
        let text = read::requests(&torn, |_| ()).unwrap_err().to_string();
        assert!(text.contains("torn.parquet"), "cut at {cut}: {text}");
        assert!(text.contains("not written to its end"), "cut at {cut}: {text}");
    }
}

#[test]
fn a_damaged_file_never_panics() {
    let folder = folder("damaged");
    let path = write(&folder, Recorder::create(&folder, "steady", &names()).unwrap());
    let whole = fs::read(&path).unwrap();
    let damaged = folder.join("damaged.parquet");
    // Holes all over the file, and above all in the metadata at its end. Damage to a value can
    // go unseen; what counts is that reading ends with rows or with an error.
    let places = (0..40).map(|n| whole.len() * n / 40).chain((1..60).map(|n| whole.len() - 40 * n));
    let mut errors = 0;
    for place in places {
        let mut bytes = whole.clone();
        bytes[place..(place + 16).min(whole.len())].fill(0xff);
        fs::write(&damaged, bytes).unwrap();
        if let Err(error) = read::requests(&damaged, |_| ()) {
            assert!(error.to_string().contains("damaged.parquet"), "{error}");
            errors += 1;
        }
    }
    assert!(errors > 30, "{errors} of 99 noticed");
}

#[test]
fn a_foreign_file_is_an_error_that_says_so() {
    let folder = folder("foreign");
    let path = folder.join("requests.parquet");
    fs::write(&path, "id,latency\n1,5\n2,6\n3,7\n").unwrap();
    let text = read::requests(&path, |_| ()).unwrap_err().to_string();
    assert!(text.contains("not a Parquet file"), "{text}");
    let text = read::requests(&folder, |_| ()).unwrap_err().to_string();
    assert!(text.contains("cannot read"), "{text}");
    let text = read::requests(&folder.join("none.parquet"), |_| ()).unwrap_err().to_string();
    assert!(text.contains("none.parquet") && text.contains("No such file"), "{text}");

    write(&folder, Recorder::create(&folder, "steady", &names()).unwrap());
    let text = read::requests(&folder.join("events.parquet"), |_| ()).unwrap_err().to_string();
    assert!(text.contains("it has no column `id`"), "{text}");
}

#[test]
fn a_full_disk_is_told_at_the_end_with_the_files_name() {
    let folder = folder("full-disk");
    std::os::unix::fs::symlink("/dev/full", folder.join("requests.parquet")).unwrap();
    for threaded in [false, true] {
        let begin = if threaded { Recorder::threaded } else { Recorder::create };
        let written = begin(&folder, "steady", &names()).and_then(|mut recorder| {
            (0..REQUESTS).for_each(|id| recorder.request(&request(id)));
            recorder.finish()
        });
        let text = written.unwrap_err().to_string();
        assert!(text.contains("requests.parquet") && text.contains("free some space"), "{text}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let text = match Recorder::create(&folder("gone").join("x"), "steady", &names()) {
        Ok(_) => panic!("it was created in a folder that is not there"),
        Err(error) => error.to_string(),
    };
    assert!(text.starts_with("cannot create `") && text.contains("requests.parquet"), "{text}");
}

#[test]
fn an_index_without_a_name_is_an_error_not_a_wrong_name() {
    let folder = folder("nameless");
    let mut recorder = Recorder::create(&folder, "steady", &names()).unwrap();
    recorder.request(&RequestRow { class: 9, ..request(0) });
    let text = recorder.finish().unwrap_err().to_string();
    assert!(text.contains("index 9 in `class`, and only 2 names are known"), "{text}");
}

#[test]
fn memory_does_not_grow_with_the_run() {
    let folder = folder("memory");
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["parquet::child_writes_and_reads", "--exact", "--ignored", "--nocapture"])
        .env("LAB_TEST_FOLDER", &folder)
        .spawn()
        .unwrap();
    assert!(child.wait().unwrap().success());
    let peak: u64 = fs::read_to_string(folder.join("peak")).unwrap().parse().unwrap();
    // The rows are some 600 MB in memory, and 80 MB in the file.
    assert!(peak < 100_000, "{peak} KiB at the peak");
}

#[test]
#[ignore = "the part of a process of its own: started by memory_does_not_grow_with_the_run"]
fn child_writes_and_reads() {
    const ROWS: u64 = 5_000_000;
    let folder = PathBuf::from(std::env::var_os("LAB_TEST_FOLDER").unwrap());
    let mut recorder = Recorder::threaded(&folder, "steady", &names()).unwrap();
    (0..ROWS).for_each(|id| recorder.request(&request(id)));
    recorder.finish().unwrap();
    let mut rows = 0;
    read::requests(&folder.join("requests.parquet"), |_| rows += 1).unwrap();
    assert_eq!(rows, ROWS);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    fs::write(folder.join("peak"), peak.trim().trim_end_matches(" kB")).unwrap();
}
