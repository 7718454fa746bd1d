//! WebSocket by its own library on both sides: a thousand sessions through the loss of a backend.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use lab::units::Span;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Barrier, Semaphore};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, accept_async, connect_async};

use super::h2_client::run;
use super::setup::proxy_at;

const SESSIONS: usize = 1000;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A backend that sends every message back with its name in front. Dropping its runtime is as good
/// as killing it: all sockets are closed at once.
struct Backend {
    address: SocketAddr,
    runtime: Runtime,
}

impl Backend {
    fn start(name: &'static str) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a socket");
        let address = listener.local_addr().expect("an address");
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(echo(stream, name));
            }
        });
        Self { address, runtime }
    }
}

async fn echo(stream: TcpStream, name: &str) -> Option<()> {
    let mut socket = accept_async(stream).await.ok()?;
    while let Some(Ok(message)) = socket.next().await {
        let answer = match message {
            Message::Text(text) => Message::from(format!("{name}{text}")),
            Message::Binary(bytes) => Message::Binary(bytes),
            _ => continue,
        };
        socket.send(answer).await.ok()?;
    }
    Some(())
}

/// Sends a text and returns what comes back; `None` when the session has ended.
async fn ask(socket: &mut Socket, text: &str) -> Option<String> {
    socket.send(Message::from(text)).await.ok()?;
    match socket.next().await?.ok()? {
        Message::Text(answer) => Some(answer.to_string()),
        _ => None,
    }
}

async fn open(address: SocketAddr) -> Socket {
    connect_async(format!("ws://{address}/echo")).await.expect("a session").0
}

/// Which backend's session it was, and whether it lived on.
async fn session(
    address: SocketAddr,
    number: usize,
    turns: Arc<Semaphore>,
    before: Arc<Barrier>,
    after: Arc<Barrier>,
) -> (String, bool) {
    let turn = turns.acquire().await.expect("open");
    let mut socket = open(address).await;
    drop(turn);
    let mut name = String::new();
    for round in 0..3 {
        let text = format!(":{number}.{round}");
        let answer = ask(&mut socket, &text).await.expect("an answer");
        name = answer.strip_suffix(&text).expect("the same text").to_owned();
    }
    // Larger than any buffer on the way.
    let large: Vec<u8> = (0..200_000).map(|at| (at % 251) as u8).collect();
    if number.is_multiple_of(50) {
        socket.send(Message::from(large.clone())).await.expect("sent");
        let answer = socket.next().await.expect("an answer").expect("whole");
        assert_eq!(answer, Message::from(large));
    }
    before.wait().await;
    after.wait().await;
    if name == "b" {
        // Its end is seen without a word of the client's.
        let end = tokio::time::timeout(Duration::from_secs(10), socket.next()).await;
        let end = end.expect("the session ends");
        assert!(!matches!(end, Some(Ok(Message::Text(_) | Message::Binary(_)))), "{end:?}");
        return (name, false);
    }
    for round in 3..8 {
        let text = format!(":{number}.{round}");
        assert_eq!(ask(&mut socket, &text).await, Some(format!("a{text}")));
    }
    socket.close(None).await.expect("closed");
    while let Some(Ok(_)) = socket.next().await {}
    (name, true)
}

#[test]
fn a_thousand_sessions_through_the_loss_of_a_backend() {
    // Four sockets for each session, all in this process.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("more descriptors");
    let (a, b) = (Backend::start("a"), Backend::start("b"));
    let proxy = proxy_at(&[a.address, b.address], |config| {
        config.balancer.read_timeout = Span::from_secs(60);
        config.balancer.workers = 2;
    });
    let address = proxy.address();
    run(async move {
        let turns = Arc::new(Semaphore::new(64));
        let before = Arc::new(Barrier::new(SESSIONS + 1));
        let after = Arc::new(Barrier::new(SESSIONS + 1));
        let mut sessions = JoinSet::new();
        for number in 0..SESSIONS {
            let (turns, before, after) = (turns.clone(), before.clone(), after.clone());
            sessions.spawn(session(address, number, turns, before, after));
        }
        before.wait().await;
        b.runtime.shutdown_background();
        after.wait().await;
        // New sessions go where somebody is, while the old ones end or go on.
        for _ in 0..100 {
            let mut socket = open(address).await;
            assert_eq!(ask(&mut socket, ":new").await.as_deref(), Some("a:new"));
            socket.close(None).await.expect("closed");
        }
        let mut ended = 0;
        let mut lived = 0;
        while let Some(session) = sessions.join_next().await {
            match session.expect("as it should be") {
                (name, true) if name == "a" => lived += 1,
                (name, false) if name == "b" => ended += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((lived, ended), (SESSIONS / 2, SESSIONS / 2));
    });
    drop(a);
}
