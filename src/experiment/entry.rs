//! One engine's part of an experiment, in a folder of its own: the model by its rules, its rounds of
//! the live world, and the files that a run leaves.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::run::{Files, RunError, RunOptions, costs_of, other_models};
use super::{identity, judge, model, reality};
use crate::compare::{
    self, Block, Digest, Evidence, Layout, Results, ValidityItem, WorldSummary, baseline,
};
use crate::engine::{self, Configuration, Wiring};
use crate::host::date;
use crate::live::{LiveOptions, LiveRun, Watcher};
use crate::monitor::Series;
use crate::record::manifest::{self, FaultProof, MANIFEST_SCHEMA_VERSION, ScenarioText};
use crate::record::sink::Both;
use crate::record::{HlogWriter, Manifest, Names, RecordError, Recorder};
use crate::scenario::Scenario;
use crate::sim::Options;
use crate::units::{Nanos, Span, World};

/// What all engines of a run share.
pub(super) struct Around<'a> {
    pub(super) options: &'a RunOptions,
    /// Id of the run.
    pub(super) id: &'a str,
    /// When it started, by the wall clock.
    pub(super) started: Nanos,
    pub(super) watcher: &'a dyn Watcher,
    pub(super) stop: &'a AtomicBool,
}

/// An engine's run while it is under way.
pub(super) struct Entry<'a> {
    /// As asked for; the engine's configuration is made from it.
    asked: &'a Scenario,
    /// As the engine runs it; the model and the statistics follow it.
    adapted: Scenario,
    layout: Layout,
    folder: PathBuf,
    recorder: Files,
    modelled: Vec<model::Modelled>,
    /// The model's seconds, where the run is shown.
    foreseen: Option<Series>,
    rounds: Vec<reality::Round>,
    warnings: Vec<String>,
}

/// What an engine's run came to.
pub(super) struct Finished {
    pub(super) results: Results,
    /// The program that ran; `None` if the live world did not.
    pub(super) facts: Option<manifest::Engine>,
    /// The model's replication with the live world's requests.
    pub(super) sim: Option<WorldSummary>,
    /// Each round.
    pub(super) rounds: Vec<WorldSummary>,
}

impl<'a> Entry<'a> {
    /// Begins the files in `folder` and runs the model, if it is wanted.
    pub(super) fn open(
        asked: &'a Scenario,
        folder: &Path,
        around: &Around<'_>,
    ) -> Result<Self, RunError> {
        let adapted = engine::adapted(asked, &asked.balancer.engine);
        let layout = Layout::new(&adapted);
        let names = Names::new(
            adapted.backends.iter().map(|backend| backend.name.clone()),
            adapted.traffic.classes.iter().map(|class| class.name.clone()),
        );
        let log = folder.join("latency.hlog");
        let mut recorder = Both(
            Recorder::threaded(folder, &adapted.name, &names)?,
            HlogWriter::create(&log, hlog_interval(&adapted), around.started)?,
        );
        let (mut modelled, mut foreseen) = (Vec::new(), None);
        if around.options.only != Some(World::Live) {
            around.watcher.phase("model");
            let sim = Options {
                costs: costs_of(asked, around.options.calibration.as_ref()).unwrap_or_default(),
                stop: Some(around.stop),
                ..Options::default()
            };
            let threads = around.options.threads;
            let shown = around.options.board.is_some();
            let series = shown.then(|| Series::new(adapted.backends.len()));
            let wanted = model::Wanted { recorder, series };
            let (ran, wanted) = model::run(&adapted, &layout, &sim, wanted, threads)?;
            (modelled, recorder, foreseen) = (ran, wanted.recorder, wanted.series);
        }
        let folder = folder.to_owned();
        let warnings =
            if modelled.is_empty() { Vec::new() } else { model::warnings(&adapted, &modelled) };
        let rounds = Vec::new();
        Ok(Self { asked, adapted, layout, folder, recorder, modelled, foreseen, rounds, warnings })
    }

    /// Runs round `round` of the live world.
    pub(super) fn round(&mut self, round: u32, around: &Around<'_>) -> Result<(), RunError> {
        self.round_of(round, self.asked.seed, around)
    }

