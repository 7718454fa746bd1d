//! Values from a Prometheus server: an instant query in `PromQL` at each poll.
//!
//! <https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries>

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::Method;
use serde::Deserialize;

use super::Instance;
use crate::host::call::{self, CallError};
use crate::policy::scale::{Metric, MetricsError, ScaleMetric, Usage};
use crate::units::{Nanos, Span};

/// An answer that takes longer is none.
const LIMIT: Duration = Duration::from_secs(5);

/// Asks one server one question.
#[derive(Debug)]
pub struct Prometheus {
    base: Base,
    query: String,
    group: String,
    window: Span,
}

/// Where the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Base {
    /// Host and port.
    authority: String,
    /// What stands before `/api`, without a slash at its end.
    prefix: String,
}

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// Not a URL of a server that can be asked.
    #[error("`{0}` is not the URL of a Prometheus server: write it as http://host:9090")]
    Url(String),
    /// Its name has no address.
    #[error("Prometheus at {authority} cannot be found: {reason}")]
    Unknown {
        /// Host and port.
        authority: String,
        /// What the system said.
        reason: String,
    },
    /// It does not answer.
    #[error("Prometheus does not answer: {0}")]
    Silent(#[from] CallError),
    /// It refused the query.
    #[error("Prometheus refused the query `{query}`: {kind}: {reason}")]
    Refused {
        /// What was asked.
        query: String,
        /// Its `errorType`.
        kind: String,
        /// Its words.
        reason: String,
    },
    /// The answer is not that of a Prometheus server.
    #[error("Prometheus answered {status} with something else: {answer}")]
    Unexpected {
        /// Of the response.
        status: u16,
        /// The beginning of it.
        answer: String,
    },
}

#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Answer {
    Success {
        data: Data,
    },
    Error {
        #[serde(rename = "errorType")]
        kind: String,
        error: String,
    },
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "snake_case")]
enum Data {
    Vector(Vec<Element>),
    Scalar((f64, String)),
}

/// One value of an instant vector.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Element {
    /// Its labels.
    #[serde(default)]
    pub metric: BTreeMap<String, String>,
    /// Seconds since 1970, and the number as text.
    value: (f64, String),
}

impl Element {
    /// The number; `None` if it is none.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.value.1.parse().ok().filter(|value: &f64| value.is_finite())
    }
}

