//! The cluster: balancing, health, limits, and connections to backends.

use super::bootstrap::{CLUSTER, ENDPOINTS_FILE};
use super::settings::{Balance, Settings, UNLIMITED};
use super::yaml::{Yaml, duration, quoted};
use crate::engine::Wiring;
use crate::policy::slow_start::SlowStart;
use crate::policy::{ActiveHealthConfig, LeastRequestConfig, OutlierConfig};
use crate::scenario::Scenario;
use crate::units::{Ratio, Span};

pub(super) fn write(yaml: &mut Yaml, scenario: &Scenario, settings: &Settings, wiring: &Wiring) {
    let upstream = &scenario.balancer.upstream;
    yaml.block(1, &endpoints(wiring)).block(2, &balance(settings));
    yaml.block(2, &common(settings, upstream.resilience.affinity.is_some()));
    yaml.block(2, &format!("connect_timeout: {}\n", duration(scenario.balancer.connect_timeout)));
    yaml.block(2, &circuit_breakers(settings));
    match &upstream.health {
        Some(health) => yaml.block(2, &health_checks(health, settings)),
        None => yaml.block(2, "# No active health checks.\n"),
    };
    match &settings.outlier {
        Some(outlier) => yaml.block(2, &outlier_detection(outlier)),
        None => yaml.block(2, "# No outlier detection.\n"),
    };
    yaml.block(2, &protocol(scenario));
}

fn endpoints(wiring: &Wiring) -> String {
    let folder = wiring.folder.display().to_string();
    format!(
        "- name: {CLUSTER}\n  \
           type: EDS\n  \
           eds_cluster_config:\n    \
             service_name: {CLUSTER}\n    \
             eds_config:\n      \
               resource_api_version: V3\n      \
               path_config_source:\n        \
                 path: {path}\n        \
                 watched_directory: {{ path: {folder} }}  # a new file is moved into it\n  \
           ignore_health_on_host_removal: true  # who leaves the file leaves at once\n",
        path = quoted(&wiring.folder.join(ENDPOINTS_FILE).display().to_string()),
        folder = quoted(&folder),
    )
}

fn balance(settings: &Settings) -> String {
    let slow_start = settings.slow_start.map_or(String::new(), slow_start);
    match settings.balance {
        Balance::LeastRequest(config) if config.full_scan => full_scan(config, &slow_start),
        Balance::LeastRequest(config) => format!(
            "lb_policy: LEAST_REQUEST\n\
             least_request_lb_config:\n  \
               choice_count: {choices}  # drawn with replacement, while weights are equal\n  \
               active_request_bias: {{ default_value: {bias:?}, runtime_key: lab.bias }}\n{slow_start}",
            choices = config.choices,
            bias = config.active_request_bias,
        ),
        Balance::RoundRobin if !slow_start.is_empty() => {
            format!("lb_policy: ROUND_ROBIN\nround_robin_lb_config:\n{slow_start}")
        }
        Balance::RingHash(size, _) => format!(
            "lb_policy: RING_HASH\n\
             ring_hash_lb_config: {{ minimum_ring_size: {size}, hash_function: XX_HASH }}\n"
        ),
        Balance::Maglev(size) => {
            format!("lb_policy: MAGLEV\nmaglev_lb_config: {{ table_size: {size} }}\n")
        }
        other => format!("lb_policy: {}\n", other.name()),
    }
}

/// Only the newer form of the setting knows the method.
fn full_scan(config: LeastRequestConfig, slow_start: &str) -> String {
    let slow_start: String = slow_start.lines().map(|line| format!("      {line}\n")).collect();
    format!(
        "load_balancing_policy:\n  \
           policies:\n  \
           - typed_extension_config:\n      \
               name: envoy.load_balancing_policies.least_request\n      \
               typed_config:\n        \
                 \"@type\": type.googleapis.com/envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest\n        \
                 selection_method: FULL_SCAN\n        \
                 active_request_bias: {{ default_value: {bias:?}, runtime_key: lab.bias }}\n{slow_start}",
        bias = config.active_request_bias,
    )
}

