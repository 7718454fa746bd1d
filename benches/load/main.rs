//! lab's load generator beside wrk, wrk2, oha, h2load, hey, ab, vegeta, k6 and autocannon: against one
//! server that knows when each request arrived, in turn, in rounds, medians with their range.
//!
//! ```sh
//! cargo bench --bench load                          # everything that is installed, about ten minutes
//! cargo bench --bench load -- closed open           # some of: closed open
//! cargo bench --bench load -- open --rates 5000 --rounds 3 --seconds 2 --tools lab,wrk2 --json load.json
//! ```
//!
//! The server is this program again, in a process and on a core of its own; each tool has the others,
//! and its CPU time is what the kernel accounts to it. Requests are counted by the server, the same way
//! for all. **Lateness** is how much later than on an ideal grid (request `i` at `i / rate`) a request
//! arrived, as the server sees it; the grid is laid so that none is early, since no tool says when it
//! began. So it holds the way through the kernel too, which is the same for all. Where lab sends by a
//! Poisson process, the grid is its plan. The first tenth of a run is left out. A tool that is not
//! installed is named.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its result")]

mod arguments;
mod lateness;
mod results;
mod server;
mod tools;

use std::process::ExitCode;

use self::arguments::{Arguments, Command};
use self::results::Results;
use self::server::Server;
use self::tools::{Load, Tool};

/// Connections of the closed loop, and of tools that want a number for the open one.
pub(crate) const CONNECTIONS: u32 = 64;

fn main() -> ExitCode {
    match Arguments::read(std::env::args().skip(1)) {
        Ok(Command::Run(arguments)) => run(&arguments),
        Ok(Command::Serve) => server::serve(),
        // `cargo test --benches` runs it only to see that it starts.
        Ok(Command::Nothing) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> ExitCode {
    let (tools, missing) = tools::there(arguments);
    let mut server = Server::start();
    println!("Tools");
    tools.iter().for_each(|tool| println!("  {:14} {}", tool.name(), tool.version(arguments)));
    missing.iter().for_each(|line| println!("  {line}"));
    println!(
        "  server on core {}, tools on {}; {} rounds of {} s each, in rotation; median [least to greatest]",
        server.core, server.other_cores, arguments.rounds, arguments.seconds
    );
    let loads = arguments.loads();
    let mut results = Results::default();
    for round in 0..arguments.rounds {
        for load in &loads {
            let able: Vec<&Tool> = tools.iter().filter(|tool| tool.can(*load)).collect();
            // Another order each round, so that none always follows the same one.
            for place in 0..able.len() {
                let tool = able[(place + round) % able.len()];
                match tools::measure(*tool, *load, arguments, &mut server) {
                    Ok(figures) => results.add(*load, *tool, figures),
                    Err(problem) => eprintln!("{} at {load}: {problem}", tool.name()),
                }
            }
        }
    }
    loads.iter().for_each(|load| results.print(*load));
    if let Some(path) = &arguments.json
        && let Err(error) = std::fs::write(path, results.to_json())
    {
        eprintln!("{}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

impl Arguments {
    /// What is measured.
    fn loads(&self) -> Vec<Load> {
        let mut loads = Vec::new();
        if self.closed {
            loads.push(Load::Closed);
        }
        if self.open {
            loads.extend(self.rates.iter().map(|rate| Load::Open(*rate)));
        }
        loads
    }
}
