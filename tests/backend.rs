//! The backend over real sockets: its routes, its queue, and faults that must be seen to bite.
#![cfg(feature = "live")]

use std::net::SocketAddr;
use std::time::Duration;

use lab::backend::queue::QueueConfig;
use lab::backend::{BackendConfig, Server};
use lab::host::clock;
use lab::scenario::Discipline;
use lab::traffic::Law;
use lab::traffic::service::demand_word;
use lab::units::draw::unit_open;
use lab::units::{Bytes, Purpose, Ratio, Seed, Span};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Tests of time do not share the cores with one another.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn config() -> BackendConfig {
    BackendConfig {
        name: "a".to_owned(),
        index: 0,
        listen: ANY,
        control: Some(ANY),
        queue: QueueConfig {
            discipline: Discipline::Fifo,
            workers: 1,
            limit: None,
            real_time: false,
        },
        speed: 1.0,
        service: Law::Constant(Span::from_millis(5)),
        health_failure: Ratio(0.0),
        seed: Seed::new(7, 0),
        body_limit: Bytes(1 << 20),
        ready_after: Span::ZERO,
    }
}

/// A backend that stops with its handle.
struct Running {
    listen: SocketAddr,
    control: SocketAddr,
    _stop: oneshot::Sender<()>,
}

fn start(config: BackendConfig) -> Running {
    let server = Server::bind(config).unwrap();
    let (listen, control) = (server.listen(), server.control().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    Running { listen, control, _stop: stop }
}

struct Response {
    status: u16,
    head: String,
    body: String,
}

impl Response {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn nanos(&self, name: &str) -> u64 {
        self.header(name).and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name}"))
    }
}

/// Sends raw text, reads to the end of the connection.
async fn exchange(to: SocketAddr, request: &str) -> Response {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Response { status, head: head.to_owned(), body: body.to_owned() }
}

