//! `lab config`: an engine's own configuration for a scenario, or the Kubernetes manifest of its
//! autoscaler.

use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::Exit;
use super::overrides::Overrides;
use super::terminal::{complain, print};
use crate::engine::{self, ConfigFile, Configuration, Wiring};
use crate::import::hpa;
use crate::scenario::{self, Engine};

/// Arguments of `lab config`.
#[derive(Args, Debug)]
pub(super) struct ConfigArgs {
    /// The engine: nginx, haproxy or envoy; or hpa, for the autoscaler
    #[arg(value_name = "ENGINE")]
    engine: Wanted,
    /// Scenario file
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
    /// Write the files into this folder, made if need be, and print nothing
    #[arg(long, short, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Whose configuration is wanted.
#[derive(Clone, Debug)]
enum Wanted {
    Engine(Engine),
    Hpa,
}

impl std::str::FromStr for Wanted {
    type Err = <Engine as std::str::FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "hpa" { Ok(Self::Hpa) } else { text.parse().map(Self::Engine) }
    }
}

/// Prints the configuration, or writes it.
pub(super) fn run(args: &ConfigArgs) -> Exit {
    let configuration = match &args.engine {
        Wanted::Hpa => autoscaler(args),
        Wanted::Engine(engine) => of_engine(args, engine),
    };
    let configuration = match configuration {
        Ok(configuration) => configuration,
        Err(message) => {
            complain(&message);
            return Exit::Usage;
        }
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

/// The configuration of `engine` for the scenario.
fn of_engine(args: &ConfigArgs, engine: &Engine) -> Result<Configuration, String> {
    let mut pairs = args.overrides.pairs().to_vec();
    pairs.push(("balancer.engine".to_owned(), engine.name()));
    let scenario =
        scenario::load_with(&args.scenario, &pairs).map_err(|wrong| wrong.to_string())?;
    let wiring = Wiring::example(scenario.backends.len());
    engine::configuration(&scenario, engine, &wiring).ok_or_else(|| {
        format!("{engine} has no configuration that lab writes: nginx, haproxy and envoy have")
    })
}

/// The manifest of the autoscaler of a scenario or of a proxy's file; what it does not say stands on
/// stderr.
fn autoscaler(args: &ConfigArgs) -> Result<Configuration, String> {
    let file = scenario::load_balancer_with(&args.scenario, args.overrides.pairs())
        .map_err(|wrong| wrong.to_string())?;
    let Some(facts) = &file.autoscaler else {
        return Err("the scenario has no section [autoscaler]".to_owned());
    };
    let Some((text, left_out)) = hpa::manifest(&facts.group, &facts.scale) else {
        let what = "only the rule [autoscaler.target] is that of a HorizontalPodAutoscaler";
        return Err(what.to_owned());
    };
    left_out.iter().for_each(|what| eprintln!("not in the manifest: {what}"));
    Ok(Configuration { files: vec![ConfigFile { name: "hpa.yaml".to_owned(), text }] })
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
