//! The language of scenarios, from the outside.
//!
//! `tests/scenario/*.toml` are wrong files, each beside the message it must give. After a change of
//! wording, `UPDATE=1 cargo test --test scenario` rewrites the messages and the JSON Schema; read the
//! difference before it is committed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use lab::compare::verdict::evaluate;
use lab::compare::{Digest, Layout, Verdict};
use lab::policy::balance::Algorithm;
use lab::scenario::{self, Diagnostics, Location, Scenario};
use lab::sim;
use lab::traffic::Law;
use lab::units::{Span, World};
use proptest::prelude::*;
use serde_json::Value;

#[path = "scenario/validator.rs"]
mod validator;

fn toml_files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{folder}: {error}"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
}

/// Compares with the committed text, or writes it with UPDATE=1.
fn assert_current(path: &Path, text: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, text).expect("written");
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == text,
        "{} is not current; UPDATE=1 rewrites it. Now:\n{text}",
        path.display()
    );
}

#[test]
fn wrong_files_give_their_messages() {
    let files = toml_files("tests/scenario");
    assert!(files.len() >= 20, "{} wrong files", files.len());
    for path in files {
        let errors = scenario::load(&path).expect_err(&path.display().to_string());
        assert_current(&path.with_extension("txt"), &format!("{errors}\n"));
    }
}

#[test]
fn every_scenario_loads_under_the_name_of_its_file() {
    let files = toml_files("scenarios");
    assert!(files.len() >= 6, "{} scenarios", files.len());
    for path in files {
        let scenario = scenario::load(&path).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(path.file_stem().and_then(|stem| stem.to_str()), Some(&*scenario.name));
        // An autoscaler's story takes longer.
        let longest = if scenario.autoscaler.is_some() { 95.0 } else { 55.0 };
        assert!(scenario.duration.as_secs_f64() < longest, "{}: too long", scenario.name);
        assert!(scenario.checks.len() >= 3, "{}: too few checks", scenario.name);
    }
}

/// Under the scenario's own seed and another, so that none holds by luck alone.
#[test]
fn the_checks_of_every_scenario_hold_in_the_model() {
    for path in toml_files("scenarios") {
        for seed in [None, Some(1)] {
            let seed: Vec<_> = seed
                .map(|n: u64| ("scenario.seed".to_owned(), n.to_string()))
                .into_iter()
                .collect();
            let scenario = scenario::load_with(&path, &seed).unwrap_or_else(|e| panic!("{e}"));
            for result in evaluate(&scenario.checks, &modelled(&scenario), &[]) {
                let right = match result.world {
                    None => result.text.contains('~') && result.verdict == Verdict::Undecided,
                    Some(_) => result.verdict == Verdict::Held,
                };
                assert!(right, "{} {seed:?}: {result:?}", path.display());
            }
        }
    }
}

fn modelled(scenario: &Scenario) -> Vec<Digest> {
    let layout = Layout::new(scenario);
    let run = |replication| {
        let mut digest = Digest::new(&layout, World::Sim);
        sim::run(scenario, replication, &sim::Options::default(), &mut digest);
        digest
    };
    (0..scenario.replications).map(run).collect()
}

#[test]
fn the_committed_schema_is_current() {
    let text = serde_json::to_string_pretty(&scenario::schema::schema()).expect("JSON");
    assert_current(Path::new("scenarios/schema.json"), &format!("{text}\n"));
}

/// The file as JSON, as an editor's checker sees it.
fn as_json(path: &Path) -> Option<Value> {
    let text = fs::read_to_string(path).expect("readable");
    let table: toml::Table = text.parse().ok()?;
    serde_json::to_value(table).ok()
}

