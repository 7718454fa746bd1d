//! The flow of a request: the plan gives it its id and demand, the load generator sends it, the
//! balancer logs it, a backend serves it, and the record has all of that in one row.

use std::collections::BTreeMap;

use lab::record::read;
use lab::record::{AttemptRow, RequestRow};
use lab::scenario;
use lab::traffic::Plan;
use lab::units::{Seed, World};
use serde_json::Value;

use super::support::{Folder, code, stderr};

const SCENARIO: &str = r#"
schema_version = 1

[scenario]
name = "pipeline"
seed = 11
duration = "2s"

[traffic]
rate = "50/s"

[traffic.client]
timeout = "2s"

[balancer]
algorithm = "least_conn"

[balancer.log]
path = "access.log"

[[backend]]
name = "a"
workers = 2
service = { law = "exponential", mean = "5ms" }

[[backend]]
name = "b"
workers = 2
service = { law = "exponential", mean = "5ms" }
"#;

#[test]
fn a_request_keeps_its_id_from_the_plan_to_the_record() {
    let folder = Folder::new();
    let file = folder.file("pipeline.toml", SCENARIO);
    let output = folder.run(&["run", "pipeline.toml", "--only", "live", "--quiet"]);
    // 4: on a busy machine the measurement may not be valid; the requests are all there.
    assert!([0, 4].contains(&code(&output)), "{}", stderr(&output));

    let scenario = scenario::load(&file).expect("a scenario");
    let plan = Plan::new(&scenario.traffic, Seed::new(scenario.seed, 0), scenario.end());
    let planned: Vec<_> = plan.arrivals().collect();
    assert!(planned.len() > 50, "{}", planned.len());

    let log = std::fs::read_to_string(folder.path().join("access.log")).expect("an access log");
    let logged: BTreeMap<u64, Value> = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .map(|line| {
            let id = line["request_id"].as_str().expect("an id").parse().expect("a number");
            (id, line)
        })
        .collect();
    let run = folder.runs("pipeline").pop().expect("a run");
    let (mut requests, mut attempts) = (BTreeMap::new(), BTreeMap::new());
    let facts = read::requests(&run.join("requests.parquet"), |row: &RequestRow| {
        requests.insert(row.id, *row);
    })
    .expect("requests");
    read::attempts(&run.join("attempts.parquet"), |row: &AttemptRow| {
        attempts.insert(row.id, *row);
    })
    .expect("attempts");
    for request in &planned {
        let id = request.id;
        let row = requests.get(&id).unwrap_or_else(|| panic!("{id} is not in the record"));
        let line = logged.get(&id).unwrap_or_else(|| panic!("{id} is not in the access log"));
        let attempt = attempts.get(&id).unwrap_or_else(|| panic!("{id} has no attempt"));
        assert_eq!((row.world, row.status), (World::Live, 200), "{id}");
        assert_eq!(row.scheduled_ns, request.at.0, "{id} was due when the plan says");
        // What the balancer logged, what it recorded, and what the client was told are one upstream.
        let name = &facts.names.upstreams[row.upstream as usize];
        assert_eq!(
            (&line["upstream"], &line["status"]),
            (&Value::from(name.as_str()), &200.into())
        );
        assert_eq!(attempt.upstream, row.upstream, "{id}");
        // The backend held a worker for the planned demand, and said so.
        assert!(row.demand_ns > 0 && row.service_ns >= row.demand_ns, "{id}: {row:?}");
        // The client waited longer for the first byte than the balancer, and that longer than the
        // worker was held.
        let waited = (line["first_byte_ms"].as_f64().expect("a time") * 1e6) as u64;
        assert!(row.first_byte_ns - row.sent_ns + 1_000 >= waited, "{id}: {row:?} {line}");
        assert!(waited + 1_000 >= row.service_ns, "{id}: {row:?} {line}");
    }
    assert_eq!(logged.len(), planned.len(), "nothing else was asked for");
}
