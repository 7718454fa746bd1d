//! The load generator against real sockets: the schedule is kept, and every request is accounted
//! for, also the ones that never got an answer.
#![cfg(feature = "live")]

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use lab::backend::queue::QueueConfig;
use lab::backend::{BackendConfig, Server};
use lab::host::clock;
use lab::load::{Extras, LoadConfig, Outcome, Pace, Target, run};
use lab::record::spool::read_spool;
use lab::record::{NO_UPSTREAM, RequestError, RequestRow};
use lab::scenario::Discipline;
use lab::traffic::service::demand_word;
use lab::traffic::{
    ArrivalConfig, ClassConfig, ClientConfig, Law, Plan, Source, Stage, TrafficConfig,
};
use lab::units::{Bytes, Nanos, Rate, Ratio, Seed, Span};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Tests of time do not share the cores with one another.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

const SEED: u64 = 11;
const TIMEOUT: Span = Span::from_secs(30);

fn open(rate: f64, length: Span, arrival: ArrivalConfig) -> Source {
    let until = Nanos(length.0);
    let stage = Stage {
        name: "all".to_owned(),
        from: Nanos::ZERO,
        until,
        rate_from: Rate(rate),
        rate_until: Rate(rate),
    };
    Source::Open { arrival, stages: vec![stage] }
}

/// A run with its spool in a folder of its own.
struct Trial {
    config: LoadConfig,
    rows: PathBuf,
}

