//! Writing and reading every request of four servers behind least connections, load 0.8.
//!
//! `cargo bench --features files --bench record` first prints, over five rounds, rows per second
//! and bytes per row of both ways to write and of reading, then lets criterion measure each.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::collections::VecDeque;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use criterion::{Criterion, Throughput};
use lab::record::{Histogram, Names, RecordError, Recorder, RequestError, RequestRow, Sink, read};
use lab::units::World;
use lab::units::draw::{Purpose, Seed, unit_open};

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SERVERS: usize = 4;
const GAP_NS: f64 = 1e9 / 320.0;
const SERVICE_NS: f64 = 10e6;
const ROWS: u64 = 2_000_000;
const ROUNDS: usize = 5;

/// Rows of the system in the order in which a model gives them: by completion.
fn rows() -> Vec<RequestRow> {
    let seed = Seed::new(1, 0);
    let mut departures: [VecDeque<u64>; SERVERS] = Default::default();
    let mut rows = Vec::with_capacity(ROWS as usize);
    let (mut now, mut turn) = (0, 0);
    for id in 0..ROWS {
        let [gap, demand] =
            seed.words(Purpose::Request, id).map(|word| -libm::log(unit_open(word)));
        now += (gap * GAP_NS) as u64;
        for server in &mut departures {
            while server.front().is_some_and(|departure| *departure <= now) {
                server.pop_front();
            }
        }
        let place =
            |server: &usize| (departures[*server].len(), (server + SERVERS - turn) % SERVERS);
        let server = (0..SERVERS).min_by_key(place).unwrap_or(0);
        turn = server + 1;
        let start = departures[server].back().copied().unwrap_or(now).max(now);
        let row = row(id, now, start, (demand * SERVICE_NS) as u64, server as u32);
        departures[server].push_back(row.finished_ns);
        rows.push(row);
    }
    rows.sort_by_key(|row| row.finished_ns);
    rows
}

fn row(id: u64, now: u64, start: u64, demand_ns: u64, upstream: u32) -> RequestRow {
    RequestRow {
        world: World::Sim,
        replication: 0,
        id,
        class: 0,
        scheduled_ns: now,
        sent_ns: now,
        connected_ns: now,
        first_byte_ns: start + demand_ns,
        finished_ns: start + demand_ns,
        demand_ns,
        queued_ns: start - now,
        service_ns: demand_ns,
        upstream,
        attempts: 1,
        status: 200,
        error: RequestError::None,
        bytes: 0,
    }
}

type Begin = fn(&Path, &str, &Names) -> Result<Recorder, RecordError>;

/// Writes all rows, and returns the file.
fn write(begin: Begin, folder: &Path, rows: &[RequestRow]) -> PathBuf {
    let names = Names::new(["a", "b", "c", "d"], ["all"]);
    let mut recorder = begin(folder, "bench", &names).expect("the folder takes files");
    rows.iter().for_each(|row| recorder.request(row));
    recorder.finish().expect("the disk has room");
    folder.join("requests.parquet")
}

/// Reads all rows into a histogram of their latency.
fn read_back(path: &Path) -> Histogram {
    let mut histogram = Histogram::new();
    read::requests(path, |row| histogram.record(row.latency_ns())).expect("it was just written");
    histogram
}

/// Rate of `part`, in an empty folder: to truncate an old file costs as much as a third of writing.
fn millions_per_second(folder: &Path, part: impl FnOnce(&Path)) -> f64 {
    let fresh = folder.join("fresh");
    fs::create_dir_all(&fresh).expect("the target folder takes folders");
    let start = Instant::now();
    part(&fresh);
    let rate = ROWS as f64 / start.elapsed().as_secs_f64() / 1e6;
    fs::remove_dir_all(&fresh).expect("the folder was just made");
    rate
}

fn print_rounds(name: &str, mut rates: Vec<f64>) {
    rates.sort_by(f64::total_cmp);
    let (low, median, high) = (rates[0], rates[ROUNDS / 2], rates[ROUNDS - 1]);
    println!("{name:<28} {median:6.2} M rows/s ({low:.2} to {high:.2})");
}

fn main() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench-record");
    fs::create_dir_all(&folder).expect("the target folder takes folders");
    let rows = rows();
    let path = write(Recorder::create, &folder, &rows);
    let bytes = fs::metadata(&path).map_or(0, |file| file.len());
    println!("{:.2} bytes per row", bytes as f64 / ROWS as f64);

    let (mut here, mut thread, mut reading, mut histogram) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        here.push(millions_per_second(&folder, |fresh| {
            drop(write(Recorder::create, fresh, &rows))
        }));
        thread.push(millions_per_second(&folder, |fresh| {
            drop(write(Recorder::threaded, fresh, &rows));
        }));
        reading.push(millions_per_second(&folder, |_| drop(black_box(read_back(&path)))));
        histogram.push(millions_per_second(&folder, |_| {
            let mut histogram = Histogram::new();
            rows.iter().for_each(|row| histogram.record(row.latency_ns()));
            black_box(histogram);
        }));
    }
    print_rounds("written in this thread", here);
    print_rounds("written in another thread", thread);
    print_rounds("read back", reading);
    print_rounds("into a histogram, no file", histogram);

    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let mut group = criterion.benchmark_group("record");
    group.throughput(Throughput::Elements(ROWS));
    group.bench_function("here", |b| b.iter(|| write(Recorder::create, &folder, &rows)));
    group.bench_function("thread", |b| b.iter(|| write(Recorder::threaded, &folder, &rows)));
    group.bench_function("read", |b| b.iter(|| read_back(&path)));
    group.finish();
    criterion.final_summary();
}
