//! The recordings of NGINX.

use lab::host::clock;
use lab::units::{Nanos, Span};

use super::json::Json;
use super::situation::{
    behaviour, choices, counts, hold, hundreds, letter, operations, parameters, picks, stage,
    weights,
};
use crate::engines::nginx::{Nginx, Settings, tried};
use crate::engines::problem::Tried;
use crate::engines::stage::{Behaviour, Placed, Request, Seen, Stage};

fn started(case: &Json, method: &str) -> Tried<(Stage, Nginx)> {
    let mut stage = stage(case)?;
    let servers = parameters(case, "weight=");
    let settings = Settings { method: method.to_owned(), servers, ..Settings::default() };
    let nginx = Nginx::start(&settings, &mut stage)?;
    Ok((stage, nginx))
}

/// `nginx_wrr.json`.
pub(super) fn round_robin(case: &Json) -> Tried<Json> {
    let (mut stage, _nginx) = started(case, "")?;
    Ok(case.with("picks", picks(case, &mut stage)?))
}

/// `nginx_ip_hash.json`.
pub(super) fn ip_hash(case: &Json) -> Tried<Json> {
    chosen(case, "ip_hash;")
}

/// `nginx_hash.json`.
pub(super) fn hash(case: &Json) -> Tried<Json> {
    chosen(case, "hash $http_x_key;")
}

/// `nginx_hash_consistent.json`.
pub(super) fn consistent(case: &Json) -> Tried<Json> {
    chosen(case, "hash $http_x_key consistent;")
}

fn chosen(case: &Json, method: &str) -> Tried<Json> {
    let (mut stage, _nginx) = started(case, method)?;
    Ok(case.with("choice", choices(case, &mut stage)?))
}

/// `nginx_least_conn.json` and `nginx_max_conns_backup.json`.
pub(super) fn held(case: &Json) -> Tried<Json> {
    let method = if case.at("method").text() == "round_robin" { "" } else { "least_conn;" };
    let (mut stage, _nginx) = started(case, method)?;
    let named = |placed| match placed {
        Placed::At { server, .. } => letter(server).into(),
        Placed::Refused(status) => Json::Object(vec![("status".to_owned(), status.into())]),
        Placed::Queued => "queued".into(),
    };
    Ok(case.with("ops", operations(case, &mut stage, named)?))
}

/// `nginx_keepalive.json`: the server, and the number of its connection.
pub(super) fn keepalive(case: &Json) -> Tried<Json> {
    let mut stage = stage(case)?;
    let requests = case.at("case").text().strip_prefix("keepalive_requests ").unwrap_or("1000");
    let settings = Settings {
        servers: parameters(case, "weight="),
        location: "proxy_http_version 1.1; proxy_set_header Connection '';".to_owned(),
        upstream: format!(
            "keepalive {}; keepalive_requests {requests};",
            case.at("keepalive").whole()
        ),
        ..Settings::default()
    };
    let _nginx = Nginx::start(&settings, &mut stage)?;
    let named = |placed| match placed {
        Placed::At { server, connection } => format!("{}{connection}", letter(server)).into(),
        Placed::Refused(status) => status.into(),
        Placed::Queued => "queued".into(),
    };
    Ok(case.with("ops", operations(case, &mut stage, named)?))
}

/// `nginx_random.json`.
pub(super) fn random(case: &Json) -> Tried<Json> {
    let (mut stage, _nginx) = started(case, case.at("method").text())?;
    let next = hold(&mut stage, case.at("held_on").text())?;
    Ok(case.with("counts", counts(&mut stage, next, case.at("n").whole())?))
}

/// A group with the same options at every server, one of which fails at times.
fn failing(case: &Json) -> Tried<(Stage, Nginx)> {
    let mut stage = stage(case)?;
    let options = case.at("options_of_every_server").text();
    let servers = weights(case).into_iter().map(|weight| format!("weight={weight} {options}"));
    let settings = Settings { servers: servers.collect(), ..Settings::default() };
    let nginx = Nginx::start(&settings, &mut stage)?;
    stage.behave_all(Behaviour::Answer(200));
    Ok((stage, nginx))
}

/// The servers tried in one word; "!" stands for no live upstream.
fn tried_word(seen: &Seen, stage: &Stage) -> String {
    let name = |place: Option<usize>| place.map_or_else(|| "!".to_owned(), letter);
    tried(seen, stage).0.into_iter().map(name).collect()
}

fn fail(stage: &mut Stage, case: &Json, fails: bool) {
    let server = super::situation::place(case.at("failing_server").text());
    stage.behave(server, if fails { Behaviour::Close } else { Behaviour::Answer(200) });
}

/// `nginx_wrr_failures.json`.
pub(super) fn failures(case: &Json) -> Tried<Json> {
    let (mut stage, _nginx) = failing(case)?;
    let last = case.at("fails_requests").text().split_once("..");
    let last: u64 = last.and_then(|(_, last)| last.parse().ok()).unwrap_or(0);
    let mut again = Vec::new();
    for id in 0..case.at("requests").list().len() as u64 {
        fail(&mut stage, case, id <= last);
        let seen = stage.ask(Request::get(id))?;
        again.push(Json::List(vec![seen.status.into(), tried_word(&seen, &stage).into()]));
    }
    Ok(case.with("requests", again))
}

/// `nginx_fail_timeout.json`: each request at its time after the start of a second of the wall
/// clock.
pub(super) fn fail_timeout(case: &Json) -> Tried<Json> {
    let (mut stage, _nginx) = failing(case)?;
    let wall = clock::wall();
    let begin = Nanos(wall.0 - wall.0 % 1_000_000_000) + Span::from_secs(1);
    let begin = clock::now() + begin.since(wall);
    let mut again = Vec::new();
    for (request, id) in case.at("requests").list().iter().zip(0..) {
        let [second, at, ..] = request.list() else { continue };
        clock::sleep_until(begin + Span::from_secs_f64(at.number()));
        fail(&mut stage, case, at.number() < case.at("answers_from_s").number());
        let seen = stage.ask(Request::get(id))?;
        let tried = tried_word(&seen, &stage);
        again.push(Json::List(vec![second.clone(), at.clone(), seen.status.into(), tried.into()]));
    }
    Ok(case.with("requests", again))
}

/// `nginx_next_upstream.json`: each request has the behaviour of every server with it.
pub(super) fn next_upstream(case: &Json) -> Tried<Json> {
    let mut stage = stage(case)?;
    let lines = case.at("servers").list().iter().map(|line| line.text());
    let options = |line: &str| line.split_once(' ').map_or("", |(_, options)| options).to_owned();
    let settings = Settings {
        servers: lines.map(options).collect(),
        location: case.at("location").text().to_owned(),
        ..Settings::default()
    };
    let _nginx = Nginx::start(&settings, &mut stage)?;
    let mut again = Vec::new();
    for (request, id) in case.at("requests").list().iter().zip(0..) {
        for server in 0..settings.servers.len() {
            stage.behave(server, behaviour(request.at("behaviour").at(&letter(server)))?);
        }
        let seen =
            stage.ask(Request { method: request.at("method").text(), ..Request::get(id) })?;
        let (servers, statuses) = tried(&seen, &stage);
        let name = |place: Option<usize>| place.map_or_else(|| "no live".to_owned(), letter);
        let tried: Vec<String> = servers.into_iter().map(name).collect();
        again.push(
            request
                .with("client_status", seen.status)
                .with("tried", tried)
                .with("upstream_status", statuses)
                .with("ms", hundreds(&seen)),
        );
    }
    Ok(case.with("requests", again))
}
