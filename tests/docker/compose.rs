//! The stack that Compose runs: its file in the eyes of two Composes and a linter; up, looked at and
//! down, with images of this machine's programs in place of those that only a registry has.

use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::docker::{Removed, docker, lines, quick_image, source, tool, try_docker};
use crate::prometheus::ask;
use crate::run::alone;
use crate::support::{Folder, code, ran, stderr, stdout, wait_until};

const PROJECT: &str = "labtest";

fn file() -> String {
    source().join("compose/compose.yaml").display().to_string()
}

/// Compose 1 from Debian, and Compose 2, which `tests/run` puts beside the build.
fn composes() -> [PathBuf; 2] {
    ["docker-compose", "compose-v2"].map(|name| match name {
        "docker-compose" => PathBuf::from(name),
        _ => tool("docker-compose-v2", "compose-v2"),
    })
}

fn run(command: &mut Command) -> Output {
    let output = command.output();
    output.unwrap_or_else(|error| panic!("{command:?}: {error}: see tests/run"))
}

#[test]
fn both_composes_read_the_file_alike() {
    let services = composes().map(|compose| {
        let mut command = Command::new(compose);
        command.args(["--project-name", "lab", "--file", &file(), "--profile", "nginx"]);
        let output = run(command.args(["config", "--services"]));
        assert!(output.status.success(), "{}", stderr(&output));
        let mut services: Vec<String> = stdout(&output).lines().map(str::to_owned).collect();
        services.sort();
        services
    });
    assert_eq!(services[0], services[1]);
    assert_eq!(services[0].len(), 10, "{:?}", services[0]);
}

#[test]
fn every_service_is_confined_and_only_the_filter_has_the_socket() {
    let compose = composes()[1].clone();
    let mut command = Command::new(compose);
    command.args(["--project-name", "lab", "--file", &file(), "--profile", "nginx"]);
    let output = run(command.args(["config", "--format", "json"]));
    let config: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (name, service) in config["services"].as_object().unwrap() {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        assert_eq!(
            service["security_opt"],
            serde_json::json!(["no-new-privileges:true"]),
            "{name}"
        );
        assert!(service["mem_limit"].is_string() && !service["cpus"].is_null(), "{name}");
        let has_socket = service["volumes"].to_string().contains("docker.sock");
        assert_eq!(has_socket, name == "docker-proxy", "{name}");
        let networks = service["networks"].as_object().map_or(0, serde_json::Map::len);
        assert!(name == "docker-proxy" || networks > 0, "{name}");
        // Published ports are for this host alone, unless .env says otherwise.
        for port in service["ports"].as_array().into_iter().flatten() {
            assert_eq!(port["host_ip"], "127.0.0.1", "{name}");
        }
    }
}

#[test]
fn a_linter_of_compose_files_finds_nothing() {
    let dclint = tool("dclint", "node/node_modules/.bin/dclint");
    let mut command = Command::new(dclint);
    command.args(["--max-warnings", "0", "--config"]).arg(source().join("compose/.dclintrc.yaml"));
    let output = run(command.arg(file()));
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
}

#[test]
fn the_example_names_every_variable_with_the_value_that_it_has() {
    let compose = std::fs::read_to_string(file()).unwrap();
    let example = std::fs::read_to_string(source().join("compose/.env.example")).unwrap();
    let set: Vec<(&str, &str)> = example
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .collect();
    let mut used: Vec<(&str, &str)> = compose
        .split("${")
        .skip(1)
        .filter_map(|rest| rest.split_once('}')?.0.split_once(":-"))
        .collect();
    used.sort_unstable();
    used.dedup();
    for variable in &used {
        assert!(set.contains(variable), "{variable:?} is not in .env.example");
    }
    assert_eq!(set.len(), used.len(), "{set:?}");
}

