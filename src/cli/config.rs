//! `lab config`: an engine's own configuration for a scenario.

use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::Exit;
use super::overrides::Overrides;
use super::terminal::{complain, print};
use crate::engine::{self, Configuration, Wiring};
use crate::scenario::{self, Engine};

/// Arguments of `lab config`.
#[derive(Args, Debug)]
pub(super) struct ConfigArgs {
    /// The engine: nginx, haproxy or envoy
    #[arg(value_name = "ENGINE")]
    engine: Engine,
    /// Scenario file
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
    /// Write the files into this folder, made if need be, and print nothing
    #[arg(long, short, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Prints the configuration, or writes it.
pub(super) fn run(args: &ConfigArgs) -> Exit {
    let mut pairs = args.overrides.pairs().to_vec();
    pairs.push(("balancer.engine".to_owned(), args.engine.name()));
    let scenario = match scenario::load_with(&args.scenario, &pairs) {
        Ok(scenario) => scenario,
        Err(wrong) => {
            complain(&wrong);
            return Exit::Usage;
        }
    };
    let wiring = Wiring::example(scenario.backends.len());
    let Some(configuration) = engine::configuration(&scenario, &args.engine, &wiring) else {
        complain(&format!(
            "{} has no configuration that lab writes: nginx, haproxy and envoy have",
            args.engine
        ));
        return Exit::Usage;
    };
    match &args.out {
        None => print(&shown(&configuration)),
        Some(folder) => {
            if let Err((path, error)) = write(&configuration, folder) {
                complain(&format!("cannot write {}: {error}", path.display()));
                return Exit::Failed;
            }
        }
    }
    Exit::Held
}

/// Every file under a line with its name; each of these languages takes `#` for a comment.
fn shown(configuration: &Configuration) -> String {
    let mut text = String::new();
    for file in &configuration.files {
        text.push_str(&format!("# ── {} ──\n{}", file.name, file.text));
        if !file.text.ends_with('\n') {
            text.push('\n');
        }
    }
    text
}

fn write(configuration: &Configuration, folder: &Path) -> Result<(), (PathBuf, std::io::Error)> {
    std::fs::create_dir_all(folder).map_err(|error| (folder.to_owned(), error))?;
    for file in &configuration.files {
        let path = folder.join(&file.name);
        std::fs::write(&path, &file.text).map_err(|error| (path, error))?;
    }
    Ok(())
}