fn slow_start((window, form): (Span, SlowStart)) -> String {
    format!(
        "  slow_start_config:\n    \
             slow_start_window: {}\n    \
             aggression: {{ default_value: {:?}, runtime_key: lab.aggression }}\n    \
             min_weight_percent: {{ value: {} }}\n",
        duration(window),
        form.aggression,
        percent(form.min_weight),
    )
}

fn common(settings: &Settings, has_sessions: bool) -> String {
    let bound = match settings.balance {
        Balance::RingHash(_, Some(factor)) => format!(
            "  consistent_hashing_lb_config: {{ hash_balance_factor: {} }}\n",
            factor.0.div_ceil(100)
        ),
        _ => String::new(),
    };
    let sessions = if has_sessions {
        "  override_host_status: { statuses: [UNKNOWN, HEALTHY, DEGRADED, DRAINING] }  # sessions end where they are\n"
    } else {
        ""
    };
    format!(
        "common_lb_config:\n  \
           healthy_panic_threshold: {{ value: {panic} }}  # percent; 0 trusts the health checks to the end\n  \
           update_merge_window: {window}  # Envoy's default: changes of health within it come together\n\
         {bound}{sessions}",
        panic = percent(settings.panic),
        window = duration(settings.rules.update_merge_window),
    )
}

fn circuit_breakers(settings: &Settings) -> String {
    let limits = &settings.rules.circuit_breakers;
    let budget = settings.retry_budget.map_or(String::new(), |budget| {
        format!(
            "    retry_budget: {{ budget_percent: {{ value: {} }}, min_retry_concurrency: {} }}\n",
            percent(budget.percent),
            budget.min_concurrency
        )
    });
    let why = if limits.max_connections == UNLIMITED {
        "# Envoy's own limits are 1024 each and 3 retries; the scenario has none.\n"
    } else {
        "# Connections: the sum of max_conns. Pending: the length of the queue.\n"
    };
    format!(
        "{why}\
         circuit_breakers:\n  \
           thresholds:\n  \
           - priority: DEFAULT\n    \
             max_connections: {}\n    \
             max_pending_requests: {}\n    \
             max_requests: {}\n    \
             max_retries: {}\n{budget}",
        limits.max_connections,
        limits.max_pending_requests,
        limits.max_requests,
        limits.max_retries,
    )
}

fn health_checks(health: &ActiveHealthConfig, settings: &Settings) -> String {
    let retriable = if settings.rules.retriable_statuses {
        "    retriable_statuses: [{ start: 400, end: 600 }]  # these count, instead of deciding at once\n"
    } else {
        ""
    };
    format!(
        "health_checks:\n\
         - timeout: {timeout}\n  \
           interval: {interval}\n  \
           no_traffic_interval: {unused}  # before the first request\n  \
           healthy_threshold: {rise}\n  \
           unhealthy_threshold: {fall}\n  \
           http_health_check:\n    \
             path: {path}\n    \
             expected_statuses: [{{ start: 200, end: 400 }}]\n\
         {retriable}",
        timeout = duration(health.timeout),
        interval = duration(health.interval),
        unused = duration(settings.rules.no_traffic_interval),
        rise = health.rise.max(1),
        fall = health.fall.max(1),
        path = quoted(&health.path),
    )
}