async fn get(to: SocketAddr, path: &str, headers: &str) -> Response {
    exchange(to, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n"))
        .await
}

async fn post(to: SocketAddr, path: &str, body: &str) -> Response {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    exchange(to, &(head + body)).await
}

#[tokio::test]
async fn a_load_probe_is_answered_beside_the_queue_with_load_and_latency() {
    let _alone = ALONE.lock().await;
    let backend = start(config());
    let load = || async {
        let response = get(backend.listen, "/probe", "").await;
        let load: Value = serde_json::from_str(&response.body).unwrap();
        (load["rif"].as_u64().unwrap(), load["latency_ns"].as_u64().unwrap())
    };
    assert_eq!(load().await, (0, 0), "nothing ended yet");
    let slow = "x-lab-demand-ns: 300000000\r\n";
    let requests: Vec<_> = (0..3)
        .map(|_| tokio::spawn(async move { get(backend.listen, "/", slow).await.status }))
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(load().await, (3, 0), "one is served and two wait");
    for request in requests {
        assert_eq!(request.await.unwrap(), 200);
    }
    let (rif, latency) = load().await;
    assert_eq!(rif, 0);
    // They took 300, 600 and 900 ms, and the median of what ended is the second.
    assert!((590_000_000..890_000_000).contains(&latency), "{latency}");
}

#[tokio::test]
async fn root_says_host_address_and_processing_time() {
    let _alone = ALONE.lock().await;
    let backend = start(config());
    let response = get(backend.listen, "/", "").await;
    assert_eq!(response.status, 200);
    let body: Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(body["name"], "a");
    assert_eq!(body["address"], backend.listen.to_string());
    assert!(!body["host"].as_str().unwrap().is_empty());
    assert!(body["processing_ms"].as_f64().unwrap() >= 5.0);
    assert_eq!(response.header("x-lab-backend"), Some("a"));
    assert_eq!(response.nanos("x-lab-demand-ns"), 5_000_000);
    assert!(response.nanos("x-lab-service-ns") >= 5_000_000);
}

#[tokio::test]
async fn the_demand_is_the_draw_of_id_and_attempt() {
    let _alone = ALONE.lock().await;
    let law = Law::Uniform { low: Span::from_millis(20), high: Span::from_millis(60) };
    let backend = start(BackendConfig { service: law.clone(), speed: 2.0, ..config() });
    let mut least = f64::MAX;
    for (id, attempt) in [(0, 1), (41, 1), (41, 2), (7, 1), (8, 3)] {
        let headers = format!("x-lab-id: {id}\r\nx-lab-attempt: {attempt}\r\n");
        let response = get(backend.listen, "/some/class?key=3", &headers).await;
        let demand = law.sample(demand_word(Seed::new(7, 0), id, attempt));
        assert_eq!(response.nanos("x-lab-demand-ns"), demand.0);
        let service = response.nanos("x-lab-service-ns");
        assert!(service >= demand.0 / 2, "speed 2 halves it, and not more");
        least = least.min(service as f64 / demand.0 as f64);
    }
    // The best of five: a busy neighbour may delay any one wake-up.
    assert!(least < 0.8, "{least}");
    let explicit = get(backend.listen, "/", "x-lab-id: 1\r\nx-lab-demand-ns: 4000000\r\n").await;
    assert_eq!(explicit.nanos("x-lab-demand-ns"), 4_000_000);
}

#[tokio::test]
async fn health_checks_fail_exactly_where_the_draws_say() {
    let _alone = ALONE.lock().await;
    let backend = start(BackendConfig { health_failure: Ratio(0.3), index: 2, ..config() });
    let mut failed = 0;
    for check in 0..60u64 {
        let word = Seed::new(7, 0).words(Purpose::Health, (2 << 32) | check)[0];
        let expected = if unit_open(word) < 0.3 { 503 } else { 200 };
        assert_eq!(get(backend.listen, "/health", "").await.status, expected, "{check}");
        failed += u64::from(expected == 503);
    }
    assert!((5..35).contains(&failed), "{failed}");
    let report: Value =
        serde_json::from_str(&get(backend.control, "/fault", "").await.body).unwrap();
    assert_eq!(report["counts"]["health_failed"], failed);
}

#[tokio::test]
async fn load_burns_cpu_and_refuses_nonsense() {
    let _alone = ALONE.lock().await;
    let backend = start(config());
    let cpu = || lab::host::usage::cpu_time(std::process::id()).unwrap();
    let before = cpu();
    let response = get(backend.listen, "/load?ms=150", "").await;
    assert_eq!(response.status, 200);
    assert!(cpu().0 - before.0 >= 140_000_000);
    assert_eq!(get(backend.listen, "/load?ms=-1", "").await.status, 400);
    assert_eq!(get(backend.listen, "/load?ms=many", "").await.status, 400);
    assert_eq!(get(backend.listen, "/load?ms=1e300", "").await.status, 400);
}

#[tokio::test]
async fn bodies_are_read_counted_and_limited() {
    let _alone = ALONE.lock().await;
    let backend = start(BackendConfig { body_limit: Bytes(100), ..config() });
    assert_eq!(post(backend.listen, "/", &"x".repeat(100)).await.status, 200);
    assert_eq!(post(backend.listen, "/", &"x".repeat(101)).await.status, 413);
    let head =
        exchange(backend.listen, "HEAD / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let metrics = get(backend.listen, "/metrics", "").await.body;
    for line in [
        "lab_backend_requests_total{status=\"200\"} 2",
        "lab_backend_requests_total{status=\"413\"} 1",
        "lab_backend_request_body_bytes_total 100",
        "lab_backend_service_seconds_count 2",
        "lab_backend_in_flight 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn one_worker_serves_in_turn() {
    let _alone = ALONE.lock().await;
    let backend =
        start(BackendConfig { service: Law::Constant(Span::from_millis(10)), ..config() });
    let begun = clock::now();
    let tasks: Vec<_> =
        (0..20).map(|_| tokio::spawn(async move { get(backend.listen, "/", "").await })).collect();
    let mut longest = 0;
    for task in tasks {
        longest = longest.max(task.await.unwrap().nanos("x-lab-queued-ns"));
    }
    assert!(clock::elapsed(begun) >= Span::from_millis(200));
    assert!(longest > 10_000_000 && longest <= 190_000_000, "{longest}");
}

#[tokio::test]
async fn beyond_the_limit_it_answers_503_at_once() {
    let _alone = ALONE.lock().await;
    let service = Law::Constant(Span::from_millis(300));
    let mut config = BackendConfig { service, ..config() };
    config.queue.limit = Some(1);
    for discipline in [Discipline::Fifo, Discipline::Ps] {
        config.queue.discipline = discipline;
        let backend = start(config.clone());
        let begun = clock::now();
        let tasks: Vec<_> = (0..3)
            .map(|_| tokio::spawn(async move { get(backend.listen, "/", "").await }))
            .collect();
        let mut refused = 0;
        for task in tasks {
            let response = task.await.unwrap();
            refused += u32::from(response.status == 503);
        }
        assert_eq!(refused, 1, "{discipline:?}");
        assert!(clock::elapsed(begun) >= Span::from_millis(590));
    }
}

#[tokio::test]
async fn sharing_slows_those_present_together() {
    let _alone = ALONE.lock().await;
    let mut config = BackendConfig { service: Law::Constant(Span::from_millis(200)), ..config() };
    config.queue.discipline = Discipline::Ps;
    let backend = start(config);
    let tasks: Vec<_> =
        (0..4).map(|_| tokio::spawn(async move { get(backend.listen, "/", "").await })).collect();
    let mut longest = 0;
    for task in tasks {
        let response = task.await.unwrap();
        assert_eq!(response.nanos("x-lab-queued-ns"), 0, "nobody waits");
        longest = longest.max(response.nanos("x-lab-service-ns"));
    }
    assert!(longest > 400_000_000, "{longest}");
}

#[tokio::test]
async fn work_outlives_the_client_that_gave_up() {
    let _alone = ALONE.lock().await;
    let backend =
        start(BackendConfig { service: Law::Constant(Span::from_millis(100)), ..config() });
    let mut gone = TcpStream::connect(backend.listen).await.unwrap();
    gone.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    // Even where the request and the end of its connection arrive at once.
    drop(gone);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let response = get(backend.listen, "/", "").await;
    assert!(response.nanos("x-lab-queued-ns") > 40_000_000);
    let metrics = get(backend.listen, "/metrics", "").await.body;
    assert!(metrics.contains("lab_backend_service_seconds_count 2\n"), "{metrics}");
    assert!(metrics.contains("lab_backend_in_flight 0\n"), "{metrics}");
}

#[tokio::test]
async fn an_error_rate_hits_the_drawn_attempts_without_service() {
    let _alone = ALONE.lock().await;
    let backend = start(config());
    assert_eq!(post(backend.control, "/fault", r#"{"error_rate": 0.4}"#).await.status, 200);
    let mut injected = 0;
    for id in 0..40u64 {
        let word = Seed::new(7, 0).draw(Purpose::Error, id, 1).word();
        let expected = if unit_open(word) < 0.4 { 500 } else { 200 };
        let response = get(backend.listen, "/", &format!("x-lab-id: {id}\r\n")).await;
        assert_eq!(response.status, expected, "{id}");
        injected += u64::from(expected == 500);
    }
    let report: Value =
        serde_json::from_str(&get(backend.control, "/fault", "").await.body).unwrap();
    assert_eq!(report["counts"]["errors_injected"], injected);
    assert_eq!(report["counts"]["served"], 40 - injected);
}

#[tokio::test]
async fn slow_is_seen_in_the_report_of_the_time_it_lasted() {
    let _alone = ALONE.lock().await;
    let backend =
        start(BackendConfig { service: Law::Constant(Span::from_millis(20)), ..config() });
    get(backend.listen, "/", "").await;
    post(backend.control, "/fault", r#"{"slow": 3.0}"#).await;
    let response = get(backend.listen, "/", "").await;
    assert!(response.nanos("x-lab-service-ns") >= 60_000_000);
    assert_eq!(response.nanos("x-lab-demand-ns"), 20_000_000);
    let answer = post(backend.control, "/fault", "{}").await;
    let ended: Value = serde_json::from_str(&answer.body).unwrap();
    let ratio = ended["ended"]["service_ratio"].as_f64().unwrap();
    assert!(ratio >= 3.0, "{ratio}");
    assert_eq!(ended["ended"]["counts"]["served"], 1, "and nothing from before counts");
    assert_eq!(ended["ended"]["state"]["slow"], 3.0);
    assert_eq!(ended["state"]["slow"], 1.0);
}

#[tokio::test]
async fn an_order_that_makes_no_sense_is_refused_with_its_reason() {
    let _alone = ALONE.lock().await;
    let backend = start(config());
    for (order, word) in [
        (r#"{"slow": -1}"#, "positive"),
        (r#"{"error_rate": 2}"#, "error_rate"),
        (r#"{"slwo": 2}"#, "unknown field"),
        ("", "EOF"),
    ] {
        let response = post(backend.control, "/fault", order).await;
        assert!(matches!(response.status, 400 | 422), "{order}");
        assert!(response.body.contains(word), "{order}: {}", response.body);
    }
}

#[tokio::test]
async fn a_partition_loses_packets_both_ways_until_it_heals() {
    let _alone = ALONE.lock().await;
    let backend =
        start(BackendConfig { service: Law::Constant(Span::from_millis(500)), ..config() });
    let mut before = TcpStream::connect(backend.listen).await.unwrap();
    before.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx-lab-id: 1\r\n\r\n").await.unwrap();
    let mut idle = TcpStream::connect(backend.listen).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(post(backend.control, "/fault", r#"{"partition": true}"#).await.status, 200);

    let short = Duration::from_millis(300);
    assert!(timeout(short, TcpStream::connect(backend.listen)).await.is_err(), "no handshake");
    let mut buffer = [0u8; 1024];
    let answer_is_due = Duration::from_millis(600);
    let silence = timeout(answer_is_due, before.read(&mut buffer)).await;
    assert!(silence.is_err(), "the answer is withheld");
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(timeout(short, idle.read(&mut buffer)).await.is_err(), "the request is lost");
    let report: Value =
        serde_json::from_str(&get(backend.control, "/fault", "").await.body).unwrap();
    assert_eq!(report["counts"]["requests"], 0, "nothing new came through");
    assert_eq!(report["counts"]["withheld"], 1);

    assert_eq!(post(backend.control, "/fault", "{}").await.status, 200);
    let patience = Duration::from_secs(10);
    assert!(timeout(patience, before.read(&mut buffer)).await.unwrap().unwrap() > 0);
    let retransmitted = timeout(patience, idle.read(&mut buffer)).await;
    assert!(retransmitted.unwrap().unwrap() > 0, "the kernel sends the lost request again");
    assert_eq!(get(backend.listen, "/", "").await.status, 200);
}

#[tokio::test]
async fn told_to_stop_it_finishes_what_it_has() {
    let _alone = ALONE.lock().await;
    let server =
        Server::bind(BackendConfig { service: Law::Constant(Span::from_millis(200)), ..config() })
            .unwrap();
    let listen = server.listen();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    let request = tokio::spawn(async move { get(listen, "/", "").await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(stop);
    assert_eq!(request.await.unwrap().status, 200);
    timeout(Duration::from_secs(10), running).await.expect("it ends").unwrap();
    assert!(TcpStream::connect(listen).await.is_err());
}

#[tokio::test]
async fn it_is_healthy_once_it_has_started_up() {
    let backend = start(BackendConfig { ready_after: Span::from_millis(300), ..config() });
    let began = clock::now();
    let first = get(backend.listen, "/health", "").await;
    assert_eq!((first.status, first.body.as_str()), (503, "starting\n"));
    assert_eq!(get(backend.listen, "/", "").await.status, 200, "it serves, if anybody asks");
    while get(backend.listen, "/health", "").await.status != 200 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = clock::elapsed(began);
    assert!((Span::from_millis(295)..Span::from_millis(500)).contains(&took), "{took}");
}

/// One request of 400 ms on one of two workers: the counter runs with the clock while it is served.
#[tokio::test]
async fn busy_seconds_run_while_a_request_is_served() {
    let _alone = ALONE.lock().await;
    for discipline in [Discipline::Fifo, Discipline::Ps] {
        let queue = QueueConfig { discipline, workers: 2, ..config().queue };
        let service = Law::Constant(Span::from_millis(400));
        let backend = start(BackendConfig { queue, service, ..config() });
        let served = tokio::spawn(get(backend.listen, "/", ""));
        tokio::time::sleep(Duration::from_millis(200)).await;
        let half = busy_seconds(&backend).await;
        assert!((0.15..0.3).contains(&half), "{half}");
        assert_eq!(served.await.unwrap().status, 200);
        let whole = busy_seconds(&backend).await;
        assert!((0.395..0.45).contains(&whole), "{whole}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(busy_seconds(&backend).await, whole, "nobody is served");
    }
}

async fn busy_seconds(backend: &Running) -> f64 {
    let page = get(backend.listen, "/metrics", "").await.body;
    let samples = lab::exposition::read::samples(&page).unwrap();
    samples.iter().find(|one| one.name == "lab_backend_busy_seconds_total").unwrap().value
}