    /// The same with the requests of another seed.
    pub(super) fn round_of(
        &mut self,
        round: u32,
        seed: u64,
        around: &Around<'_>,
    ) -> Result<(), RunError> {
        let scratch = self.folder.join(format!("spool-{round}"));
        let live = LiveOptions {
            // The file itself: what it names, such as a trace, is relative to it.
            scenario_file: self.asked.path.clone(),
            overrides: self.asked.overrides.clone(),
            real_time: around.options.real_time,
            scratch: scratch.clone(),
            seed,
            round,
            engine_config: around.options.engine_config.clone(),
            board: around.options.board.clone(),
            prometheus: around.options.prometheus,
            provider: around.options.provider.clone(),
        };
        if let Some(board) = &around.options.board {
            board.begin(&self.adapted, round, self.foreseen.clone());
        }
        let ran = reality::round(
            self.asked,
            &self.layout,
            &live,
            &mut self.recorder,
            around.watcher,
            around.stop,
        )?;
        self.rounds.push(ran);
        if round == 0 {
            self.keep_configuration(&scratch, around)?;
        }
        // Everything in it is in the Parquet files now.
        let _ = fs::remove_dir_all(&scratch);
        Ok(())
    }

    /// Adds what is to be said of the scenario before its numbers are believed.
    pub(super) fn warn(&mut self, warnings: &[String]) {
        self.warnings.extend(warnings.iter().cloned());
    }

    /// What each round of the live world did.
    pub(super) fn blocks(&self) -> Vec<Block> {
        self.rounds.iter().map(|round| Block::of(&round.digest)).collect()
    }

    /// Copies what the engine was started with to `engine/`, that of further instances to
    /// `engine/instance-N/`, and what was changed in the user's own.
    fn keep_configuration(&self, scratch: &Path, around: &Around<'_>) -> Result<(), RunError> {
        let engine = &self.asked.balancer.engine;
        let wiring = Wiring::example(self.asked.backends.len());
        let Some(example) = engine::configuration(self.asked, engine, &wiring) else {
            return Ok(());
        };
        let kept = self.folder.join("engine");
        for instance in 1..=self.asked.balancer.instances {
            let from = scratch.join(format!("{engine}-{instance}"));
            let to = match instance {
                1 => kept.clone(),
                _ => kept.join(format!("instance-{instance}")),
            };
            copy_files(&example, &from, &to)?;
        }
        if let Some(text) = &around.options.engine_config {
            let user = engine::user_configuration(engine, text, self.asked, &wiring)
                .map_err(crate::live::LiveError::from)?;
            let path = kept.join("changes.diff");
            fs::write(&path, user.diff).map_err(RecordError::io("write", &path))?;
        }
        Ok(())
    }

    /// Compares the worlds, judges them, and completes the files.
    pub(super) fn finish(self, around: &Around<'_>) -> Result<Finished, RunError> {
        let Self { mut adapted, layout, folder, recorder, modelled, rounds, warnings, .. } = self;
        adapted.replications = modelled.len().max(1) as u32;
        recorder.0.finish()?;
        recorder.1.finish()?;
        let options = around.options;
        let calibration = options.calibration.as_ref().or(options.known_calibration.as_ref());
        let costs = costs_of(&adapted, calibration);
        let models = match rounds.first() {
            Some(round) if !modelled.is_empty() => {
                other_models(&adapted, &layout, costs.as_ref(), &round.service_times)
            }
            _ => Vec::new(),
        };
        let (sim, pairs, sim_warnings) = model::unpack(modelled);
        let live: Vec<Digest> = rounds.iter().map(|round| round.digest.clone()).collect();
        let mut validity = judge::validity(&rounds, &live);
        if let Some(validity) = &mut validity {
            validity.items.extend(same_engine(&rounds));
        }
        let mut results = compare::results(&Evidence {
            scenario: &adapted.name,
            run: around.id,
            seed: adapted.seed,
            partial: around.stop.load(Ordering::Relaxed),
            sim: &sim,
            live: &live,
            pairs: pairs.as_ref().zip(rounds.first().map(|round| &round.pairs)),
            models: &models,
            checks: &adapted.checks,
            validity,
        });
        if let Some(world) = results.worlds.iter_mut().find(|world| world.world == World::Sim) {
            add_new(&mut world.warnings, sim_warnings);
        }
        if let Some(world) = results.worlds.first_mut() {
            add_new(&mut world.warnings, warnings);
        }
        results.regressions = options.baseline.as_ref().map_or_else(Vec::new, |baseline| {
            baseline::hold(&baseline.limits, &baseline.results, &results)
        });
        let date = date::rfc3339(around.started);
        manifest(&adapted, options, &results, &rounds, &date).save(&folder.join("run.json"))?;
        save(&results, &folder)?;
        Ok(Finished {
            results,
            facts: rounds.first().map(|round| round.run.engine.clone()),
            sim: sim.first().map(Digest::summary),
            rounds: live.iter().map(Digest::summary).collect(),
        })
    }
}

