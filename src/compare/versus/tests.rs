//! Pairs whose difference is known, and noise in which there is none.

use super::*;
use crate::record::{RequestRow, Sink};
use crate::units::{Nanos, Purpose, Seed, Span};

/// Exponential latencies of `mean_ns`, all scaled by a disturbance that the round brings.
fn block(mean_ns: f64, requests: u64, seed: u64, round: u32, disturbance: f64) -> Block {
    let mut block = Block::new(Nanos(0), Span::from_secs(10));
    let mut draw = Seed::new(seed, round).draw(Purpose::Pick, 0, 0);
    let shared = libm::exp(disturbance * (draw.uniform() - 0.5));
    for _ in 0..requests {
        let latency = -libm::log(draw.uniform()) * mean_ns * shared;
        block.request(&RequestRow {
            finished_ns: latency as u64,
            status: 200,
            ..RequestRow::BLANK
        });
    }
    block
}

fn blocks(mean_ns: f64, count: u32, seed: u64, disturbance: f64) -> Vec<Block> {
    (0..count).map(|round| block(mean_ns, 2000, seed, round, disturbance)).collect()
}

fn ask(world: World, a: &[Block], b: &[Block]) -> Versus {
    versus(&Question::default(), world, a, b).unwrap()
}

#[test]
fn common_numbers_tell_a_small_difference_that_disturbances_would_hide() {
    let (a, b) = (blocks(9.8e6, 8, 1, 1.0), blocks(10e6, 8, 1, 1.0));
    let same_draws = ask(World::Sim, &a, &b);
    assert_eq!((same_draws.finding, same_draws.unit), (Finding::Less, Unit::Replications));
    let p99 = &same_draws.differences[0];
    assert_eq!(p99.name, "p99");
    assert!((p99.difference.value + 0.02).abs() < 0.001, "{p99:?}");
    assert!(p99.difference.high.unwrap() < -0.015 && p99.needed.is_none());
    let other_draws = ask(World::Sim, &a, &blocks(10e6, 8, 2, 1.0));
    assert_eq!(other_draws.finding, Finding::Unknown);
    assert!(other_draws.differences[0].needed.unwrap_or(1000) > 8);
}

#[test]
fn live_rounds_need_six() {
    let (a, b) = (blocks(12e6, 6, 1, 0.05), blocks(10e6, 6, 2, 0.05));
    let six = ask(World::Live, &a, &b);
    assert_eq!((six.finding, six.unit, six.pairs), (Finding::More, Unit::Rounds, 6));
    assert!(six.distribution.unwrap().differ());
    let five = ask(World::Live, &a[..5], &b[..5]);
    assert_eq!(five.finding, Finding::Unknown);
    assert_eq!(five.differences[0].needed, Some(6));
    assert_eq!(five.distribution.unwrap().p, None);
}

/// Of a hundred comparisons of the same with the same, five may call it different; with pairs that
/// are disturbed as whole runs are.
#[test]
fn the_same_is_seldom_called_different() {
    let (mut told, mut distributions) = (0, 0);
    for seed in 0..100u64 {
        let side = |side: u64| {
            (0..8u32)
                .map(|round| block(10e6, 400, 1000 + 2 * seed + side, round, 0.3))
                .collect::<Vec<_>>()
        };
        let question = Question { measure: Measure::Quantile(0.9), ..Question::default() };
        let found = versus(&question, World::Sim, &side(0), &side(1)).unwrap();
        told += u32::from(matches!(found.finding, Finding::Less | Finding::More));
        distributions += u32::from(found.distribution.unwrap().differ());
    }
    // Above 11 of 100 has a probability of 0.4 % at 5 %.
    assert!(told <= 11 && distributions <= 11, "{told} {distributions}");
}

#[test]
fn what_differs_in_its_tail_alone_is_found_by_the_distribution() {
    let tail = |fraction: u64, seed: u64| -> Vec<Block> {
        let one = |round: u32| {
            let mut block = Block::new(Nanos(0), Span::from_secs(10));
            let mut draw = Seed::new(seed, round).draw(Purpose::Pick, 0, 0);
            for i in 0..2000 {
                let slow = if i % 100 < fraction { 20.0 } else { 1.0 };
                let latency = (draw.uniform() + 1.0) * 1e6 * slow;
                let row =
                    RequestRow { finished_ns: latency as u64, status: 200, ..RequestRow::BLANK };
                block.request(&row);
            }
            block
        };
        (0..10).map(one).collect()
    };
    let question = Question { measure: Measure::Quantile(0.5), margin: 0.05, looks: 1 };
    let found = versus(&question, World::Sim, &tail(4, 1), &tail(1, 2)).unwrap();
    assert_eq!(found.finding, Finding::Same, "{found:?}");
    assert!(found.distribution.unwrap().differ());
}

#[test]
fn what_is_equal_is_the_same_and_needs_nothing() {
    let a = blocks(10e6, 6, 1, 0.1);
    let found = ask(World::Sim, &a, &a);
    assert_eq!(found.finding, Finding::Same);
    assert_eq!(found.differences[0].needed, None);
    assert_eq!(found.distribution.unwrap().p, Some(1.0));
    assert!(versus(&Question::default(), World::Sim, &[], &a).is_none());
}

#[test]
fn more_looks_ask_for_more() {
    let (a, b) = (blocks(9.75e6, 6, 3, 0.4), blocks(10e6, 6, 4, 0.4));
    let width = |looks| {
        let compared = compare(
            &Measure::Mean,
            Unit::Replications,
            &a,
            &b,
            &[Block::together(&a), Block::together(&b)],
        );
        let (low, high) = compared.unwrap().ends(looks).unwrap();
        high - low
    };
    // t(0.9958, 5) / t(0.975, 5).
    assert!((width(6) / width(1) - 1.641).abs() < 0.01, "{}", width(6) / width(1));
}

#[test]
fn measures_have_their_usual_names() {
    let names: Vec<String> = usual().iter().map(name_of).collect();
    assert_eq!(names, ["mean", "p50", "p90", "p99", "p99.9", "errors", "goodput"]);
    assert_eq!(name_of(&Measure::Quantile(1.0)), "max");
}
