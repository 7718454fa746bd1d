//! The files beside this one: decisions of real programs, and what published definitions come to.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The file `name`.
pub(crate) fn read<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[derive(Deserialize)]
struct Recorded<Case> {
    cases: Vec<Case>,
}

/// The cases of the file `name`.
pub(crate) fn recorded<Case: DeserializeOwned>(name: &str) -> Vec<Case> {
    let recorded: Recorded<Case> = read(name);
    assert!(!recorded.cases.is_empty(), "{name} holds no cases");
    recorded.cases
}
