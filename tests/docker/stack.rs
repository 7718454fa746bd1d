//! The stack that Compose runs: its file in the eyes of two Composes and a linter; up, looked at and
//! down, with images of this machine's programs in place of those that only a registry has.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use crate::docker::{Removed, docker, image, source, tool, try_docker, turn};
use crate::support::{Folder, code, stderr, stdout, wait_until};

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
    let _turn = turn();
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
    let _turn = turn();
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
    let _turn = turn();
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

/// `lab stack` with images of this machine's programs, on ports of its own.
fn stack(arguments: &[&str], ports: &[u16]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command.args(["stack", "--project", PROJECT, "--file", &file()]).args(arguments);
    command
        .env("LAB_IMAGE", image())
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
    let _turn = turn();
    let folder = Folder::new();
    stand_ins(&folder);
    image();
    let ports: Vec<u16> =
        lab::live::ports::free(4).unwrap().iter().map(std::net::SocketAddr::port).collect();
    let _down = Down;
    let output = stack(&["status"], &ports);
    assert_eq!((code(&output), stdout(&output).as_str()), (1, "the stack is down\n"));

    let output = stack(&["up", "--profile", "nginx"], &ports);
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    let output = stack(&["status", "--json"], &ports);
    assert_eq!(code(&output), 0, "{}", stdout(&output));
    let members: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(members.len() >= 10, "{members:?}");
    health_gated_the_start();

    // Clients reach the backends through both balancers, and Prometheus watches them.
    for port in [ports[0], ports[3]] {
        let answer = get(&format!("http://127.0.0.1:{port}/"));
        assert!(answer.status.success(), "{port}: {answer:?}");
    }
    assert!(get(&format!("http://127.0.0.1:{}/-/ready", ports[1])).status.success());
    // The backends have no way out, and the service network none in.
    let internal = docker(&["network", "inspect", "--format", "{{.Internal}}", "labtest_service"]);
    assert_eq!(internal, "true");

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

/// Through the filter, on the stack's networks; the proxy hears of it.
fn the_autoscaler_replaces_a_backend_that_is_gone() {
    docker(&["rm", "--force", &container("backend-4")]);
    let replaced = || {
        let state = ["inspect", "--format", "{{.State.Health.Status}}", "api-4"];
        let output = try_docker(&state);
        output.status.success() && stdout(&output).trim() == "healthy"
    };
    wait_until(Duration::from_secs(60), replaced);
    let networks = docker(&["inspect", "--format", "{{json .NetworkSettings.Networks}}", "api-4"]);
    assert!(networks.contains("labtest_service") && networks.contains("labtest_monitoring"));
}

/// The number of the container of a service.
fn container(service: &str) -> String {
    let service = format!("label=com.docker.compose.service={service}");
    let project = format!("label=com.docker.compose.project={PROJECT}");
    docker(&["ps", "--quiet", "--filter", &service, "--filter", &project])
}

/// The proxy was started after every backend's health check had passed for the first time.
fn health_gated_the_start() {
    let proxy = docker(&["inspect", "--format", "{{.State.StartedAt}}", &container("proxy")]);
    for backend in ["backend-1", "backend-2", "backend-3", "backend-4"] {
        let format = "{{range .State.Health.Log}}{{.ExitCode}} {{.End.UTC.Format \"2006-01-02T15:04:05.000000000Z\"}}\n{{end}}";
        let checks = docker(&["inspect", "--format", format, &container(backend)]);
        let first = checks.lines().find_map(|line| line.strip_prefix("0 ")).unwrap();
        assert!(first < proxy.as_str(), "{backend}: {first} is not before {proxy}");
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
    let _turn = turn();
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
