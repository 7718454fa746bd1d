//! Systems whose capacity is known.

use super::*;
use crate::compare::capacity::Holds;
use crate::units::Span;

struct Nobody;
impl Watcher for Nobody {
    fn phase(&self, _: &str) {}
    fn passed(&self, _: Span) {}
}

fn system(rate: u32, servers: u32) -> Scenario {
    let text = format!(
        "schema_version = 1\n[scenario]\nduration = \"30s\"\nwarm_up = \"3s\"\n[traffic]\n\
         rate = \"{rate}/s\"\n[[backend]]\nname = \"b\"\ncount = {servers}\n\
         service = {{ law = \"exponential\", mean = \"10ms\" }}\n\
         [[check]]\nthat = \"mean < 40ms\"\n"
    );
    crate::scenario::parse(&text, "system.toml").unwrap()
}

fn find(scenario: &Scenario, axis: Axis, threads: usize) -> Found {
    let how = Search {
        axis,
        slos: scenario.checks.clone(),
        most: 20,
        resolution: 0.02,
        threads,
        calibration: None,
    };
    let start = how.axis.place(scenario).unwrap();
    search(scenario, &how, start, &Nobody, &AtomicBool::new(false)).unwrap()
}

/// The mean time of an M/M/1 is 10 ms / (1 - load): 40 ms at a load of 0.75, which is 75/s. Found from
/// both sides, and the same on any number of threads.
#[test]
fn the_capacity_of_a_single_server_is_what_the_formula_says() {
    let low = find(&system(10, 1), Axis::Load, 1);
    let answer = low.answer.unwrap();
    assert!((answer / 75.0 - 1.0).abs() < 0.06, "{answer}");
    assert!(low.low.unwrap() <= answer && answer <= low.high.unwrap());
    assert!(low.low.unwrap() < 77.0 && low.high.unwrap() > 73.0, "{:?} {:?}", low.low, low.high);
    let knee = low.knee.unwrap();
    assert!((35.0..65.0).contains(&knee), "{knee}");
    let high = find(&system(300, 1), Axis::Load, 2).answer.unwrap();
    assert!((high / answer - 1.0).abs() < 0.03, "{answer} {high}");
    assert_eq!(low, find(&system(10, 1), Axis::Load, 3));
}

/// 150/s in the turn of round robin need two servers at a load of 0.75 each at the least: Erlang gaps
/// of order two wait less than Poisson's.
#[test]
fn the_fewest_servers_are_found() {
    let axis = || Axis::Servers("b".to_owned());
    for from in [1, 8] {
        let found = find(&system(150, from), axis(), 2);
        assert_eq!(found.answer, Some(2.0), "{found:#?}");
        assert!(found.knee.is_none());
    }
}

#[test]
fn what_cannot_hold_has_no_answer() {
    let mut scenario = system(10, 1);
    let other = system(10, 1).text.replace("mean < 40ms", "mean < 1ms");
    scenario.checks = crate::scenario::parse(&other, "other.toml").unwrap().checks;
    let found = find(&scenario, Axis::Load, 2);
    assert_eq!((found.answer, found.low, found.high), (None, None, None));
    assert!(found.curve.iter().all(|point| point.holds == Holds::Not));
}

#[test]
fn axes_that_are_not_there_are_refused() {
    assert_eq!(
        Axis::Servers("c".to_owned()).place(&system(10, 1)),
        Err(NoAxis::Group("c".to_owned()))
    );
    assert_eq!(Axis::Load.place(&system(10, 1)), Ok(10.0));
    let at = Axis::Load.at(&system(10, 1), 62.5).unwrap();
    assert_eq!(Axis::Load.place(&at), Ok(62.5));
}
