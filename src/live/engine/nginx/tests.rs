//! NGINX with servers that come and go under load.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;
use crate::live::ports;
use crate::policy::PeerConfig;
use crate::scenario;

/// A server that answers each request after a moment, and counts them.
async fn server() -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let served = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&served);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&counter)));
        }
    });
    (address, served)
}

async fn serve(mut stream: TcpStream, served: Arc<AtomicU64>) {
    while read_head(&mut stream).await.is_some() {
        served.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(3)).await;
        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.is_err() {
            return;
        }
    }
}

/// A head without its body; `None` when the other side is gone.
async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let (mut head, mut buffer) = (Vec::new(), [0; 1024]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => head.extend_from_slice(&buffer[..read]),
            _ => return None,
        }
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// Sends requests on a kept connection until `stop`; how many were answered, and what failed. A
/// kept connection that NGINX closed instead of answering is opened again (RFC 9112, 9.3.1), but a
/// new one must be answered.
async fn client(address: SocketAddr, stop: Arc<AtomicBool>) -> (u64, Vec<String>) {
    let (mut answered, mut failed, mut kept) = (0, Vec::new(), None);
    while !stop.load(Ordering::Relaxed) {
        let was_kept = kept.is_some();
        let stream = match kept.take() {
            Some(stream) => Ok(stream),
            None => TcpStream::connect(address).await,
        };
        let Ok(mut stream) = stream else {
            failed.push("refused".to_owned());
            continue;
        };
        let sent = stream.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
        let head = if sent.is_ok() { read_head(&mut stream).await } else { None };
        match head {
            Some(head)
                if head.starts_with("HTTP/1.1 200") && head.contains("x-lab-attempts: 1") =>
            {
                answered += 1;
                kept = (!head.contains("Connection: close")).then_some(stream);
            }
            None if was_kept => {}
            other => failed.push(other.unwrap_or_else(|| "no answer".to_owned())),
        }
    }
    (answered, failed)
}

struct Setup {
    scenario: Scenario,
    nginx: Nginx,
    _folder: Folder,
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn start(name: &str, servers: &[SocketAddr], workers: u32) -> Setup {
    let folder =
        Folder(std::env::temp_dir().join(format!("lab nginx {name} {}", std::process::id())));
    std::fs::create_dir_all(&folder.0).expect("a folder");
    let backends: String = (0..servers.len())
        .map(|n| format!("[[backend]]\nname = \"s{n}\"\nservice = {{ law = \"constant\", value = \"1ms\" }}\n"))
        .collect();
    let text = format!(
        "schema_version = 1\n[scenario]\nduration = \"1s\"\n[traffic]\nrate = \"1/s\"\n\
         [balancer]\nengine = \"nginx\"\nalgorithm = \"least_conn\"\nworkers = {workers}\n{backends}"
    );
    let scenario = scenario::parse(&text, Path::new("t.toml")).expect("a valid scenario");
    let options = LiveOptions {
        scenario_file: PathBuf::from("t.toml"),
        overrides: Vec::new(),
        scratch: folder.0.clone(),
        seed: 1,
        round: 0,
        real_time: false,
        engine_config: None,
        provider: crate::live::ProviderOptions::default(),
        board: None,
        prometheus: None,
    };
    let endpoint =
        |listen: &SocketAddr| BackendEndpoint { listen: *listen, control: *listen, pid: 0 };
    let endpoints: Vec<_> = servers.iter().map(endpoint).collect();
    let addresses = ports::free(1).expect("a port");
    let nginx = Nginx::start(&scenario, &options, &addresses, &endpoints).await.expect("nginx");
    Setup { scenario, nginx, _folder: folder }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_come_and_go_under_load_without_a_failed_request() {
    let (mut servers, mut served) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let (address, counter) = server().await;
        servers.push(address);
        served.push(counter);
    }
    let mut setup = start("reload", &servers[..2], 2).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        clients.spawn(client(setup.nginx.foreign.targets[0], Arc::clone(&stop)));
    }
    let count = |server: usize| served[server].load(Ordering::Relaxed);
    let pause = || tokio::time::sleep(Duration::from_millis(300));
    pause().await;
    assert!(count(0) > 0 && count(1) > 0 && count(2) == 0);

    // Two are added, one with another weight.
    let mut all = setup.nginx.members.clone();
    for (place, weight) in [(2, 1), (3, 4)] {
        let peer = PeerConfig { weight, ..PeerConfig::new(format!("s{place}")) };
        all.push(Member { peer, address: servers[place], drained: false });
    }
    setup.nginx.apply(&setup.scenario, all.clone()).await.expect("added");
    pause().await;
    assert!(count(2) > 0 && count(3) > count(2), "{} and {}", count(2), count(3));

    // One is removed, one is drained: neither gets anything once what they had is answered.
    let mut fewer = all[1..].to_vec();
    fewer[0].drained = true;
    setup.nginx.apply(&setup.scenario, fewer.clone()).await.expect("removed");
    pause().await;
    let before = (count(0), count(1));
    pause().await;
    assert_eq!((count(0), count(1)), before);

    // And back again, by the orders of a drain fault.
    fewer[0].drained = false;
    setup.nginx.apply(&setup.scenario, fewer).await.expect("back");
    pause().await;
    assert!(count(1) > before.1 && count(0) == before.0);

    stop.store(true, Ordering::Relaxed);
    let (mut answered, mut failed) = (0, Vec::new());
    while let Some(ended) = clients.join_next().await {
        let (ok, bad) = ended.expect("a client");
        answered += ok;
        failed.extend(bad);
    }
    assert!(answered > 500, "{answered}");
    assert!(failed.is_empty(), "{} of {answered}: {:?}", failed.len(), failed.first());

    let facts = setup.nginx.facts().await;
    assert!(facts.version.starts_with("1."), "{}", facts.version);
    assert!(facts.statistics.iter().any(|(name, count)| name == "requests" && count != "0"));
    let program = &mut setup.nginx.foreign.programs[0];
    let status = program.stop(Duration::from_secs(5)).await.expect("it ended");
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn a_refused_change_leaves_the_old_servers() {
    let (address, _) = server().await;
    let mut setup = start("refused", &[address], 1).await;
    let before = setup.nginx.members.clone();
    // NGINX wants a server.
    let error = setup.nginx.apply(&setup.scenario, Vec::new()).await.unwrap_err().to_string();
    assert!(error.contains("no servers are inside upstream"), "{error}");
    assert_eq!(setup.nginx.members, before);
    let stop = Arc::new(AtomicBool::new(false));
    let one = tokio::spawn(client(setup.nginx.foreign.targets[0], Arc::clone(&stop)));
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.store(true, Ordering::Relaxed);
    let (answered, failed) = one.await.expect("a client");
    assert!(answered > 0 && failed.is_empty(), "{answered}, {failed:?}");
}

#[tokio::test]
async fn workers_of_a_killed_master_are_killed_with_it() {
    let (address, _) = server().await;
    let mut setup = start("killed", &[address], 2).await;
    let master = setup.nginx.foreign.programs[0].pid();
    let workers = serving(master);
    assert_eq!(workers.len(), 2);
    setup.nginx.foreign.programs[0].kill().await;
    drop(setup);
    let deadline = clock::now() + Span::from_secs(2);
    while workers.iter().any(|pid| usage::title(*pid).is_some_and(|title| title == WORKER)) {
        assert!(clock::now() < deadline, "workers {workers:?} are left");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
