//! What is asked for on the command line.

use std::path::PathBuf;

/// What this program is to do.
#[derive(Debug)]
pub(crate) enum Command {
    Run(Arguments),
    /// Be the server.
    Serve,
    Nothing,
}

/// The command line, read.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) closed: bool,
    pub(crate) open: bool,
    /// Requests per second of the open loop.
    pub(crate) rates: Vec<u32>,
    pub(crate) rounds: usize,
    /// Length of each run.
    pub(crate) seconds: u32,
    /// Names of tools; empty: all.
    pub(crate) tools: Vec<String>,
    /// lab's program.
    pub(crate) lab: PathBuf,
    /// lab runs with real-time priority.
    pub(crate) real_time: bool,
    pub(crate) json: Option<PathBuf>,
}

impl Arguments {
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Command, String> {
        let mut read = Self {
            closed: false,
            open: false,
            rates: vec![1000, 5000, 20_000],
            rounds: 5,
            seconds: 3,
            tools: Vec::new(),
            lab: lab()?,
            real_time: false,
            json: None,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match &*word {
                "--test" => return Ok(Command::Nothing),
                "serve" => return Ok(Command::Serve),
                // Said by cargo.
                "--bench" => {}
                "closed" => read.closed = true,
                "open" => read.open = true,
                "--rates" => {
                    read.rates = value()?.split(',').map(number).collect::<Result<_, _>>()?;
                }
                "--rounds" => read.rounds = number(&value()?)? as usize,
                "--seconds" => read.seconds = number(&value()?)?,
                "--tools" => read.tools = value()?.split(',').map(str::to_owned).collect(),
                "--lab" => read.lab = value()?.into(),
                "--real-time" => read.real_time = true,
                "--json" => read.json = Some(value()?.into()),
                _ => {
                    return Err(format!(
                        "{word:?} is none of this benchmark's words: see the top of benches/load/main.rs"
                    ));
                }
            }
        }
        if !read.closed && !read.open {
            (read.closed, read.open) = (true, true);
        }
        Ok(Command::Run(read))
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
