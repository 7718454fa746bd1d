//! The filter as a program: a socket in front of Docker's.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Response, StatusCode, client, server};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{UnixListener, UnixStream};

use super::rules::{self, Request};
use super::{GROUP_LABEL, Policy, body};
use crate::host::child::told_to_stop;

/// A body that makes a container is a few kilobytes.
const BODY_LIMIT: usize = 1 << 20;
/// A list of containers is long, but not this long.
const ANSWER_LIMIT: usize = 16 << 20;
/// Stopping a container takes as long as its drain.
const LIMIT: Duration = Duration::from_secs(600);

/// A filter as configured.
#[derive(Clone, Debug)]
pub struct FilterConfig {
    /// Its own socket; a stale one is replaced.
    pub listen: PathBuf,
    /// The mode of that socket.
    pub mode: u32,
    /// Docker's socket.
    pub docker: PathBuf,
    /// What is let through.
    pub policy: Policy,
}

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct FilterError {
    /// The socket.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

/// Serves until SIGINT or SIGTERM. `refused` hears of each request that was not let through.
///
/// # Errors
/// When the socket cannot be made.
pub fn serve(
    config: FilterConfig,
    refused: impl Fn(&str) + Send + Sync + 'static,
) -> Result<(), FilterError> {
    let failed = |source| FilterError { path: config.listen.clone(), source };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let listener = listen(&config).map_err(failed)?;
        let door = Arc::new(Door { config: config.clone(), refused: Box::new(refused) });
        let stop = told_to_stop();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                _ = &mut stop => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => drop(tokio::spawn(Arc::clone(&door).connection(stream))),
                    // For want of descriptors: others end.
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                },
            }
        }
        let _ = std::fs::remove_file(&config.listen);
        Ok(())
    })
}

fn listen(config: &FilterConfig) -> io::Result<UnixListener> {
    match std::fs::remove_file(&config.listen) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&config.listen)?;
    let mode = std::fs::Permissions::from_mode(config.mode);
    std::fs::set_permissions(&config.listen, mode)?;
    Ok(listener)
}

struct Door {
    config: FilterConfig,
    refused: Box<dyn Fn(&str) + Send + Sync>,
}

type Answer = Response<Full<Bytes>>;

impl Door {
    async fn connection(self: Arc<Self>, stream: UnixStream) {
        let service = service_fn(move |request| {
            let door = Arc::clone(&self);
            async move { Ok::<_, Infallible>(door.answer(request).await) }
        });
        // Its end, however it comes, concerns nobody else.
        let _ = server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    async fn answer(&self, request: hyper::Request<Incoming>) -> Answer {
        let asked = format!("{} {}", request.method(), request.uri());
        match self.pass(request).await {
            Ok(answer) => answer,
            Err((status, why)) => {
                (self.refused)(&format!("refused {asked}: {why}"));
                said(status, &why)
            }
        }
    }

    async fn pass(
        &self,
        request: hyper::Request<Incoming>,
    ) -> Result<Answer, (StatusCode, String)> {
        let forbidden = |why| (StatusCode::FORBIDDEN, why);
        let (head, incoming) = request.into_parts();
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let policy = &self.config.policy;
        let allowed = rules::read(policy, head.method.as_str(), target).map_err(forbidden)?;
        let body = Limited::new(incoming, BODY_LIMIT).collect().await;
        let body = body.map_err(|error| (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()))?;
        let body = body.to_bytes();
        let (path, body) = match allowed {
            Request::Plain(path) => (path, Vec::new()),
            Request::Owned { container, path } => {
                self.owned(&container).await?;
                (path, Vec::new())
            }
            Request::Create(path) => (path, body::create(policy, &body).map_err(forbidden)?),
            Request::Connect(path) => {
                let (container, body) = body::connect(&body).map_err(forbidden)?;
                self.owned(&container).await?;
                (path, body)
            }
        };
        let answer = ask(&self.config.docker, head.method, &path, body).await;
        answer.map_err(|why| (StatusCode::BAD_GATEWAY, why))
    }

    /// Whether the container belongs to the group. One that there is not is as one of others.
    async fn owned(&self, container: &str) -> Result<(), (StatusCode, String)> {
        let path = format!("/containers/{container}/json");
        let answer = ask(&self.config.docker, hyper::Method::GET, &path, Vec::new()).await;
        let answer = answer.map_err(|why| (StatusCode::BAD_GATEWAY, why))?;
        let not_here = || {
            let group = &self.config.policy.group;
            (StatusCode::NOT_FOUND, format!("no container {container} in the group {group}"))
        };
        let seen = answer.into_body().collect().await.map_err(|_| not_here())?.to_bytes();
        let seen: Value = serde_json::from_slice(&seen).map_err(|_| not_here())?;
        let group = seen.pointer("/Config/Labels").and_then(|labels| labels.get(GROUP_LABEL));
        if group.and_then(Value::as_str) == Some(&self.config.policy.group) {
            return Ok(());
        }
        Err(not_here())
    }
}

/// Docker's errors are JSON with a message.
fn said(status: StatusCode, why: &str) -> Answer {
    let body = serde_json::json!({ "message": why }).to_string();
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(Full::from(body)).expect("a fixed head is valid")
}

/// Asks Docker, on a connection of its own.
async fn ask(
    docker: &Path,
    method: hyper::Method,
    path: &str,
    body: Vec<u8>,
) -> Result<Answer, String> {
    match tokio::time::timeout(LIMIT, exchange(docker, method, path, body)).await {
        Ok(answer) => answer.map_err(|error| format!("Docker at {}: {error}", docker.display())),
        Err(_) => Err(format!("Docker at {} does not answer", docker.display())),
    }
}

async fn exchange(
    docker: &Path,
    method: hyper::Method,
    path: &str,
    body: Vec<u8>,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let stream = UnixStream::connect(docker).await?;
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let request = hyper::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "docker")
        .header("connection", "close")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))?;
    let (head, incoming) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(incoming, ANSWER_LIMIT).collect().await?.to_bytes();
    driver.abort();
    let mut answer = Response::builder().status(head.status);
    let kept = ["content-type", "api-version", "ostype", "docker-experimental"];
    for name in kept {
        if let Some(value) = head.headers.get(name) {
            answer = answer.header(name, value);
        }
    }
    Ok(answer.body(Full::new(body))?)
}
