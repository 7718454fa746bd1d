//! The report of several engines, from fixed data: what it says, and that it fits on a page.

use lab::compare::engines::{Against, Apart, ENGINES_SCHEMA_VERSION};
use lab::compare::statistic::{Cell, Nearness, Statistic, Unit};
use lab::compare::{
    CheckResult, EngineColumn, EnginesResults, Results, Validity, ValidityItem, Verdict,
};
use lab::engine::Gap;
use lab::record::manifest::Engine;
use lab::report::{Paint, engines::render};
use lab::units::World;

fn facts(name: &str, version: &str, pairs: &[(&str, &str)]) -> Engine {
    let settings = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Engine {
        name: name.to_owned(),
        version: version.to_owned(),
        config_sha256: lab::record::manifest::sha256_hex(name.as_bytes()),
        settings: settings.collect(),
        ..Engine::default()
    }
}

fn check(verdict: Verdict) -> CheckResult {
    CheckResult {
        text: "p99 < 800ms".to_owned(),
        world: Some(World::Live),
        verdict,
        measured: "812.0ms".to_owned(),
    }
}

fn column(label: &str, facts: Engine, gaps: Vec<Gap>, verdict: Verdict) -> EngineColumn {
    let item = |name: &str, held| ValidityItem {
        name: name.to_owned(),
        measured: "6.1ms".to_owned(),
        limit: "at most 5ms".to_owned(),
        held,
    };
    EngineColumn {
        label: label.to_owned(),
        folder: label.to_owned(),
        facts: Some(facts),
        gaps,
        results: Results {
            schema_version: 1,
            scenario: "failover".to_owned(),
            run: "20261124T200000Z-0001".to_owned(),
            seed: 42,
            partial: false,
            worlds: vec![],
            comparison: None,
            validity: Some(Validity { items: vec![item("schedule error p99", label != "envoy")] }),
            checks: vec![check(verdict)],
            regressions: vec![],
        },
    }
}

/// Cells of four engines from live, sim, and what the live rounds differ by.
fn statistic(name: &str, unit: Unit, goal: Option<f64>, live: f64, rounds: bool) -> Statistic {
    let cells = [1.0, 1.02, 0.97, 1.3].map(|factor: f64| {
        let (live, sim) = (live * factor, live);
        let difference = unit.difference(sim, live);
        let repeatability = rounds.then(|| unit.difference(1.025 * live, live));
        let nearness = goal.map(|goal| match difference.abs() {
            it if it <= goal => Nearness::Goal,
            it if repeatability.is_some_and(|own| it <= own) => Nearness::Repeatability,
            _ => Nearness::Beyond,
        });
        Cell {
            live: Some(live),
            sim: Some(sim),
            difference: Some(difference),
            repeatability,
            nearness,
        }
    });
    Statistic { name: name.to_owned(), unit, goal, cells: cells.into() }
}

fn results(rounds: bool) -> EnginesResults {
    let statistics = vec![
        statistic("p50", Unit::Latency, Some(0.02), 295.8e6, rounds),
        statistic("p99", Unit::Latency, Some(0.03), 497.4e6, rounds),
        statistic("p99.9", Unit::Latency, None, 1.654e9, rounds),
        statistic("failed", Unit::Count, Some(3.0), 0.0, rounds),
        statistic("retried", Unit::Count, None, 10.5, rounds),
        statistic("goodput", Unit::Rate, None, 79.92, rounds),
        statistic("share spare", Unit::Share, Some(0.01), 0.231, rounds),
        statistic("failover crash-b2", Unit::Time, None, 31e6, rounds),
    ];
    let against = |statistic: &Statistic, other: &Cell| Against {
        live: other.live.zip(statistic.cells[0].live).map(|(a, b)| statistic.unit.difference(a, b)),
        sim: Some(0.0),
        beyond: rounds.then_some(other.live > Some(1.2 * statistic.cells[0].live.unwrap())),
    };
    let apart = statistics
        .iter()
        .map(|it| Apart {
            name: it.name.clone(),
            unit: it.unit,
            engines: it.cells[1..].iter().map(|other| against(it, other)).collect(),
        })
        .collect();
    let gap = Gap::new(
        "balancer.health",
        "open-source NGINX has no active health checks",
        "failures of requests (max_fails, fail_timeout)",
    );
    let retries = ("retries", "error timeout http_500 http_502 http_503 http_504, 3 tries");
    let engines = vec![
        column("own", facts("lab", "0.1.0", &[("workers", "1"), retries]), vec![], Verdict::Held),
        column(
            "nginx",
            facts("nginx", "1.22.1", &[("workers", "1"), retries]),
            vec![gap],
            Verdict::Held,
        ),
        column(
            "haproxy",
            facts("haproxy", "2.6.12", &[("workers", "1"), ("retries", "3"), ("buffering", "off")]),
            vec![],
            Verdict::Failed,
        ),
        column(
            "envoy",
            facts("envoy", "1.40.0", &[("workers", "1"), retries]),
            vec![],
            Verdict::Held,
        ),
    ];
    let order = |names: [&str; 4]| names.map(str::to_owned).into();
    let mut orders: Vec<Vec<String>> = vec![order(["nginx", "own", "envoy", "haproxy"])];
    if rounds {
        orders.push(order(["haproxy", "own", "nginx", "envoy"]));
    }
    EnginesResults {
        schema_version: ENGINES_SCHEMA_VERSION,
        scenario: "failover".to_owned(),
        run: "20261124T200000Z-0001".to_owned(),
        seed: 42,
        partial: false,
        order: orders,
        engines,
        statistics,
        apart,
    }
}

#[test]
fn four_engines_fit_on_a_page() {
    let text = render(&results(true), Paint::Plain);
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{}: {line}", line.chars().count());
    }
    insta::assert_snapshot!("four", text);
}

#[test]
fn one_round_says_that_it_tells_nothing_of_chance() {
    let mut results = results(false);
    results.engines.truncate(2);
    results.statistics.iter_mut().for_each(|it| it.cells.truncate(2));
    results.apart.iter_mut().for_each(|it| it.engines.truncate(1));
    insta::assert_snapshot!("two", render(&results, Paint::Plain));
}

#[test]
fn a_model_alone_has_no_parity_box_and_no_live_rows() {
    let mut results = results(false);
    results.order.clear();
    results.engines.iter_mut().for_each(|it| (it.facts, it.results.validity) = (None, None));
    for cell in results.statistics.iter_mut().flat_map(|it| &mut it.cells) {
        *cell = Cell { sim: cell.sim, ..Cell::default() };
    }
    results.apart.iter_mut().flat_map(|it| &mut it.engines).for_each(|it| it.live = None);
    insta::assert_snapshot!("model", render(&results, Paint::Plain));
}

#[test]
fn colour_changes_no_character() {
    let (plain, coloured) =
        (render(&results(true), Paint::Plain), render(&results(true), Paint::Ansi));
    assert_ne!(plain, coloured);
    let mut bare = String::new();
    let mut escape = false;
    for c in coloured.chars() {
        match c {
            '\u{1b}' => escape = true,
            'm' if escape => escape = false,
            c if !escape => bare.push(c),
            _ => {}
        }
    }
    assert_eq!(bare, plain);
}
