//! Charts of made-up results: every picture is written, has the size promised and is not blank.
#![cfg(feature = "charts")]

use lab::compare::{
    EngineColumn, EnginesRun, FaultEffect, MeasuredEngine, PeerShare, Results, Second, WorldSummary,
};
use lab::units::World;

fn world(world: World, scale: f64) -> WorldSummary {
    let curve = (0..400)
        .map(|step| {
            let quantile = 1.0 - libm::pow(10.0, -f64::from(step) / 100.0);
            (quantile, (100e6 * scale * (1.0 - libm::log(1.0 - quantile))) as u64)
        })
        .collect();
    let seconds = (0..40)
        .map(|second| Second {
            second,
            offered: 80 + u64::from(second % 7),
            succeeded: 78 + u64::from(second % 5),
            failed: u64::from(second == 15) * 3,
            p50_ns: (300e6 * scale) as u64,
            p99_ns: (490e6 * scale) as u64 + u64::from(second) * 1_000_000,
        })
        .collect();
    let share = |name: &str, weight, backup, share| PeerShare {
        present: 1.0,
        name: name.to_owned(),
        weight,
        backup,
        expected: if backup { 0.0 } else { f64::from(weight) / 13.0 },
        requests: (3000.0 * share) as u64,
        share,
        utilisation: 0.4,
    };
    WorldSummary {
        world,
        replications: 1,
        requests: 3000,
        failed: 3,
        retried: 12,
        failures: vec![],
        offered: 80.0,
        goodput: 79.9,
        errors: Default::default(),
        latency: Default::default(),
        latency_sent: Default::default(),
        curve,
        shares: vec![
            share("b1", 5, false, 0.39),
            share("b2", 5, false, 0.36),
            share("b3", 3, false, 0.24),
            share("b4", 1, true, 0.01),
        ],
        jain: 0.99,
        utilisation_max_over_mean: 1.1,
        utilisation_p95_over_mean: 1.1,
        seconds,
        in_flight: (0..4)
            .map(|peer| (0..40).map(|second| 3 + (second * (peer + 1)) % 9).collect())
            .collect(),
        faults: vec![FaultEffect {
            fault: "crash-b2".to_owned(),
            at_ns: 15_000_000_000,
            until_ns: 25_000_000_000,
            failed: 3,
            failover_ns: Some(30_000_000),
        }],
        groups: vec![],
        scaling: None,
        warnings: vec![],
    }
}

fn column(label: &str, scale: f64) -> EngineColumn {
    EngineColumn {
        label: label.to_owned(),
        folder: label.to_owned(),
        facts: None,
        gaps: vec![],
        results: Results {
            schema_version: 1,
            scenario: "failover".to_owned(),
            run: "20261124T140000Z-0001".to_owned(),
            seed: 42,
            partial: false,
            worlds: vec![world(World::Sim, scale), world(World::Live, scale * 1.03)],
            comparison: None,
            validity: None,
            checks: vec![],
            regressions: vec![],
        },
    }
}

#[test]
fn engines_share_their_charts() {
    let engines = [("own", 1.0), ("nginx", 1.1), ("haproxy", 1.25), ("envoy", 1.4)];
    let run = EnginesRun {
        run: "20261124T140000Z-0001".to_owned(),
        order: vec![],
        engines: engines
            .map(|(label, scale)| MeasuredEngine {
                column: column(label, scale),
                sim: None,
                rounds: vec![],
            })
            .into(),
    };
    let folder = std::env::temp_dir().join(format!("lab-engine-charts-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let pictures = lab::report::chart::draw_engines(&run.results(), &folder).unwrap();
    assert_eq!(pictures.len(), 3);
    for picture in &pictures {
        let bytes = std::fs::read(picture).unwrap();
        assert_eq!(&bytes[1..4], b"PNG");
        assert!(bytes.len() > 12_000, "{} looks blank: {} bytes", picture.display(), bytes.len());
    }
    if std::env::var_os("LAB_KEEP_CHARTS").is_none() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn every_chart_is_drawn() {
    let results = Results {
        schema_version: 1,
        scenario: "failover".to_owned(),
        run: "20261124T140000Z-0001".to_owned(),
        seed: 42,
        partial: false,
        worlds: vec![world(World::Sim, 1.0), world(World::Live, 1.05)],
        comparison: None,
        validity: None,
        checks: vec![],
        regressions: vec![],
    };
    let folder = std::env::temp_dir().join(format!("lab-charts-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let pictures = lab::report::chart::draw_all(&results, &folder).unwrap();
    assert_eq!(pictures.len(), 6);
    for picture in &pictures {
        let bytes = std::fs::read(picture).unwrap();
        assert_eq!(&bytes[1..4], b"PNG");
        let size = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!((size(16), size(20)), (1600, 900));
        assert!(bytes.len() > 12_000, "{} looks blank: {} bytes", picture.display(), bytes.len());
    }
    if std::env::var_os("LAB_KEEP_CHARTS").is_none() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