/// Copies those files of a configuration that there are: one of the user's own is one file.
fn copy_files(configuration: &Configuration, from: &Path, to: &Path) -> Result<(), RunError> {
    fs::create_dir_all(to).map_err(RecordError::io("create the folder", to))?;
    for file in &configuration.files {
        let (from, to) = (from.join(&file.name), to.join(&file.name));
        if from.exists() {
            fs::copy(&from, &to).map_err(RecordError::io("copy the configuration to", &to))?;
        }
    }
    Ok(())
}

/// Rounds are of one engine only if its version, configuration and settings were the same in all.
fn same_engine(rounds: &[reality::Round]) -> Option<ValidityItem> {
    let (first, others) = rounds.split_first().filter(|(_, others)| !others.is_empty())?;
    let setup = |round: &reality::Round| manifest::Engine {
        statistics: Vec::new(),
        ..round.run.engine.clone()
    };
    let other = others.iter().find(|round| setup(round) != setup(first));
    Some(ValidityItem {
        name: "balancer over rounds".to_owned(),
        measured: other.map_or_else(
            || "the same program and settings".to_owned(),
            |round| format!("another program or settings in round {}", round.run.round + 1),
        ),
        limit: "the same".to_owned(),
        held: other.is_none(),
    })
}

/// A second, or more where the log would have more than some hundred histograms.
fn hlog_interval(scenario: &Scenario) -> Span {
    Span::from_secs(1).max(scenario.duration / 600)
}

fn add_new(warnings: &mut Vec<String>, more: Vec<String>) {
    for warning in more {
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
}

fn manifest(
    scenario: &Scenario,
    options: &RunOptions,
    results: &Results,
    rounds: &[reality::Round],
    started: &str,
) -> Manifest {
    let sim_ran = options.only != Some(World::Live);
    Manifest {
        schema_version: MANIFEST_SCHEMA_VERSION,
        run: results.run.clone(),
        started: started.to_owned(),
        partial: results.partial,
        scenario: ScenarioText {
            path: scenario.path.clone(),
            overrides: scenario.overrides.clone(),
            ..ScenarioText::new(&scenario.name, &scenario.text)
        },
        seed: scenario.seed,
        replications: if sim_ran { scenario.replications } else { 0 },
        rounds: rounds.len() as u32,
        real_time: options.real_time && !rounds.is_empty(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: identity::host_facts(),
        engine: rounds.first().map(|round| round.run.engine.clone()).unwrap_or_default(),
        costs: costs_of(scenario, options.calibration.as_ref()),
        validity: serde_json::to_value(&results.validity).unwrap_or_default(),
        faults: rounds.iter().flat_map(|round| proofs(&round.run)).collect(),
    }
}

fn proofs(run: &LiveRun) -> impl Iterator<Item = FaultProof> {
    run.proofs.iter().map(|proof| FaultProof {
        fault: format!("{} on {}", proof.fault, proof.target),
        round: run.round,
        before: proof.before.clone(),
        during: proof.during.clone(),
        after: proof.after.clone(),
        bit: proof.bit,
    })
}

/// Writes `results` as the `summary.json` of `folder`.
pub(super) fn save(results: &impl serde::Serialize, folder: &Path) -> Result<(), RunError> {
    let path = folder.join("summary.json");
    let mut text = serde_json::to_string_pretty(results).unwrap_or_default();
    text.push('\n');
    fs::write(&path, text).map_err(|error| RunError::Scratch { path, error })
}
