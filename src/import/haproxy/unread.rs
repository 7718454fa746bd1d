//! Keywords of a proxy that nothing here reads: each is named, so that silence means "taken over".

use super::section::Line;
use crate::import::Draft;

/// Keywords that the other files of this folder read, or that name where they already.
const READ: [&str; 31] = [
    "server",
    "server-template",
    "default-server",
    "mode",
    "balance",
    "hash-type",
    "hash-balance-factor",
    "retries",
    "retry-on",
    "cookie",
    "http-reuse",
    "maxconn",
    "bind",
    "default_backend",
    "use_backend",
    "use-server",
    "stick-table",
    "stick",
    "appsession",
    "fullconn",
    "tcp-check",
    "external-check",
    "filter",
    "option allbackups",
    "option prefer-last-server",
    "option transparent",
    "option http_proxy",
    "option httpchk",
    "option redispatch",
    "option httpclose",
    "option http-server-close",
];
/// Time-outs that are read.
const TIMEOUTS: [&str; 8] =
    ["connect", "server", "client", "http-request", "http-keep-alive", "queue", "check", "tarpit"];
/// Logging, statistics, names and descriptions, which change no request's way.
const WITHOUT_EFFECT: [&str; 20] = [
    "log",
    "log-format",
    "log-format-sd",
    "log-tag",
    "unique-id-format",
    "unique-id-header",
    "stats",
    "id",
    "description",
    "acl",
    "capture",
    "errorfile",
    "errorfiles",
    "errorloc",
    "errorloc302",
    "errorloc303",
    "enabled",
    "option httplog",
    "option dontlognull",
    "option forwardfor",
];

/// Notes the lines of a proxy that begin with none of these.
pub(super) fn note(lines: &[&Line], draft: &mut Draft) {
    for line in lines.iter().filter(|line| !line.takes_back && !is_known(line)) {
        draft.leave(&line.origin, line.text(), "lab does not read this keyword");
    }
}

fn is_known(line: &Line) -> bool {
    let (first, second) = (line.word(0), line.word(1));
    let pair = format!("{first} {second}");
    let listed = |list: &[&str]| list.iter().any(|known| *known == first || *known == pair);
    match first {
        "timeout" => TIMEOUTS.contains(&second),
        "http-check" => matches!(second, "send" | "expect"),
        // What ends or changes a request is noted elsewhere; headers and logs do neither.
        "http-request" => matches!(
            second,
            "deny"
                | "tarpit"
                | "redirect"
                | "return"
                | "cache-use"
                | "set-path"
                | "reject"
                | "add-header"
                | "set-header"
                | "del-header"
                | "replace-header"
                | "set-var"
                | "set-log-level"
                | "capture"
        ),
        "http-response" | "http-after-response" => {
            matches!(second, "add-header" | "set-header" | "del-header" | "replace-header")
        }
        "option" if second.starts_with("log") || second.starts_with("dontlog") => true,
        _ => listed(&READ) || listed(&WITHOUT_EFFECT),
    }
}