impl Prometheus {
    /// The server at `url`, such as `http://127.0.0.1:9090`. `query` gives one value for each
    /// instance of `group`, told apart by a label that is the name or an address of one (`instance`
    /// is, by default); or a single value without that label, which stands for each. Its range is
    /// `window`.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(url: &str, query: String, group: &str, window: Span) -> Result<Self, QueryError> {
        let base = Base::of(url).ok_or_else(|| QueryError::Url(url.to_owned()))?;
        Ok(Self { base, query, group: group.to_owned(), window })
    }

    /// The query that is asked by default for `metric`, over `window`, with the names that lab's
    /// backends use.
    #[must_use]
    pub fn default_query(metric: ScaleMetric, window: Span) -> String {
        let range = format!("[{}ms]", window.0 / 1_000_000);
        match metric {
            ScaleMetric::Utilization => {
                format!("rate(lab_backend_busy_seconds_total{range}) / lab_backend_workers")
            }
            ScaleMetric::Cpu => {
                format!("rate(process_cpu_seconds_total{range}) and lab_backend_workers")
            }
            ScaleMetric::InFlight => format!("avg_over_time(lab_backend_in_flight{range})"),
            ScaleMetric::Queue => format!("avg_over_time(lab_backend_queue_depth{range})"),
            ScaleMetric::Requests => {
                format!("sum without (status) (rate(lab_backend_requests_total{range}))")
            }
        }
    }

    /// The query for any metric; `None` for an external one that has none.
    #[must_use]
    pub fn query_for(metric: &Metric, window: Span) -> Option<String> {
        let range = format!("[{}ms]", window.0 / 1_000_000);
        Some(match metric {
            Metric::Instances(metric) => Self::default_query(*metric, window),
            Metric::Balancer(ScaleMetric::InFlight) => {
                format!("sum(avg_over_time(lab_proxy_in_flight{range}))")
            }
            Metric::Balancer(ScaleMetric::Queue) => {
                format!("sum(avg_over_time(lab_proxy_waiting{range}))")
            }
            Metric::Balancer(_) => format!("sum(rate(lab_proxy_admitted_total{range}))"),
            Metric::External(external) => external.query.clone()?,
        })
    }

    /// The query.
    #[must_use]
    pub fn query(&self) -> &str {
        &self.query
    }

    /// Asks now.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn ask(&self) -> Result<Vec<Element>, QueryError> {
        let Base { authority, prefix } = &self.base;
        let unknown = |reason| QueryError::Unknown { authority: authority.clone(), reason };
        let mut found = tokio::net::lookup_host(authority.as_str())
            .await
            .map_err(|error| unknown(error.to_string()))?;
        let address = found.next().ok_or_else(|| unknown("it has no address".to_owned()))?;
        let path = format!("{prefix}/api/v1/query?query={}", encoded(&self.query));
        let (status, body) = call::call(address, Method::GET, &path, None, LIMIT).await?;
        match serde_json::from_slice(&body) {
            Ok(Answer::Success { data: Data::Vector(elements) }) => Ok(elements),
            Ok(Answer::Success { data: Data::Scalar(value) }) => {
                Ok(vec![Element { metric: BTreeMap::new(), value }])
            }
            Ok(Answer::Error { kind, error }) => {
                Err(QueryError::Refused { query: self.query.clone(), kind, reason: error })
            }
            Err(_) => {
                let text = String::from_utf8_lossy(&body);
                let answer = text.trim().chars().take(120).collect();
                Err(QueryError::Unexpected { status, answer })
            }
        }
    }

    /// What `elements` say about each of `instances`.
    fn assign(&self, elements: &[Element], instances: &[&Instance]) -> Vec<(u32, f64)> {
        if let [one] = elements
            && !one.metric.contains_key("instance")
            && !instances.iter().any(|instance| self.is_about(one, instance))
        {
            let value = one.value();
            return instances.iter().filter_map(|one| Some((one.slot, value?))).collect();
        }
        let of = |instance: &&Instance| {
            let element = elements.iter().find(|element| self.is_about(element, instance))?;
            Some((instance.slot, element.value()?))
        };
        instances.iter().filter_map(of).collect()
    }

    fn is_about(&self, element: &Element, instance: &Instance) -> bool {
        let name = format!("{}-{}", self.group, instance.slot + 1);
        let is = |address: Option<SocketAddr>, value: &str| {
            address.is_some_and(|address| address.to_string() == value)
        };
        element.metric.values().any(|value| {
            *value == name || is(instance.metrics, value) || is(instance.address, value)
        })
    }
}

impl Prometheus {
    /// What it knows at `at` about each of `instances`.
    ///
    /// # Errors
    /// When it knows nothing of any, or does not answer.
    pub async fn usages(
        &self,
        at: Nanos,
        instances: &[&Instance],
    ) -> Result<Vec<(u32, Usage)>, MetricsError> {
        let elements = self.ask().await.map_err(|error| MetricsError(error.to_string()))?;
        let from = Nanos(at.0.saturating_sub(self.window.0));
        let values = self.assign(&elements, instances);
        if values.is_empty() && !instances.is_empty() {
            let known = if elements.is_empty() { "nothing" } else { "no instance of the group" };
            let why = format!("Prometheus knows {known} for `{}`", self.query);
            return Err(MetricsError(why));
        }
        Ok(values
            .into_iter()
            .map(|(slot, value)| (slot, Usage { value, from, until: at }))
            .collect())
    }

