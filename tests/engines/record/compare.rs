//! What is different between a case as it was recorded and the same recorded anew.

use super::json::Json;
use super::situation::{place, weights};
use crate::engines::edf;

/// A time-out may come so much later on a busy host, in milliseconds.
const LATE_MS: f64 = 300.0;

/// Everything must be the same but for milliseconds, which depend on the host.
pub(super) fn exactly(last: &Json, again: &Json) -> Vec<String> {
    let mut found = Vec::new();
    walk(last, again, "", &mut found);
    found
}

fn walk(last: &Json, again: &Json, at: &str, found: &mut Vec<String>) {
    match (last, again) {
        (Json::Object(before), Json::Object(after)) if before.len() == after.len() => {
            for ((name, before), (_, after)) in before.iter().zip(after) {
                if name == "ms" {
                    if (before.number() - after.number()).abs() > LATE_MS {
                        found.push(format!("{at}.ms was {before} and is {after}"));
                    }
                } else {
                    walk(before, after, &format!("{at}.{name}"), found);
                }
            }
        }
        (Json::List(before), Json::List(after)) if before.len() == after.len() => {
            for (place, (before, after)) in before.iter().zip(after).enumerate() {
                walk(before, after, &format!("{at}[{place}]"), found);
            }
        }
        _ if last == again => {}
        _ => {
            let at = at.trim_start_matches('.');
            found.push(format!("{at} was {last} and is {again}"));
        }
    }
}

/// Two counts of chance: χ² for two samples must stay below its 99.9 % quantile. Where the counts
/// are not by chance (unequal weights of Envoy) the same bound holds all the more.
pub(super) fn shares(last: &Json, again: &Json) -> Vec<String> {
    /// For 0 to 3 degrees of freedom.
    const QUANTILES: [f64; 4] = [0.0, 10.83, 13.82, 16.27];
    let count = |case: &Json, name: &str| case.at("counts").at(name).number();
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in last.at("counts").fields().iter().chain(again.at("counts").fields()) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let total = |case: &Json| names.iter().map(|name| count(case, name)).sum::<f64>();
    let (before, after) = (total(last), total(again));
    let distance: f64 = names
        .iter()
        .map(|name| {
            let (one, other) = (count(last, name), count(again, name));
            let off = one * (after / before).sqrt() - other * (before / after).sqrt();
            off * off / (one + other)
        })
        .sum();
    let freedom = names.len().saturating_sub(1).min(3);
    if before != after || distance > QUANTILES[freedom] {
        let (last, again) = (last.at("counts"), again.at("counts"));
        return vec![format!("counts were {last} and are {again}: χ² {distance:.1}")];
    }
    Vec::new()
}

/// Envoy's scheduler begins at random: the new picks must be its picks from some start.
pub(super) fn schedule(last: &Json, again: &Json) -> Vec<String> {
    let rates: Vec<f64> = weights(last).into_iter().map(|weight| weight as f64).collect();
    let picks = again.at("picks").text().chars().map(|name| (0, Some(name.to_string())));
    let operations = again.at("ops").list().iter().map(|operation| {
        let of = operation.list();
        let id = of.get(1).map_or(0, Json::whole);
        (id, of.get(2).map(|name| name.text().to_owned()))
    });
    // A pick on its own ends at once, and its weight is that of the server.
    let counts = again.at("picks") == &Json::Null;
    let done: Vec<edf::Done> = picks
        .chain(operations)
        .map(|(id, name)| match name {
            Some(name) => edf::Done::Start { id, server: place(&name), counts },
            None => edf::Done::Finish { id },
        })
        .collect();
    if done.is_empty() || !edf::fits(&rates, &done) {
        return vec![format!("no start of the scheduler leads to these picks: {again}")];
    }
    Vec::new()
}

/// Statuses and attempts are the same; pauses are drawn, each from 0 to 25, 50, 100 ms and so on.
pub(super) fn retries(last: &Json, again: &Json) -> Vec<String> {
    let pairs = last.at("requests").list().iter().zip(again.at("requests").list());
    pairs
        .filter_map(|(last, again)| {
            let ([status, attempts, _], [now, tried, ms]) = (last.list(), again.list()) else {
                return Some(format!("{again} is no request"));
            };
            let longest: f64 = (1..attempts.whole()).map(|n| f64::from(25_u32 << (n - 1))).sum();
            let same = status == now && attempts == tried;
            (!same || ms.number() > longest + LATE_MS)
                .then(|| format!("a request was {last} and is {again}, at most {longest} ms"))
        })
        .collect()
}

/// Picks begin at a random host, and the numbers are the same.
pub(super) fn ejections(last: &Json, again: &Json) -> Vec<String> {
    let mut found = Vec::new();
    for (name, before) in last.fields() {
        let after = again.at(name);
        let same = match name.as_str() {
            "picks" => rotated(before.text(), after.text()),
            "answers" => before.list().iter().zip(after.list()).all(|(one, other)| {
                // The names of the servers depend on where the rotation began.
                one.text().trim_end_matches(['a', 'b', 'c'])
                    == other.text().trim_end_matches(['a', 'b', 'c'])
            }),
            "back_after_s" => (before.number() - after.number()).abs() < 0.8,
            _ => before == after,
        };
        if !same {
            found.push(format!("{name} was {before} and is {after}"));
        }
    }
    found
}

/// Whether between two pauses the servers, whichever they are, had as many picks but for one: all
/// that does not depend on where the rotation began.
fn rotated(before: &str, after: &str) -> bool {
    let counts = |picks: &str| {
        let mut counts = ['a', 'b', 'c'].map(|name| picks.matches(name).count());
        counts.sort_unstable();
        counts
    };
    let pairs = before.split('|').zip(after.split('|'));
    let near = |(one, other): (usize, usize)| one.abs_diff(other) <= 1;
    before.len() == after.len()
        && pairs
            .into_iter()
            .all(|(before, after)| counts(before).into_iter().zip(counts(after)).all(near))
}
