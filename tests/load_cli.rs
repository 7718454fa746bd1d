//! `lab load` as a person uses it: against real NGINX over HTTP/1.1, HTTP/2 and TLS, a WebSocket
//! server, with thresholds, files, and several generators at once. Times are not held here, since
//! a test shares its cores; counts are exact.
#![cfg(feature = "cli")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use lab::host::clock;
use lab::record::hlog::{merge_tag, read_hlog};
use lab::record::read;
use lab::units::Span;
use serde_json::Value;
use support::{Folder, code, ran, stderr, stdout, wait_until};

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", stdout(output), stderr(output)))
}

/// NGINX in `folder`, ended with the test.
struct Nginx {
    child: Child,
    plain: SocketAddr,
    h2c: SocketAddr,
    tls: SocketAddr,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master ends its workers.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Nginx {
    /// Names the path in `X-Served-By`, and ends a connection after 50 requests.
    fn start(folder: &Folder) -> Self {
        let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        folder.file("cert.pem", &signed.cert.pem());
        folder.file("key.pem", &signed.signing_key.serialize_pem());
        let (plain, h2c, tls) = (free(), free(), free());
        let place = folder.path().display();
        folder.file(
            "nginx.conf",
            &format!(
                "daemon off; worker_processes 1; pid {place}/nginx.pid; error_log {place}/e.log;
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_temp_path {place}/b; proxy_temp_path {place}/p;
  fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;
  keepalive_requests 50;
  server {{
    listen {plain}; listen {h2c} http2; listen {tls} ssl http2;
    ssl_certificate {place}/cert.pem; ssl_certificate_key {place}/key.pem;
    add_header X-Served-By $request_uri always;
    location / {{ return 200 \"hello\\n\"; }}
    location /agent {{ return 200 $http_x_mine; }}
    location /gone {{ return 503; }}
    client_max_body_size 0; proxy_request_buffering off; proxy_http_version 1.1;
    location /small {{ client_max_body_size 1k; return 200; }}
    include {place}/more.conf*;
  }}
}}
"
            ),
        );
        let child = Command::new("nginx")
            .args(["-c", &format!("{place}/nginx.conf"), "-p", &place.to_string()])
            .args(["-e", &format!("{place}/e.log")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is installed");
        let answers = || std::net::TcpStream::connect(tls).is_ok();
        let nginx = Self { child, plain, h2c, tls };
        assert!(wait_until(Duration::from_secs(10), answers), "nginx does not start");
        nginx
    }
}

#[test]
fn requests_reach_nginx_over_each_protocol_and_every_one_is_answered() {
    let folder = Folder::new();
    let nginx = Nginx::start(&folder);
    let tls = format!("https://localhost:{}/", nginx.tls.port());
    for (name, options, url, most) in [
        ("plain", vec![], format!("http://{}/", nginx.plain), u64::MAX),
        ("tls", vec!["--ca", "cert.pem"], tls.clone(), u64::MAX),
        ("h2", vec!["-k", "--http2", "-c", "2"], tls.clone(), 14),
        ("h2c", vec!["--http2", "--streams", "8"], format!("http://{}/", nginx.h2c), 14),
    ] {
        let mut all = vec!["load", "-R", "300/s", "-n", "300", "--arrival", "uniform", "--json"];
        all.extend(["--server-header", "x-served-by", "-t", "30s"]);
        all.extend(options);
        all.push(&url);
        let output = folder.run(&all);
        assert!(ran(&output), "{name}: {}{}", stdout(&output), stderr(&output));
        let result = json(&output);
        assert_eq!(result["requests"], 300, "{name}");
        assert_eq!(result["failed"], 0, "{name}: {result}");
        assert_eq!(result["statuses"]["200"], 300, "{name}");
        assert_eq!(result["servers"]["/"], 300, "{name}");
        assert_eq!(result["bytes"], 300 * 6, "{name}");
        let spun = result["spun_ns"].as_u64().unwrap();
        assert!(spun > 0 || name != "plain", "{result}");
        assert!(spun < result["cpu_ns"].as_u64().unwrap(), "{name}: {result}");
        // NGINX ends a connection after 50 requests: at least six, and with HTTP/2 hardly more.
        let opened = result["connections_opened"].as_u64().unwrap();
        assert!((6..=most).contains(&opened), "{name}: {opened} connections");
    }
    // What stands against TLS is told before anything is sent.
    let output = folder.run(&["load", "-n", "1", &tls]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("invalid peer certificate"), "{}", stderr(&output));
}

#[test]
fn lists_headers_bodies_stages_and_traces_are_sent_as_asked() {
    let folder = Folder::new();
    let nginx = Nginx::start(&folder);
    let at = |path: &str| format!("http://{}{path}", nginx.plain);
    folder.file("urls.txt", &format!("{}\n# more\nPOST {}\n", at("/a/"), at("/b?c=d")));
    let output = folder.run(&[
        "load",
        "--urls",
        "urls.txt",
        "--server-header",
        "X-Served-By",
        "--json",
        "-t",
        "30s",
        "--stage",
        "200ms:100..400/s",
        "--stage",
        "200ms:500/s",
        "--arrival",
        "uniform",
    ]);
    assert!(ran(&output), "{}", stderr(&output));
    let result = json(&output);
    assert_eq!((&result["requests"], &result["failed"]), (&150.into(), &0.into()));
    let counts = |what: &str| -> Vec<(String, u64)> {
        let groups = result[what].as_array().unwrap().iter();
        groups
            .map(|one| {
                (one["name"].as_str().unwrap().to_owned(), one["requests"].as_u64().unwrap())
            })
            .collect()
    };
    assert_eq!(counts("stages"), [("stage-1".to_owned(), 50), ("stage-2".to_owned(), 100)]);
    let classes = counts("classes");
    assert_eq!(classes[0].0, "/a/");
    assert_eq!(classes[1].0, "POST /b?c=d");
    assert_eq!(classes[0].1 + classes[1].1, 150);
    assert_eq!(result["servers"]["/a/"], classes[0].1, "the path is sent as it is written");

    folder.file("trace.csv", "at,class\n0s,/\n0.05s,/gone\n0.1s,/\n");
    let urls = [at("/"), at("/gone")];
    let output =
        folder.run(&["load", "--trace", "trace.csv", "--json", "-t", "30s", &urls[0], &urls[1]]);
    assert!(ran(&output), "{}", stderr(&output));
    assert_eq!(json(&output)["statuses"], serde_json::json!({ "200": 2, "503": 1 }));

    let output =
        folder.run(&["load", "-n", "3", "-c", "1", "-H", "X-Mine: abc", "--json", &at("/agent")]);
    assert!(ran(&output), "{}", stderr(&output));
    assert_eq!(json(&output)["bytes"], 9);
    let output =
        folder.run(&["load", "-n", "2", "-u", "1", "--data", "@urls.txt", "--json", &at("/")]);
    assert_eq!(json(&output)["failed"], 0, "{}", stderr(&output));
}

#[test]
fn thresholds_set_the_exit_code_and_end_a_run() {
    let folder = Folder::new();
    let nginx = Nginx::start(&folder);
    let url = format!("http://{}/gone", nginx.plain);
    let run = |options: &[&str]| {
        let mut all = vec!["load", "-u", "2"];
        all.extend(options);
        all.push(&url);
        folder.run(&all)
    };
    let held = run(&["-n", "20", "--check", "p99 < 10s", "--fail-if", "p99 > 10s"]);
    assert!(ran(&held), "{}{}", stdout(&held), stderr(&held));
    let failed = run(&["-n", "20", "--check", "p99 < 10s", "--check", "errors < 1%"]);
    assert_eq!(code(&failed), 3, "{}", stdout(&failed));
    assert!(stdout(&failed).contains("FAILED    errors < 1%"), "{}", stdout(&failed));
    // It would last a minute.
    let ended = run(&["-d", "60s", "--fail-if", "errors > 1%", "--abort-on-fail", "--json"]);
    assert_eq!(code(&ended), 3);
    let result = json(&ended);
    assert_eq!(result["aborted"]["text"], "not errors > 1%");
    assert!(result["requests"].as_u64().unwrap() >= 100, "not by the first requests: {result}");
    let wrong = run(&["--check", "p99 < 300"]);
    assert_eq!(code(&wrong), 2);
    assert!(stderr(&wrong).contains("unit is missing"), "{}", stderr(&wrong));
}

#[test]
fn the_folder_has_every_row_in_every_form_or_is_not_there() {
    let folder = Folder::new();
    let nginx = Nginx::start(&folder);
    let url = format!("http://{}/", nginx.plain);
    let run = |out: &str| {
        folder.run(&[
            "load",
            "-R",
            "200/s",
            "-n",
            "100",
            "--server-header",
            "x-served-by",
            "--out",
            out,
            &url,
        ])
    };
    let output = run("out");
    assert!(ran(&output), "{}", stderr(&output));
    let out = folder.path().join("out");
    let mut names: Vec<String> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let expected = [
        "latency-distribution.png",
        "latency-over-time.png",
        "latency-percentiles.png",
        "latency.hlog",
        "load.json",
        "requests.csv",
        "requests.parquet",
        "share-per-server.png",
        "summary.json",
        "throughput-and-errors.png",
    ];
    assert_eq!(names, expected);
    let csv = std::fs::read_to_string(out.join("requests.csv")).unwrap();
    assert_eq!(csv.lines().count(), 101);
    assert!(csv.lines().nth(1).unwrap().contains(",/,1,200,none,"), "{csv}");
    let mut rows = 0;
    read::requests(&out.join("requests.parquet"), |_| rows += 1).unwrap();
    assert_eq!(rows, 100);
    assert_eq!(merge_tag(&read_hlog(&out.join("latency.hlog")).unwrap(), "live").len(), 100);
    let saved: Value =
        serde_json::from_slice(&std::fs::read(out.join("load.json")).unwrap()).unwrap();
    assert_eq!(saved["requests"], 100);
    // Nothing is overwritten, and nothing half made stays.
    assert_eq!(code(&run("out")), 2);
    let left = || {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        entries
            .filter(|it| it.as_ref().unwrap().file_name().to_string_lossy().contains("partial"))
            .count()
    };
    assert_eq!(left(), 0);
}

/// Echoes messages, each behind a ping.
fn echo_server() -> SocketAddr {
    use futures_util::{SinkExt, StreamExt};
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        runtime.block_on(async {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    // Before a run it is tried whether anybody is there.
                    let accepted = tokio_tungstenite::accept_async(stream).await;
                    let Ok(mut socket) = accepted else { return };
                    while let Some(Ok(message)) = socket.next().await {
                        let ping = tokio_tungstenite::tungstenite::Message::Ping("x".into());
                        if (message.is_text() || message.is_binary())
                            && (socket.send(ping).await.is_err()
                                || socket.send(message).await.is_err())
                        {
                            return;
                        }
                    }
                });
            }
        });
    });
    address
}

