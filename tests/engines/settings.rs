//! What holds for every engine.

use std::path::PathBuf;

use lab::engine::{self, UserConfigurationError, Wiring};
use lab::scenario::{self, Engine, Scenario};

/// Every scenario that is shipped.
pub(crate) fn shipped() -> Vec<Scenario> {
    let mut files: Vec<PathBuf> = std::fs::read_dir("scenarios")
        .expect("the folder of scenarios")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    assert!(files.len() >= 10, "{} scenarios", files.len());
    files.iter().map(|path| scenario::load(path).expect("a valid scenario")).collect()
}

/// A scenario may be adapted before or after it is written: the configuration is the same, and
/// adapting twice is adapting once.
#[test]
fn an_adapted_scenario_has_the_same_configuration() {
    for scenario in shipped() {
        for engine in Engine::NAMED {
            let adapted = engine::adapted(&scenario, &engine);
            assert_eq!(engine::adapted(&adapted, &engine), adapted, "{engine}, {}", scenario.name);
            let wiring = Wiring::example(scenario.backends.len());
            assert_eq!(
                engine::configuration(&adapted, &engine, &wiring),
                engine::configuration(&scenario, &engine, &wiring),
                "{engine}, {}",
                scenario.name
            );
        }
    }
}

#[test]
fn lab_itself_takes_no_configuration_of_another_kind() {
    let scenario = &shipped()[0];
    let wiring = Wiring::example(scenario.backends.len());
    for engine in [Engine::Own, Engine::Elsewhere("http://127.0.0.1:1".to_owned())] {
        let refused = engine::user_configuration(&engine, "", scenario, &wiring).unwrap_err();
        assert!(matches!(refused, UserConfigurationError::NoFile { .. }), "{refused}");
    }
}

/// A comparison lays them side by side by name.
#[test]
fn every_engine_names_the_same_settings() {
    for scenario in shipped() {
        let nginx = engine::nginx::summary(&scenario);
        for other in [engine::haproxy::parity(&scenario), engine::envoy::parity(&scenario)] {
            let names = |settings: &[(String, String)]| -> Vec<String> {
                settings.iter().map(|(name, _)| name.clone()).collect()
            };
            assert_eq!(names(&other), names(&nginx), "{}", scenario.name);
            let workers = scenario.balancer.workers.to_string();
            assert_eq!((&other[0].1, &nginx[0].1), (&workers, &workers), "{}", scenario.name);
            assert!(other.iter().all(|(_, value)| !value.is_empty()), "{other:?}");
        }
    }
}
