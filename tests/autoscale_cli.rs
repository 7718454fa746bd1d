//! Autoscalers at the command line: Kubernetes' manifests in and out, and what a rule would have
//! done about a recorded load.
#![cfg(feature = "cli")]

mod support;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

use lab::live::ports;
use support::{Folder, code, processes_of, stderr, stdout, wait_until};

/// What it prints, if it ends well.
fn printed(folder: &Folder, arguments: &[&str]) -> String {
    let output = folder.run(arguments);
    assert_eq!(code(&output), 0, "lab {}: {}", arguments.join(" "), stderr(&output));
    stdout(&output)
}

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/import/hpa/php-apache.yaml");

#[test]
fn a_manifest_becomes_a_scenario_and_a_manifest_again() {
    let folder = Folder::new();
    let said = printed(&folder, &["new", "--from", MANIFEST]);
    assert!(said.contains("the group php-apache with an autoscaler from 1 to 10"), "{said}");
    let text = std::fs::read_to_string(folder.path().join("php-apache.toml")).unwrap();
    assert!(text.contains("query = \"sum(queue_messages_ready)\""), "{text}");
    // The model plays what stands there for it; a live world needs somebody to ask.
    printed(&folder, &["check", "php-apache.toml"]);
    let manifest = printed(&folder, &["config", "hpa", "php-apache.toml"]);
    folder.file("again.yaml", &manifest);
    printed(&folder, &["new", "--from", "again.yaml", "again"]);
    let autoscaler = |name: &str| {
        let text = std::fs::read_to_string(folder.path().join(name)).unwrap();
        let table: toml::Table = text.parse().unwrap();
        table["autoscaler"].clone()
    };
    assert_eq!(autoscaler("php-apache.toml"), autoscaler("again.toml"));
}

/// A day in short: quiet, a rush, quiet.
fn series() -> String {
    let mut text = "time,api-1,api-2,api-3\n".to_owned();
    for second in (0..=3600).step_by(15) {
        let share = if (900..2100).contains(&second) { 0.85 } else { 0.15 };
        text.push_str(&format!("{second},{share},{share},{share}\n"));
    }
    text
}

const SCENARIO: &str = r#"
schema_version = 1
[scenario]
seed = 1
duration = "60s"
[traffic]
rate = "10/s"
[[backend]]
name = "api"
workers = 4
service = { law = "log_normal", mean = "10ms", sigma = 0.8 }
[autoscaler]
max = 8
"#;

#[test]
fn a_recorded_series_is_replayed_to_several_rules() {
    let folder = Folder::new();
    folder.file("load.csv", &series());
    folder.file("site.toml", SCENARIO);
    let said = printed(
        &folder,
        &["autoscale", "site.toml", "--dry-run", "--series", "load.csv", "--also", MANIFEST],
    );
    assert!(
        said.contains("(stop 3): mean utilization 15 % of 3 ready instances is below 30 %"),
        "{said}"
    );
    assert!(said.contains("mean CPU use"), "the manifest follows CPU: {said}");
    assert!(said.contains("flaps/h") && said.contains("recorded"), "{said}");
    let again = printed(
        &folder,
        &["autoscale", "site.toml", "--dry-run", "--series", "load.csv", "--also", MANIFEST],
    );
    assert_eq!(said, again);
}

#[test]
fn a_series_that_is_wrong_is_said_with_its_line() {
    let folder = Folder::new();
    folder.file("load.csv", "time,api-1\n0,0.5\n1,lots\n");
    folder.file("site.toml", SCENARIO);
    let output = folder.run(&["autoscale", "site.toml", "--dry-run", "--series", "load.csv"]);
    let said = stderr(&output);
    assert_eq!(code(&output), 2, "{said}");
    assert!(said.contains("load.csv:3: expected a number of 0 or more, found \"lots\""), "{said}");
}

/// The timeline that a run of the model leaves is such a series too.
#[test]
fn the_timeline_of_a_run_is_replayed() {
    let folder = Folder::new();
    folder.file("site.toml", SCENARIO);
    printed(&folder, &["run", "site.toml", "--only", "sim"]);
    let timeline = folder.runs("site")[0].join("timeline.parquet");
    let timeline = timeline.display().to_string();
    let said = printed(&folder, &["autoscale", "site.toml", "--dry-run", "--series", &timeline]);
    assert!(said.contains("instance-hours"), "{said}");
}

/// The file of a proxy: no traffic, no duration.
const SITE: &str = r#"
schema_version = 1
[balancer]
algorithm = "round_robin"
[[backend]]
name = "api"
service = { law = "constant", value = "2ms" }
[autoscaler]
min = 2
max = 4
poll = "1s"
scrape_interval = "500ms"
rate_window = "1s"
"#;

/// A program that is told to end with the test, and then ends what it started.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts lab; what it says goes into files of that name.
fn start(folder: &Folder, name: &str, arguments: &[&str]) -> Running {
    let file = |end: &str| File::create(folder.path().join(format!("{name}.{end}"))).unwrap();
    let mut command = folder.lab(arguments);
    Running(command.stdout(file("out")).stderr(file("err")).stdin(Stdio::null()).spawn().unwrap())
}

/// The head of the answer at `address`, if it answers.
fn answer(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

/// What `lab proxy` runs by is enough for `lab autoscale`, and for the instances that it starts.
#[test]
fn the_file_of_a_proxy_is_scaled_beside_it() {
    let folder = Folder::new();
    folder.file("site.toml", SITE);
    let [listen, admin] = ports::free(2).unwrap()[..] else { panic!("two ports") };
    let (listens, admins) = (listen.to_string(), admin.to_string());
    let proxy = ["proxy", "--config", "site.toml", "--listen", &listens, "--admin", &admins];
    let _proxy = start(&folder, "proxy", &proxy);
    assert!(wait_until(Duration::from_secs(20), || TcpStream::connect(admin).is_ok()));
    let scales = ["autoscale", "site.toml", "--admin", &admins, "--json", "--logs", "logs"];
    let mut scaler = start(&folder, "scaler", &scales);
    let said = || std::fs::read_to_string(folder.path().join("scaler.out")).unwrap();
    let both = || said().matches(r#""event":"ready""#).count() == 2;
    assert!(wait_until(Duration::from_secs(30), both), "{}", said());
    let by = |name: &str| {
        let found = || answer(listen).is_some_and(|text| text.contains(name));
        assert!(wait_until(Duration::from_secs(10), found), "{name}: {:?}", answer(listen));
    };
    by("api-1");
    by("api-2");
    // Told to end it drains them, and the proxy has nobody left.
    let pid = scaler.0.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let ended = || scaler.0.try_wait().unwrap().is_some();
    assert!(wait_until(Duration::from_secs(20), ended), "{}", said());
    let left = processes_of(folder.path());
    assert!(left.iter().all(|(_, line)| !line.contains("backend")), "{left:?}");
    assert_eq!(said().matches(r#""event":"stopped""#).count(), 2, "{}", said());

    let manifest =
        folder.run(&["config", "hpa", "site.toml", "--set", "autoscaler.target.value=60%"]);
    assert!(stdout(&manifest).contains("averageValue: 600m"), "{}", stderr(&manifest));
    // Processes need to know what they are; what is missing is said before one starts.
    folder.file("addresses.toml", &SITE.replace("service = ", "# service = "));
    let output = folder.run(&["autoscale", "addresses.toml", "--admin", &admins]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("the key `service` is missing"), "{}", stderr(&output));
}