impl Trial {
    fn new(name: &str, targets: &[SocketAddr], source: Source, length: Span) -> Self {
        let folder = std::env::temp_dir().join(format!("lab-load-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let rows = folder.join(format!("{name}.jsonl"));
        let class = ClassConfig {
            name: "all".to_owned(),
            path: "/".to_owned(),
            method: "GET".to_owned(),
            share: Ratio(1.0),
            body: Bytes(0),
        };
        let client = ClientConfig {
            connections: 0,
            requests_per_connection: 0,
            timeout: TIMEOUT,
            in_flight_cap: 0,
        };
        let targets = targets.iter().map(|at| Target::resolve(&format!("http://{at}")).unwrap());
        let config = LoadConfig {
            traffic: TrafficConfig { source, classes: vec![class], keys: None, client },
            hash_key: None,
            end: Nanos(length.0),
            targets: targets.collect(),
            backends: vec!["a".to_owned()],
            seed: Seed::new(SEED, 0),
            replication: 3,
            zero: clock::now() + Span::from_millis(50),
            spool: Some(rows.clone()),
            pace: Pace::Exact,
            extras: Extras::default(),
        };
        Self { config, rows }
    }

    fn client(mut self, change: impl FnOnce(&mut ClientConfig)) -> Self {
        change(&mut self.config.traffic.client);
        self
    }

    async fn run(self) -> (Outcome, Vec<RequestRow>) {
        self.run_until(std::future::pending()).await
    }

    async fn run_until(self, stop: impl Future<Output = ()>) -> (Outcome, Vec<RequestRow>) {
        let outcome = run(self.config, stop).await.unwrap();
        let mut rows = Vec::new();
        let end = read_spool(&self.rows, |row| rows.push(row)).unwrap();
        assert!(!end.torn);
        let _ = std::fs::remove_file(&self.rows);
        assert_eq!(outcome.report.requests, rows.len() as u64, "a row for every request");
        rows.sort_by_key(|row: &RequestRow| row.id);
        (outcome, rows)
    }
}

fn backend(service: Law, workers: u32) -> SocketAddr {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(BackendConfig {
        name: "a".to_owned(),
        index: 0,
        listen: any,
        control: None,
        queue: QueueConfig { discipline: Discipline::Fifo, workers, limit: None, real_time: false },
        speed: 1.0,
        service,
        health_failure: Ratio(0.0),
        ready_after: Span::ZERO,
        seed: Seed::new(SEED, 0),
        body_limit: Bytes(1 << 20),
    })
    .unwrap();
    let address = server.listen();
    tokio::spawn(server.run(std::future::pending()));
    address
}

/// A server that does `serve` with each connection; counts them.
async fn server<F, R>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

const MILLIS: u64 = 1_000_000;

#[tokio::test]
async fn an_open_loop_sends_the_plan_on_time_and_records_every_phase() {
    let _alone = ALONE.lock().await;
    let law = Law::Exponential { mean: Span::from_millis(2) };
    let address = backend(law.clone(), 64);
    let length = Span::from_secs(1);
    let trial = Trial::new("open", &[address], open(200.0, length, ArrivalConfig::Poisson), length);
    let plan = Plan::new(&trial.config.traffic, trial.config.seed, trial.config.end);
    let due: Vec<u64> = plan.arrivals().map(|request| request.at.0).collect();
    let (outcome, rows) = trial.run().await;

    assert_eq!(rows.iter().map(|row| row.scheduled_ns).collect::<Vec<_>>(), due);
    for row in &rows {
        assert_eq!(
            (row.error, row.status, row.upstream, row.attempts),
            (RequestError::None, 200, 0, 1)
        );
        assert!(row.scheduled_ns <= row.sent_ns && row.sent_ns <= row.connected_ns);
        assert!(row.connected_ns < row.first_byte_ns && row.first_byte_ns <= row.finished_ns);
        let demand = law.sample(demand_word(Seed::new(SEED, 0), row.id, 1));
        assert_eq!(row.demand_ns, demand.0, "the backend drew what the plan says");
        assert!(row.service_ns >= row.demand_ns && row.latency_ns() >= row.service_ns);
        assert!(row.bytes > 0);
    }
    let report = outcome.report;
    assert_eq!((report.failed, report.partial, rows[0].replication), (0, false, 3));
    // The best of them, since a test shares its cores with others.
    assert!(outcome.tally.schedule_error.min() < MILLIS);
    assert!(rows.iter().any(|row| row.connected_ns == row.sent_ns), "connections are used again");
    let law = report.littles_law;
    assert!((law.mean_in_flight / law.product - 1.0).abs() < 1e-6, "{law:?}");
}

#[tokio::test]
async fn a_uniform_schedule_is_exact_and_does_not_wait_for_a_stalled_server() {
    let _alone = ALONE.lock().await;
    // The server answers nothing for 300 ms, then everything.
    let begun = clock::now();
    let address = server(move |mut stream| async move {
        let mut buffer = [0; 1024];
        while matches!(stream.read(&mut buffer).await, Ok(read) if read > 0) {
            let stalled_until = begun + Span::from_millis(350);
            tokio::time::sleep(stalled_until.since(clock::now()).to_std()).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    })
    .await;
    let length = Span::from_millis(500);
    let source = open(200.0, length, ArrivalConfig::Uniform);
    let (outcome, rows) = Trial::new("stalled", &[address], source, length).run().await;
    assert_eq!(rows.len(), 100);
    for (row, index) in rows.iter().zip(0u64..) {
        assert_eq!(row.scheduled_ns, index * 5 * MILLIS, "request i is due at i / rate");
        assert_eq!(row.upstream, NO_UPSTREAM);
    }
    // Coordinated omission would show one slow request; in truth each that was due is slow.
    let slow = rows.iter().filter(|row| row.latency_ns() > 50 * MILLIS).count();
    assert!(slow >= 40, "{slow}");
    assert!(outcome.report.max_in_flight >= 50);
}

#[tokio::test]
async fn users_of_a_closed_loop_think_and_wait_for_their_answers() {
    let _alone = ALONE.lock().await;
    let address = backend(Law::Constant(Span::from_millis(10)), 8);
    let length = Span::from_secs(1);
    let think = Law::Constant(Span::from_millis(40));
    let source = Source::Closed { users: 4, think };
    let (outcome, rows) = Trial::new("closed", &[address], source, length).run().await;
    // A cycle takes 50 ms and a little: at most 20 turns, the first after one think time.
    assert!((8..=80).contains(&rows.len()), "{}", rows.len());
    assert!(outcome.report.max_in_flight <= 4);
    for pair in rows.windows(2).filter(|pair| pair[0].id >> 32 == pair[1].id >> 32) {
        assert_eq!(pair[1].id, pair[0].id + 1);
        assert_eq!(pair[1].scheduled_ns, pair[0].finished_ns + 40 * MILLIS);
    }
}

#[tokio::test]
async fn a_request_without_an_answer_times_out_from_the_instant_it_was_due() {
    let _alone = ALONE.lock().await;
    let address = server(|stream| async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(stream);
    })
    .await;
    let length = Span::from_millis(100);
    let source = open(100.0, length, ArrivalConfig::Uniform);
    let trial = Trial::new("timeout", &[address], source, length)
        .client(|client| client.timeout = Span::from_secs(1));
    let (outcome, rows) = trial.run().await;
    assert_eq!(rows.len(), 10);
    for row in &rows {
        assert_eq!(
            (row.error, row.latency_ns(), row.status),
            (RequestError::Timeout, 1000 * MILLIS, 0)
        );
        assert!(row.failed() && row.sent_ns >= row.scheduled_ns && row.connected_ns > 0);
        assert_eq!(row.first_byte_ns, 0);
    }
    assert_eq!(outcome.report.failed, 10);
    assert_eq!(
        outcome.report.connections_opened, 10,
        "a connection that timed out is not used again"
    );
}

#[tokio::test]
async fn beyond_the_cap_requests_are_dropped_and_count_as_failed() {
    let _alone = ALONE.lock().await;
    let address = backend(Law::Constant(Span::from_secs(2)), 64);
    let length = Span::from_millis(100);
    let source = open(200.0, length, ArrivalConfig::Uniform);
    let trial =
        Trial::new("cap", &[address], source, length).client(|client| client.in_flight_cap = 5);
    let (outcome, rows) = trial.run().await;
    assert_eq!((outcome.report.dropped, outcome.report.failed), (15, 15));
    assert_eq!(outcome.report.max_in_flight, 5);
    let dropped = rows.iter().filter(|row| row.error == RequestError::Dropped);
    for row in dropped {
        assert_eq!((row.sent_ns, row.latency_ns()), (0, TIMEOUT.0));
    }
}

#[tokio::test]
async fn with_few_connections_requests_wait_and_the_wait_counts() {
    let _alone = ALONE.lock().await;
    let address = backend(Law::Constant(Span::from_millis(20)), 64);
    let length = Span::from_millis(100);
    let source = open(100.0, length, ArrivalConfig::Uniform);
    let trial = Trial::new("few", &[address], source, length).client(|client| {
        client.connections = 1;
        client.requests_per_connection = 4;
    });
    let (outcome, rows) = trial.run().await;
    assert_eq!((outcome.report.failed, rows.len()), (0, 10));
    assert_eq!(outcome.report.connections_opened, 3, "10 requests, 4 to a connection");
    // One at a time for 20 ms each, due every 10 ms: the last waits for nine before it.
    assert!(rows[9].latency_ns() > 105 * MILLIS, "{}", rows[9].latency_ns());
    assert!(rows.windows(2).all(|pair| pair[0].finished_ns <= pair[1].sent_ns));
}

#[tokio::test]
async fn failures_have_their_reason_and_at_least_the_time_out_as_latency() {
    let _alone = ALONE.lock().await;
    let closing = server(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
    })
    .await;
    let babbling = server(|mut stream| async move {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").await;
        let _ = stream.read(&mut [0; 1024]).await;
    })
    .await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let length = Span::from_millis(30);
    for (name, address, error) in [
        ("closing", closing, RequestError::Reset),
        ("babbling", babbling, RequestError::Invalid),
        ("nobody", nobody, RequestError::Connect),
    ] {
        let source = open(100.0, length, ArrivalConfig::Uniform);
        let (outcome, rows) = Trial::new(name, &[address], source, length).run().await;
        assert_eq!(outcome.report.failed, 3, "{name}");
        for row in rows {
            assert_eq!(row.error, error, "{name}");
            assert!(row.latency_ns() >= TIMEOUT.0);
        }
    }
}

/// A server that answers one request on each connection and closes it when the next one comes,
/// as a worker that is told to go while a request is on its way to it.
#[tokio::test]
async fn a_request_on_a_kept_connection_that_is_closed_is_sent_again_if_it_may_be() {
    let _alone = ALONE.lock().await;
    for (name, method, failed) in [("get", "GET", 0), ("post", "POST", 2)] {
        let address = server(|mut stream| async move {
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            let _ = stream.read(&mut buffer).await;
        })
        .await;
        let length = Span::from_millis(200);
        let source = open(20.0, length, ArrivalConfig::Uniform);
        let mut trial = Trial::new(name, &[address], source, length);
        trial.config.traffic.classes[0].method = method.to_owned();
        let (outcome, rows) = trial.run().await;
        let (resent, opened) = (outcome.report.resent, outcome.report.connections_opened);
        assert_eq!(rows.len(), 4, "{name}");
        assert_eq!(outcome.report.failed, failed, "{name}: {resent} sent again");
        // A POST may have been done: each second one fails, and its successor has a new connection.
        let (again, connections) = if method == "GET" { (3, 4) } else { (0, 2) };
        assert_eq!((resent, opened), (again, connections), "{name}");
        let fine = rows.iter().filter(|row| row.error == RequestError::None);
        assert!(fine.clone().all(|row| row.latency_ns() >= row.sent_ns - row.scheduled_ns));
        assert!(fine.clone().all(|row| row.connected_ns >= row.sent_ns && row.status == 200));
    }
}

#[tokio::test]
async fn bodies_of_every_framing_are_read_to_their_end() {
    let _alone = ALONE.lock().await;
    let (chunked, open_ended) = (
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nabcdefg",
    );
    for (name, text, connections) in [("chunked", chunked, 1), ("open-ended", open_ended, 4)] {
        let address = server(move |mut stream| async move {
            let mut buffer = [0; 1024];
            while matches!(stream.read(&mut buffer).await, Ok(read) if read > 0) {
                // In pieces, so that nothing relies on how bytes arrive.
                for piece in text.as_bytes().chunks(7) {
                    let _ = stream.write_all(piece).await;
                    tokio::task::yield_now().await;
                }
                if connections > 1 {
                    return;
                }
            }
        })
        .await;
        let length = Span::from_millis(200);
        let source = open(20.0, length, ArrivalConfig::Uniform);
        let trial =
            Trial::new(name, &[address], source, length).client(|client| client.connections = 1);
        let (outcome, rows) = trial.run().await;
        assert_eq!(outcome.report.failed, 0, "{name}");
        assert!(rows.iter().all(|row| row.bytes == 7), "{name}");
        assert_eq!(outcome.report.connections_opened, connections, "{name}");
    }
}

#[tokio::test]
async fn requests_are_shared_out_over_the_balancers_by_draw() {
    let _alone = ALONE.lock().await;
    let (one, two) = (backend(Law::Constant(Span(0)), 1), backend(Law::Constant(Span(0)), 1));
    let length = Span::from_millis(300);
    let source = open(400.0, length, ArrivalConfig::Uniform);
    let mut trial = Trial::new("views", &[one, two], source, length);
    trial.config.backends = Vec::new();
    let (outcome, _) = trial.run().await;
    assert_eq!(outcome.tally.statuses[&200], 120);
    assert_eq!(outcome.servers, ["a"], "names are learnt where no scenario gives them");
    assert_eq!(outcome.tally.servers, [120]);
}

#[tokio::test]
async fn told_to_stop_it_drains_and_marks_what_is_not_answered() {
    let _alone = ALONE.lock().await;
    let address = backend(Law::Constant(Span::from_millis(600)), 64);
    let hanging = server(|stream| async move {
        tokio::time::sleep(Duration::from_secs(90)).await;
        drop(stream);
    })
    .await;
    let length = Span::from_secs(60);
    let source = open(50.0, length, ArrivalConfig::Uniform);
    let trial = Trial::new("stop", &[address, hanging], source, length)
        .client(|client| client.timeout = Span::from_secs(30));
    let begun = clock::now();
    let (outcome, rows) = trial.run_until(tokio::time::sleep(Duration::from_millis(500))).await;
    let took = clock::elapsed(begun);
    assert!(took > Span::from_millis(2400) && took < Span::from_secs(20), "{took}");
    assert!(outcome.report.partial);
    let interrupted = rows.iter().filter(|row| row.error == RequestError::Interrupted).count();
    let answered = rows.iter().filter(|row| row.status == 200).count();
    assert!(interrupted > 0 && answered > 0, "{interrupted} {answered}");
    assert_eq!(interrupted + answered, rows.len());
    assert_eq!(outcome.report.interrupted, interrupted as u64);
    assert!(rows.len() < 300, "arrivals ended, of 3000: {}", rows.len());
}

#[tokio::test]
async fn exact_instants_cost_cpu_which_is_told_and_nothing_is_sent_early() {
    let _alone = ALONE.lock().await;
    let address = backend(Law::Constant(Span(0)), 64);
    let length = Span::from_millis(400);
    let think = Law::Constant(Span::from_millis(5));
    let closed = Source::Closed { users: 3, think };
    let uniform = || open(1000.0, length, ArrivalConfig::Uniform);
    for (pace, source, spins) in [
        (Pace::Exact, uniform(), true),
        (Pace::Timer, uniform(), false),
        (Pace::Exact, closed, false),
    ] {
        let mut trial = Trial::new("pace", &[address], source, length);
        trial.config.pace = pace;
        let (outcome, rows) = trial.run().await;
        let report = outcome.report;
        assert_eq!(report.failed, 0);
        assert_eq!(report.spun_ns > 0, spins, "{pace:?}: {report:?}");
        assert!(report.spun_ns + report.busiest_thread_cpu_ns <= report.cpu_ns, "{report:?}");
        assert!(rows.iter().all(|row| row.sent_ns >= row.scheduled_ns));
    }
}

/// More is due than can be sent: answers are read before all of it is.
#[tokio::test]
async fn behind_the_schedule_answers_are_read_at_every_pace() {
    let _alone = ALONE.lock().await;
    let address = backend(Law::Constant(Span(0)), 64);
    let length = Span::from_millis(50);
    for pace in [Pace::Exact, Pace::Timer, Pace::Batch(Span::from_millis(1))] {
        let source = open(1e6, length, ArrivalConfig::Uniform);
        let mut trial = Trial::new("behind", &[address], source, length)
            .client(|client| client.connections = 8);
        trial.config.pace = pace;
        let (outcome, rows) = trial.run().await;
        assert_eq!(outcome.report.failed, 0, "{pace:?}");
        let first = rows.iter().map(|row| row.finished_ns).min().unwrap();
        assert!(first < length.0, "{pace:?}: the first answer after {first} ns");
    }
}

#[tokio::test]
async fn batches_keep_the_rate_and_admit_their_lateness() {
    let _alone = ALONE.lock().await;
    let address = backend(Law::Constant(Span(0)), 4);
    let length = Span::from_millis(500);
    let source = open(200.0, length, ArrivalConfig::Poisson);
    let mut trial = Trial::new("batch", &[address], source, length);
    trial.config.pace = Pace::Batch(Span::from_millis(10));
    let (outcome, rows) = trial.run().await;
    assert!((70..130).contains(&rows.len()), "{}", rows.len());
    let p50 = outcome.report.schedule_error_p50_ns;
    assert!(p50 >= 2 * MILLIS, "on a grid of 10 ms the median lateness is 5: {p50}");
    assert!(rows.iter().all(|row| row.sent_ns >= row.scheduled_ns));
}

#[tokio::test]
async fn several_threads_send_exactly_the_plan_together() {
    let _alone = ALONE.lock().await;
    let address = backend(Law::Constant(Span(0)), 64);
    let length = Span::from_millis(300);
    let source = open(400.0, length, ArrivalConfig::Poisson);
    let mut trial =
        Trial::new("threads", &[address], source, length).client(|client| client.connections = 7);
    trial.config.extras.threads = 3;
    let plan = Plan::new(&trial.config.traffic, trial.config.seed, trial.config.end);
    let due: Vec<u64> = plan.arrivals().map(|request| request.at.0).collect();
    let (outcome, rows) = trial.run().await;
    assert_eq!(rows.iter().map(|row| row.scheduled_ns).collect::<Vec<_>>(), due);
    assert_eq!((outcome.report.failed, outcome.tally.servers[0]), (0, due.len() as u64));
    assert!((1..=7).contains(&outcome.report.connections_opened));
    assert_eq!(outcome.tally.latency.count(), due.len() as u64);

    let source = Source::Closed { users: 5, think: Law::Constant(Span::from_millis(20)) };
    let mut trial = Trial::new("users", &[address], source, length);
    trial.config.extras.threads = 2;
    let (outcome, rows) = trial.run().await;
    let users: BTreeSet<u64> = rows.iter().map(|row| row.id >> 32).collect();
    assert_eq!((outcome.report.failed, users), (0, (0..5).collect()));
    assert!(outcome.report.max_in_flight <= 5);
    for pair in rows.windows(2).filter(|pair| pair[0].id >> 32 == pair[1].id >> 32) {
        assert_eq!(pair[1].id, pair[0].id + 1, "each user takes its turns one by one");
    }
}

/// A server that closes each connection a moment after its answer: nothing is lost by it, not even
/// what may not be sent twice.
#[tokio::test]
async fn a_connection_that_the_server_closed_while_it_was_idle_is_not_used() {
    let _alone = ALONE.lock().await;
    let address = server(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    })
    .await;
    let length = Span::from_millis(400);
    let source = open(10.0, length, ArrivalConfig::Uniform);
    let mut trial = Trial::new("gone", &[address], source, length);
    trial.config.traffic.classes[0].method = "POST".to_owned();
    let (outcome, _) = trial.run().await;
    let report = outcome.report;
    assert_eq!((report.failed, report.resent, report.connections_opened), (0, 0, 4));
}

#[tokio::test]
async fn a_spool_that_cannot_be_written_ends_the_run_with_its_reason() {
    let _alone = ALONE.lock().await;
    let address = backend(Law::Constant(Span(0)), 4);
    let length = Span::from_secs(30);
    let source = open(100.0, length, ArrivalConfig::Uniform);
    let mut trial = Trial::new("full", &[address], source, length);
    trial.config.spool = Some("/dev/full".into());
    let begun = clock::now();
    let error = run(trial.config, std::future::pending()).await.unwrap_err();
    assert!(error.to_string().contains("/dev/full"), "{error}");
    assert!(clock::elapsed(begun) < Span::from_secs(5), "it does not go on for nothing");
}

#[tokio::test]
async fn the_table_says_what_a_ticket_needs() {
    let _alone = ALONE.lock().await;
    let address = backend(Law::Constant(Span::from_millis(5)), 8);
    let length = Span::from_millis(300);
    let source = open(100.0, length, ArrivalConfig::Uniform);
    let (outcome, _) = Trial::new("table", &[address], source, length).run().await;
    let table = outcome.to_string();
    for part in ["requests", "from due", "from sent", "schedule error", "p99.9", "200", "100%"] {
        assert!(table.contains(part), "{part}\n{table}");
    }
}
