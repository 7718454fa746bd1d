//! The listener: connections of clients, fields that tell backends about them, and the route with
//! its time-outs, retries and keys.

use super::bootstrap::{CLUSTER, socket_address};
use super::settings::{NO_PAUSE, Settings};
use super::yaml::{Yaml, duration, quoted};
use crate::engine::Wiring;
use crate::policy::affinity::AffinityConfig;
use crate::policy::rules::envoy::{EnvoyRetry, RetryOn};
use crate::scenario::{EdgeFacts, HashKey, Scenario};
use crate::units::Span;

/// How every name of a type of Envoy's begins.
const TYPE: &str = "\"@type\": type.googleapis.com/envoy";

pub(super) fn write(yaml: &mut Yaml, scenario: &Scenario, settings: &Settings, wiring: &Wiring) {
    let edge = &scenario.balancer.edge;
    yaml.block(1, &format!("- name: clients\n  address: {}", socket_address(wiring.listen)));
    yaml.block(
        2,
        "filter_chains:\n- filters:\n  - name: envoy.filters.network.http_connection_manager",
    );
    yaml.block(4, "typed_config:");
    yaml.block(5, &manager(edge, settings));
    yaml.block(5, &access_log(edge));
    yaml.block(5, &virtual_host(edge));
    yaml.block(8, &route(settings));
    yaml.block(5, &filters(scenario));
}

/// The connection manager but for route and filters.
fn manager(edge: &EdgeFacts, settings: &Settings) -> String {
    let client = &edge.client;
    let request_timeout = client.request_timeout.map_or(String::new(), |limit| {
        format!("  max_stream_duration: {}  # a whole request\n", duration(limit))
    });
    format!(
        "{TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager\n\
         stat_prefix: clients\n\
         codec_type: AUTO  # HTTP/1.1, or HTTP/2 by its preface\n\
         server_header_transformation: PASS_THROUGH\n\
         generate_request_id: false\n\
         use_remote_address: true  # X-Forwarded-For: the peer of the connection\n\
         upgrade_configs: [{{ upgrade_type: websocket }}]\n\
         request_headers_timeout: {headers}\n\
         stream_idle_timeout: {stream_idle}  # between two parts of a stream, longer than any answer takes\n\
         common_http_protocol_options:\n  \
         idle_timeout: {idle}\n  \
         max_requests_per_connection: {requests}\n\
         {request_timeout}\
         max_request_headers_kb: {head_kb}\n",
        headers = duration(client.header_timeout),
        stream_idle = duration(stream_idle(edge, settings)),
        idle = duration(client.idle_timeout),
        requests = client.requests_per_connection,
        head_kb = client.header_max.0.div_ceil(1024).clamp(1, 8192),
    )
}

/// Longest pause of a stream: that of the client, but never before the last attempt is over.
fn stream_idle(edge: &EdgeFacts, settings: &Settings) -> Span {
    let rules = &settings.rules;
    let attempts = rules.retry.as_ref().map_or(Span::ZERO, |retry| {
        (retry.per_try_timeout + retry.backoff.max) * u64::from(retry.num_retries + 1)
    });
    edge.client.body_timeout.max(attempts + Span::from_secs(1)).max(rules.route_timeout * 2)
}

fn access_log(edge: &EdgeFacts) -> String {
    let Some(log) = &edge.log else {
        return "# No access log.\n".to_owned();
    };
    // A share in millionths, as the filter counts.
    let millionths = (log.sample.0 * 1e6).round();
    format!(
        "access_log:\n\
         - name: envoy.access_loggers.file\n  \
           filter:\n    \
             or_filter:\n      \
               filters:\n      \
               - runtime_filter: {{ runtime_key: lab.log, percent_sampled: {{ numerator: {millionths}, denominator: MILLION }} }}\n      \
               - status_code_filter: {{ comparison: {{ op: GE, value: {{ default_value: 500, runtime_key: lab.log_status }} }} }}\n  \
           typed_config: {{ {TYPE}.extensions.access_loggers.file.v3.FileAccessLog, path: {path} }}\n",
        path = quoted(&log.path.display().to_string()),
    )
}

fn virtual_host(edge: &EdgeFacts) -> String {
    let forwarded = if edge.forward.x_forwarded {
        "    - header: { key: x-real-ip, value: \"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%\" }\n      \
               append_action: OVERWRITE_IF_EXISTS_OR_ADD\n    \
             - header: { key: x-forwarded-host, value: \"%REQ(:authority)%\" }\n      \
               append_action: OVERWRITE_IF_EXISTS_OR_ADD\n"
    } else {
        ""
    };
    let added = if forwarded.is_empty() {
        "    request_headers_to_remove: [x-forwarded-for, x-forwarded-proto]\n".to_owned()
    } else {
        format!("    request_headers_to_add:\n{forwarded}")
    };
    format!(
        "route_config:\n  \
           virtual_hosts:\n  \
           - name: all\n    \
             domains: [\"*\"]\n    \
             include_request_attempt_count: true  # x-envoy-attempt-count, which the cluster renames\n\
         {added}    \
             response_headers_to_add:\n    \
             - header: {{ key: x-lab-attempts, value: \"%UPSTREAM_REQUEST_ATTEMPT_COUNT%\" }}\n      \
               append_action: OVERWRITE_IF_EXISTS_OR_ADD\n    \
             routes:\n"
    )
}

