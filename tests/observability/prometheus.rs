//! A client of Prometheus' HTTP API, and of any other server that answers a GET.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::support::wait_until;

/// How long anything may take to be seen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(45);

/// Status and body of one request. HTTP/1.0, so that the body is whole at the end of the connection.
pub(crate) fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    fields: &str,
    body: &str,
) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n{fields}\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    Ok((status, body.to_owned()))
}

/// The body of a GET that must succeed.
pub(crate) fn get(address: SocketAddr, path: &str) -> String {
    let (status, body) = ask(address, "GET", path, "", "").unwrap_or_default();
    assert_eq!(status, 200, "GET {path} of {address}: {body}");
    body
}

/// Prometheus at an address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Api(pub(crate) SocketAddr);

/// A series: its labels, and its values without those that are no number.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) labels: Value,
    pub(crate) values: Vec<f64>,
}

impl Found {
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels[name].as_str().unwrap_or_default()
    }

    pub(crate) fn last(&self) -> f64 {
        self.values.last().copied().unwrap_or(f64::NAN)
    }
}

impl Api {
    fn call(self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let pairs: Vec<String> =
            parameters.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect();
        let path = format!("/api/v1/{path}?{}", pairs.join("&"));
        let (_, body) = ask(self.0, "GET", &path, "", "").map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_str(&body).map_err(|error| error.to_string())?;
        match answer["status"].as_str() {
            Some("success") => Ok(answer["data"].clone()),
            _ => Err(answer["error"].as_str().unwrap_or(&body).to_owned()),
        }
    }

    /// The value of `query` now, as one series or several.
    pub(crate) fn now(self, query: &str) -> Result<Vec<Found>, String> {
        Ok(series(&self.call("query", &[("query", query)])?))
    }

    /// The values of `query` over the last `seconds`, a second apart.
    #[expect(clippy::disallowed_methods, reason = "Prometheus is asked by the wall clock")]
    pub(crate) fn over(self, query: &str, seconds: f64) -> Result<Vec<Found>, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
        let (start, end) = ((now - seconds).to_string(), now.to_string());
        let parameters = [("query", query), ("start", &start), ("end", &end), ("step", "1")];
        Ok(series(&self.call("query_range", &parameters)?))
    }

    /// The only value of `query` now; not a number without exactly one.
    pub(crate) fn one(self, query: &str) -> f64 {
        match self.now(query).as_deref() {
            Ok([one]) => one.last(),
            _ => f64::NAN,
        }
    }

    /// Waits until `query` has the single value `value`.
    #[track_caller]
    pub(crate) fn comes_to(self, query: &str, value: f64) {
        let there = wait_until(PATIENCE, || self.one(query) == value);
        assert!(there, "{query} is not {value} but {:?}", self.now(query));
    }

    /// Values of a label, as a dashboard's `label_values(METRIC, LABEL)` asks for them.
    pub(crate) fn label_values(self, metric: &str, label: &str) -> Vec<String> {
        let path = format!("label/{label}/values");
        let values = self.call(&path, &[("match[]", metric)]).unwrap_or_default();
        let words = values.as_array().cloned().unwrap_or_default();
        words.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect()
    }

    /// The targets that are scraped now.
    pub(crate) fn targets(self) -> Vec<Value> {
        let targets = self.call("targets", &[("state", "active")]).unwrap_or_default();
        targets["activeTargets"].as_array().cloned().unwrap_or_default()
    }
}

fn series(data: &Value) -> Vec<Found> {
    let number = |pair: &Value| pair[1].as_str()?.parse::<f64>().ok().filter(|it| !it.is_nan());
    let Some(all) = data["result"].as_array() else { return Vec::new() };
    if data["resultType"] == "scalar" {
        let values = number(&data["result"]).into_iter().collect();
        return vec![Found { labels: Value::Null, values }];
    }
    all.iter()
        .map(|one| {
            let values = match one["values"].as_array() {
                Some(values) => values.iter().filter_map(number).collect(),
                None => number(&one["value"]).into_iter().collect(),
            };
            Found { labels: one["metric"].clone(), values }
        })
        .collect()
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