#[test]
fn messages_over_websocket_come_back() {
    let folder = Folder::new();
    let url = format!("ws://{}/echo", echo_server());
    let output = folder.run(&["load", "-u", "4", "-n", "200", "--json", &url]);
    assert!(ran(&output), "{}", stderr(&output));
    let result = json(&output);
    assert_eq!((&result["requests"], &result["failed"]), (&200.into(), &0.into()), "{result}");
    assert_eq!(
        (&result["statuses"]["101"], &result["connections_opened"]),
        (&200.into(), &4.into())
    );
    folder.file("big", &"x".repeat(70_000));
    let output = folder.run(&["load", "-u", "1", "-n", "3", "--data", "@big", "--json", &url]);
    assert_eq!(json(&output)["bytes"], 210_000, "{}", stderr(&output));
}

/// A server that takes what it is sent, and names its length in `x-got`.
fn counting_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.unwrap());
                loop {
                    let (mut line, mut length) = (String::new(), 0u64);
                    while reader.read_line(&mut line).is_ok_and(|read| read > 0) && line != "\r\n" {
                        let lower = line.to_lowercase();
                        if let Some(value) = lower.strip_prefix("content-length:") {
                            length = value.trim().parse().unwrap();
                        }
                        line.clear();
                    }
                    if line.is_empty() {
                        return;
                    }
                    let body = &mut Read::by_ref(&mut reader).take(length);
                    let got = std::io::copy(body, &mut std::io::sink()).unwrap();
                    let answer =
                        format!("HTTP/1.1 200 OK\r\nx-got: {got}\r\ncontent-length: 0\r\n\r\n");
                    reader.get_mut().write_all(answer.as_bytes()).unwrap();
                }
            });
        }
    });
    address
}

