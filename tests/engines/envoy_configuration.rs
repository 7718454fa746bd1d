//! What is written for Envoy passes its own check, and says what the model assumes.

use std::process::Command;

use lab::engine::{self, UserConfigurationError, Wiring};
use lab::policy::Rules;
use lab::scenario::{self, Engine, Scenario};

use crate::settings::shipped;

const ALGORITHMS: [&str; 12] = [
    "round_robin",
    "least_conn",
    "random",
    "random_two",
    "ip_hash",
    "hash",
    "consistent_hash",
    "maglev",
    "round_robin_edf",
    "least_request",
    "peak_ewma",
    "prequal",
];

fn parse(text: &str) -> Scenario {
    scenario::parse(text, "test.toml").unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Three backends and a spare, with `balancer` as the lines of that section.
fn with(balancer: &str) -> Scenario {
    parse(&format!(
        "schema_version = 1\n[scenario]\nduration = \"1s\"\n[traffic]\nrate = \"1/s\"\n\
         keys = {{ count = 10 }}\n[balancer]\n{balancer}\n\
         [[backend]]\nname = \"a\"\ncount = 3\nweight = 2\n\
         service = {{ law = \"constant\", value = \"1ms\" }}\n\
         [[backend]]\nname = \"last\"\nweight = 5\n\
         service = {{ law = \"constant\", value = \"1ms\" }}\n"
    ))
}

/// Envoy's own word on the configuration of a scenario.
fn check(scenario: &Scenario, name: &str) {
    let folder = std::env::temp_dir().join(format!("lab-envoy-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let wiring = Wiring { folder: folder.clone(), ..Wiring::example(scenario.backends.len()) };
    let configuration = engine::configuration(scenario, &Engine::Envoy, &wiring).unwrap();
    for file in &configuration.files {
        std::fs::write(folder.join(&file.name), &file.text).unwrap();
    }
    let output = Command::new(lab::live::find_program(&Engine::Envoy).unwrap().unwrap())
        .args(["--mode", "validate", "-l", "warning", "-c"])
        .arg(folder.join("envoy.yaml"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}\n{}", configuration.files[0].text);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn every_shipped_scenario_passes_envoys_check() {
    for scenario in shipped() {
        check(&scenario, &scenario.name);
    }
}

#[test]
fn every_algorithm_passes_envoys_check() {
    let keys = ["client", "uri", "path", "host", "header:x-user", "cookie:session"];
    for (place, algorithm) in ALGORITHMS.into_iter().enumerate() {
        let key = match algorithm {
            "hash" | "consistent_hash" | "maglev" => {
                format!("hash_key = \"{}\"\n", keys[place % keys.len()])
            }
            _ => String::new(),
        };
        check(&with(&format!("algorithm = \"{algorithm}\"\n{key}")), algorithm);
    }
}

#[test]
fn every_other_setting_passes_envoys_check() {
    let all = "algorithm = \"least_request\"\npanic = \"50%\"\nkeepalive = 0\nmax_fails = 2\n\
               [balancer.least_request]\nfull_scan = true\n\
               [balancer.retry]\non = [\"error\", \"http_503\"]\ntries = 3\n\
               [balancer.retry.budget]\npercent = \"20%\"\n\
               [balancer.retry.backoff]\nbase = \"25ms\"\n\
               [balancer.health]\npath = \"/health?a=1\"\n\
               [balancer.outlier]\nmax_ejection_percent = \"33.4%\"\n\
               [balancer.affinity]\ncookie = \"who\"\nttl = \"1h\"\n\
               [balancer.queue]\nlength = 10\n";
    check(&with(all), "all");
    check(&with("algorithm = \"round_robin\"\nslow_start = \"10s\"\nmax_fails = 3"), "slow-start");
    let ring = "algorithm = \"consistent_hash\"\nhash_key = \"path\"\nring = \"envoy\"\n\
                ring_size = 4096\nbounded_load = \"125%\"";
    check(&with(ring), "ring");
}

#[test]
fn the_configuration_for_failover() {
    let scenario = scenario::load("scenarios/failover.toml").unwrap();
    let wiring = Wiring::example(scenario.backends.len());
    let configuration = engine::configuration(&scenario, &Engine::Envoy, &wiring).unwrap();
    let texts: Vec<String> = configuration
        .files
        .iter()
        .map(|file| format!("=== {}\n{}", file.name, file.text))
        .collect();
    insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("envoy_failover", texts.join("\n"));
    });
}

/// The model's numbers are those of the file.
#[test]
fn the_model_and_the_file_have_the_same_numbers() {
    let scenario = with(
        "algorithm = \"round_robin\"\nread_timeout = \"3s\"\nmax_fails = 2\nfail_timeout = \"7s\"\n\
         [balancer.retry]\non = [\"error\", \"timeout\", \"http_503\"]\ntries = 3\n\
         [balancer.retry.backoff]\nbase = \"10ms\"\nmax = \"40ms\"\n",
    );
    let adapted = engine::adapted(&scenario, &Engine::Envoy);
    let Rules::Envoy(rules) = &adapted.balancer.upstream.rules else { panic!("Envoy's rules") };
    let wiring = Wiring::example(4);
    let files = engine::configuration(&scenario, &Engine::Envoy, &wiring).unwrap().files;
    let has = |line: &str| assert!(files[0].text.contains(line), "{line}\n{}", files[0].text);
    let retry = rules.retry.as_ref().unwrap();
    has(&format!("num_retries: {}\n", retry.num_retries));
    has(&format!("per_try_timeout: {}s\n", retry.per_try_timeout.as_secs_f64()));
    has(&format!("host_selection_retry_max_attempts: {}\n", retry.host_selection_attempts));
    has("retry_back_off: { base_interval: 0.01s, max_interval: 0.04s }");
    has("retriable_status_codes: [503]");
    let outlier = adapted.balancer.upstream.resilience.outlier.as_ref().unwrap();
    has(&format!("base_ejection_time: {}s\n", outlier.base_ejection_time.as_secs_f64()));
    let gateway = outlier.consecutive_gateway_failure;
    has(&format!("consecutive_gateway_failure: {}\n", gateway.threshold));
    assert_eq!((gateway.threshold, gateway.enforcing.0), (2, 1.0));
    assert!(adapted.balancer.upstream.peers.iter().all(|peer| peer.max_fails == 0));
}

/// A status counts towards `fall` in both, checks before the first request come as often as later
/// ones, and shares are whole percents.
#[test]
fn the_model_and_the_file_agree_on_health() {
    let scenario = with(
        "algorithm = \"round_robin\"\npanic = \"33.4%\"\n\
         [balancer.health]\npath = \"/health\"\ninterval = \"2s\"\nrise = 2\nfall = 4\n",
    );
    let adapted = engine::adapted(&scenario, &Engine::Envoy);
    let upstream = &adapted.balancer.upstream;
    let Rules::Envoy(rules) = &upstream.rules else { panic!("Envoy's rules") };
    let wiring = Wiring::example(4);
    let files = engine::configuration(&scenario, &Engine::Envoy, &wiring).unwrap().files;
    let has = |line: &str| assert!(files[0].text.contains(line), "{line}\n{}", files[0].text);
    assert_eq!((upstream.resilience.panic.0, rules.retriable_statuses), (0.33, true));
    has("healthy_panic_threshold: { value: 33 }");
    has("retriable_statuses: [{ start: 400, end: 600 }]");
    has("  unhealthy_threshold: 4\n");
    has(&format!("no_traffic_interval: {}s", rules.no_traffic_interval.as_secs_f64()));
    let health = upstream.health.as_ref().unwrap();
    assert_eq!((health.fall, health.interval), (4, rules.no_traffic_interval));
}

#[test]
fn what_envoy_cannot_do_is_said() {
    let scenario = with(
        "algorithm = \"prequal\"\nmax_fails = 1\n[balancer.retry]\non = [\"error\"]\n\
         timeout = \"1s\"\n[balancer.hedge]\n[balancer.queue]\nlength = 5\n",
    );
    let found = engine::gaps(&scenario, &Engine::Envoy);
    for key in [
        "balancer.algorithm",
        "balancer.retry.on",
        "balancer.retry.timeout",
        "balancer.hedge",
        "balancer.max_fails",
        "balancer.queue",
    ] {
        assert!(found.iter().any(|gap| gap.key == key), "{key} in {found:?}");
    }
    // Nothing is asked for that it cannot do.
    let plain = with(
        "algorithm = \"round_robin_edf\"\nmax_fails = 0\nkeepalive = 0\n[balancer.retry]\non = []\n",
    );
    assert_eq!(engine::gaps(&plain, &Engine::Envoy), Vec::new());
}

const MINE: &str = r#"# mine
admin:
  address: { socket_address: { address: 0.0.0.0, port_value: 9901 } }
static_resources:
  listeners:
  - name: web
    address:
      socket_address:
        address: 0.0.0.0 # everywhere
        port_value: 80
  clusters:
  - name: app
    type: STATIC
    load_assignment:
      cluster_name: app
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { socket_address: { address: "10.0.0.1", port_value: 80 } } }
        - endpoint:
            address:
              socket_address:
                address: 10.0.0.2
                port_value: 8080
"#;

#[test]
fn only_addresses_of_a_users_configuration_are_replaced() {
    let two = parse(
        "schema_version = 1\n[scenario]\nduration = \"1s\"\n[traffic]\nrate = \"1/s\"\n\
         [[backend]]\nname = \"a\"\ncount = 2\nservice = { law = \"constant\", value = \"1ms\" }\n",
    );
    let wiring = Wiring::example(2);
    let run = |text: &str| engine::user_configuration(&Engine::Envoy, text, &two, &wiring);
    let done = run(MINE).unwrap();
    let text = &done.configuration.files[0].text;
    let expected = MINE
        .replace("address: 0.0.0.0, port_value: 9901", "address: 127.0.0.1, port_value: 8081")
        .replace("address: 0.0.0.0 # everywhere", "address: 127.0.0.1 # everywhere")
        .replace("        port_value: 80\n", "        port_value: 8080\n")
        .replace("address: \"10.0.0.1\", port_value: 80 ", "address: 127.0.0.1, port_value: 9001 ")
        .replace("address: 10.0.0.2", "address: 127.0.0.1")
        .replace("                port_value: 8080", "                port_value: 9002");
    assert_eq!(*text, expected);
    assert!(done.diff.contains("-        address: 0.0.0.0 # everywhere"), "{}", done.diff);

    let bare = MINE.replace(
        "admin:\n  address: { socket_address: { address: 0.0.0.0, port_value: 9901 } }\n",
        "",
    );
    assert_eq!(run(&bare).unwrap().notes.len(), 1);
    for (text, why) in [
        (
            MINE.replace(
                "10.0.0.2\n",
                "10.0.0.2\n                protocol: TCP\n                ipv4_compat: false\n",
            ),
            "in front of it",
        ),
        (MINE.replace("STATIC", "EDS"), "EDS"),
        (format!("dynamic_resources: {{}}\n{MINE}"), "static_resources"),
        (MINE.replace("port_value: 8080", "port_value: http"), "number"),
    ] {
        let refused = run(&text).unwrap_err();
        assert!(matches!(refused, UserConfigurationError::Syntax { .. }), "{refused}");
        assert!(refused.to_string().contains(why), "{refused}");
    }
    let one = MINE.split("        - endpoint:\n").next().unwrap();
    let refused = run(one).unwrap_err();
    assert!(refused.to_string().contains("1 hosts, but the scenario has 2"), "{refused}");
}
