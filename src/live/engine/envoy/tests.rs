//! Members come, drain and go under load, and no request fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::live::ports;

/// Answers every request with 200 after 5 ms, and counts them.
async fn backend(listener: TcpListener, served: Arc<AtomicUsize>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let served = Arc::clone(&served);
        tokio::spawn(async move {
            let mut head = Vec::new();
            let mut part = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut part).await {
                head.extend_from_slice(&part[..read]);
                if !head.ends_with(b"\r\n\r\n") {
                    continue;
                }
                head.clear();
                tokio::time::sleep(Duration::from_millis(5)).await;
                served.fetch_add(1, Ordering::Relaxed);
                if stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                    .await
                    .is_err()
                {
                    return;
                }
            }
        });
    }
}

/// Asks again and again on one connection until told to stop; (answered, failed).
async fn client(target: SocketAddr, stop: Arc<AtomicBool>) -> (usize, usize) {
    let mut stream = TcpStream::connect(target).await.unwrap();
    let (mut answered, mut failed) = (0, 0);
    let mut answer = [0; 4096];
    while !stop.load(Ordering::Relaxed) {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\nok") {
            let read = stream.read(&mut answer).await.unwrap();
            if read == 0 || !seen.starts_with(&b"HTTP/1.1 200"[..seen.len().min(12)]) {
                return (answered, failed + 1);
            }
            seen.extend_from_slice(&answer[..read]);
        }
        answered += 1;
    }
    failed += usize::from(answered == 0);
    (answered, failed)
}

async fn served_in(counts: &[Arc<AtomicUsize>], span: Duration) -> Vec<usize> {
    let now = || counts.iter().map(|count| count.load(Ordering::Relaxed)).collect::<Vec<_>>();
    let before = now();
    tokio::time::sleep(span).await;
    now().iter().zip(before).map(|(now, before)| now - before).collect()
}

#[test]
fn members_come_drain_and_go_under_load_without_a_failed_request() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let text = "schema_version = 1\n[traffic]\nrate = \"1/s\"\n[scenario]\nduration = \"1s\"\n\
                    [[backend]]\nname = \"b\"\ncount = 3\n\
                    service = { law = \"constant\", value = \"1ms\" }\n";
        let scenario = crate::scenario::parse(text, "eds.toml").unwrap();
        let mut counts = Vec::new();
        let mut backends = Vec::new();
        for _ in 0..3 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            backends.push(listener.local_addr().unwrap());
            counts.push(Arc::<AtomicUsize>::default());
            tokio::spawn(backend(listener, Arc::clone(counts.last().unwrap())));
        }
        let free = ports::free(2).unwrap();
        let folder = std::env::temp_dir().join(format!("lab-eds-{}", std::process::id()));
        let wiring = Wiring { listen: free[0], admin: free[1], backends, folder: folder.clone() };
        let configuration =
            crate::engine::configuration(&scenario, &Engine::Envoy, &wiring).unwrap();
        foreign::write(&configuration, &wiring).unwrap();
        let members = members(&scenario, &wiring.backends);
        let all = wiring.backends.clone();
        let mut envoy =
            Envoy { foreign: Foreign::default(), instances: Vec::new(), members, is_users: false };
        envoy.launch(1, wiring).await.unwrap();
        foreign::serves(&mut envoy.foreign.programs[0], free[0]).await.unwrap();
        envoy.instances[0].healthy(&mut envoy.foreign.programs[0]).await.unwrap();

        let stop = Arc::<AtomicBool>::default();
        let clients: Vec<_> =
            (0..8).map(|_| tokio::spawn(client(free[0], Arc::clone(&stop)))).collect();
        let second = Duration::from_secs(1);
        let shares = served_in(&counts, second).await;
        assert!(shares.iter().all(|served| *served > 50), "all serve: {shares:?}");

        envoy.order(&scenario, 1, Order::Drain).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let shares = served_in(&counts, second).await;
        assert_eq!(shares[1], 0, "who drains gets nothing: {shares:?}");
        let seen = views(&envoy.admins()).await.remove(0);
        let of = |name: &str| seen.iter().find(|peer| peer.name == name).unwrap().state;
        assert_eq!(
            (of("b-1"), of("b-2")),
            (crate::policy::PeerState::Up, crate::policy::PeerState::Draining)
        );

        // One goes for good.
        envoy.order(&scenario, 0, Order::Remove).await.unwrap();
        envoy.order(&scenario, 1, Order::Remove).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let shares = served_in(&counts, second).await;
        assert!(shares[0] == 0 && shares[2] > 100, "one is left: {shares:?}");

        // All are back.
        for target in [1, 0] {
            envoy.order(&scenario, target, Order::Add(all[target])).await.unwrap();
        }
        let shares = served_in(&counts, second).await;
        assert!(shares.iter().all(|served| *served > 50), "all serve again: {shares:?}");

        stop.store(true, Ordering::Relaxed);
        for client in clients {
            let (answered, failed) = client.await.unwrap();
            assert!(answered > 100 && failed == 0, "{answered} answered, {failed} failed");
        }
        let facts = envoy.facts().await;
        assert!(facts.statistics.iter().any(|(name, _)| name.contains("upstream_rq_total")));
        let pid = envoy.foreign.programs[0].pid();
        let ended = envoy.foreign.programs[0].stop(Duration::from_secs(5)).await.unwrap();
        assert!(ended.success(), "{ended}");
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
        let _ = std::fs::remove_dir_all(folder);
    });
}
