//! Several generators that send one plan together: a coordinator hands out shares of it and a common
//! start, and puts together what they counted.
//!
//! They speak lines of JSON over TCP. Every generator works out the whole plan and sends the part
//! that is its share, so all together send exactly the plan, whatever their number. Clocks of
//! hosts differ; the coordinator asks each for its clock a few times and takes the answer that
//! came quickest, so a start is common to within half of that round trip.

pub(super) mod coordinator;
mod rows;
pub(super) mod worker;

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::job::Job;
use crate::compare::Validity;
use crate::load::{LoadReport, Outcome, Share, Tally};
use crate::units::Nanos;

/// Both sides must be of this version.
const VERSION: u32 = 2;
/// A generator that says nothing for so long is lost.
const SILENCE: Duration = Duration::from_secs(10);

/// What the coordinator says.
#[derive(Debug, Serialize, Deserialize)]
enum ToWorker {
    /// What does your clock show?
    Clock,
    /// This is to be sent; a row of each request is wanted, or none.
    Order { job: Box<Job>, share: Share, rows: bool },
    /// Zero, on the generator's own clock.
    Start { zero: Nanos },
    /// End it now.
    Stop,
}

/// What a generator says.
#[derive(Debug, Serialize, Deserialize)]
enum ToCoordinator {
    Hello {
        version: u32,
    },
    Clock {
        now: Nanos,
    },
    /// It can be sent.
    Ready,
    /// It cannot be, or no more.
    Failed {
        why: String,
    },
    /// What was counted so far.
    Progress(Box<Part>),
    /// So many bytes of rows follow this line.
    Rows {
        bytes: u64,
    },
    /// What was counted in all.
    Done {
        part: Box<Part>,
        validity: Validity,
    },
}

/// An outcome as it travels.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Part {
    report: LoadReport,
    tally: Tally,
    servers: Vec<String>,
}

impl From<Part> for Outcome {
    fn from(part: Part) -> Self {
        Self { report: part.report, tally: part.tally, servers: part.servers }
    }
}

fn say(stream: &mut TcpStream, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// The next message; an end of the connection is an error.
fn hear<T: DeserializeOwned>(lines: &mut BufReader<TcpStream>) -> io::Result<T> {
    let mut line = Vec::new();
    lines.read_until(b'\n', &mut line)?;
    if line.last() != Some(&b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    serde_json::from_slice(&line).map_err(|error| {
        let why = format!("it does not speak as a lab load of this version does: {error}");
        io::Error::new(io::ErrorKind::InvalidData, why)
    })
}