#[test]
fn large_bodies_arrive_whole_over_each_protocol_and_a_refusal_of_one_is_heard() {
    const SIZE: u64 = 20 << 20;
    let folder = Folder::new();
    let direct = counting_server();
    folder.file("more.conf", &format!("location /up {{ proxy_pass http://{direct}; }}"));
    let nginx = Nginx::start(&folder);
    let tls = format!("https://localhost:{}", nginx.tls.port());
    let (plain, h2c) = (format!("http://{}", nginx.plain), format!("http://{}", nginx.h2c));
    let size = SIZE.to_string();
    for (name, options, base) in [
        ("direct", vec![], format!("http://{direct}")),
        ("plain", vec![], plain.clone()),
        ("tls", vec!["-k"], tls.clone()),
        ("h2", vec!["-k", "--http2"], tls.clone()),
        ("h2c", vec!["--http2"], h2c),
    ] {
        let send = |path: &str| {
            let mut all = vec!["load", "-u", "3", "-n", "6", "-t", "60s", "--json", "-X", "POST"];
            let (body, url) = (format!("{size}B"), format!("{base}{path}"));
            all.extend(["--server-header", "x-got", "--body", &body, &url]);
            all.extend(&options);
            let output = folder.run(&all);
            (json(&output), stderr(&output))
        };
        let (result, said) = send("/up");
        assert_eq!(result["statuses"]["200"], 6, "{name}: {result}{said}");
        assert_eq!(result["servers"][&size], 6, "{name}: {result}");
        if name != "direct" {
            // Told before the whole body came, over a connection that NGINX then ends.
            let (result, _) = send("/small");
            assert_eq!(result["statuses"]["413"], 6, "{name}: {result}");
        }
    }
}

