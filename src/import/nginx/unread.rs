//! Directives that nothing here reads: those of the proxy module in any block around the location,
//! and all others within it. Each is named, so that silence about them means "taken over".

use super::sites::Site;
use crate::import::Draft;

/// `proxy_NAME` or `grpc_NAME` that other files of this folder read.
const READ: [&str; 12] = [
    "pass",
    "connect_timeout",
    "read_timeout",
    "send_timeout",
    "next_upstream",
    "next_upstream_tries",
    "next_upstream_timeout",
    "http_version",
    "ssl_verify",
    "cache",
    "limit_rate",
    "bind",
];
/// Headers, and details of what is read elsewhere: they change neither where a request goes nor
/// how long it takes.
const WITHOUT_EFFECT: [&str; 14] = [
    "set_header",
    "hide_header",
    "pass_header",
    "redirect",
    "cookie_domain",
    "cookie_path",
    "cookie_flags",
    "headers_hash_bucket_size",
    "headers_hash_max_size",
    "ssl_name",
    "ssl_server_name",
    "ssl_trusted_certificate",
    "ssl_protocols",
    "ssl_ciphers",
];

/// Of other modules, in a location: read by other files of this folder, noted there, or without
/// effect on where a request goes and how long it takes.
const ELSEWHERE: [&str; 25] = [
    "location",
    "if",
    "limit_except",
    "include",
    "health_check",
    "client_max_body_size",
    "keepalive_timeout",
    "keepalive_requests",
    "limit_req",
    "limit_conn",
    "limit_rate",
    "mirror",
    "auth_request",
    "root",
    "index",
    "access_log",
    "error_log",
    "log_not_found",
    "add_header",
    "expires",
    "internal",
    "default_type",
    "charset",
    "limit_req_status",
    "limit_conn_status",
];
const WHY: &str = "lab does not read this directive";

/// Notes the directives of the site's blocks, `http` down to `location`, that are none of these.
pub(super) fn note(site: &Site<'_>, draft: &mut Draft) {
    for block in &site.chain {
        for directive in block.children() {
            let name = directive.name.as_str();
            let own = name.strip_prefix("proxy_").or_else(|| name.strip_prefix("grpc_"));
            let unread = match own {
                Some(name) => is_unread(name),
                None => block.name == "location" && !ELSEWHERE.contains(&name),
            };
            if unread {
                draft.leave(&directive.origin, directive.text(), WHY);
            }
        }
    }
}

/// Of the proxy module. Directives of a cache say nothing where none is in use, and `proxy_cache`
/// itself is noted elsewhere.
fn is_unread(name: &str) -> bool {
    let known = READ.contains(&name) || WITHOUT_EFFECT.contains(&name);
    !known && !name.starts_with("cache_") && name != "ignore_client_abort"
}
