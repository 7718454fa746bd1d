//! Fleets for the autoscaler: containers of the Engine, and services of a Swarm.

use std::time::Duration;

use lab::autoscaler::{Fleet, FleetError, Instance, InstanceState};
use lab::live::provider::docker::{DockerFleet, FleetSpec, SwarmFleet};
use lab::units::Bytes;

use crate::docker::{Removed, docker, quick_image};

const NETWORK: &str = "lab-test-fleet";

fn spec(group: &str) -> FleetSpec {
    FleetSpec {
        group: group.to_owned(),
        image: quick_image().to_owned(),
        command: ["backend", "--listen=0.0.0.0:8080", "--name={name}"].map(str::to_owned).to_vec(),
        networks: Vec::new(),
        port: 8080,
        cpus: Some(0.5),
        memory: Bytes(64 << 20),
        drain: Duration::from_secs(5),
    }
}

/// Asks the fleet until `done` says so, for up to 30 s.
async fn until(fleet: &mut impl Fleet, done: impl Fn(&[Instance]) -> bool) -> Vec<Instance> {
    for _ in 0..300 {
        let listed = fleet.list().await.unwrap();
        if done(&listed) {
            return listed;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("still {:?}", fleet.list().await);
}

async fn passing(fleet: &mut impl Fleet, slot: u32) {
    let mut health = fleet.health(slot).await;
    for _ in 0..400 {
        if health.is_passing() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        health = fleet.health(slot).await;
    }
    panic!("slot {slot}: {health:?}");
}

/// The instance serves where the fleet says.
async fn serves(instance: &Instance) {
    let address = instance.address.expect("a healthy instance has an address");
    let output = tokio::process::Command::new("curl")
        .args(["--silent", "--fail", "--max-time", "5", &format!("http://{address}/metrics")])
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{address}: {output:?}");
}

#[tokio::test]
async fn containers_start_get_healthy_die_are_replaced_and_stop() {
    let _removed =
        Removed::later(&[&["rm", "--force", "fleet-1", "fleet-2"], &["network", "rm", NETWORK]]);
    docker(&["network", "create", "--internal", NETWORK]);
    let spec = FleetSpec { networks: vec![NETWORK.to_owned()], ..spec("fleet") };
    let mut fleet = DockerFleet::new(spec, None);
    assert!(fleet.list().await.unwrap().is_empty());
    fleet.start(0).await.unwrap();
    fleet.start(1).await.unwrap();
    fleet.start(1).await.unwrap();
    passing(&mut fleet, 0).await;
    passing(&mut fleet, 1).await;
    let both = until(&mut fleet, |listed| listed.len() == 2).await;
    assert_eq!(both.iter().map(|one| one.slot).collect::<Vec<_>>(), [0, 1]);
    for one in &both {
        serves(one).await;
    }
    let limits = docker(&[
        "inspect",
        "--format",
        "{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}",
        "fleet-1",
    ]);
    assert_eq!(limits, "500000000 67108864 true [ALL]");

    // One that dies is listed as such until it is replaced.
    docker(&["kill", "fleet-2"]);
    let dead =
        |one: &Instance| matches!(&one.state, InstanceState::Ended(how) if how.contains("137"));
    until(&mut fleet, |listed| listed.len() == 2 && dead(&listed[1])).await;
    fleet.start(1).await.unwrap();
    passing(&mut fleet, 1).await;

    // An autoscaler that starts anew finds them, and one that is stopped is soon no more.
    let mut fleet = DockerFleet::new(
        FleetSpec { networks: vec![NETWORK.to_owned()], ..self::spec("fleet") },
        None,
    );
    until(&mut fleet, |listed| listed.len() == 2).await;
    fleet.stop(1).await.unwrap();
    until(&mut fleet, |listed| listed.len() == 1).await;
    fleet.stop(1).await.unwrap();
}

#[tokio::test]
async fn an_order_that_docker_cannot_obey_says_why() {
    let mut fleet = DockerFleet::new(
        FleetSpec { image: "lab:no-such-image".to_owned(), ..spec("unmade") },
        None,
    );
    let error = fleet.start(0).await.unwrap_err();
    assert!(matches!(error, FleetError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("docker build -t lab:no-such-image"), "{error}");
    let mut fleet = DockerFleet::new(spec("unmade"), Some("unix:///nowhere.sock".to_owned()));
    let error = fleet.list().await.unwrap_err();
    assert!(matches!(error, FleetError::Unreachable { .. }), "{error}");
    let mut fleet = DockerFleet::new(
        FleetSpec { networks: vec!["lab-test-no-such-network".to_owned()], ..spec("unmade") },
        None,
    );
    let error = fleet.start(0).await.unwrap_err().to_string();
    assert!(error.contains("lab-test-no-such-network"), "{error}");
    assert!(fleet.list().await.unwrap().is_empty(), "what was half made is removed");
}

#[tokio::test]
async fn services_of_a_swarm_start_get_healthy_and_stop() {
    let mut fleet = SwarmFleet::new(spec("swarmed"), None);
    let is_manager = docker(&["info", "--format", "{{.Swarm.ControlAvailable}}"]) == "true";
    let _left = if is_manager {
        Removed(Vec::new())
    } else {
        let error = fleet.list().await.unwrap_err().to_string();
        assert!(error.contains("docker swarm init"), "{error}");
        docker(&["swarm", "init", "--advertise-addr", "127.0.0.1"]);
        Removed::later(&[&["swarm", "leave", "--force"]])
    };
    let _removed = Removed::later(&[&["service", "rm", "swarmed-1", "swarmed-2"]]);
    fleet.start(0).await.unwrap();
    fleet.start(1).await.unwrap();
    passing(&mut fleet, 0).await;
    passing(&mut fleet, 1).await;
    let there = |listed: &[Instance]| listed.iter().filter(|one| one.address.is_some()).count();
    let both = until(&mut fleet, |listed| there(listed) == 2).await;
    for one in &both {
        serves(one).await;
    }

    // A task that dies is not started anew by Swarm: the autoscaler hears of it.
    let container = docker(&["ps", "--quiet", "--filter", "label=lab.slot=swarmed-1"]);
    docker(&["kill", &container]);
    let dead = |one: &Instance| matches!(one.state, InstanceState::Ended(_));
    until(&mut fleet, |listed| listed.len() == 2 && dead(&listed[0])).await;
    fleet.start(0).await.unwrap();
    until(&mut fleet, |listed| listed.len() == 2 && !dead(&listed[0])).await;
    passing(&mut fleet, 0).await;

    fleet.stop(1).await.unwrap();
    until(&mut fleet, |listed| listed.len() == 1).await;
    fleet.start(1).await.unwrap();
    passing(&mut fleet, 1).await;
    fleet.remove().await.unwrap();
    until(&mut fleet, <[Instance]>::is_empty).await;
}