    /// The sum of what it answers.
    ///
    /// # Errors
    /// When it answers nothing, or not at all.
    pub async fn sum(&self) -> Result<f64, MetricsError> {
        let elements = self.ask().await.map_err(|error| MetricsError(error.to_string()))?;
        let values: Vec<f64> = elements.iter().filter_map(Element::value).collect();
        if values.is_empty() {
            let why = format!("Prometheus knows nothing for `{}`", self.query);
            return Err(MetricsError(why));
        }
        Ok(values.iter().sum())
    }
}

impl Base {
    fn of(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("http://")?;
        let (authority, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let host = authority.strip_suffix(':').unwrap_or(authority);
        let good = |c: char| c.is_ascii_alphanumeric() || ".-_[]:".contains(c);
        if host.is_empty()
            || host.starts_with(':')
            || !authority.chars().all(good)
            || prefix.contains(['?', '#', ' '])
        {
            return None;
        }
        let has_port =
            authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { authority.to_owned() } else { format!("{host}:80") };
        let prefix = prefix.trim_end_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
        Some(Self { authority, prefix })
    }
}

/// Percent-encoded for a query string: all but RFC 3986's unreserved characters.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte as char);
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autoscaler::InstanceState;

    fn instance(slot: u32, port: u16) -> Instance {
        let address = Some(SocketAddr::from(([127, 0, 0, 1], port)));
        Instance { slot, state: InstanceState::Running, address, metrics: address, cpus: 1.0 }
    }

    fn element(labels: &[(&str, &str)], value: &str) -> Element {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Element { metric: labels.iter().map(pair).collect(), value: (0.0, value.to_owned()) }
    }

    fn asked() -> Prometheus {
        Prometheus::new("http://localhost:9090", "up".to_owned(), "api", Span::from_secs(60))
            .unwrap()
    }

    #[test]
    fn a_url_is_host_port_and_prefix() {
        let base = |url| Base::of(url).map(|base| (base.authority, base.prefix));
        let some = |authority: &str, prefix: &str| Some((authority.to_owned(), prefix.to_owned()));
        assert_eq!(base("http://prometheus:9090"), some("prometheus:9090", ""));
        assert_eq!(base("http://prometheus:9090/"), some("prometheus:9090", ""));
        assert_eq!(base("http://host/prom/"), some("host:80", "/prom"));
        assert_eq!(base("http://[::1]:9090/a/b"), some("[::1]:9090", "/a/b"));
        for wrong in ["prometheus:9090", "https://host", "http://", "http://:90/", "http://a b/"] {
            assert_eq!(base(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn values_are_told_apart_by_name_or_address() {
        let (one, two) = (instance(0, 8081), instance(1, 8082));
        let elements = [
            element(&[("instance", "127.0.0.1:8082")], "0.5"),
            element(&[("instance", "x"), ("backend", "api-1")], "0.25"),
            element(&[("instance", "127.0.0.1:9999")], "9"),
        ];
        assert_eq!(asked().assign(&elements, &[&one, &two]), [(0, 0.25), (1, 0.5)]);
        let mean = [element(&[("job", "backends")], "0.7")];
        assert_eq!(asked().assign(&mean, &[&one, &two]), [(0, 0.7), (1, 0.7)]);
        assert_eq!(asked().assign(&elements[2..], &[&one, &two]), [], "that of somebody else");
        assert_eq!(asked().assign(&elements[..1], &[&one, &two]), [(1, 0.5)]);
        let nothing = [element(&[("instance", "127.0.0.1:8081")], "NaN")];
        assert_eq!(asked().assign(&nothing, &[&one]), []);
    }

    #[test]
    fn a_query_is_encoded() {
        assert_eq!(encoded("rate(a{b=\"c\"}[1m]) ~"), "rate%28a%7Bb%3D%22c%22%7D%5B1m%5D%29%20~");
    }
}