fn outlier_detection(outlier: &OutlierConfig) -> String {
    let OutlierConfig { success_rate, failure_percentage, .. } = outlier;
    let lines = [
        ("interval", duration(outlier.interval)),
        ("base_ejection_time", duration(outlier.base_ejection_time)),
        ("max_ejection_time", duration(outlier.max_ejection_time)),
        ("max_ejection_time_jitter", duration(outlier.max_ejection_time_jitter)),
        ("max_ejection_percent", percent(outlier.max_ejection_percent)),
        ("always_eject_one_host", outlier.always_eject_one.to_string()),
        ("split_external_local_origin_errors", outlier.split_local_origin_errors.to_string()),
        ("consecutive_5xx", outlier.consecutive_5xx.threshold.to_string()),
        ("enforcing_consecutive_5xx", percent(outlier.consecutive_5xx.enforcing)),
        ("consecutive_gateway_failure", outlier.consecutive_gateway_failure.threshold.to_string()),
        (
            "enforcing_consecutive_gateway_failure",
            percent(outlier.consecutive_gateway_failure.enforcing),
        ),
        (
            "consecutive_local_origin_failure",
            outlier.consecutive_local_origin_failure.threshold.to_string(),
        ),
        (
            "enforcing_consecutive_local_origin_failure",
            percent(outlier.consecutive_local_origin_failure.enforcing),
        ),
        ("success_rate_minimum_hosts", success_rate.minimum_hosts.to_string()),
        ("success_rate_request_volume", success_rate.request_volume.to_string()),
        ("success_rate_stdev_factor", thousandths(success_rate.stdev_factor)),
        ("enforcing_success_rate", percent(success_rate.enforcing)),
        ("enforcing_local_origin_success_rate", percent(success_rate.enforcing_local_origin)),
        ("failure_percentage_threshold", percent(failure_percentage.threshold)),
        ("failure_percentage_minimum_hosts", failure_percentage.minimum_hosts.to_string()),
        ("failure_percentage_request_volume", failure_percentage.request_volume.to_string()),
        ("enforcing_failure_percentage", percent(failure_percentage.enforcing)),
        (
            "enforcing_failure_percentage_local_origin",
            percent(failure_percentage.enforcing_local_origin),
        ),
    ];
    let mut text = "outlier_detection:\n".to_owned();
    for (key, value) in lines {
        text.push_str(&format!("  {key}: {value}\n"));
    }
    text
}

/// Connections to backends, and the number of the attempt in each request.
fn protocol(scenario: &Scenario) -> String {
    let balancer = &scenario.balancer;
    let upstream = &balancer.edge.upstream;
    let (requests, comment) = if balancer.keepalive == 0 {
        (1, "  # no keepalive")
    } else {
        (upstream.requests_per_connection, "")
    };
    format!(
        "typed_extension_protocol_options:\n  \
           envoy.extensions.upstreams.http.v3.HttpProtocolOptions:\n    \
             \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions\n    \
             explicit_http_config: {{ http_protocol_options: {{}} }}  # HTTP/1.1\n    \
             common_http_protocol_options:\n      \
               idle_timeout: {idle}\n      \
               max_requests_per_connection: {requests}{comment}\n      \
               max_connection_duration: {age}\n    \
             http_filters:\n    \
             # A filter of the cluster sees each attempt; one of the listener would see the first.\n    \
             - name: envoy.filters.http.header_mutation\n      \
               typed_config:\n        \
                 \"@type\": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation\n        \
                 mutations:\n          \
                   request_mutations:\n          \
                   - append:\n              \
                       header: {{ key: x-lab-attempt, value: \"%REQ(x-envoy-attempt-count)%\" }}\n              \
                       append_action: OVERWRITE_IF_EXISTS_OR_ADD\n          \
                   - remove: x-envoy-attempt-count\n    \
             - name: envoy.filters.http.upstream_codec\n      \
               typed_config: {{ \"@type\": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec }}\n",
        idle = duration(balancer.keepalive_timeout),
        age = duration(upstream.connection_age),
    )
}

/// In percent, as short as it can be said.
fn percent(share: Ratio) -> String {
    let hundredths = (share.0 * 1e4).round() / 100.0;
    hundredths.to_string()
}

fn thousandths(factor: f64) -> String {
    (factor * 1000.0).round().to_string()
}
