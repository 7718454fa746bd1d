//! Directives of a location's proxy module that nothing here reads: each is named, so that silence
//! about them means "taken over".

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

/// Notes the directives of the site's blocks, `http` down to `location`, that are none of these.
/// Those of a cache say nothing where none is in use, and `proxy_cache` itself is noted elsewhere.
pub(super) fn note(site: &Site<'_>, draft: &mut Draft) {
    let directives = site.chain.iter().flat_map(|block| block.children());
    for directive in directives {
        let name = directive.name.as_str();
        let Some(name) = name.strip_prefix("proxy_").or_else(|| name.strip_prefix("grpc_")) else {
            continue;
        };
        let known = READ.contains(&name) || WITHOUT_EFFECT.contains(&name);
        if !known && !name.starts_with("cache_") && name != "ignore_client_abort" {
            draft.leave(&directive.origin, directive.text(), "lab does not read this directive");
        }
    }
}