/// One of its backends does 25 requests a second here, and all windows are short.
const WINDOWS: [(&str, &str); 10] = [
    ("BACKEND_WORKERS", "1"),
    ("BACKEND_SERVICE", "constant:40ms"),
    ("AUTOSCALER_MAX", "6"),
    ("AUTOSCALER_POLL", "1s"),
    ("AUTOSCALER_SCRAPE_INTERVAL", "500ms"),
    ("AUTOSCALER_RATE_WINDOW", "2s"),
    ("AUTOSCALER_COOLDOWN_UP", "2s"),
    ("AUTOSCALER_COOLDOWN_DOWN", "2s"),
    ("HEALTH_INTERVAL", "1s"),
    ("SCRAPE_INTERVAL", "1s"),
];

/// 92/s keep four backends busy for 92 % of their time, five for 74 % and six for 61 %; 12/s are
/// too few for five.
const LOAD: &str = r#"
schema_version = 1

[scenario]
seed = 5
duration = "44s"

[traffic]
arrival = { process = "uniform" }

[[traffic.stage]]
name = "rush"
duration = "32s"
rate = "95/s"

[[traffic.stage]]
name = "quiet"
rate = "12/s"

[traffic.client]
timeout = "10s"

[[backend]]
name = "stack"
service = { law = "constant", value = "40ms" }
"#;