#[test]
fn messages_go_through_tls_and_a_proxy() {
    let folder = Folder::new();
    folder.file(
        "more.conf",
        &format!(
            "location /echo {{ proxy_pass http://{}; proxy_set_header Upgrade $http_upgrade; \
             proxy_set_header Connection upgrade; }}",
            echo_server()
        ),
    );
    let nginx = Nginx::start(&folder);
    let url = format!("wss://localhost:{}/echo", nginx.tls.port());
    let output = folder.run(&["load", "-u", "4", "-n", "200", "-k", "--json", &url]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let result = json(&output);
    assert_eq!((&result["statuses"]["101"], &result["failed"]), (&200.into(), &0.into()));
    let output = folder.run(&["load", "-u", "1", "-n", "1", &url]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("invalid peer certificate"), "{}", stderr(&output));
}

#[test]
fn urls_come_from_stdin() {
    let folder = Folder::new();
    let nginx = Nginx::start(&folder);
    let mut command = folder.lab(&["load", "--urls", "-", "-n", "200", "-u", "2", "--json"]);
    command.args(["--server-header", "x-served-by"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let list = format!("http://{0}/a\n# not this\nHEAD http://{0}/b\n", nginx.plain);
    child.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
    let result = json(&child.wait_with_output().unwrap());
    let (a, b) = (&result["servers"]["/a"], &result["servers"]["/b"]);
    let (a, b) = (a.as_u64().unwrap(), b.as_u64().unwrap());
    assert!(a + b == 200 && a.min(b) > 50, "{result}");
    assert_eq!(result["bytes"], a * 6, "a HEAD brings none");
}

#[test]
fn the_second_interruption_does_not_wait_for_answers() {
    let folder = Folder::new();
    // It accepts, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let start = |times: u32| {
        let mut command = folder.lab(&["load", "-u", "3", "-t", "60s", "--json", &url]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(1000));
        let began = clock::now();
        for _ in 0..times {
            let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
            assert!(status.unwrap().success());
            std::thread::sleep(Duration::from_millis(300));
        }
        assert_eq!(child.wait().unwrap().code(), Some(130));
        let mut text = String::new();
        child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        (clock::elapsed(began), text)
    };
    let (once, said) = start(1);
    assert!(once >= Span::from_millis(1900), "requests in flight get two seconds: {once:?}");
    let result: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&result["interrupted"], &result["partial"]), (&3.into(), &true.into()));
    let (twice, said) = start(2);
    assert!(twice < Span::from_millis(1900) && said.is_empty(), "{twice:?}: {said}");
}

