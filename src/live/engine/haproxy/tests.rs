//! Peers that come and go under load, with the real program.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper::{Method, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::peers::PeerChanges;
use super::*;
use crate::engine;
use crate::host::call;
use crate::policy::{PeerConfig, PeerState};
use crate::scenario;
use crate::units::Span;

const SCENARIO: &str = r#"
schema_version = 1
[scenario]
duration = "5s"
[traffic]
rate = "10/s"
[balancer]
engine = "haproxy"
algorithm = "ALGORITHM"
[balancer.retry]
on = []
[balancer.health]
interval = "200ms"
[[backend]]
name = "a"
service = { law = "constant", value = "1ms" }
[[backend]]
name = "b"
service = { law = "constant", value = "1ms" }
"#;

/// A server that takes 5 ms for each request and counts them.
async fn server() -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, served) = (listener.local_addr().unwrap(), Arc::new(AtomicU64::new(0)));
    let counter = Arc::clone(&served);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let counter = Arc::clone(&counter);
            let service = service_fn(move |request: hyper::Request<_>| {
                let counter = Arc::clone(&counter);
                async move {
                    if request.uri().path() != "/health" {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        counter.fetch_add(1, Ordering::Relaxed);
                    }
                    drop::<hyper::Request<hyper::body::Incoming>>(request);
                    let body = Full::new(Bytes::from_static(b"ok"));
                    Ok::<_, std::convert::Infallible>(Response::new(body))
                }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    (address, served)
}

/// Clients that ask on and on, each on a connection of its own; answers and failures.
async fn ask(target: SocketAddr, stop: Arc<AtomicBool>) -> (u64, Vec<String>) {
    let (mut answered, mut failures) = (0, Vec::new());
    let stream = tokio::net::TcpStream::connect(target).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    while !stop.load(Ordering::Relaxed) {
        let request = hyper::Request::get("/x").header("host", "x").body(Full::<Bytes>::default());
        match sender.send_request(request.unwrap()).await {
            Ok(answer) if answer.status() == 200 => {
                answer.into_body().collect().await.unwrap();
                answered += 1;
            }
            Ok(answer) => failures.push(answer.status().to_string()),
            Err(error) => {
                failures.push(error.to_string());
                break;
            }
        }
    }
    (answered, failures)
}

/// Tests run side by side in one process, for which `ports` gives the same ones.
async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Waits until a server has served more than `count`; its checks and a busy machine take time.
async fn serves_beyond(served: &AtomicU64, count: u64) {
    for _ in 0..500 {
        if served.load(Ordering::Relaxed) > count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} served, not more than {count}", served.load(Ordering::Relaxed));
}

struct Running {
    program: Program,
    runtime: Runtime,
    listen: SocketAddr,
    scenario: Scenario,
    folder: std::path::PathBuf,
}

async fn running(name: &str, algorithm: &str, backends: Vec<SocketAddr>) -> Running {
    let text = SCENARIO.replace("ALGORITHM", algorithm);
    let scenario = scenario::parse(&text, Path::new("peers.toml")).unwrap();
    let folder = std::env::temp_dir().join(format!("lab-haproxy-{name}-{}", std::process::id()));
    let listen = free_address().await;
    let wiring = Wiring { listen, backends, admin: listen, folder: folder.clone() };
    let configuration = engine::configuration(&scenario, &Engine::Haproxy, &wiring).unwrap();
    foreign::write(&configuration, &wiring).unwrap();
    let mut program = launch(1, &folder, &[FILE]).await.unwrap();
    foreign::serves(&mut program, listen).await.unwrap();
    let runtime = runtime(&wiring).unwrap();
    runtime.answers().await.unwrap();
    Running { program, runtime, listen, scenario, folder }
}

impl Running {
    async fn apply(&self, members: &[Member], patience: Span) -> Result<PeerChanges, RuntimeError> {
        self.runtime.apply(&runtime_servers(&self.scenario, members), patience).await
    }

    async fn end(mut self) {
        let status = self.program.stop(Duration::from_secs(5)).await.unwrap();
        assert!(status.success(), "an orderly stop: {status}");
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

fn member(name: &str, address: SocketAddr, weight: u32) -> Member {
    let peer = PeerConfig { weight, ..PeerConfig::new(name.to_owned()) };
    Member { peer, address, drained: false }
}

#[tokio::test]
async fn peers_are_added_moved_and_removed_under_load_without_a_failed_request() {
    let (first, second, third) = (server().await, server().await, server().await);
    let haproxy = running("apply", "least_conn", vec![first.0, second.0]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> =
        (0..8).map(|_| tokio::spawn(ask(haproxy.listen, Arc::clone(&stop)))).collect();
    let patience = Span::from_secs(5);
    let pause = || tokio::time::sleep(Duration::from_millis(300));
    pause().await;

    let all = [member("a", first.0, 1), member("b", second.0, 3), member("c", third.0, 1)];
    let changes = haproxy.apply(&all, patience).await.unwrap();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let wanted = PeerChanges { added: names(&["c"]), changed: names(&["b"]), removed: names(&[]) };
    assert_eq!(changes, wanted);
    // It does not wait for a check: it is up, and will go down at the first that fails.
    let views = haproxy.runtime.views().await.unwrap();
    let added = views.iter().find(|view| view.name == "c").unwrap();
    assert_eq!(added.state, PeerState::Up);
    serves_beyond(&third.1, 20).await;

    let two = [member("b", second.0, 3), member("c", third.0, 1)];
    let changes = haproxy.apply(&two, patience).await.unwrap();
    assert_eq!(changes.removed, ["a"]);
    let served = first.1.load(Ordering::Relaxed);
    pause().await;
    assert_eq!(first.1.load(Ordering::Relaxed), served, "the removed one gets nothing more");

    // Back under the same name, at another address.
    let moved = [member("b", first.0, 3), member("c", third.0, 1)];
    let changes = haproxy.apply(&moved, patience).await.unwrap();
    assert_eq!(changes.changed, ["b"]);
    let left = second.1.load(Ordering::Relaxed);
    serves_beyond(&first.1, served + 20).await;
    assert_eq!(second.1.load(Ordering::Relaxed), left, "no connection to the old address is used");
    let changes = haproxy.apply(&moved, patience).await.unwrap();
    assert_eq!(changes, PeerChanges::default(), "nothing is done twice");

    let views = haproxy.runtime.views().await.unwrap();
    let names: Vec<&str> = views.iter().map(|view| view.name.as_str()).collect();
    assert_eq!(names, ["b", "c"]);
    assert!(views.iter().all(|view| view.state == PeerState::Up), "{views:?}");
    // All may be between two requests at the instant of one question, but not of fifty.
    let mut most = 0;
    for _ in 0..50 {
        let views = haproxy.runtime.views().await.unwrap();
        most = most.max(views.iter().map(|view| view.in_flight).sum::<u32>());
    }
    assert!((1..=8).contains(&most), "{most} in flight of 8 clients");
    stop.store(true, Ordering::Relaxed);
    let mut answered = 0;
    for client in clients {
        let (count, failures) = client.await.unwrap();
        assert_eq!(failures, Vec::<String>::new());
        answered += count;
    }
    assert!(answered > 100, "{answered}");
    haproxy.end().await;
}

#[tokio::test]
async fn refusals_of_the_runtime_api_are_told() {
    let (only, _) = server().await;
    let haproxy = running("refuse", "ip_hash", vec![only, only]).await;
    let targets = [member("a", only, 1), member("b", only, 1), member("c", only, 1)];
    let error = haproxy.apply(&targets, Span::ZERO).await.unwrap_err().to_string();
    assert!(error.contains("add server peers/c") && error.contains("dynamic"), "{error}");
    let error = haproxy.runtime.ask("set server peers/z state drain").await.unwrap_err();
    assert!(error.to_string().contains("No such server"), "{error}");
    let error = haproxy.runtime.ask("nonsense").await.unwrap_err().to_string();
    assert!(error.contains("nonsense"), "{error}");
    haproxy.end().await;
}

#[tokio::test]
async fn a_drained_server_finishes_and_its_view_says_so() {
    let (first, second) = (server().await, server().await);
    let haproxy = running("drain", "round_robin", vec![first.0, second.0]).await;
    haproxy.runtime.ask("set server peers/a state drain").await.unwrap();
    let views = haproxy.runtime.views().await.unwrap();
    let states: Vec<PeerState> = views.iter().map(|view| view.state).collect();
    assert_eq!(states, [PeerState::Draining, PeerState::Up]);
    for _ in 0..4 {
        let limit = Duration::from_secs(2);
        let (status, _) = call::call(haproxy.listen, Method::GET, "/x", None, limit).await.unwrap();
        assert_eq!(status, 200);
    }
    assert_eq!(first.1.load(Ordering::Relaxed), 0);
    assert_eq!(second.1.load(Ordering::Relaxed), 4);
    let statistics = haproxy.runtime.statistics().await.unwrap();
    let of = |name: &str| statistics.iter().find(|(key, _)| key == name).map(|(_, v)| v.as_str());
    assert_eq!(of("b.stot"), Some("4"), "{statistics:?}");
    assert_eq!(of("BACKEND.wretr"), Some("0"));
    haproxy.end().await;
}
