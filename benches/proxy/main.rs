//! lab's proxy beside NGINX, HAProxy and Envoy: the same backends, the same load, in turn, five
//! rounds, medians with their range.
//!
//! ```sh
//! cargo bench --bench proxy                          # everything, about ten minutes
//! cargo bench --bench proxy -- saturated latency     # some of: saturated connection latency memory
//! cargo bench --bench proxy -- --rounds 3 --seconds 2 --peers lab,nginx --lab target/release/lab
//! ```
//!
//! It needs `nginx` (backends, and to be compared with), `wrk` and `taskset`, and says how to get
//! whatever else is missing, and goes on without. The proxy has a core of its own; load and
//! backends share the others, so that its CPU time is told from theirs, and requests per second of
//! it are what neighbours on the machine disturb least. Every ratio is one of two runs of the same
//! round. lab and the others have time-outs, retries, health checks and their counters switched on,
//! and no access log; the box printed first says how each was set.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its result")]

mod arguments;
mod backends;
mod load;
mod memory;
mod parity;
mod peers;
mod process;
mod spread;

use std::process::ExitCode;

use self::arguments::{Arguments, Measure};
use self::backends::Backends;
use self::load::{Latency, Saturation};
use self::peers::{Kind, Peer};
use self::process::{Cores, Folder};
use self::spread::Table;

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        // `cargo test --benches` runs it only to see that it starts.
        Ok(None) => return ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    for (tool, package) in [("nginx", "nginx"), ("wrk", "wrk"), ("taskset", "util-linux")] {
        if process::version(tool).is_none() {
            eprintln!("this benchmark needs {tool} (Debian: apt-get install {package})");
            return ExitCode::from(2);
        }
    }
    process::raise_descriptor_limit();
    run(&arguments);
    ExitCode::SUCCESS
}

fn run(arguments: &Arguments) {
    let (folder, cores) = (Folder::new(), Cores::of_this_machine());
    let backends = Backends::start(&folder, &cores);
    let kinds: Vec<Kind> =
        arguments.peers.iter().copied().filter(|kind| peers::is_there(*kind, arguments)).collect();
    parity::print(&kinds, arguments, &cores);
    for measure in &arguments.measures {
        match measure {
            Measure::Saturated => {
                let title = "Saturated, 64 kept connections: requests per CPU-second of the proxy";
                saturated(title, false, arguments, &kinds, (&folder, &cores, &backends));
            }
            Measure::Connection => {
                let title = "A connection per request: requests per CPU-second of the proxy";
                saturated(title, true, arguments, &kinds, (&folder, &cores, &backends));
            }
            Measure::Latency => latency(arguments, &kinds, (&folder, &cores, &backends)),
            Measure::Memory => memory(arguments, &kinds, (&folder, &cores, &backends)),
        }
    }
}

type Bench<'a> = (&'a Folder, &'a Cores, &'a Backends);

fn start(kinds: &[Kind], arguments: &Arguments, (folder, cores, backends): Bench) -> Vec<Peer> {
    kinds.iter().map(|kind| Peer::start(*kind, arguments, folder, cores, &backends.ports)).collect()
}

/// Runs the peers of each round in another order, so that none always follows the same one.
fn rotated<T>(peers: &[T], round: usize) -> impl Iterator<Item = (usize, &T)> {
    let count = peers.len();
    (0..count).map(move |place| (place + round) % count).map(|index| (index, &peers[index]))
}

fn saturated(title: &str, close: bool, arguments: &Arguments, kinds: &[Kind], bench: Bench) {
    let peers = start(kinds, arguments, bench);
    let mut rates = Table::new(kinds);
    let mut busy = Table::new(kinds);
    for round in 0..arguments.rounds {
        for (index, peer) in rotated(&peers, round) {
            let Saturation { per_cpu_second, cpu } =
                load::saturate(peer, 64, close, arguments.seconds, bench.1);
            rates.add(index, per_cpu_second);
            busy.add(index, cpu * 100.0);
        }
    }
    println!("\n{title}");
    rates.print_with_share("", Kind::Nginx);
    println!("its core's use in %");
    busy.print("");
}

fn latency(arguments: &Arguments, kinds: &[Kind], bench: Bench) {
    let peers = start(kinds, arguments, bench);
    let quantiles = ["p50", "p99", "p99.9"];
    let mut tables = quantiles.map(|_| Table::new(kinds));
    let mut late = 0.0_f64;
    for round in 0..arguments.rounds {
        let open = |ports: &[u16]| load::open_loop(ports, arguments, bench.1);
        let direct = open(&bench.2.ports);
        late = late.max(direct.lateness);
        for (index, peer) in rotated(&peers, round) {
            let Latency { quantiles, lateness, failed } = open(&[peer.port]);
            if failed > 0 {
                println!("{} failed {failed} requests in round {}", kinds[index].name(), round + 1);
            }
            late = late.max(lateness);
            for ((table, with), without) in tables.iter_mut().zip(quantiles).zip(direct.quantiles) {
                table.add(index, with - without);
            }
        }
    }
    println!("\nAdded latency at {}/s, open loop, µs", arguments.rate);
    for (name, table) in quantiles.iter().zip(&tables) {
        println!("{name}");
        table.print("");
    }
    println!("the generator itself was late by at most {late:.0} µs in the 99th percentile");
}

fn memory(arguments: &Arguments, kinds: &[Kind], bench: Bench) {
    let mut tables = [Table::new(kinds), Table::new(kinds)];
    for round in 0..arguments.rounds.min(3) {
        // Each has a new process: what an allocator once had, it keeps.
        for (index, kind) in rotated(kinds, round) {
            let peer = Peer::start(*kind, arguments, bench.0, bench.1, &bench.2.ports);
            let used = memory::idle(&peer, bench.1);
            tables[0].add(index, used.per_connection);
            tables[1].add(index, used.before);
        }
    }
    println!(
        "\nMemory with {} idle connections, each of which had a request",
        memory::connections()
    );
    println!("KiB for each (resident set of the process)");
    tables[0].print("");
    println!("KiB of the process before");
    tables[1].print("");
}
