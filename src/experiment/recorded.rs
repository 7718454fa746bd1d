//! A run read back from its files, to be compared anew or with another run.

use std::path::{Path, PathBuf};

use super::run::{RunError, other_models};
use crate::compare::versus::versus_of_digests;
use crate::compare::{
    self, CheckResult, Digest, Evidence, Layout, PairSample, Results, WorldSummary,
};
use crate::engine;
use crate::record::{Costs, EventRow, Manifest, RequestRow, Sink, TimelineRow, read};
use crate::scenario::{self, Check, Diagnostics, Scenario};
use crate::sim::ServiceTimes;
use crate::units::{Span, World};

/// A run as its files have it.
pub struct Recorded {
    folder: PathBuf,
    manifest: Manifest,
    scenario: Scenario,
    layout: Layout,
    sim: Vec<Part>,
    live: Vec<Part>,
}

/// The scenario of a run, as its engine ran it.
///
/// # Errors
/// When it can no longer be read, such as for a trace that it names.
pub fn recorded_scenario(manifest: &Manifest) -> Result<Scenario, Diagnostics> {
    let written = &manifest.scenario;
    let mut scenario = scenario::parse_with(&written.text, &written.path, &written.overrides)?;
    scenario.seed = manifest.seed;
    scenario.name.clone_from(&manifest.scenario.name);
    Ok(engine::adapted(&scenario, &scenario.balancer.engine))
}

/// One replication of the model or one round of the live world.
struct Part {
    digest: Digest,
    pairs: PairSample,
    service_times: Vec<(u64, u16, Span)>,
}

/// Two runs of the same world.
#[derive(Debug, serde::Serialize)]
pub struct Two {
    /// The first run.
    pub one: WorldSummary,
    /// The second run.
    pub other: WorldSummary,
    /// Which is faster, and how sure that is: the first is A.
    pub versus: Option<compare::Versus>,
    /// How they differ: the first stands where the model would, the second where the live world
    /// would.
    pub comparison: compare::Comparison,
}

impl Recorded {
    /// Reads the run in `folder`.
    ///
    /// # Errors
    /// When a file is missing, truncated or not lab's.
    pub fn open(folder: &Path) -> Result<Self, RunError> {
        let manifest = Manifest::load(&folder.join("run.json"))?;
        let scenario = recorded_scenario(&manifest)?;
        let layout = Layout::new(&scenario);
        let mut recorded = Self {
            folder: folder.to_owned(),
            manifest,
            scenario,
            layout,
            sim: Vec::new(),
            live: Vec::new(),
        };
        read::requests(&folder.join("requests.parquet"), |row| recorded.request(row))?;
        read::timeline(&folder.join("timeline.parquet"), |row| recorded.timeline(row))?;
        if recorded.scenario.autoscaler.is_some() {
            read::events(&folder.join("events.parquet"), |row| recorded.event(row))?;
        }
        Ok(recorded)
    }

    /// The last part of its path, as a name for people.
    #[must_use]
    pub fn name(&self) -> String {
        self.manifest.run.clone()
    }

    /// Its results, computed from its rows.
    #[must_use]
    pub fn results(&self) -> Results {
        let (sim, live) = (digests(&self.sim), digests(&self.live));
        let service_times: Option<ServiceTimes> =
            self.live.first().map(|round| round.service_times.iter().copied().collect());
        let costs = self.manifest.costs.as_ref();
        let models = match &service_times {
            Some(times) if !sim.is_empty() => {
                other_models(&self.scenario, &self.layout, costs, times)
            }
            _ => Vec::new(),
        };
        compare::results(&Evidence {
            scenario: &self.scenario.name,
            run: &self.manifest.run,
            seed: self.manifest.seed,
            partial: self.manifest.partial,
            sim: &sim,
            live: &live,
            pairs: pairs(&self.sim, &self.live),
            models: &models,
            checks: &self.scenario.checks,
            validity: serde_json::from_value(self.manifest.validity.clone()).ok().flatten(),
        })
    }

