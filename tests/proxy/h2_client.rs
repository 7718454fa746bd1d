//! A client of HTTP/2, by the `h2` crate.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::net::TcpStream;

/// Longer than any answer should take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn trailer(&self, name: &str) -> Option<&str> {
        self.trailers.as_ref()?.get(name)?.to_str().ok()
    }
}

/// Runs a test's asynchronous part.
pub(crate) fn run<T>(part: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let limited = async { tokio::time::timeout(PATIENCE * 3, part).await };
    runtime.block_on(limited).expect("the test within its time")
}

/// A connection without TLS, by prior knowledge.
pub(crate) async fn connect(address: SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.expect("connected");
    stream.set_nodelay(true).expect("set");
    let (send, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    send
}

/// A GET for `path` of a host called `test`.
pub(crate) fn get(path: &str) -> Request<()> {
    request("GET", path, &[])
}

pub(crate) fn request(method: &str, path: &str, fields: &[(&str, &str)]) -> Request<()> {
    let mut builder = Request::builder().method(method).uri(format!("http://test{path}"));
    for (name, value) in fields {
        builder = builder.header(*name, *value);
    }
    builder.body(()).expect("a request")
}

/// Sends a request without a body.
pub(crate) async fn ask(
    send: &SendRequest<Bytes>,
    request: Request<()>,
) -> Result<Answer, h2::Error> {
    let mut send = send.clone().ready().await?;
    let (response, _) = send.send_request(request, true)?;
    read(response.await?).await
}

/// Sends a request with a body and, if there are any, trailers.
pub(crate) async fn ask_with(
    send: &SendRequest<Bytes>,
    request: Request<()>,
    body: Bytes,
    trailers: Option<HeaderMap>,
) -> Result<Answer, h2::Error> {
    let mut send = send.clone().ready().await?;
    let (response, mut stream) = send.send_request(request, false)?;
    let upload = async {
        push(&mut stream, body, trailers.is_none()).await?;
        trailers.map_or(Ok(()), |trailers| stream.send_trailers(trailers))
    };
    let (uploaded, answer) = tokio::join!(upload, async { read(response.await?).await });
    // What is answered before it was read is cut off.
    drop(uploaded);
    answer
}

/// Sends content as fast as it is taken.
pub(crate) async fn push(
    stream: &mut SendStream<Bytes>,
    mut content: Bytes,
    end: bool,
) -> Result<(), h2::Error> {
    while !content.is_empty() {
        stream.reserve_capacity(content.len());
        let room = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
        let Some(room) = room.transpose()? else { break };
        stream.send_data(content.split_to(room.min(content.len())), false)?;
    }
    if end { stream.send_data(Bytes::new(), true) } else { Ok(()) }
}

/// Reads a response to its end.
pub(crate) async fn read(response: Response<RecvStream>) -> Result<Answer, h2::Error> {
    let (parts, mut stream) = response.into_parts();
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data?;
        body.extend_from_slice(&data);
        stream.flow_control().release_capacity(data.len())?;
    }
    let trailers = stream.trailers().await?;
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body, trailers })
}
