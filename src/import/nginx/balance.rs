//! The balancing method of an upstream block, and its key.

use super::location::graphic_path;
use super::tree::Directive;
use super::value::{bad_time, time};
use crate::import::toml_text::{quoted, span};
use crate::import::{Draft, ImportError};

/// A directive of the upstream block that is no server.
pub(super) fn method(directive: &Directive, draft: &mut Draft) -> Result<(), ImportError> {
    let mut algorithm = |name: &str| {
        draft.set("balancer", "algorithm", quoted(name), directive.origin.to_string());
    };
    match directive.name.as_str() {
        "least_conn" => algorithm("least_conn"),
        "ip_hash" => algorithm("ip_hash"),
        "random" => random(directive, draft),
        "hash" => hash(directive, draft),
        "least_time" => {
            algorithm("peak_ewma");
            let why = "lab's open algorithms know no such rule; peak_ewma, which also goes by \
                       response times, stands in";
            draft.leave(&directive.origin, directive.text(), why);
        }
        "sticky" => sticky(directive, draft)?,
        "resolver"
        | "resolver_timeout"
        | "state"
        | "ntlm"
        | "sticky_cookie_insert"
        | "server_name"
        | "check"
        | "balancer_by_lua_block"
        | "balancer_by_lua_file"
        | "upsync" => {
            let why = if directive.name.starts_with("balancer_by_lua") {
                "a program chooses the server; write it as a policy: lab new --policy NAME"
            } else {
                "a scenario has no word for it"
            };
            draft.leave(&directive.origin, directive.text(), why);
        }
        _ => {
            draft.leave(&directive.origin, directive.text(), "lab does not know this directive");
        }
    }
    Ok(())
}

fn random(directive: &Directive, draft: &mut Draft) {
    let two = directive.args.first().is_some_and(|arg| arg == "two");
    let name = if two { "random_two" } else { "random" };
    draft.set("balancer", "algorithm", quoted(name), directive.origin.to_string());
    if directive.args.get(1).is_some_and(|method| method.starts_with("least_time")) {
        let why = "of two, the one with fewer connections is taken, not the quicker";
        draft.leave(&directive.origin, directive.text(), why);
    }
}

fn hash(directive: &Directive, draft: &mut Draft) {
    let consistent = directive.args.get(1).is_some_and(|arg| arg == "consistent");
    let name = if consistent { "consistent_hash" } else { "hash" };
    draft.set("balancer", "algorithm", quoted(name), directive.origin.to_string());
    let written = directive.args.first().map_or("", String::as_str);
    let (key, note) = hash_key(written);
    draft.set("balancer", "hash_key", quoted(&key), format!("{}: {written}", directive.origin));
    if let Some(note) = note {
        draft.leave(&directive.origin, directive.text(), note);
    }
}

/// The scenario's word for a key made of variables, and what is lost.
fn hash_key(written: &str) -> (String, Option<String>) {
    let plain = written.replace(['{', '}'], "");
    let variables: Vec<&str> = plain.split('$').skip(1).collect();
    let known = |variable: &str| -> Option<String> {
        let variable = variable.trim_end_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let header = |name: &str| format!("header:{}", name.replace('_', "-"));
        Some(match variable {
            "remote_addr" | "binary_remote_addr" | "realip_remote_addr" => "client".to_owned(),
            "request_uri" => "uri".to_owned(),
            "uri" | "document_uri" => "path".to_owned(),
            "host" | "http_host" => "host".to_owned(),
            other if !other.chars().all(word) => return None,
            other => match (other.strip_prefix("http_"), other.strip_prefix("cookie_")) {
                (Some(name), _) if !name.is_empty() => header(name),
                (_, Some(name)) if !name.is_empty() => format!("cookie:{name}"),
                _ => return None,
            },
        })
    };
    // These are the same for every request of a scenario, so they separate nothing.
    let constant = |variable: &&str| {
        !matches!(
            variable.trim_end_matches(':'),
            "scheme" | "proxy_host" | "server_port" | "server_name"
        )
    };
    let telling: Vec<&str> = variables.iter().copied().filter(constant).collect();
    match telling.as_slice() {
        ["uri", "is_args", "args"] => ("uri".to_owned(), None),
        [only] => match known(only) {
            Some(key) => (key, None),
            None => {
                ("uri".to_owned(), Some(format!("`${only}` is no key lab knows; `uri` stands in")))
            }
        },
        [first, ..] => {
            let key = known(first).unwrap_or_else(|| "uri".to_owned());
            let note = format!("a key has one part in a scenario; `{key}` stands in for all");
            (key, Some(note))
        }
        [] => ("uri".to_owned(), Some("a key without a variable; `uri` stands in".to_owned())),
    }
}

/// `sticky cookie NAME [expires=] [path=] [httponly] [secure] [samesite=]`.
fn sticky(directive: &Directive, draft: &mut Draft) -> Result<(), ImportError> {
    let (kind, params) = match directive.args.split_first() {
        Some((kind, params)) if kind == "cookie" => (kind, params),
        _ => {
            let why = "only `sticky cookie` has a counterpart, balancer.affinity";
            draft.leave(&directive.origin, directive.text(), why);
            return Ok(());
        }
    };
    let from = directive.origin.to_string();
    let Some((name, params)) = params.split_first() else {
        return Err(directive.origin.error(format!("`sticky {kind}` needs the cookie's name")));
    };
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        return Err(directive.origin.error(format!("`{name}` is no name of a cookie")));
    }
    draft.set("balancer.affinity", "cookie", quoted(name), from);
    for param in params {
        let (key, word) = param.split_once('=').unwrap_or((param, ""));
        match key {
            "expires" if word != "max" => {
                let ttl = time(word).filter(|ttl| ttl.0 > 0);
                let ttl = ttl.ok_or_else(|| bad_time(word, &directive.origin))?;
                draft.set("balancer.affinity", "ttl", span(ttl), "");
            }
            "path" if word.starts_with('/') && !word.contains(';') => {
                draft.set("balancer.affinity", "path", quoted(&graphic_path(word)), "");
            }
            "httponly" => draft.set("balancer.affinity", "http_only", "true", ""),
            "secure" => draft.set("balancer.affinity", "secure", "true", ""),
            _ => draft.leave(
                &directive.origin,
                format!("sticky cookie {param}"),
                "has no counterpart",
            ),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_named_as_scenarios_name_them() {
        for (written, expected, lossy) in [
            ("$request_uri", "uri", false),
            ("${scheme}$proxy_host$request_uri", "uri", false),
            ("$uri$is_args$args", "uri", false),
            ("$binary_remote_addr", "client", false),
            ("$http_x_user_id", "header:x-user-id", false),
            ("$cookie_session", "cookie:session", false),
            ("$remote_addr$http_user_agent", "client", true),
            ("$arg_id", "uri", true),
            ("fixed", "uri", true),
        ] {
            let (key, note) = hash_key(written);
            assert_eq!((key.as_str(), note.is_some()), (expected, lossy), "{written}");
        }
    }
}