/// What the file of the autoscaler says is what the stack does without an .env.
#[test]
fn the_autoscaler_of_the_stack_is_that_of_its_file() {
    let compose = std::fs::read_to_string(file()).unwrap();
    let text = std::fs::read_to_string(source().join("compose/lab/autoscale.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let set = compose.lines().filter_map(|line| line.trim().strip_prefix("- --set="));
    let set: Vec<(&str, &str)> = set.filter_map(|set| set.split_once('=')).collect();
    assert_eq!(set.len(), 9, "{set:?}");
    for (key, value) in set {
        let (_, value) = value.trim_end_matches('}').split_once(":-").unwrap();
        let mut keys = key.split('.');
        let first = &table[keys.next().unwrap()];
        let written = keys.fold(first, |inner, key| &inner[key]);
        let written = written.as_str().map_or_else(|| written.to_string(), str::to_owned);
        assert_eq!(value, written, "{key}");
    }
}

/// `lab stack` with images of this machine's programs, on ports of its own.
fn stack(arguments: &[&str], ports: &[u16]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command.args(["stack", "--project", PROJECT, "--file", &file()]).args(arguments);
    command
        .envs(WINDOWS)
        .env("LAB_IMAGE", quick_image())
        .env("PROMETHEUS_IMAGE", "lab-test-prometheus")
        .env("GRAFANA_IMAGE", "lab-test-grafana")
        .env("NGINX_IMAGE", "lab-test-nginx");
    for (name, port) in
        ["PROXY_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT", "NGINX_PORT"].iter().zip(ports)
    {
        command.env(name, port.to_string());
    }
    run(&mut command)
}

fn stand_in(arguments: &[&str]) {
    let output =
        run(Command::new("sh").arg(source().join("tests/docker/stand-in.sh")).args(arguments));
    assert!(output.status.success(), "{output:?}");
}

/// Real Prometheus and NGINX; in place of Grafana, which nobody packages here, something that answers
/// its health check.
fn stand_ins(folder: &Folder) {
    stand_in(&[
        "lab-test-prometheus",
        "65534:65534",
        r#"["/usr/bin/prometheus"]"#,
        "/usr/bin/prometheus",
        "/bin/busybox=/bin/wget",
        "/bin/busybox=/bin/sh",
        "/bin/busybox=/bin/sed",
        "/bin/busybox=/usr/bin/dirname",
    ]);
    let grafana = r#"["/usr/local/bin/lab","backend","--listen","0.0.0.0:3000"]"#;
    let lab = format!("{}=/usr/local/bin/lab", env!("CARGO_BIN_EXE_lab"));
    stand_in(&["lab-test-grafana", "65534:65534", grafana, &lab, "/bin/busybox=/bin/wget"]);
    let config = folder.file(
        "nginx.conf",
        "pid /tmp/nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\n\
         client_body_temp_path /tmp/a;\nproxy_temp_path /tmp/b;\nfastcgi_temp_path /tmp/c;\n\
         uwsgi_temp_path /tmp/d;\nscgi_temp_path /tmp/e;\ninclude /etc/nginx/conf.d/*.conf;\n}\n",
    );
    let config = format!("{}=/etc/nginx/nginx.conf", config.display());
    let nginx = r#"["/usr/sbin/nginx","-e","stderr","-g","daemon off;"]"#;
    stand_in(&[
        "lab-test-nginx",
        "33:33",
        nginx,
        "/usr/sbin/nginx",
        "/bin/busybox=/bin/wget",
        &config,
    ]);
}

fn get(url: &str) -> Output {
    run(Command::new("curl").args(["--silent", "--fail", "--max-time", "10", url]))
}

#[test]
fn the_stack_comes_up_in_order_serves_and_goes() {
    // Its load is measured: other containers would take the processor from it.
    let _alone = alone();
    let folder = Folder::new();
    stand_ins(&folder);
    quick_image();
    let ports: Vec<u16> =
        lab::live::ports::free(4).unwrap().iter().map(std::net::SocketAddr::port).collect();
    let _down = Down;
    let output = stack(&["status"], &ports);
    assert_eq!((code(&output), stdout(&output).as_str()), (1, "the stack is down\n"));

    let events = Events::begin();
    let output = stack(&["up", "--profile", "nginx"], &ports);
    let events = events.end();
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    let output = stack(&["status", "--json"], &ports);
    assert_eq!(code(&output), 0, "{}", stdout(&output));
    let members: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(members.len() >= 10, "{members:?}");
    health_gated_the_start(&events);

    // Clients reach the backends through both balancers, and Prometheus watches them.
    for port in [ports[0], ports[3]] {
        let answer = get(&format!("http://127.0.0.1:{port}/"));
        assert!(answer.status.success(), "{port}: {answer:?}");
    }
    assert!(get(&format!("http://127.0.0.1:{}/-/ready", ports[1])).status.success());
    // The backends have no way out, and the service network none in.
    let internal = docker(&["network", "inspect", "--format", "{{.Internal}}", "labtest_service"]);
    assert_eq!(internal, "true");

    the_autoscaler_follows_the_load(&folder, ports[0]);
    the_autoscaler_replaces_a_backend_that_is_gone();
    let output = stack(&["down", "--volumes"], &ports);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let label = format!("label=com.docker.compose.project={PROJECT}");
    for kind in [
        &["ps", "--all", "--quiet"][..],
        &["network", "ls", "--quiet"],
        &["volume", "ls", "--quiet"],
    ] {
        let left = docker(&[kind, &["--filter", &label]].concat());
        assert!(left.is_empty(), "{kind:?}: {left}");
    }
}

/// From four to six and back, and no request is lost.
fn the_autoscaler_follows_the_load(folder: &Folder, port: u16) {
    folder.file("load.toml", LOAD);
    let target = format!("--target=http://127.0.0.1:{port}");
    let mut load = folder.lab(&["load", "--scenario", "load.toml", &target, "--json"]);
    let load = load.stdout(Stdio::piped()).spawn().unwrap();
    // The proxy was told of each, and sends it a part of the work.
    let serve = || ["api-5", "api-6"].iter().all(|added| attempts(added) > 20);
    assert!(wait_until(Duration::from_secs(40), serve), "it never grows to six");
    let output = load.wait_with_output().unwrap();
    assert!(ran(&output), "{}", stdout(&output));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["failed"], 0, "{result:#}");
    let is_there = |name: &str| try_docker(&["inspect", name]).status.success();
    let gone = |name: &str| !is_there(name) && attempts(name) == 0;
    let shrunk = || gone("api-5") && gone("api-6");
    assert!(wait_until(Duration::from_secs(60), shrunk), "it does not shrink to four");
}

/// Attempts at an upstream that went well, as the proxy counts them for those that it has now.
fn attempts(upstream: &str) -> u64 {
    let network = format!("{{{{.NetworkSettings.Networks.{PROJECT}_monitoring.IPAddress}}}}");
    let ip = docker(&["inspect", "--format", &network, &container("proxy")]);
    let token = std::fs::read_to_string(source().join("compose/secrets/admin-token")).unwrap();
    let field = format!("Authorization: Bearer {}\r\n", token.trim());
    let (status, page) =
        ask((ip.parse::<IpAddr>().unwrap(), 9901).into(), "GET", "/metrics", &field, "").unwrap();
    assert_eq!(status, 200, "{page}");
    let name = format!("lab_proxy_attempts_total{{upstream=\"{upstream}\",outcome=\"passed\"}} ");
    page.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or(0)
}

fn is_healthy(container: &str) -> bool {
    let output = try_docker(&["inspect", "--format", "{{.State.Health.Status}}", container]);
    output.status.success() && stdout(&output).trim() == "healthy"
}

/// Through the filter, on the stack's networks; the proxy hears of it.
fn the_autoscaler_replaces_a_backend_that_is_gone() {
    docker(&["rm", "--force", &container("backend-4")]);
    let replaced = || is_healthy("api-4");
    assert!(wait_until(Duration::from_secs(60), replaced), "api-4 is not replaced");
    let networks = docker(&["inspect", "--format", "{{json .NetworkSettings.Networks}}", "api-4"]);
    assert!(networks.contains("labtest_service") && networks.contains("labtest_monitoring"));
}

/// The number of the container of a service.
fn container(service: &str) -> String {
    let service = format!("label=com.docker.compose.service={service}");
    let project = format!("label=com.docker.compose.project={PROJECT}");
    docker(&["ps", "--quiet", "--filter", &service, "--filter", &project])
}

/// What Docker tells of the stack's containers from now on: when each started, and got healthy.
struct Events(Child);

impl Events {
    fn begin() -> Self {
        let project = format!("label=com.docker.compose.project={PROJECT}");
        let mut command = Command::new("docker");
        command.args(["events", "--filter", &project, "--filter", "type=container"]);
        command.args(["--filter", "event=start", "--filter", "event=health_status"]);
        let service = r#"{{index .Actor.Attributes "com.docker.compose.service"}}"#;
        command.args(["--format", &format!("{{{{.TimeNano}}}} {service} {{{{.Action}}}}")]);
        Self(command.stdout(Stdio::piped()).spawn().expect("docker"))
    }

    /// What was told so far.
    fn end(mut self) -> Vec<String> {
        self.0.kill().expect("killed");
        let mut told = String::new();
        self.0.stdout.take().expect("a pipe").read_to_string(&mut told).expect("read");
        self.0.wait().expect("it ends");
        lines(&told)
    }
}

/// The proxy was started after every backend's health check had passed for the first time.
fn health_gated_the_start(events: &[String]) {
    let at = |what: &str| {
        let place = events.iter().position(|event| event.ends_with(what));
        place.unwrap_or_else(|| panic!("{what}: {events:#?}"))
    };
    for number in 1..=4 {
        let healthy = format!(" backend-{number} health_status: healthy");
        assert!(at(&healthy) < at(" proxy start"), "{healthy}: {events:#?}");
    }
}

/// Takes the stack down if the test fails half-way.
struct Down;

impl Drop for Down {
    fn drop(&mut self) {
        let _ = stack(&["down", "--volumes"], &[]);
        let _ = Removed::later(&[&[
            "rmi",
            "--force",
            "lab-test-prometheus",
            "lab-test-grafana",
            "lab-test-nginx",
        ]]);
    }
}

#[test]
fn without_compose_or_its_file_a_person_hears_what_to_do() {
    let folder = Folder::new();
    let output = folder.run(&["stack", "up"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("there is no compose/compose.yaml"), "{}", stderr(&output));
    let output = folder
        .lab(&["stack", "up", "--file", &file()])
        .env("PATH", Path::new("/nowhere"))
        .output()
        .unwrap();
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("neither `docker compose` nor"), "{}", stderr(&output));
    let output = folder.run(&["stack", "--project", "Lab!", "status"]);
    assert_eq!(code(&output), 2);
}
