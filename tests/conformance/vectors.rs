//! The engines that are installed still do what was recorded (`tests/vectors`).
//!
//! Here for what chance has no part in; `cargo run --example record_vectors -- --check` does all.

use std::path::{Path, PathBuf};

use crate::engines::record::{Engine, Json, VECTORS};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// Every deterministic file of `engine`, recorded again.
fn check(engine: Engine) {
    let version = engine.version().unwrap_or_else(|problem| panic!("{problem}"));
    let mut files = 0;
    for vectors in VECTORS.iter().filter(|vectors| vectors.engine == engine && vectors.is_exact) {
        let last = vectors.read(&folder()).unwrap_or_else(|problem| panic!("{problem}"));
        let again = vectors.again(&last, &version);
        let again = again.unwrap_or_else(|problem| panic!("{}: {problem}", vectors.name));
        let different = vectors.differences(&last, &again);
        assert!(different.is_empty(), "{engine:?} {version}:\n  {}", different.join("\n  "));
        files += 1;
    }
    assert!(files >= 2, "{engine:?} has {files} files of vectors");
}

#[test]
fn nginx_does_what_was_recorded() {
    check(Engine::Nginx);
}

#[test]
fn haproxy_does_what_was_recorded() {
    check(Engine::Haproxy);
}

#[test]
fn envoy_does_what_was_recorded() {
    check(Engine::Envoy);
}

/// The check finds a pick, a status and a key that is not as recorded, and writes files as they
/// were.
#[test]
fn a_difference_is_found_and_a_file_keeps_its_form() {
    for vectors in &VECTORS {
        let last = vectors.read(&folder()).expect("a file of vectors");
        let path = folder().join(format!("{}.json", vectors.name));
        let text = std::fs::read_to_string(path).expect("a file of vectors");
        assert_eq!(last.document(), text, "{}", vectors.name);
        let other = spoilt(&last);
        let found = vectors.differences(&last, &other);
        assert_eq!(found.len(), last.at("cases").list().len(), "{}: {found:?}", vectors.name);
        if vectors.is_exact {
            assert_eq!(vectors.differences(&last, &last), [""; 0], "{}", vectors.name);
        }
    }
}

/// The same with one outcome of each case changed.
fn spoilt(last: &Json) -> Json {
    let spoil = |case: &Json| {
        let outcomes = ["picks", "choice", "counts", "ops", "requests", "answers"].into_iter();
        let name = outcomes.clone().find(|name| case.at(name) != &Json::Null).expect("an outcome");
        let spoilt = match case.at(name).clone() {
            Json::Text(picks) => picks.replace('a', "b").into(),
            Json::Object(mut fields) => {
                let half = fields.len() / 2;
                fields[half].1 = match &fields[half].1 {
                    Json::Number(_) => Json::from(900_u64),
                    _ => "z".into(),
                };
                Json::Object(fields)
            }
            Json::List(mut list) => {
                list[0] = first_changed(&list[0]);
                Json::List(list)
            }
            other => panic!("{name} is {other}"),
        };
        case.with(name, spoilt)
    };
    last.with("cases", last.at("cases").list().iter().map(spoil).collect::<Vec<Json>>())
}

fn first_changed(outcome: &Json) -> Json {
    match outcome {
        // An operation: it went to a server that is not there.
        Json::List(list) if list.len() == 3 && list[2].text() != "" => {
            vec![list[0].clone(), list[1].clone(), "z".into()].into()
        }
        Json::List(list) => {
            let mut list = list.clone();
            list[0] = "other".into();
            Json::List(list)
        }
        Json::Object(_) => outcome.with("status", 599_u64).with("client_status", 599_u64),
        Json::Text(_) => "599other".into(),
        _ => 599_u64.into(),
    }
}
