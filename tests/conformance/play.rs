//! What an engine and the core make of one script, and whether it is the same.

use std::collections::BTreeSet;

use super::script::Step;
use crate::engines::stage::Behaviour;

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Saw {
    At(usize),
    Queued,
    Refused(u16),
    Answered {
        status: u16,
        tried: Vec<usize>,
    },
    /// Requests that had waited went to these servers.
    Freed(Vec<(u64, usize)>),
    Nothing,
}

/// What can be driven by a script. A script may hold steps of which an arm knows nothing; to give
/// it such a one is a mistake of the test.
pub(crate) trait Arm {
    fn start(&mut self, id: u64, key: Option<&str>) -> Saw;
    /// Ends a request that a server keeps; which had waited and are at a server since.
    fn finish(&mut self, id: u64) -> Vec<(u64, usize)>;
    fn ask(&mut self, id: u64, _method: &str, _behaviours: &[Behaviour]) -> Saw {
        panic!("request {id}: this arm only keeps requests")
    }
    /// Takes a server out of service, or back in; which had waited and are at a server since.
    fn order(&mut self, server: usize, _up: bool) -> Vec<(u64, usize)> {
        panic!("server {server}: this arm takes no orders")
    }
    /// Lets time pass.
    fn pause(&mut self, _milliseconds: u64) {}
    /// The second of the clock in which the next step happens, which is `told` if it is.
    fn second(&mut self, told: Option<u64>) -> u64 {
        told.unwrap_or_default()
    }
}

/// Requests of a script between their start and their end.
#[derive(Default)]
struct Open {
    /// At a server.
    kept: BTreeSet<u64>,
    waiting: BTreeSet<u64>,
    /// Waiting ones that end as soon as they have a server.
    over: BTreeSet<u64>,
}

impl Open {
    fn step(&mut self, arm: &mut dyn Arm, step: &Step) -> Saw {
        match step {
            Step::Start { id, key } => {
                let saw = arm.start(*id, key.as_deref());
                match saw {
                    Saw::At(_) => self.kept.insert(*id),
                    Saw::Queued => self.waiting.insert(*id),
                    _ => false,
                };
                saw
            }
            Step::Finish { id } => {
                if self.waiting.contains(id) {
                    self.over.insert(*id);
                }
                if !self.kept.remove(id) {
                    return Saw::Nothing;
                }
                let freed = arm.finish(*id);
                self.placed(arm, freed)
            }
            Step::Ask { id, method, behaviours } => arm.ask(*id, method, behaviours),
            Step::Order { server, up } => {
                let freed = arm.order(*server, *up);
                self.placed(arm, freed)
            }
            Step::Pause(milliseconds) => {
                arm.pause(*milliseconds);
                Saw::Nothing
            }
        }
    }

    /// Those that had waited have a server; one that was to be over by now ends at once, which may
    /// let others go. The order in which those that go at once reach their servers is chance.
    fn placed(&mut self, arm: &mut dyn Arm, mut freed: Vec<(u64, usize)>) -> Saw {
        freed.sort_unstable();
        let mut next = 0;
        while let Some(&(id, _)) = freed.get(next) {
            self.waiting.remove(&id);
            if self.over.remove(&id) {
                let mut more = arm.finish(id);
                more.sort_unstable();
                freed.extend(more);
            } else {
                self.kept.insert(id);
            }
            next += 1;
        }
        if freed.is_empty() { Saw::Nothing } else { Saw::Freed(freed) }
    }
}

/// What an arm made of a script, and in which second each step was.
#[derive(Debug, Default)]
pub(crate) struct Played {
    pub(crate) saw: Vec<Saw>,
    pub(crate) seconds: Vec<u64>,
}

/// Drives the arm. With `seconds`, each step happens in that second; without, the arm says in
/// which it did.
pub(crate) fn play(arm: &mut dyn Arm, script: &[Step], seconds: Option<&[u64]>) -> Played {
    let mut played = Played::default();
    let mut open = Open::default();
    for (place, step) in script.iter().enumerate() {
        played.seconds.push(arm.second(seconds.map(|seconds| seconds[place])));
        played.saw.push(open.step(arm, step));
    }
    played
}

/// Compares request by request; how many there were.
pub(crate) fn compare(title: &str, script: &[Step], engine: &Played, core: &Played) -> usize {
    assert_eq!(engine.saw.len(), script.len());
    assert_eq!(core.saw.len(), script.len());
    let differs = (0..script.len()).find(|place| engine.saw[*place] != core.saw[*place]);
    if let Some(place) = differs {
        let from = place.saturating_sub(80);
        let lines: Vec<String> = (from..=place)
            .map(|at| {
                format!("{:?}: engine {:?}, core {:?}", script[at], engine.saw[at], core.saw[at])
            })
            .collect();
        panic!("{title}, step {place}:\n  {}", lines.join("\n  "));
    }
    requests(script)
}

/// The same for an engine that starts at random: some arm out of `cores`, of which each starts
/// otherwise, must do as it did. The message is of the one that did so for longest.
pub(crate) fn compare_any<A: Arm>(
    title: &str,
    script: &[Step],
    engine: &Played,
    cores: impl Iterator<Item = A>,
) -> usize {
    let mut longest: Option<(usize, Saw)> = None;
    for mut core in cores {
        let mut open = Open::default();
        let differs =
            script.iter().zip(&engine.saw).enumerate().find_map(|(place, (step, saw))| {
                let found = open.step(&mut core, step);
                (found != *saw).then_some((place, found))
            });
        let Some(differs) = differs else { return requests(script) };
        if longest.as_ref().is_none_or(|longest| differs.0 > longest.0) {
            longest = Some(differs);
        }
    }
    let (place, core) = longest.expect("at least one core");
    let from = place.saturating_sub(80);
    let lines = (from..=place).map(|at| format!("{:?}: engine {:?}", script[at], engine.saw[at]));
    panic!(
        "{title}, step {place}:\n  {}\n  core {core:?}",
        lines.collect::<Vec<String>>().join("\n  ")
    );
}

fn requests(script: &[Step]) -> usize {
    script.iter().filter(|step| matches!(step, Step::Start { .. } | Step::Ask { .. })).count()
}
