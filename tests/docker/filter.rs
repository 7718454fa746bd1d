//! `lab docker-proxy` in front of the real Docker: what an autoscaler needs passes, and nothing that
//! would make it root on the host.

use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use lab::autoscaler::Fleet;
use lab::live::provider::docker::{DockerFleet, FleetSpec};
use lab::units::Bytes;

use crate::docker::{Removed, docker, image};
use crate::support::{Folder, wait_until};

const NETWORK: &str = "lab-test-filter";

struct Filter {
    program: Child,
    folder: Folder,
}

impl Drop for Filter {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

impl Filter {
    fn start(group: &str) -> Self {
        let folder = Folder::new();
        let program = folder
            .lab(&["docker-proxy", "--listen", "docker.sock", "--group", group])
            .args(["--image", image(), "--network", NETWORK])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let socket = folder.path().join("docker.sock");
        assert!(wait_until(Duration::from_secs(10), || socket.exists()));
        Self { program, folder }
    }

    fn host(&self) -> String {
        format!("unix://{}/docker.sock", self.folder.path().display())
    }

    /// Asks through it; status and answer.
    fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        let socket = self.folder.path().join("docker.sock");
        let output = std::process::Command::new("curl")
            .args(["--silent", "--max-time", "20", "--write-out", "\n%{http_code}"])
            .arg("--unix-socket")
            .arg(socket)
            .args(["--request", method, "--header", "content-type: application/json"])
            .args(["--path-as-is", "--data", &body.to_string(), &format!("http://docker{path}")])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let (answer, status) = said.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), answer.to_owned())
    }
}

fn container() -> Value {
    json!({
        "Image": image(),
        "Cmd": ["backend"],
        "Labels": { "lab.group": "filtered", "lab.slot": "filtered-1" },
        "HostConfig": { "NetworkMode": NETWORK }
    })
}

#[test]
fn nothing_passes_that_reaches_for_the_host() {
    let filter = Filter::start("filtered");
    let create = |change: &dyn Fn(&mut Value)| {
        let mut body = container();
        change(&mut body);
        filter.ask("POST", "/v1.41/containers/create?name=lab-test-evil", &body)
    };
    for (key, value) in [
        ("Privileged", json!(true)),
        ("Binds", json!(["/:/host"])),
        ("NetworkMode", json!("host")),
        ("PidMode", json!("host")),
        ("CapAdd", json!(["ALL"])),
    ] {
        let (status, said) = create(&|body| body["HostConfig"][key] = value.clone());
        assert_eq!(status, 403, "{key}: {said}");
    }
    assert_eq!(create(&|body| body["Image"] = "lab:other".into()).0, 403);
    assert_eq!(create(&|body| body["Labels"] = json!({})).0, 403);
    for (method, path) in [
        ("GET", "/v1.41/info"),
        ("GET", "/v1.41/images/json"),
        ("POST", "/v1.41/images/create?fromImage=alpine"),
        ("POST", "/v1.41/volumes/create"),
        ("POST", "/v1.41/swarm/init"),
        ("GET", "/v1.41/containers/../info"),
    ] {
        assert_eq!(filter.ask(method, path, &json!({})).0, 403, "{method} {path}");
    }
}

#[test]
fn containers_of_others_are_neither_seen_nor_touched() {
    let _removed = Removed::later(&[&["rm", "--force", "lab-test-other"]]);
    docker(&["run", "--detach", "--name", "lab-test-other", image(), "backend"]);
    let filter = Filter::start("filtered");
    let (status, list) = filter.ask("GET", "/v1.41/containers/json?all=1", &json!({}));
    assert_eq!((status, list.trim()), (200, "[]"));
    for (method, path) in [
        ("GET", "/v1.41/containers/lab-test-other/json"),
        ("POST", "/v1.41/containers/lab-test-other/stop"),
        ("DELETE", "/v1.41/containers/lab-test-other?force=true"),
    ] {
        assert_eq!(filter.ask(method, path, &json!({})).0, 404, "{method} {path}");
    }
    let running = docker(&["inspect", "--format", "{{.State.Running}}", "lab-test-other"]);
    assert_eq!(running, "true");
}

#[tokio::test]
async fn a_fleet_works_through_it() {
    let name = "passing-1";
    let _removed = Removed::later(&[&["rm", "--force", name], &["network", "rm", NETWORK]]);
    docker(&["network", "create", NETWORK]);
    let filter = Filter::start("passing");
    let spec = FleetSpec {
        group: "passing".to_owned(),
        image: image().to_owned(),
        command: ["backend", "--listen=0.0.0.0:8080"].map(str::to_owned).to_vec(),
        networks: vec![NETWORK.to_owned()],
        port: 8080,
        cpus: Some(0.5),
        memory: Bytes(64 << 20),
        drain: Duration::from_secs(5),
    };
    let mut fleet = DockerFleet::new(spec, Some(filter.host()));
    fleet.start(0).await.unwrap();
    assert_eq!(fleet.list().await.unwrap().len(), 1);
    assert_eq!(docker(&["inspect", "--format", "{{.State.Running}}", name]), "true");
    fleet.stop(0).await.unwrap();
    for _ in 0..100 {
        if fleet.list().await.unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it was never stopped");
}
