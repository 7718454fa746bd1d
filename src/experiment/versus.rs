//! Two scenarios in the model, on the same draws, until they are told apart.

use std::sync::atomic::{AtomicBool, Ordering};

use super::run::{RunError, costs_of};
use super::settle::{Means, settle};
use crate::compare::versus::versus;
use crate::compare::{Block, Finding, Question, Versus};
use crate::engine;
use crate::live::Watcher;
use crate::record::Calibration;
use crate::scenario::Scenario;
use crate::sim::{self, Options};
use crate::units::{Nanos, World};

/// How many replications the first look is after; each look doubles them.
const FIRST: u32 = 10;

/// How two scenarios are compared.
#[derive(Clone, Debug)]
pub struct Race {
    /// What is asked of them.
    pub question: Question,
    /// Most replications of each.
    pub most: u32,
    /// Threads.
    pub threads: usize,
    /// What the host adds; `None` takes it as zero.
    pub calibration: Option<Calibration>,
}

/// Runs replications of `a` and `b` with the seed of `a` until they are told apart, or known to be
/// the same, or there are as many as allowed. The same whatever the number of threads.
///
/// # Errors
/// [`RunError::Interrupted`] when `stop` is set, [`RunError::TooLittle`] when nothing was measured.
pub fn race(
    a: &Scenario,
    b: &Scenario,
    race: &Race,
    watcher: &dyn Watcher,
    stop: &AtomicBool,
) -> Result<Versus, RunError> {
    let calibration = race.calibration.as_ref();
    let means = Means { only: None, threads: race.threads, calibration, watcher, stop };
    let (a, b) = (settle(a, &means)?.scenario, settle(b, &means)?.scenario);
    let a = engine::adapted(&a, &a.balancer.engine);
    let mut b = Scenario { seed: a.seed, ..engine::adapted(&b, &b.balancer.engine) };
    let mut a = a;
    if a.auto_warm_up || b.auto_warm_up {
        // Both leave out the same requests.
        let warm_up = a.warm_up.max(b.warm_up);
        (a.warm_up, b.warm_up) = (warm_up, warm_up);
    }
    let looks = looks(race.most);
    let question = Question { looks: looks.len() as u32, ..race.question.clone() };
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    for until in looks {
        watcher.phase(&format!("{until} replications"));
        let from = of_a.len() as u32;
        for (scenario, blocks) in [(&a, &mut of_a), (&b, &mut of_b)] {
            let costs = costs_of(scenario, race.calibration.as_ref()).unwrap_or_default();
            let options = Options { costs, stop: Some(stop), ..Options::default() };
            let warm_up = Nanos(scenario.warm_up.0);
            let measured = scenario.end().since(warm_up);
            let ran = sim::replicate_range(scenario, &options, from..until, race.threads, |_| {
                Block::new(warm_up, measured)
            });
            blocks.extend(ran.into_iter().map(|(block, _)| block));
        }
        if stop.load(Ordering::Relaxed) {
            return Err(RunError::Interrupted);
        }
        let found = versus(&question, World::Sim, &of_a, &of_b).ok_or(RunError::TooLittle)?;
        if found.finding != Finding::Unknown || until >= race.most {
            return Ok(found);
        }
    }
    Err(RunError::TooLittle)
}

/// After how many replications one looks: 10, 20, 40, … up to `most`.
fn looks(most: u32) -> Vec<u32> {
    let doubling = std::iter::successors(Some(FIRST), |looked| looked.checked_mul(2));
    let mut looks: Vec<u32> = doubling.take_while(|looked| *looked < most).collect();
    looks.push(most);
    looks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Span;

    struct Nobody;
    impl Watcher for Nobody {
        fn phase(&self, _: &str) {}
        fn passed(&self, _: Span) {}
    }

    fn system(algorithm: &str) -> Scenario {
        let text = format!(
            "schema_version = 1\n[scenario]\nduration = \"4s\"\nwarm_up = \"1s\"\n[traffic]\n\
             rate = \"280/s\"\n[balancer]\nalgorithm = \"{algorithm}\"\n[[backend]]\nname = \"b\"\n\
             count = 4\nservice = {{ law = \"exponential\", mean = \"10ms\" }}\n"
        );
        crate::scenario::parse(&text, "system.toml").unwrap()
    }

    fn ask(a: &str, b: &str, most: u32, threads: usize) -> Versus {
        let options = Race { question: Question::default(), most, threads, calibration: None };
        race(&system(a), &system(b), &options, &Nobody, &AtomicBool::new(false)).unwrap()
    }

    #[test]
    fn a_better_policy_is_told_with_few_replications_on_any_number_of_threads() {
        let found = ask("least_conn", "random", 320, 1);
        assert_eq!((found.finding, found.pairs), (Finding::Less, 10));
        assert!(found.distribution.unwrap().differ());
        assert_eq!(found, ask("least_conn", "random", 320, 3));
        assert_eq!(ask("random", "least_conn", 320, 2).finding, Finding::More);
    }

    #[test]
    fn the_same_is_the_same_and_little_does_not_tell() {
        assert_eq!(ask("random", "random", 320, 2).finding, Finding::Same);
        let found = ask("least_conn", "random_two", 2, 2);
        assert_eq!((found.finding, found.pairs), (Finding::Unknown, 2));
    }

    #[test]
    fn looks_double() {
        assert_eq!(looks(10), [10]);
        assert_eq!(looks(50), [10, 20, 40, 50]);
        assert_eq!(looks(3), [3]);
    }
}
