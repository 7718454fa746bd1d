//! `balance` and `hash-type`.

use super::section::{Line, last};
use super::value::number;
use crate::import::toml_text::quoted;
use crate::import::{Draft, ImportError};

/// The algorithm and its key.
pub(super) fn balance(lines: &[&Line], draft: &mut Draft) -> Result<(), ImportError> {
    let Some(line) = last(lines, &["balance"]) else {
        draft.set(
            "balancer",
            "algorithm",
            quoted("round_robin"),
            "no `balance`: HAProxy's default",
        );
        return Ok(());
    };
    let from = line.origin.to_string();
    let rule = line.word(1);
    let (name, argument) = match rule.split_once('(') {
        Some((name, rest)) => (name, Some(rest.trim_end_matches(')'))),
        None => (rule, None),
    };
    let (algorithm, why) = match name {
        "roundrobin" => ("round_robin", None),
        "static-rr" => ("round_robin", Some("weights cannot change here either way")),
        "leastconn" => ("least_conn", None),
        "random" => random(argument, line)?,
        "first" => ("round_robin", Some("lab does not fill one server before the next")),
        "source" | "uri" | "url_param" | "hdr" | "rdp-cookie" | "hash" => {
            return hash(lines, line, name, argument, draft);
        }
        _ => return Err(line.origin.error(format!("`{rule}` is no rule of `balance`"))),
    };
    draft.set("balancer", "algorithm", quoted(algorithm), from);
    if let Some(why) = why {
        draft.leave(&line.origin, line.text(), format!("{why}; {algorithm} stands in"));
    }
    Ok(())
}

/// `random` draws two servers unless it says otherwise.
fn random(
    argument: Option<&str>,
    line: &Line,
) -> Result<(&'static str, Option<&'static str>), ImportError> {
    let draws = argument.map_or(Ok(2), |word| number(word, 1_000_000, &line.origin))?;
    Ok(match draws {
        0 | 1 => ("random", None),
        2 => ("random_two", None),
        _ => ("random_two", Some("two are drawn, not more")),
    })
}

fn hash(
    lines: &[&Line],
    line: &Line,
    name: &str,
    argument: Option<&str>,
    draft: &mut Draft,
) -> Result<(), ImportError> {
    let kind = last(lines, &["hash-type"]);
    let consistent = kind.is_some_and(|kind| kind.word(1) == "consistent");
    let algorithm = if consistent { "consistent_hash" } else { "hash" };
    let (key, lossy) = hash_key(line, name, argument);
    draft.set("balancer", "algorithm", quoted(algorithm), line.origin.to_string());
    draft.set("balancer", "hash_key", quoted(&key), line.text());
    if lossy {
        draft.leave(&line.origin, line.text(), format!("no key lab knows; `{key}` stands in"));
    }
    if let Some(kind) = kind.filter(|kind| kind.words.len() > 2) {
        draft.leave(&kind.origin, kind.text(), "the hash function is the engine's or lab's own");
    }
    match last(lines, &["hash-balance-factor"]) {
        Some(bound) if consistent => {
            let percent = number(bound.word(1), 10_000, &bound.origin)?;
            if percent > 100 {
                let value = format!("\"{percent}%\"");
                draft.set("balancer", "bounded_load", value, bound.origin.to_string());
            }
        }
        Some(bound) => draft.leave(&bound.origin, bound.text(), "only for `hash-type consistent`"),
        None => {}
    }
    Ok(())
}

/// The scenario's word for the key, and whether it only stands in for it.
fn hash_key(line: &Line, name: &str, argument: Option<&str>) -> (String, bool) {
    let token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let header = |name: &str| {
        let name = name.split(',').next().unwrap_or("").trim().to_ascii_lowercase();
        match name.as_str() {
            "host" => ("host".to_owned(), false),
            name if !name.is_empty() && name.chars().all(token) => {
                (format!("header:{name}"), false)
            }
            _ => ("uri".to_owned(), true),
        }
    };
    match name {
        "source" => ("client".to_owned(), false),
        "hdr" => header(argument.unwrap_or("")),
        "uri" => {
            let whole = line.words.iter().any(|word| word == "whole");
            let cut = line.words.iter().any(|word| word == "len" || word == "depth");
            (if whole { "uri" } else { "path" }.to_owned(), cut)
        }
        "hash" => {
            let expression = line.word(2);
            let (fetch, rest) = expression.split_once('(').unwrap_or((expression, ""));
            let within = rest.split(')').next().unwrap_or("");
            match fetch {
                "src" => ("client".to_owned(), false),
                "path" => ("path".to_owned(), false),
                "pathq" | "url" => ("uri".to_owned(), false),
                "req.hdr" | "hdr" => header(within),
                "req.cook" | "cook" if !within.is_empty() && within.chars().all(token) => {
                    (format!("cookie:{within}"), false)
                }
                _ => ("uri".to_owned(), true),
            }
        }
        _ => ("uri".to_owned(), true),
    }
}
