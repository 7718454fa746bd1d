//! `run.json`, the calibration and the interval log.

use std::fs;

use lab::record::calibration::{CALIBRATION_SCHEMA_VERSION, Measured};
use lab::record::hlog::{merge_tag, read_hlog};
use lab::record::manifest::{
    Engine, FaultProof, HostFacts, MANIFEST_SCHEMA_VERSION, Manifest, ScenarioText,
};
use lab::record::{Calibration, Cost, HlogWriter, RequestError, RequestRow, Sink};
use lab::units::{Nanos, Span, World};

use super::folder;

fn calibration() -> Calibration {
    let mut quantiles_ns = [0; 21];
    quantiles_ns.iter_mut().zip(1000..).for_each(|(quantile, value)| *quantile = value);
    let cost = Cost { median_ns: 1010, quantiles_ns, samples: 5000 };
    Calibration {
        schema_version: CALIBRATION_SCHEMA_VERSION,
        host: "bench-1".into(),
        date: "2026-11-24T13:45:01Z".into(),
        measured: vec![Measured {
            engine: "nginx".into(),
            rate: 240.5,
            connection: cost,
            hop: cost,
            occupation: cost,
        }],
    }
}

#[test]
fn a_manifest_comes_back() {
    let path = folder("manifest").join("run.json");
    let manifest = Manifest {
        schema_version: MANIFEST_SCHEMA_VERSION,
        run: "20261124T134501Z-7f3a".into(),
        started: "2026-11-24T13:45:01Z".into(),
        partial: false,
        scenario: ScenarioText::new("steady", "[scenario]\nname = \"steady\"\n"),
        seed: u64::MAX,
        replications: 8,
        rounds: 2,
        real_time: false,
        version: "0.1.0".into(),
        host: HostFacts { name: "bench-1".into(), cores: 2, ..HostFacts::default() },
        engine: Engine { name: "lab".into(), ..Engine::default() },
        costs: calibration().costs("nginx", 100.0),
        validity: serde_json::json!({ "items": [] }),
        faults: vec![FaultProof { fault: "crash-b".into(), bit: true, ..FaultProof::default() }],
    };
    manifest.save(&path).unwrap();
    assert_eq!(Manifest::load(&path).unwrap(), manifest);
}

#[test]
fn a_manifest_of_another_version_says_so_before_its_fields() {
    let path = folder("manifest-version").join("run.json");
    fs::write(&path, r#"{ "schema_version": 99, "unknown": true }"#).unwrap();
    let text = Manifest::load(&path).unwrap_err().to_string();
    assert!(text.contains("schema version 99; this lab reads version 2"), "{text}");
}

#[test]
fn a_calibration_comes_back_in_both_formats() {
    let folder = folder("calibration");
    for name in ["calibration.json", "calibration.toml"] {
        let path = folder.join(name);
        calibration().save(&path).unwrap();
        assert_eq!(Calibration::load(&path).unwrap(), calibration(), "{name}");
    }
}

#[test]
fn a_wrong_calibration_names_its_file_and_fault() {
    let folder = folder("calibration-wrong");
    let good = serde_json::to_string(&calibration()).unwrap();
    for (name, text, part) in [
        ("empty.json", String::new(), "EOF"),
        ("text.toml", "hello".into(), "expected"),
        ("none.json", "{}".into(), "it has no `schema_version`"),
        ("later.json", good.replace(r#""schema_version":2"#, r#""schema_version":3"#), "version 3"),
        ("extra.json", good.replace(r#""host""#, r#""hosts""#), "unknown field `hosts`"),
        ("falls.json", good.replacen("1019,1020", "1019,7", 1), "quantiles of `connection`"),
    ] {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        let text = Calibration::load(&path).unwrap_err().to_string();
        assert!(text.contains(name) && text.contains(part), "{text}");
    }
    let text = Calibration::load(&folder.join("missing.json")).unwrap_err().to_string();
    assert!(text.starts_with("cannot read `"), "{text}");
}

fn request(world: World, id: u64, latency_ms: u64) -> RequestRow {
    let scheduled_ns = id * 10_000_000;
    RequestRow {
        world,
        replication: 0,
        id,
        class: 0,
        scheduled_ns,
        sent_ns: scheduled_ns,
        connected_ns: scheduled_ns,
        first_byte_ns: 0,
        finished_ns: scheduled_ns + latency_ms * 1_000_000,
        demand_ns: 0,
        queued_ns: 0,
        service_ns: 0,
        upstream: 0,
        attempts: 1,
        status: 200,
        error: RequestError::None,
        bytes: 0,
    }
}

#[test]
fn an_interval_log_comes_back_per_world() {
    let path = folder("hlog").join("latency.hlog");
    let zero = Nanos(1_795_000_000_000_000_000);
    let mut log = HlogWriter::create(&path, Span::from_secs(1), zero).unwrap();
    for id in 0..1000 {
        log.request(&request(World::Sim, id, 1 + id % 100));
        log.request(&request(World::Live, id, 2));
    }
    log.finish().unwrap();

    let intervals = read_hlog(&path).unwrap();
    let sim = merge_tag(&intervals, "sim");
    assert_eq!((sim.len(), merge_tag(&intervals, "live").len()), (1000, 1000));
    let p50 = sim.value_at_quantile(0.5) as f64;
    assert!((p50 / 50e6 - 1.0).abs() < 0.001, "{p50}");
    for tag in ["sim", "live"] {
        let starts: Vec<Nanos> =
            intervals.iter().filter(|i| i.tag == tag).map(|i| i.start).collect();
        assert!((10..=11).contains(&starts.len()) && starts.is_sorted(), "{tag}: {starts:?}");
    }
    assert!(intervals.iter().all(|interval| interval.length == Span::from_secs(1)));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("#[StartTime: 1795000000.000 (seconds since epoch)]"), "{text}");
}

#[test]
fn a_broken_interval_log_is_an_error() {
    let path = folder("hlog-broken").join("latency.hlog");
    for text in ["nonsense\n", "0.0,1.0,2.0,####\n", "0.0,1.0,2.0,AAAA\n"] {
        fs::write(&path, text).unwrap();
        let text = read_hlog(&path).unwrap_err().to_string();
        assert!(text.contains("interval 1"), "{text}");
    }
}
