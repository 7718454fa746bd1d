//! Records `tests/vectors` anew from the engines that are installed, or checks that these still do
//! what was recorded, so that a new version's change of behaviour is noticed.
//!
//! ```sh
//! cargo run --release --example record_vectors -- --check                # all three engines
//! cargo run --release --example record_vectors -- nginx --out /tmp/new  # write NGINX's anew
//! ```

#[path = "../tests/engines/mod.rs"]
mod engines;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use engines::record::{Engine, VECTORS};
use engines::{Problem, Tried};

const USAGE: &str = "record_vectors [nginx] [haproxy] [envoy] [--check | --out FOLDER]
    Without an engine all three; --out is tests/vectors unless it is given.
    --check writes nothing, says what is different, and ends with 1 if anything is.";

struct Wanted {
    engines: Vec<Engine>,
    check: bool,
    out: PathBuf,
}

fn main() -> ExitCode {
    match wanted(std::env::args().skip(1)).map(|wanted| run(&wanted)) {
        Err(wrong) => {
            say(&format!("{wrong}\n{USAGE}"));
            ExitCode::from(2)
        }
        Ok(Err(problem)) => {
            say(&format!("record_vectors: {problem}"));
            ExitCode::FAILURE
        }
        Ok(Ok(different)) => ExitCode::from(u8::from(different > 0)),
    }
}

#[expect(clippy::print_stdout, reason = "a command's output")]
fn say(text: &str) {
    println!("{text}");
}

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn wanted(mut arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let mut wanted = Wanted { engines: Vec::new(), check: false, out: committed() };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--check" => wanted.check = true,
            "--out" => {
                wanted.out = arguments.next().ok_or("--out needs a folder")?.into();
            }
            name => {
                let named = Engine::ALL.into_iter().find(|engine| engine.name() == name);
                let wrong = || format!("{name} is neither an engine nor an option");
                wanted.engines.push(named.ok_or_else(wrong)?);
            }
        }
    }
    if wanted.engines.is_empty() {
        wanted.engines = Engine::ALL.into();
    }
    Ok(wanted)
}

/// The number of differences.
fn run(wanted: &Wanted) -> Tried<usize> {
    let mut all = 0;
    for engine in &wanted.engines {
        let version = engine.version()?;
        say(&format!("{} {version}", engine.name()));
        for vectors in VECTORS.iter().filter(|vectors| vectors.engine == *engine) {
            let last = vectors.read(&committed())?;
            let again = vectors.again(&last, &version)?;
            let different = vectors.differences(&last, &again);
            let cases = last.at("cases").list().len();
            let kind = if vectors.is_exact { "" } else { ", within chance" };
            say(&format!(
                "  {}: {cases} cases{kind}, {} differences",
                vectors.name,
                different.len()
            ));
            different.iter().for_each(|line| say(&format!("    {line}")));
            all += different.len();
            if !wanted.check {
                let path = wanted.out.join(format!("{}.json", vectors.name));
                std::fs::create_dir_all(&wanted.out)
                    .and_then(|()| std::fs::write(&path, again.document()))
                    .map_err(Problem::during(format!("cannot write {}", path.display())))?;
            }
        }
    }
    Ok(all)
}
