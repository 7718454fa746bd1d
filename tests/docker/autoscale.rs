//! The autoscaler with containers: inside a run, and `lab autoscale` beside a proxy.

use crate::run::{ContainerRun, turn};

/// One instance does 50 requests a second: 90/s need three, 10/s one.
const GROUP: &str = r#"
schema_version = 1

[scenario]
name = "grown"
seed = 3
duration = "28s"

[[traffic.stage]]
name = "low"
duration = "3s"
rate = "10/s"

[[traffic.stage]]
name = "high"
duration = "15s"
rate = "90/s"

[[traffic.stage]]
name = "after"
rate = "10/s"

[traffic.client]
timeout = "10s"

[balancer]
algorithm = "least_conn"
keepalive = 16

[[backend]]
name = "api"
workers = 2
service = { law = "constant", value = "40ms" }

[autoscaler]
min = 1
max = 3
poll = "1s"
scrape_interval = "500ms"
rate_window = "2s"
start_up = "500ms"
drain_timeout = "5s"
cooldown_up = "1s"
cooldown_down = "2s"

[autoscaler.threshold]
up = "70%"
down = "30%"
"#;

#[test]
fn a_group_of_containers_grows_and_shrinks_without_losing_a_request() {
    let _turn = turn();
    let run = ContainerRun::new("grown", GROUP).live().finish().measured();
    let summary = run.summary();
    let live = &summary["worlds"][0];
    let events = live["scaling"]["events"].as_array().expect("no scaling in the summary");
    let sizes: Vec<u64> = events.iter().map(|event| event["to"].as_u64().unwrap()).collect();
    assert_eq!(sizes.iter().max(), Some(&3), "{sizes:?}");
    assert_eq!(sizes.last(), Some(&1), "{sizes:?}");
    assert_eq!(live["failed"], 0, "{}", live["failures"]);
    run.left.is_nothing();
}
