//! The access log, as the proxy writes it.

use std::path::PathBuf;

use lab::scenario::edge::LogFacts;
use lab::units::Ratio;
use serde_json::Value;

use super::peer::{Answer, Peer};
use super::setup::{client, eventually, proxy};

fn facts(name: &str) -> LogFacts {
    let path = std::env::temp_dir().join(format!("lab-access-{name}-{}.log", std::process::id()));
    drop(std::fs::remove_file(&path));
    LogFacts { path, sample: Ratio(1.0), queue: 1000 }
}

fn lines(path: &PathBuf) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("the log");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_request_leaves_a_line() {
    let facts = facts("line");
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| config.balancer.edge.log = Some(facts.clone()));
    let mut client = client(&proxy);
    assert_eq!(client.ask("GET /x?y=1 HTTP/1.1\r\nHost: t\r\n\r\n").status(), 200);
    peer.now(Answer::Status(503));
    assert_eq!(client.get().status(), 503);
    eventually("both are written", || lines(&facts.path).len() == 2);
    let found = lines(&facts.path);
    assert_eq!((&found[0]["method"], &found[0]["path"]), (&"GET".into(), &"/x?y=1".into()));
    assert_eq!((&found[0]["status"], &found[1]["status"]), (&200.into(), &503.into()));
    assert_eq!(found[0]["bytes_out"], 1);
    assert_eq!(found[0]["complete"], true);
    assert!(found[0]["total_ms"].as_f64().is_some_and(|ms| ms > 0.0 && ms < 10_000.0));
    drop(proxy);
    std::fs::remove_file(&facts.path).expect("removed");
}

#[test]
fn with_a_sample_of_nothing_only_what_went_wrong_is_there() {
    let mut facts = facts("sample");
    facts.sample = Ratio(0.0);
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| config.balancer.edge.log = Some(facts.clone()));
    let mut client = client(&proxy);
    (0..20).for_each(|_| assert_eq!(client.get().status(), 200));
    peer.now(Answer::Status(500));
    assert_eq!(client.get().status(), 500);
    eventually("the failure is written", || !lines(&facts.path).is_empty());
    assert_eq!(lines(&facts.path).len(), 1);
    drop(proxy);
    std::fs::remove_file(&facts.path).expect("removed");
}