#[test]
fn the_schema_accepts_every_scenario_and_refuses_what_it_can_see() {
    let schema = scenario::schema::schema();
    for path in toml_files("scenarios") {
        let json = as_json(&path).expect("TOML");
        let errors = validator::errors(&schema, &json);
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
    }
    for name in ["unknown_keys", "wrong_types", "bad_quantities", "bad_words", "missing_keys"] {
        let json = as_json(Path::new(&format!("tests/scenario/{name}.toml"))).expect("TOML");
        let found = validator::errors(&schema, &json).len();
        assert!(found >= 3, "{name}: only {found} errors seen by the schema");
    }
}

/// Paths of keys, lists and the forms of a tagged table passed through.
fn schema_keys(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    for form in schema["oneOf"].as_array().into_iter().flatten() {
        schema_keys(form, path, found);
    }
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        schema_keys(inner, &path, found);
        schema_keys(&inner["items"], &path, found);
        found.insert(path);
    }
}

fn used_keys(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, inner) in members {
                let path = format!("{path}.{key}");
                used_keys(inner, &path, found);
                found.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| used_keys(item, path, found)),
        _ => {}
    }
}

#[test]
fn valid_files_use_every_key_and_both_schema_and_reader_accept_them() {
    let schema = scenario::schema::schema();
    let (mut known, mut used) = (BTreeSet::new(), BTreeSet::new());
    schema_keys(&schema, "", &mut known);
    for path in toml_files("tests/scenario/valid") {
        scenario::load(&path).unwrap_or_else(|errors| panic!("{errors}"));
        let json = as_json(&path).expect("TOML");
        let errors = validator::errors(&schema, &json);
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
        used_keys(&json, "", &mut used);
    }
    // Laws have the same keys wherever they stand.
    let law = |key: &String| key.replace(".traffic.think.", ".backend.service.");
    let (known, used): (BTreeSet<_>, BTreeSet<_>) =
        (known.iter().map(law).collect(), used.iter().map(law).collect());
    assert_eq!(known.symmetric_difference(&used).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn files_that_are_none_are_refused() {
    let message = |path: &str| scenario::load(path).expect_err(path).to_string();
    assert!(message("no/such.toml").starts_with("no/such.toml: there is no such file\n"));
    assert!(message("scenarios").starts_with("scenarios: is a folder, not a file\n"));
    let folder = std::env::temp_dir().join(format!("lab-scenario-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a temporary folder");
    let path = folder.join("latin1.toml");
    fs::write(&path, b"# caf\xe9\n").expect("written");
    let text = message(path.to_str().expect("UTF-8"));
    assert!(text.contains("is not UTF-8 text: the byte at offset 5 is wrong"), "{text}");
    fs::remove_dir_all(&folder).expect("removed");
}

fn with(overrides: &[(&str, &str)]) -> Result<Scenario, Diagnostics> {
    let overrides: Vec<(String, String)> =
        overrides.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    scenario::load_with("scenarios/failover.toml", &overrides)
}

#[test]
fn overrides_replace_and_add_values() {
    let scenario = with(&[
        ("balancer.algorithm", "random"),
        ("backend[0].weight", "7"),
        ("backend.spare.backup", "false"),
        ("fault.crash-b2.for", "2s"),
        ("balancer.retry.on", "[\"error\"]"),
        ("traffic.client.in_flight_cap", "99"),
        ("scenario.name", "other"),
    ])
    .unwrap_or_else(|errors| panic!("{errors}"));
    let upstream = &scenario.balancer.upstream;
    assert_eq!(upstream.algorithm, Algorithm::Random);
    assert_eq!((upstream.peers[0].weight, upstream.peers[3].backup), (7, false));
    assert_eq!(scenario.faults[0].until.0, 17_000_000_000);
    assert!(upstream.retry.on.error && !upstream.retry.on.timeout);
    assert_eq!(scenario.traffic.client.in_flight_cap, 99);
    assert_eq!(scenario.name, "other");
    assert_eq!(scenario.overrides.len(), 7);
}

#[test]
fn a_wrong_override_is_named() {
    for (key, value, message) in [
        (
            "balancer.algorithm",
            "leastcon",
            "--set balancer.algorithm=leastcon: `leastcon` is no algorithm\n    \
             did you mean `least_conn`?",
        ),
        (
            "balancer.retry.trys",
            "2",
            "--set balancer.retry.trys=2: unknown key `trys`\n    did you \
             mean `tries`?",
        ),
        (
            "backend.b9.weight",
            "2",
            "--set backend.b9.weight=2: there is no `b9` here (4 in the list, \
             counted from 0)\n    names here: b1, b2, b3, spare",
        ),
        (
            "scenario.seed.x",
            "2",
            "--set scenario.seed.x=2: `scenario.seed` is a whole number, which \
             has no `x`\n    set `scenario.seed` itself",
        ),
        (
            "a..b",
            "2",
            "--set a..b=2: not a key\n    write a path of keys like \
             `balancer.retry.tries=2`",
        ),
    ] {
        let shown = with(&[(key, value)]).expect_err(key).to_string();
        assert_eq!(shown, format!("{message}\n1 error in scenarios/failover.toml"));
    }
}

#[test]
fn a_balancer_file_needs_no_traffic() {
    let file = scenario::load_balancer("tests/scenario/balancer/two.toml")
        .unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(file.balancer.upstream.peers.len(), 2);
    assert_eq!(file.addresses[0], Some("127.0.0.1:8081".parse().expect("an address")));
    assert_eq!(file.addresses[1], None);
    scenario::load_balancer("scenarios/failover.toml").unwrap_or_else(|errors| panic!("{errors}"));
    let wrong = scenario::load_balancer("tests/scenario/balancer/wrong.toml").expect_err("wrong");
    assert_current(Path::new("tests/scenario/balancer/wrong.txt"), &format!("{wrong}\n"));
}

#[test]
fn a_scaled_group_has_a_slot_for_each_instance_it_may_get() {
    let scenario = scenario::load("tests/scenario/valid/autoscaler.toml")
        .unwrap_or_else(|errors| panic!("{errors}"));
    let names: Vec<_> = scenario.backends.iter().map(|b| (&*b.name, b.absent)).collect();
    let (there, not_yet) = (false, true);
    assert_eq!(
        names,
        [
            ("api-1", there),
            ("api-2", there),
            ("api-3", there),
            ("api-4", not_yet),
            ("api-5", not_yet),
            ("api-6", not_yet),
            ("spare", there)
        ]
    );
    let peers = scenario.balancer.upstream.peers.iter().map(|peer| (&*peer.name, peer.absent));
    assert!(peers.eq(names.iter().copied()));
    let facts = scenario.autoscaler.expect("an autoscaler");
    assert_eq!((&*facts.group, facts.slots.clone()), ("api", 0..6));
    assert_eq!((facts.scale.min, facts.scale.initial, facts.scale.max), (2, 3, 6));
    assert_eq!(facts.slo.expect("an SLO").text, "p99 < 300ms");
}

#[test]
fn an_autoscaler_needs_little_to_be_said() {
    let text = |rest: &str| {
        format!(
            "schema_version = 1\n[scenario]\nduration = \"9s\"\n[traffic]\nrate = \"1/s\"\n\
             [autoscaler]\nmax = 2\n{rest}\n[[backend]]\nname = \"a\"\n\
             service = {{ law = \"constant\", value = \"1ms\" }}\n\
             [[check]]\nthat = \"errors < 1%\"\n"
        )
    };
    let facts = |rest: &str| {
        let scenario = scenario::parse(&text(rest), "a.toml").unwrap_or_else(|e| panic!("{e}"));
        scenario.autoscaler.expect("an autoscaler")
    };
    let plain = facts("");
    assert_eq!((plain.scale.min, plain.scale.initial, plain.scale.max), (1, 1, 2));
    assert_eq!(plain.scale.poll, Span::from_secs(15));
    assert_eq!(plain.scale.cooldown_up, Span::from_secs(75), "one window and one scrape");
    assert_eq!(plain.slo.expect("the first check that each second may hold").text, "errors < 1%");
    assert_eq!(facts("cooldown_up = \"0s\"").scale.cooldown_up, Span::ZERO);
    assert_eq!(facts("scrape_interval = \"30s\"").rate_window, Span::from_secs(120));
}

#[test]
fn laws_are_read_from_a_command_line() {
    assert_eq!(
        scenario::parse_law("uniform, low=100ms, high=500ms"),
        Ok(Law::Uniform { low: Span::from_millis(100), high: Span::from_millis(500) })
    );
    assert_eq!(
        scenario::parse_law("log_normal,mean=10ms,sigma=1"),
        Ok(Law::LogNormal { mean: Span::from_millis(10), sigma: 1.0 })
    );
    for (text, message) in [
        ("", "the key `law` is missing"),
        ("exponental,mean=1ms", "did you mean `exponential`?"),
        ("exponential", "the key `mean` is missing"),
        (
            "exponential,mean=1",
            "mean: expected a duration like \"250ms\" (ns, us, ms, s, m, h), found a",
        ),
        ("uniform,low=2ms,high=1ms", "the upper bound is below the lower"),
        ("constant,value=1ms,x", "unknown key `x`"),
    ] {
        let error = scenario::parse_law(text).expect_err(text);
        assert!(error.contains(message), "{text}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_is_refused_or_read(text in "\\PC{0,200}") {
        let _ = scenario::parse(&text, "any.toml").map_err(|errors| errors.to_string());
    }

    /// Cut, doubled, overwritten: what editors, merges and keyboards do to a file.
    #[test]
    fn a_mutilated_scenario_is_refused_or_read(
        which in 0usize..6,
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..40, "[ -~\\n\u{b1}]{0,6}"), 1..5),
    ) {
        let path = toml_files("scenarios")[which].clone();
        let mut text: Vec<char> = fs::read_to_string(&path).expect("readable").chars().collect();
        for (place, cut, new) in edits {
            let start = place.index(text.len());
            let end = (start + cut).min(text.len());
            text.splice(start..end, new.chars());
        }
        let text: String = text.into_iter().collect();
        if let Err(errors) = scenario::parse(&text, &path) {
            prop_assert!(!errors.list().is_empty());
            let lines = text.lines().count();
            for error in errors.list() {
                if let Location::Line { line, .. } = error.location {
                    prop_assert!(line <= lines.max(1) + 1);
                }
            }
            let _ = errors.to_string();
        }
    }

    /// Values of every kind and size where numbers and quantities belong.
    #[test]
    fn any_value_is_refused_or_read(
        key in prop::sample::select(vec![
            "scenario.duration", "scenario.warm_up", "scenario.seed", "scenario.replications",
            "traffic.rate", "traffic.client.timeout", "balancer.workers", "balancer.health.interval",
            "balancer.retry.on", "backend.b1.count", "backend.b1.weight", "backend.b1.speed",
            "backend.b1.service", "backend.b1.service.low", "backend", "fault.crash-b2.at",
            "fault.crash-b2.for", "fault.crash-b2.target", "check[0].that", "schema_version", "traffic",
        ]),
        value in prop_oneof![
            any::<i64>().prop_map(|n| n.to_string()),
            any::<f64>().prop_map(|x| format!("{x:?}")),
            (any::<f64>(), "(ns|ms|s|h|/s|%|KiB)").prop_map(|(x, unit)| format!("\"{x}{unit}\"")),
            (0u64..u64::MAX, "(ns|ms|s|h|/s|%|KiB)").prop_map(|(x, unit)| format!("\"{x}{unit}\"")),
            "[\\[\\]{}=\",a-z0-9 ]{0,12}",
        ],
    ) {
        let _ = with(&[(key, &value)]).map_err(|errors| errors.to_string());
    }
}
