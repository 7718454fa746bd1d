//! What is asked for on the command line.

use std::path::PathBuf;

use super::peers::Kind;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    Saturated,
    Connection,
    Latency,
    Memory,
}

/// The command line, read.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) measures: Vec<Measure>,
    pub(crate) peers: Vec<Kind>,
    pub(crate) rounds: usize,
    /// Length of each run.
    pub(crate) seconds: u32,
    /// Requests per second of the open loop.
    pub(crate) rate: u32,
    /// lab's program.
    pub(crate) lab: PathBuf,
    /// Another build of it, to compare with.
    pub(crate) other: Option<PathBuf>,
    /// The generator of the open loop runs with real-time priority.
    pub(crate) real_time: bool,
}

impl Arguments {
    /// `None` if nothing is to be run.
    pub(crate) fn read(words: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut read = Self {
            measures: Vec::new(),
            peers: vec![Kind::Lab, Kind::Nginx, Kind::Haproxy, Kind::Envoy],
            rounds: 5,
            seconds: 3,
            rate: 5000,
            lab: lab()?,
            other: None,
            real_time: false,
        };
        let mut words = words;
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match &*word {
                "--test" => return Ok(None),
                // Said by cargo.
                "--bench" => {}
                "saturated" => read.measures.push(Measure::Saturated),
                "connection" => read.measures.push(Measure::Connection),
                "latency" => read.measures.push(Measure::Latency),
                "memory" => read.measures.push(Measure::Memory),
                "--rounds" => read.rounds = number(&value()?)? as usize,
                "--seconds" => read.seconds = number(&value()?)?,
                "--rate" => read.rate = number(&value()?)?,
                "--lab" => read.lab = value()?.into(),
                "--other-lab" => read.other = Some(value()?.into()),
                "--real-time" => read.real_time = true,
                "--peers" => {
                    read.peers = value()?.split(',').map(Kind::named).collect::<Result<_, _>>()?;
                }
                _ => {
                    return Err(format!(
                        "{word:?} is none of this benchmark's words: see the top of benches/proxy/main.rs"
                    ));
                }
            }
        }
        if read.other.is_some() {
            read.peers.insert(1, Kind::OtherLab);
        }
        if read.measures.is_empty() {
            use Measure::{Connection, Latency, Memory, Saturated};
            read.measures = vec![Saturated, Connection, Latency, Memory];
        }
        Ok(Some(read))
    }
}

fn number(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or(format!("{text:?} is not a number above 0"))
}

/// The program built along with this one, or beside it.
fn lab() -> Result<PathBuf, String> {
    if let Some(path) = option_env!("CARGO_BIN_EXE_lab") {
        return Ok(path.into());
    }
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let folder = own.parent().and_then(|deps| deps.parent()).ok_or("this program has no folder")?;
    Ok(folder.join("lab"))
}