/// A worker that joins at `address`.
fn generator(folder: &Folder, address: SocketAddr) -> Child {
    let mut command = folder.lab(&["load", "--join", &address.to_string()]);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn three_generators_send_exactly_the_plan_and_a_lost_one_is_said() {
    let folder = Folder::new();
    let nginx = Nginx::start(&folder);
    let url = format!("http://{}/", nginx.plain);
    let alone = folder.run(&["load", "-R", "400/s", "-d", "1s", "--seed", "7", "--json", &url]);
    let planned = json(&alone)["requests"].as_u64().unwrap();
    let together = |length: &str, kill: bool| -> Output {
        let at = free();
        let (count, listen) = ("3", at.to_string());
        let mut coordinator = folder.lab(&[
            "load",
            "-R",
            "400/s",
            "-d",
            length,
            "--seed",
            "7",
            "--json",
            "--listen-join",
            &listen,
            "--generators",
            count,
            "--server-header",
            "x-served-by",
            &url,
        ]);
        let coordinator =
            coordinator.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut generators: Vec<Child> = (0..3).map(|_| generator(&folder, at)).collect();
        if kill {
            std::thread::sleep(Duration::from_millis(2500));
            generators[1].kill().unwrap();
        }
        let output = coordinator.wait_with_output().unwrap();
        for (generator, number) in generators.iter_mut().zip(0..) {
            let killed = kill && number == 1;
            assert_eq!(generator.wait().unwrap().success(), !killed, "{}", stderr(&output));
        }
        output
    };
    let output = together("1s", false);
    assert!(ran(&output), "{}", stderr(&output));
    let result = json(&output);
    assert_eq!(result["requests"], planned, "all shares together are the plan");
    assert_eq!(result["failed"], 0, "{result}");
    assert_eq!(result["latency_ns"]["count"], planned);
    assert_eq!(result["servers"]["/"], planned);
    let validity = result["validity"]["items"].as_array().unwrap();
    assert_eq!(validity.last().unwrap()["measured"], "3 to the end");

    let output = together("5s", true);
    assert_eq!(code(&output), 4, "{}", stderr(&output));
    assert!(stderr(&output).contains("was lost: its connection ended"), "{}", stderr(&output));
    let measured = json(&output)["validity"]["items"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(measured["measured"], "2 to the end");
}

#[test]
fn generators_hand_their_rows_over_and_send_a_scenario_too() {
    let folder = Folder::new();
    folder.file(
        "more.conf",
        "location /named { add_header X-Name web always; return 200 \"hello\"; }",
    );
    let nginx = Nginx::start(&folder);
    folder.file(
        "two.toml",
        r#"schema_version = 1
[scenario]
name = "two"
duration = "1s"
seed = 9
[traffic]
rate = "300/s"
client = { connections = 8 }
[[backend]]
name = "web"
service = { law = "constant", value = "1ms" }
"#,
    );
    let url = format!("http://{}/named", nginx.plain);
    let planned = json(&folder.run(&["load", "--scenario", "two.toml", "--json", &url]));
    let planned = planned["requests"].as_u64().unwrap();
    let together = |options: &[&str]| {
        let at = free();
        let mut command = folder.lab(&["load", "--scenario", "two.toml", "--json", &url]);
        command.args(["--listen-join", &at.to_string(), "--generators", "2"]);
        command.args(["--server-header", "x-name"]).args(options);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let coordinator = command.spawn().unwrap();
        let mut generators = [generator(&folder, at), generator(&folder, at)];
        let output = coordinator.wait_with_output().unwrap();
        for generator in &mut generators {
            assert!(generator.wait().unwrap().success(), "{}", stderr(&output));
        }
        assert!(ran(&output), "{}", stderr(&output));
        assert_eq!(json(&output)["requests"], planned, "{}", stderr(&output));
    };
    together(&["--out", "all"]);
    let mut rows = Vec::new();
    read::requests(&folder.path().join("all/requests.parquet"), |row| rows.push(*row)).unwrap();
    let mut ids: Vec<u64> = rows.iter().map(|row| row.id).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..planned).collect::<Vec<_>>(), "every request once");
    assert!(rows.iter().all(|row| row.upstream == 0 && row.status == 200));
    together(&["--spool", "rows.jsonl"]);
    let spool = std::fs::read_to_string(folder.path().join("rows.jsonl")).unwrap();
    assert_eq!(spool.lines().count() as u64, planned);
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("rows.jsonl.") || name.contains("partial"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_run_is_held_against_an_earlier_one() {
    let folder = Folder::new();
    let quick = backend(Duration::from_millis(1));
    let slow = backend(Duration::from_millis(20));
    let run = |to: SocketAddr, options: &[&str]| {
        let url = format!("http://{to}/");
        // In a run of a third of a second, the moods of a busy machine leave no interval to judge by.
        let requests = if to == quick { "6000" } else { "1200" };
        let mut all = vec!["load", "-u", "4", "-n", requests, "--json", &url];
        all.extend(options);
        folder.run(&all)
    };
    assert_eq!(code(&run(quick, &["--out", "before"])), 0);
    let worse = run(slow, &["--out", "worse", "--baseline", "before", "--fail-on", "p50 +50%"]);
    assert_eq!(code(&worse), 3, "{}{}", stdout(&worse), stderr(&worse));
    assert_eq!(json(&worse)["regressions"][0]["verdict"], "failed");
    let better = run(
        quick,
        &["--out", "better", "--baseline", "worse/summary.json", "--fail-on", "p50 +50%"],
    );
    assert_eq!(code(&better), 0, "{}{}", stdout(&better), stderr(&better));
    assert_eq!(json(&better)["regressions"][0]["verdict"], "held");
    for (options, said) in [
        (vec!["--baseline", "before"], "--baseline needs --out"),
        (
            vec!["--out", "x", "--baseline", "before/load.json"],
            "give its folder or its summary.json",
        ),
    ] {
        let output = run(quick, &options);
        assert_eq!(code(&output), 2, "{}", stderr(&output));
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
}

/// A server that answers each request so long after it came.
fn backend(service: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.unwrap());
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
                    if line == "\r\n" {
                        std::thread::sleep(service);
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                        reader.get_mut().write_all(answer).unwrap();
                    }
                    line.clear();
                }
            });
        }
    });
    address
}