fn route(settings: &Settings) -> String {
    let timeout = settings.rules.route_timeout;
    let what = if timeout == Span::ZERO { "none over all attempts" } else { "over all attempts" };
    let mut text = format!(
        "- match: {{ prefix: \"/\" }}\n  \
           route:\n    \
             cluster: {CLUSTER}\n    \
             timeout: {}  # {what}\n",
        duration(timeout)
    );
    if let Some(key) = &settings.hash {
        text.push_str(&hash_policy(key));
    }
    match &settings.rules.retry {
        Some(retry) => text.push_str(&retry_policy(retry)),
        None => text.push_str("    # No retries.\n"),
    }
    text
}

fn hash_policy(key: &HashKey) -> String {
    // Without its query, or without its port.
    let header = |name: &str, cut: Option<&str>| match cut {
        None => format!("{{ header: {{ header_name: {} }} }}", quoted(name)),
        Some(regex) => format!(
            "{{ header: {{ header_name: {}, regex_rewrite: {{ pattern: {{ regex: {} }}, \
             substitution: \"\" }} }} }}",
            quoted(name),
            quoted(regex)
        ),
    };
    let policy = match key {
        HashKey::Client => "{ connection_properties: { source_ip: true } }".to_owned(),
        HashKey::Uri => header(":path", None),
        HashKey::Path => header(":path", Some("[?].*$")),
        HashKey::Host => header(":authority", Some(":[0-9]+$")),
        HashKey::Header(name) => header(name, None),
        HashKey::Cookie(name) => format!("{{ cookie: {{ name: {} }} }}", quoted(name)),
    };
    format!("    hash_policy: [{policy}]\n")
}

fn retry_policy(retry: &EnvoyRetry) -> String {
    let EnvoyRetry { on, num_retries, per_try_timeout, backoff, .. } = retry;
    let mut text = format!(
        "    retry_policy:\n      \
               retry_on: {}\n",
        retry_on(on)
    );
    if !on.statuses.is_empty() {
        text.push_str(&format!("      retriable_status_codes: {:?}\n", on.statuses));
    }
    text.push_str(&format!("      num_retries: {num_retries}\n"));
    if *per_try_timeout > Span::ZERO {
        text.push_str(&format!("      per_try_timeout: {}\n", duration(*per_try_timeout)));
    }
    let comment = if *backoff == NO_PAUSE { "  # whole milliseconds below 1: none" } else { "" };
    let least = Span::from_millis(1);
    text.push_str(&format!(
        "      retry_back_off: {{ base_interval: {}, max_interval: {} }}{comment}\n",
        duration(backoff.base.max(least)),
        duration(backoff.max.max(least)),
    ));
    if retry.previous_hosts {
        text.push_str(&format!(
            "      # A host that was tried is drawn again, so that a retry goes elsewhere.\n      \
                   retry_host_predicate:\n      \
                   - name: envoy.retry_host_predicates.previous_hosts\n        \
                     typed_config: {{ {TYPE}.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate }}\n      \
                   host_selection_retry_max_attempts: {}\n",
            retry.host_selection_attempts
        ));
    }
    text
}

/// The words of `retry_on`.
pub(super) fn retry_on(on: &RetryOn) -> String {
    let words = [
        (on.connect_failure, "connect-failure"),
        (on.reset, "reset"),
        (on.gateway_error, "gateway-error"),
        (on.server_error, "5xx"),
        (on.retriable_4xx, "retriable-4xx"),
        (!on.statuses.is_empty(), "retriable-status-codes"),
    ];
    let listed: Vec<&str> = words.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
    listed.join(",")
}

fn filters(scenario: &Scenario) -> String {
    let affinity = scenario.balancer.upstream.resilience.affinity.as_ref();
    format!(
        "http_filters:\n{}\
         - name: envoy.filters.http.router\n  \
           typed_config:\n    \
             {TYPE}.extensions.filters.http.router.v3.Router\n    \
             suppress_envoy_headers: true  # backends' answers as they are\n",
        affinity.map_or(String::new(), session)
    )
}

/// Sessions stay with the host that the cookie names.
fn session(affinity: &AffinityConfig) -> String {
    let ttl =
        affinity.ttl.map_or(String::new(), |ttl| format!("\n          ttl: {}", duration(ttl)));
    let mut attributes =
        vec![format!("{{ name: SameSite, value: {} }}", affinity.same_site.word())];
    attributes.extend(affinity.http_only.then(|| "{ name: HttpOnly }".to_owned()));
    attributes.extend(affinity.secure.then(|| "{ name: Secure }".to_owned()));
    format!(
        "- name: envoy.filters.http.stateful_session\n  \
           typed_config:\n    \
             {TYPE}.extensions.filters.http.stateful_session.v3.StatefulSession\n    \
             session_state:\n      \
               name: envoy.http.stateful_session.cookie\n      \
               typed_config:\n        \
                 {TYPE}.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState\n        \
                 cookie:\n          \
                   name: {name}\n          \
                   path: {path}{ttl}\n          \
                   attributes: [{attributes}]\n",
        name = quoted(&affinity.cookie),
        path = quoted(&affinity.path),
        attributes = attributes.join(", "),
    )
}
