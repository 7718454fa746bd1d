//! The recordings of HAProxy.

use super::json::Json;
use super::situation::{
    behaviour, choices, hundreds, letter, letters, operations, parameters, picks, stage, weights,
};
use crate::engines::haproxy::{Haproxy, Line, Settings};
use crate::engines::problem::{Problem, Tried};
use crate::engines::stage::{Placed, Request, Stage};

fn started(case: &Json, balance: &str, backend: &str) -> Tried<(Stage, Haproxy)> {
    let mut stage = stage(case)?;
    let servers = parameters(case, "weight ");
    let settings = Settings { balance: balance.to_owned(), servers, backend: backend.to_owned() };
    let haproxy = Haproxy::start(&settings, &mut stage)?;
    Ok((stage, haproxy))
}

/// `haproxy_roundrobin.json`.
pub(super) fn round_robin(case: &Json) -> Tried<Json> {
    let (mut stage, _haproxy) = started(case, "roundrobin", "")?;
    Ok(case.with("picks", picks(case, &mut stage)?))
}

/// `haproxy_source.json`: the field `x-key` gives the client's address.
pub(super) fn source(case: &Json) -> Tried<Json> {
    let hash_type = case.at("hash_type").text();
    let backend = if hash_type.starts_with("hash-type") { hash_type } else { "" };
    let (mut stage, _haproxy) = started(case, "source", backend)?;
    Ok(case.with("choice", choices(case, &mut stage)?))
}

fn named(placed: Placed) -> Json {
    match placed {
        Placed::At { server, .. } => letter(server).into(),
        Placed::Refused(status) => status.into(),
        Placed::Queued => "queued".into(),
    }
}

/// `haproxy_leastconn.json`.
pub(super) fn least_conn(case: &Json) -> Tried<Json> {
    let (mut stage, _haproxy) = started(case, "leastconn", "")?;
    Ok(case.with("ops", operations(case, &mut stage, named)?))
}

/// `haproxy_maxconn_queue.json`: a start may wait, and a finish lets others go.
pub(super) fn queue(case: &Json) -> Tried<Json> {
    let (mut stage, haproxy) = started(case, case.at("balance").text(), "")?;
    let mut line = Line::new(&haproxy);
    let mut done = Vec::new();
    for operation in case.at("ops").list() {
        let [word, id, ..] = operation.list() else {
            return Err(Problem::Unexpected(format!("an operation without id: {operation}")));
        };
        let mut again = vec![word.clone(), id.clone()];
        if word.text() == "start" {
            again.push(named(line.start(&mut stage, Request::get(id.whole()))?));
        } else {
            let left = line.finish(&mut stage, id.whole())?;
            let left: Vec<Json> = left
                .into_iter()
                .map(|(id, server)| Json::List(vec![id.into(), letter(server).into()]))
                .collect();
            if !left.is_empty() {
                again.push(Json::Object(vec![("dequeued".to_owned(), left.into())]));
            }
        }
        done.push(Json::List(again));
    }
    Ok(case.with("ops", done))
}

/// `haproxy_backup_retry.json`: either the servers picked, or what each request came to.
pub(super) fn backup_retry(case: &Json) -> Tried<Json> {
    let (mut stage, _haproxy) = started(case, "roundrobin", case.at("extra").text())?;
    for server in 0..weights(case).len() {
        stage.behave(server, behaviour(case.at("behaviour").at(&letter(server)))?);
    }
    let method = case.at("method").text();
    let method = if method.is_empty() { "GET" } else { method };
    let mut again: Vec<Json> = Vec::new();
    for (answer, id) in case.at("answers").list().iter().zip(0..) {
        let seen = stage.ask(Request { method, ..Request::get(id) })?;
        let hits = letters(&seen.hits);
        again.push(match answer {
            Json::Object(_) => {
                answer.with("status", seen.status).with("hits", hits).with("ms", hundreds(&seen))
            }
            _ if hits.is_empty() => seen.status.into(),
            _ => hits.into(),
        });
    }
    Ok(case.with("answers", again))
}