    /// Whether its rounds and those of `other` took turns, as those of one `lab compare --live` do.
    #[must_use]
    pub fn took_turns_with(&self, other: &Self) -> bool {
        self.manifest.run == other.manifest.run
    }

    /// Whether both runs had the same requests: the same seed and the same traffic.
    #[must_use]
    pub fn shares_requests_with(&self, other: &Self) -> bool {
        self.manifest.seed == other.manifest.seed && self.scenario.traffic == other.scenario.traffic
    }

    /// Its scenario, as its engine ran it.
    #[must_use]
    pub const fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// Names and periods of its scenario.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The host's costs that its model used.
    #[must_use]
    pub const fn costs(&self) -> Option<&Costs> {
        self.manifest.costs.as_ref()
    }

    /// Tries checks, its own or others.
    #[must_use]
    pub fn evaluate(&self, checks: &[Check]) -> Vec<CheckResult> {
        compare::verdict::evaluate(checks, &digests(&self.sim), &digests(&self.live))
    }

    /// This run beside `other`, in each world that both have.
    #[must_use]
    pub fn against(&self, other: &Self, question: &compare::Question) -> Vec<Two> {
        [(&self.sim, &other.sim), (&self.live, &other.live)]
            .into_iter()
            .filter_map(|(one, other)| self.side_by_side(one, other, question))
            .collect()
    }

    fn side_by_side(
        &self,
        one: &[Part],
        other: &[Part],
        question: &compare::Question,
    ) -> Option<Two> {
        let (first, second) = (digests(one), digests(other));
        let mut results = compare::results(&Evidence {
            scenario: &self.scenario.name,
            run: &self.manifest.run,
            seed: self.manifest.seed,
            sim: &first,
            live: &second,
            pairs: pairs(one, other),
            ..Evidence::default()
        });
        let comparison = results.comparison.take()?;
        let other = results.worlds.pop()?;
        let versus = versus_of_digests(question, &first, &second);
        Some(Two { one: results.worlds.pop()?, other, versus, comparison })
    }

    /// The model's replication that has the live world's requests, and each round of the live
    /// world.
    pub(super) fn summaries(&self) -> (Option<WorldSummary>, Vec<WorldSummary>) {
        let summary = |part: &Part| part.digest.summary();
        (self.sim.first().map(summary), self.live.iter().map(summary).collect())
    }

    /// The balancer that ran; `None` if the live world did not.
    pub(super) fn engine_facts(&self) -> Option<crate::record::manifest::Engine> {
        (!self.live.is_empty()).then(|| self.manifest.engine.clone())
    }

    /// Where it was read from.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn part(&mut self, world: World, number: u32) -> &mut Part {
        let layout = &self.layout;
        let parts = match world {
            World::Sim => &mut self.sim,
            World::Live => &mut self.live,
        };
        while parts.len() <= number as usize {
            parts.push(Part {
                digest: Digest::new(layout, world),
                pairs: PairSample::new(layout, PairSample::CAP),
                service_times: Vec::new(),
            });
        }
        &mut parts[number as usize]
    }

    fn request(&mut self, row: &RequestRow) {
        let part = self.part(row.world, row.replication);
        part.digest.request(row);
        part.pairs.request(row);
        if row.world == World::Live && row.service_ns > 0 {
            part.service_times.push((row.id, row.attempts, Span(row.service_ns)));
        }
    }

    fn event(&mut self, row: &EventRow) {
        self.part(row.world, row.replication).digest.event(row);
    }

    fn timeline(&mut self, row: &TimelineRow) {
        self.part(row.world, row.replication).digest.timeline(row);
    }
}

fn digests(parts: &[Part]) -> Vec<Digest> {
    parts.iter().map(|part| part.digest.clone()).collect()
}

fn pairs<'a>(one: &'a [Part], other: &'a [Part]) -> Option<(&'a PairSample, &'a PairSample)> {
    Some((&one.first()?.pairs, &other.first()?.pairs))
}
