//! Backends in containers are found by Prometheus' own Docker discovery, with the configuration that
//! is shipped for it.

use crate::docker::{Removed, docker, image, source};
use crate::programs::prometheus;
use crate::prometheus::PATIENCE;
use crate::support::{Folder, wait_until};

#[test]
fn prometheus_finds_the_backends_of_the_group_at_docker() {
    let image = image();
    let (monitoring, service) = ("labdiscovery_monitoring", "labdiscovery_service");
    let names = ["labdiscovery-1", "labdiscovery-other"];
    let _removed = Removed::later(&[
        &["rm", "--force", names[0], names[1]],
        &["network", "rm", monitoring, service],
    ]);
    docker(&["network", "create", monitoring]);
    docker(&["network", "create", service]);
    let run = |name: &str, labels: &[&str]| {
        let mut words = vec!["run", "--detach", "--name", name, "--network", monitoring];
        words.extend(labels.iter().flat_map(|label| ["--label", label]));
        words.extend([image, "backend", "--listen=0.0.0.0:8080", "--workers=3"]);
        docker(&words);
    };
    // Not the stack's group: its autoscaler takes every container of that for one of its own.
    run(names[0], &["lab.group=labdiscovery", "lab.slot=labdiscovery-1"]);
    // On two networks, as the stack's backends are: it is to be found once all the same.
    docker(&["network", "connect", service, names[0]]);
    run(names[1], &[]);

    let folder = Folder::new();
    let token = folder.file("token", "0123456789abcdef\n");
    let shipped = source().join("compose/prometheus");
    let text = std::fs::read_to_string(shipped.join("docker.yml")).unwrap();
    let text = text
        .replace("/run/secrets/admin_token", &token.display().to_string())
        // Other tests have backends too.
        .replace(".*_monitoring", monitoring)
        .replace("rules/*.yml", &shipped.join("rules/*.yml").display().to_string())
        .replace("_interval: 15s", "_interval: 1s")
        .replace("scrape_timeout: 10s", "scrape_timeout: 1s");
    let (_prometheus, api) = prometheus(&folder, &folder.file("prometheus.yml", &text));
    api.comes_to("lab_backend_workers{backend=\"labdiscovery-1\", group=\"labdiscovery\"}", 3.0);
    api.comes_to("count(up{job=\"backends\"})", 1.0);

    docker(&["stop", names[0]]);
    let gone = || api.targets().iter().all(|target| target["labels"]["job"] != "backends");
    assert!(wait_until(PATIENCE, gone), "{:?}", api.targets());
}