#[test]
fn an_interrupted_run_reports_what_it_measured() {
    let folder = Folder::new();
    let nginx = Nginx::start(&folder);
    let url = format!("http://{}/", nginx.plain);
    let mut command = folder.lab(&["load", "-R", "50/s", "-d", "60s", "--json", &url]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success()
    );
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let result: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(result["partial"], true);
    assert!(result["requests"].as_u64().unwrap() > 0);
}

#[test]
fn wrong_usage_says_what_would_be_right() {
    let folder = Folder::new();
    for (arguments, said) in [
        (vec!["load"], "URL"),
        (vec!["load", "-R", "800", "http://127.0.0.1:1/"], "unit is missing"),
        (vec!["load", "-R", "0/s", "http://127.0.0.1:1/"], "no request would ever come"),
        (vec!["load", "-R", "1/s", "-u", "2", "http://127.0.0.1:1/"], "cannot be used with"),
        (vec!["load", "--http2", "ws://127.0.0.1:1/"], "leave out --http2"),
        (vec!["load", "http://127.0.0.1:1/", "ws://127.0.0.1:1/"], "either WebSocket or HTTP"),
        (vec!["load", "--urls", "none.txt"], "cannot read the URLs"),
        (vec!["load", "-H", "x", "http://127.0.0.1:1/"], "Name: value"),
    ] {
        let output = folder.run(&arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{arguments:?}: {}", stderr(&output));
    }
    let nobody = free();
    let refused = folder.run(&["load", "-R", "50/s", &format!("http://{nobody}/")]);
    assert_eq!(code(&refused), 1, "{}", stdout(&refused));
    let said = format!("cannot open a connection to `{nobody}`: Connection refused");
    assert!(
        stderr(&refused).contains(&said) && stdout(&refused).is_empty(),
        "{}",
        stderr(&refused)
    );
    // Nobody speaks TLS there.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // Closed with something unread it would be a reset.
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let wrong = folder.run(&["load", "-n", "1", &format!("https://{plain}/")]);
    assert_eq!(code(&wrong), 1, "{}", stdout(&wrong));
    assert!(stderr(&wrong).contains("no TLS is spoken there"), "{}", stderr(&wrong));
}
