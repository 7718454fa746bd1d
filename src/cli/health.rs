//! `lab health`: asks a program whether it is well. An image with nothing but lab in it has no
//! other program that could.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;

use super::exit::Exit;
use super::terminal::fail;
use crate::host::call;

/// Ask a program over HTTP whether it is well: 0 if it answers with a status below 400
///
/// It is the health check of lab's image, which has no other program.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  lab health http://127.0.0.1:8080/health
  lab health unix:/run/filter/docker.sock:/_ping")]
pub(super) struct HealthArgs {
    /// Where to ask: http://HOST:PORT/PATH or unix:SOCKET:/PATH
    #[arg(value_name = "URL", value_parser = place)]
    url: Place,
    /// An answer that takes longer is none
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    timeout: f64,
}

/// Where to ask.
#[derive(Clone, Debug, PartialEq)]
enum Place {
    Http { host: String, port: u16, path: String },
    Socket { socket: PathBuf, path: String },
}

fn place(text: &str) -> Result<Place, String> {
    if let Some(rest) = text.strip_prefix("unix:") {
        let (socket, path) = rest.rsplit_once(":/").ok_or("it must be unix:SOCKET:/PATH")?;
        return Ok(Place::Socket { socket: socket.into(), path: format!("/{path}") });
    }
    let url: Uri = text.parse().map_err(|error| format!("{error}"))?;
    let (Some("http"), Some(authority)) = (url.scheme_str(), url.authority()) else {
        return Err("it must be http://HOST:PORT/PATH or unix:SOCKET:/PATH".to_owned());
    };
    Ok(Place::Http {
        host: authority.host().trim_matches(['[', ']']).to_owned(),
        port: authority.port_u16().unwrap_or(80),
        path: url.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
    })
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let fits = seconds > 0.0 && seconds <= 3600.0;
    if fits { Ok(seconds) } else { Err("it must be above 0 and at most 3600".to_owned()) }
}

/// Asks, and says how it is: 0 well, 1 not well.
#[must_use]
pub(super) fn run(arguments: &HealthArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let limit = Duration::from_secs_f64(arguments.timeout);
    let answer = match runtime {
        Ok(runtime) => runtime.block_on(ask(&arguments.url, limit)),
        Err(error) => Err(error.to_string()),
    };
    match answer {
        Ok((status, body)) if status < 400 => {
            println!("{status} {}", first_line(&body));
            ExitCode::SUCCESS
        }
        Ok((status, body)) => fail(Exit::Failed, &format!("{status} {}", first_line(&body))),
        Err(error) => fail(Exit::Failed, &error),
    }
}

fn first_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

async fn ask(place: &Place, limit: Duration) -> Result<(u16, bytes::Bytes), String> {
    match place {
        Place::Http { host, port, path } => {
            let found = tokio::net::lookup_host((host.as_str(), *port)).await;
            let mut found = found.map_err(|error| format!("{host}: {error}"))?;
            let address = found.next().ok_or_else(|| format!("{host} has no address"))?;
            let answer = call::call(address, Method::GET, path, None, limit).await;
            answer.map_err(|error| error.to_string())
        }
        Place::Socket { socket, path } => {
            let answer = tokio::time::timeout(limit, ask_socket(socket, path)).await;
            let said = |why: &dyn std::fmt::Display| format!("{}: {why}", socket.display());
            let answer = answer.map_err(|_| said(&format!("no answer within {limit:?}")))?;
            answer.map_err(|error| said(&error))
        }
    }
}

type AnyError = Box<dyn std::error::Error>;

async fn ask_socket(socket: &Path, path: &str) -> Result<(u16, bytes::Bytes), AnyError> {
    let stream = tokio::net::UnixStream::connect(socket).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let request =
        Request::get(path).header("host", "localhost").body(Empty::<bytes::Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    driver.abort();
    Ok((status, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_url_or_a_socket() {
        let http = Place::Http { host: "::1".to_owned(), port: 8080, path: "/health?a".to_owned() };
        assert_eq!(place("http://[::1]:8080/health?a"), Ok(http));
        let socket = Place::Socket { socket: "/run/a.sock".into(), path: "/_ping".to_owned() };
        assert_eq!(place("unix:/run/a.sock:/_ping"), Ok(socket));
        for wrong in ["https://a/", "localhost:8080", "unix:/run/a.sock", "/health"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
