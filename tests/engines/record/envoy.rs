//! The recordings of Envoy.

use lab::host::clock;
use lab::units::{Nanos, Span};
use serde_json::{Value, json};

use super::json::Json;
use super::situation::{
    choices, counts, hold, letter, letters, operations, picks, place, stage, weights,
};
use crate::engines::envoy::{Envoy, Settings};
use crate::engines::problem::{Problem, Tried};
use crate::engines::stage::{Behaviour, Placed, Request, Seen, Stage};

fn started(case: &Json, mut settings: Settings) -> Tried<(Stage, Envoy)> {
    let mut stage = stage(case)?;
    settings.weights = weights(case).into_iter().map(|weight| weight as u32).collect();
    let envoy = Envoy::start(&settings, &mut stage)?;
    Ok((stage, envoy))
}

fn with_policy(policy: &str) -> Settings {
    Settings { policy: policy.to_owned(), ..Settings::default() }
}

/// `envoy_round_robin.json`.
pub(super) fn round_robin(case: &Json) -> Tried<Json> {
    let (mut stage, _envoy) = started(case, with_policy("ROUND_ROBIN"))?;
    Ok(case.with("picks", picks(case, &mut stage)?))
}

/// `envoy_weighted_least_request.json`.
pub(super) fn least_request(case: &Json) -> Tried<Json> {
    let (mut stage, _envoy) = started(case, with_policy("LEAST_REQUEST"))?;
    let named = |placed| match placed {
        Placed::At { server, .. } => letter(server).into(),
        Placed::Refused(status) => status.into(),
        Placed::Queued => "queued".into(),
    };
    Ok(case.with("ops", operations(case, &mut stage, named)?))
}

/// `envoy_maglev.json`: the table is in the trace log.
pub(super) fn maglev(case: &Json) -> Tried<Json> {
    let size = case.at("table_size").whole();
    let mut settings = with_policy("MAGLEV");
    settings.cluster = json!({"maglev_lb_config": {"table_size": size}});
    settings.trace = true;
    let (mut stage, envoy) = started(case, settings)?;
    let case = case.with("choice", choices(case, &mut stage)?);
    // `maglev: i=0 address=127.0.0.1:23302 host=`, in the order of the table.
    let line = |line: &str| {
        let (_, of) = line.split_once("maglev: i=")?;
        let entry: usize = of.split(' ').next()?.parse().ok()?;
        Some((entry, server_of(field(of, "address=")?, &stage)?))
    };
    let log = envoy.log();
    let mut entries: Vec<(usize, usize)> = log.lines().filter_map(line).collect();
    entries.sort_unstable();
    entries.dedup();
    if entries.len() as u64 != size {
        return Err(Problem::Unexpected(format!("the log has {} entries", entries.len())));
    }
    let table: Vec<usize> = entries.into_iter().map(|(_, server)| server).collect();
    let of_all = (0..weights(&case).len()).map(|server| {
        let count = table.iter().filter(|owner| **owner == server).count() as u64;
        (letter(server), count.into())
    });
    // Each case has either the whole table or a digest of it.
    Ok(case
        .with("table", letters(&table))
        .with("table_counts", Json::Object(of_all.collect()))
        .with("table_first_100", letters(&table[..table.len().min(100)])))
}

/// `envoy_ring_hash.json`: the points are in the trace log.
pub(super) fn ring_hash(case: &Json) -> Tried<Json> {
    let least = case.at("minimum_ring_size").whole();
    let mut settings = with_policy("RING_HASH");
    settings.cluster = json!({"ring_hash_lb_config": {"minimum_ring_size": least}});
    settings.trace = true;
    let (mut stage, envoy) = started(case, settings)?;
    let case = case.with("choice", choices(case, &mut stage)?);
    // `ring hash: hash_key=127.0.0.1:23301_0 hash=15526673741226759077`.
    let line = |line: &str| {
        let (_, of) = line.split_once("ring hash: ")?;
        Some((field(of, "hash_key=")?.to_owned(), field(of, "hash=")?.to_owned()))
    };
    let log = envoy.log();
    let mut points: Vec<(String, String)> = log.lines().filter_map(line).collect();
    let first: Vec<Json> = case
        .at("first_points")
        .list()
        .iter()
        .map(|point| {
            let name = point.list().first().map_or("", Json::text);
            let found = points.iter().find(|(key, _)| key == name);
            let value = found.map_or("none", |(_, hash)| hash);
            vec![name, value].into()
        })
        .collect();
    points.sort_unstable();
    points.dedup();
    let of_all = (0..weights(&case).len()).map(|server| {
        let is_its = |(key, _): &&(String, String)| {
            key.rsplit_once('_').and_then(|(address, _)| server_of(address, &stage)) == Some(server)
        };
        (letter(server), (points.iter().filter(is_its).count() as u64).into())
    });
    let of_all = Json::Object(of_all.collect());
    Ok(case.with("points_per_server", of_all).with("first_points", first))
}

/// What follows `name` in a line of the log.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let mut words = line.split_whitespace();
    words.find_map(|word| word.strip_prefix(name))
}

fn server_of(address: &str, stage: &Stage) -> Option<usize> {
    stage.addresses().iter().position(|server| server.to_string() == address)
}

