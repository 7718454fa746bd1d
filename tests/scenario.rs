//! The language of scenarios, from the outside.

use lab::scenario;

#[test]
fn every_scenario_loads() {
    let mut count = 0;
    for entry in std::fs::read_dir("scenarios").expect("the folder of scenarios") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let scenario = scenario::load(&path).unwrap_or_else(|errors| panic!("{errors}"));
            assert_eq!(path.file_stem().and_then(|stem| stem.to_str()), Some(&*scenario.name));
            count += 1;
        }
    }
    assert!(count >= 1, "{count} scenarios");
}
