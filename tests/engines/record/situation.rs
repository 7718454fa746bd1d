//! What the recordings of all engines have in common: servers called a, b, c, …, and operations on
//! requests that are held.

use super::json::Json;
use crate::engines::problem::{Problem, Tried};
use crate::engines::stage::{Behaviour, Placed, Request, Seen, Stage};

/// The name of the server at `place`.
pub(super) fn letter(place: usize) -> String {
    char::from(b'a' + place as u8).to_string()
}

/// The place of the server of this name.
pub(super) fn place(name: &str) -> usize {
    name.bytes().next().map_or(0, |byte| usize::from(byte.wrapping_sub(b'a')))
}

/// The names of these servers in one word.
pub(super) fn letters(places: &[usize]) -> String {
    places.iter().map(|place| letter(*place)).collect()
}

/// `"weights"` of the case.
pub(super) fn weights(case: &Json) -> Vec<u64> {
    case.at("weights").list().iter().map(Json::whole).collect()
}

/// The parameters of each server: its weight as the engine writes it, and its options.
pub(super) fn parameters(case: &Json, weight: &str) -> Vec<String> {
    let options = case.at("options").list();
    let of = |(place, of_server): (usize, u64)| {
        let option = options.get(place).map_or("", Json::text);
        format!("{weight}{of_server} {option}")
    };
    weights(case).into_iter().enumerate().map(of).collect()
}

/// A stage with the servers of the case, on the ports that it names if it names some.
pub(super) fn stage(case: &Json) -> Tried<Stage> {
    let named = case.at("servers").list();
    let ports: Vec<u16> = named
        .iter()
        .filter_map(|address| address.text().rsplit_once(':')?.1.parse().ok())
        .collect();
    let refusing = case.at("refusing").text();
    let refusing: Vec<usize> = refusing.chars().map(|name| place(&name.to_string())).collect();
    if ports.is_empty() {
        let count = weights(case).len().max(named.len());
        return Stage::new(count, &refusing);
    }
    Stage::at_ports(&ports, &refusing)
}

/// What a server does, from the word or the status of the recording; 200 if it has none.
pub(super) fn behaviour(value: &Json) -> Tried<Behaviour> {
    Ok(match (value, value.text()) {
        (Json::Null, _) => Behaviour::Answer(200),
        (Json::Number(_), _) => Behaviour::Answer(value.whole() as u16),
        (_, "close") => Behaviour::Close,
        (_, "hang") => Behaviour::Hang,
        (_, "badhdr") => Behaviour::BrokenHead,
        (_, "cut") => Behaviour::Cut,
        (_, other) => {
            return Err(Problem::Unexpected(format!("the recording has a behaviour {other}")));
        }
    })
}

/// One request after another, as many as the recording has: the servers in one word.
pub(super) fn picks(case: &Json, stage: &mut Stage) -> Tried<String> {
    stage.behave_all(Behaviour::Answer(200));
    let count = case.at("picks").text().len() as u64;
    (0..count).map(|id| Ok(letters(&stage.ask(Request::get(id))?.hits))).collect()
}

/// For each key of the recording the server that it leads to.
pub(super) fn choices(case: &Json, stage: &mut Stage) -> Tried<Json> {
    stage.behave_all(Behaviour::Answer(200));
    let keys = case.at("choice").fields().iter().zip(0..);
    let choice = keys.map(|((key, _), id)| {
        let seen = stage.ask(Request { key: Some(key), ..Request::get(id) })?;
        Ok((key.clone(), letters(&seen.hits).into()))
    });
    Ok(Json::Object(choice.collect::<Tried<_>>()?))
}

/// The operations of the recording again, with what each start came to; `named` writes a place as
/// the recording does.
pub(super) fn operations(
    case: &Json,
    stage: &mut Stage,
    named: impl Fn(Placed) -> Json,
) -> Tried<Json> {
    let mut done = Vec::new();
    for operation in case.at("ops").list() {
        let [word, id, ..] = operation.list() else {
            return Err(Problem::Unexpected(format!("an operation without id: {operation}")));
        };
        let request = Request::get(id.whole());
        let mut again = vec![word.clone(), id.clone()];
        match word.text() {
            "start" => again.push(named(stage.start(request)?)),
            "finish" => stage.finish(request.id)?,
            "one" => {
                again.push(named(stage.start(request)?));
                stage.finish(request.id)?;
            }
            other => return Err(Problem::Unexpected(format!("an operation {other}"))),
        }
        done.push(Json::List(again));
    }
    Ok(Json::List(done))
}

/// Opens requests until one is held at each server named, and lets all others go. The next free
/// request number.
pub(super) fn hold(stage: &mut Stage, names: &str) -> Tried<u64> {
    stage.behave_all(Behaviour::Hold);
    let mut wanted: Vec<usize> = names.chars().map(|name| place(&name.to_string())).collect();
    let mut id = 0;
    while !wanted.is_empty() {
        let server = stage.start(Request::get(id))?.server();
        match wanted.iter().position(|place| Some(*place) == server) {
            Some(found) => drop(wanted.remove(found)),
            None => stage.finish(id)?,
        }
        id += 1;
        if id > 10_000 {
            return Err(Problem::Unexpected(format!("{names} are never all picked")));
        }
    }
    Ok(id)
}

/// Requests one after another, beside those held: how many each server had, by name, without those
/// that had none.
pub(super) fn counts(stage: &mut Stage, first_id: u64, count: u64) -> Tried<Json> {
    stage.behave_all(Behaviour::Answer(200));
    let mut of = std::collections::BTreeMap::new();
    for id in first_id..first_id + count {
        *of.entry(letters(&stage.ask(Request::get(id))?.hits)).or_insert(0_u64) += 1;
    }
    Ok(Json::Object(of.into_iter().map(|(name, count)| (name, count.into())).collect()))
}

/// Milliseconds, rounded to hundreds.
pub(super) fn hundreds(seen: &Seen) -> u64 {
    (seen.took.as_millis_f64() / 100.0).round() as u64 * 100
}