/// `envoy_statistics.json`: two forms, of which the second has two hosts of equal weight.
pub(super) fn statistics(case: &Json) -> Tried<Json> {
    let policy = case.at("policy").text();
    let policy = if policy.is_empty() { "LEAST_REQUEST" } else { policy };
    let of_two = Json::Object(vec![("weights".to_owned(), vec![1_u64, 1].into())]);
    let of = if weights(case).is_empty() { &of_two } else { case };
    let (mut stage, _envoy) = started(of, with_policy(policy))?;
    let next = hold(&mut stage, case.at("held_on").text())?;
    let count =
        case.at("then_sequential_requests").whole() + case.at("sequential_requests").whole();
    Ok(case.with("counts", counts(&mut stage, next, count)?))
}

/// `envoy_retry.json`: every server answers 503.
pub(super) fn retry(case: &Json) -> Tried<Json> {
    let retries: u64 = if case.at("case").text().ends_with("3 retries") { 3 } else { 1 };
    let mut settings = with_policy("ROUND_ROBIN");
    settings.route = json!({"retry_policy": {"retry_on": "5xx", "num_retries": retries}});
    let three = Json::Object(vec![("weights".to_owned(), vec![1_u64; 3].into())]);
    let (mut stage, _envoy) = started(&three, settings)?;
    stage.behave_all(Behaviour::Answer(503));
    let requests = (0..case.at("requests").list().len() as u64).map(|id| {
        let Seen { status, hits, took, .. } = stage.ask(Request::get(id))?;
        let milliseconds = took.as_millis_f64() as u64;
        Ok(Json::List(vec![status.into(), (hits.len() as u64).into(), milliseconds.into()]))
    });
    let requests: Tried<Vec<Json>> = requests.collect();
    Ok(case.with("requests", requests?))
}

/// `envoy_outlier.json`. The first three cases give the settings; the last two name theirs.
pub(super) fn outlier(case: &Json) -> Tried<Json> {
    let title = case.at("case").text();
    let given = serde_json::to_value(case.at("outlier")).unwrap_or(Value::Null);
    let everybody = json!({
        "interval": "0.5s", "base_ejection_time": "2s", "max_ejection_percent": 100,
    });
    let mut settings = with_policy("ROUND_ROBIN");
    let outlier = if given.is_null() { everybody } else { given };
    settings.cluster = json!({"outlier_detection": outlier});
    let all_fail = title.starts_with("all three");
    if all_fail {
        // Ejections take effect at once.
        settings.cluster["common_lb_config"] = json!({
            "healthy_panic_threshold": {"value": 0}, "update_merge_window": "0s",
        });
    }
    let three = Json::Object(vec![("weights".to_owned(), vec![1_u64; 3].into())]);
    let (mut stage, envoy) = started(&three, settings)?;
    stage.behave_all(Behaviour::Answer(200));
    let failing = if all_fail {
        "abc"
    } else if title.starts_with("two of three") {
        "ab"
    } else {
        "a"
    };
    for name in failing.chars() {
        stage.behave(place(&name.to_string()), Behaviour::Answer(500));
    }
    if all_fail {
        return all_ejected(case, &envoy, &mut stage);
    }
    let mut picks = String::new();
    let mut id = 0;
    for word in case.at("picks").text().split_inclusive('|') {
        for _ in word.trim_end_matches('|').chars() {
            picks.push_str(&letters(&stage.ask(Request::get(id))?.hits));
            envoy.settle()?;
            id += 1;
        }
        if word.ends_with('|') {
            picks.push('|');
            clock::sleep_until(clock::now() + Span::from_millis(1_300));
        }
    }
    let burst = clock::now();
    let statistic = |name: &str| -> Tried<u64> {
        let all = envoy.statistics(name)?;
        let found = all.into_iter().find(|(full, _)| full.ends_with(&format!(".{name}")));
        found
            .map(|(_, value)| value)
            .ok_or_else(|| Problem::Unexpected(format!("Envoy has no statistic {name}")))
    };
    let case = case.with("picks", picks);
    if case.at("lb_healthy_panic") != &Json::Null {
        return Ok(case.with("lb_healthy_panic", statistic("lb_healthy_panic")?));
    }
    let mut again = case.at("stats").clone();
    for (name, _) in case.at("stats").fields() {
        again = again.with(name, statistic(&format!("outlier_detection.{name}"))?);
    }
    let enforced = again.at("ejections_enforced_total").clone();
    let back = back_after(&mut stage, id, burst, enforced.whole() > 0)?;
    Ok(case.with("stats", again).with("enforced", enforced).with("back_after_s", back))
}

/// Seconds until `a` is picked again; null if it was never away.
fn back_after(stage: &mut Stage, mut id: u64, burst: Nanos, was_away: bool) -> Tried<Json> {
    if !was_away {
        return Ok(Json::Null);
    }
    while clock::elapsed(burst) < Span::from_secs(10) {
        clock::sleep_until(clock::now() + Span::from_millis(20));
        if stage.ask(Request::get(id))?.hits.contains(&0) {
            return Ok(((clock::elapsed(burst).as_secs_f64() * 10.0).round() / 10.0).into());
        }
        id += 1;
    }
    Err(Problem::Silence("server a was ejected".to_owned()))
}

/// The answers from request 12 on, when all have failed nearly often enough.
fn all_ejected(case: &Json, envoy: &Envoy, stage: &mut Stage) -> Tried<Json> {
    let wanted = case.at("answers").list().len();
    let mut answers = Vec::new();
    for id in 0..12 + wanted as u64 {
        let seen = stage.ask(Request::get(id))?;
        envoy.settle()?;
        if id >= 12 {
            let what = if seen.hits.is_empty() {
                String::from_utf8_lossy(&seen.response.body).into_owned()
            } else {
                letters(&seen.hits)
            };
            answers.push(format!("{}{what}", seen.status));
        }
    }
    Ok(case.with("answers", answers))
}
