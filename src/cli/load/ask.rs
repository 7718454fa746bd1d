//! From the options of `lab load` to what is to be sent.

use super::arguments::{Arrival, LoadArgs};
use super::job::{Job, Script};
use super::order::{Demand, Order, Part};
use super::urls::{self, Ask};
use crate::load::Protocol;
use crate::load::tls::Trust;
use crate::traffic::arrival::trace;
use crate::units::{Rate, Span};

/// Users of a closed loop that nothing else says.
const USERS: u32 = 50;
const DURATION: Span = Span::from_secs(10);

type Wrong = Box<dyn std::error::Error>;

impl LoadArgs {
    /// What is to be sent, by whomever.
    pub(super) fn job(&self) -> Result<Job, Wrong> {
        let Some(path) = &self.scenario else {
            return Ok(Job::Options(Box::new(self.order()?)));
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read the scenario `{}`: {error}", path.display()))?;
        Ok(Job::Scenario(Script {
            path: path.clone(),
            text,
            overrides: self.overrides.pairs().to_vec(),
            urls: self.urls.iter().chain(&self.target).cloned().collect(),
            seed: self.seed,
            replication: self.replication,
            pace: self.pace.into(),
            server_header: self.server_header.clone(),
        }))
    }

    /// What the options ask for.
    fn order(&self) -> Result<Order, Wrong> {
        let asks = match &self.urls_file {
            Some(file) => urls::read(file)?,
            None => self.urls.iter().chain(&self.target).map(|url| Ask::url(url)).collect(),
        };
        let protocol = self.protocol(&asks)?;
        let trust = match (&self.ca, self.insecure) {
            (_, true) => Trust::Anybody,
            (None, _) => Trust::Host,
            (Some(path), _) => Trust::Pem(std::fs::read(path).map_err(|error| {
                format!("cannot read the certificates in `{}`: {error}", path.display())
            })?),
        };
        let body = self.data.as_ref().map(super::forms::Data::read).transpose()?;
        let method = if body.is_some() && protocol != Protocol::WebSocket { "POST" } else { "GET" };
        let mut headers = self.headers.clone();
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("user-agent")) {
            let agent = concat!("lab/", env!("CARGO_PKG_VERSION"));
            headers.push(("user-agent".to_owned(), agent.to_owned()));
        }
        let (source, length) = self.demand(&asks)?;
        Ok(Order {
            asks,
            method: self.method.clone().unwrap_or_else(|| method.to_owned()),
            source,
            length,
            warm_up: self.warm_up,
            timeout: self.timeout,
            connections: self.connections,
            requests_per_connection: self.requests_per_connection,
            in_flight_cap: self.in_flight_cap,
            headers,
            body,
            body_size: self.body,
            server_header: self.server_header.clone(),
            requests: self.requests,
            protocol,
            trust,
            pace: self.pace.into(),
            threads: self.threads,
            seed: self.seed.unwrap_or(1),
            replication: self.replication,
        })
    }

    fn protocol(&self, asks: &[Ask]) -> Result<Protocol, Wrong> {
        let websocket = |ask: &&Ask| ask.url.starts_with("ws://") || ask.url.starts_with("wss://");
        let sockets = asks.iter().filter(websocket).count();
        Ok(match (self.http2, sockets) {
            (false, 0) => Protocol::Http1,
            (true, 0) => Protocol::Http2 { streams: self.streams },
            (true, _) => return Err("WebSocket goes over HTTP/1.1 here: leave out --http2".into()),
            (false, all) if all == asks.len() => Protocol::WebSocket,
            _ => return Err("either WebSocket or HTTP: the URLs are of both".into()),
        })
    }

    /// Where requests come from, and how long they do, warm-up included.
    fn demand(&self, asks: &[Ask]) -> Result<(Demand, Span), Wrong> {
        let length = self.warm_up + self.duration.unwrap_or(DURATION);
        if let Some(path) = &self.trace {
            return self.recorded(path, asks);
        }
        let uniform = matches!(self.arrival, Arrival::Uniform);
        if let (Some(rate), []) = (self.rate, &self.stage[..]) {
            let stages = vec![Part { name: "all".to_owned(), until: length, from: rate, to: rate }];
            return Ok((Demand::Open { uniform, stages }, length));
        }
        if !self.stage.is_empty() {
            return self.staged(uniform);
        }
        let users =
            self.users.unwrap_or(if self.connections > 0 { self.connections } else { USERS });
        Ok((Demand::Closed { users, think: self.think.clone() }, length))
    }

    /// The stages in order, behind a warm-up at the load of the first.
    fn staged(&self, uniform: bool) -> Result<(Demand, Span), Wrong> {
        let mut stages = Vec::new();
        let mut until = self.warm_up;
        if until > Span::ZERO {
            let first = self.stage[0].from;
            stages.push(Part { name: "warm-up".to_owned(), until, from: first, to: first });
        }
        for (stage, number) in self.stage.iter().zip(1..) {
            until += stage.length;
            let (from, to) = (stage.from, stage.until);
            stages.push(Part { name: format!("stage-{number}"), until, from, to });
        }
        if stages.iter().all(|stage| stage.from == Rate(0.0) && stage.to == Rate(0.0)) {
            return Err("no request would ever come: every stage has a rate of 0/s".into());
        }
        Ok((Demand::Open { uniform, stages }, until))
    }

    fn recorded(&self, path: &std::path::Path, asks: &[Ask]) -> Result<(Demand, Span), Wrong> {
        if !(self.speed.is_finite() && self.speed > 0.0) {
            return Err("--speed must be above 0".into());
        }
        let places = urls::places(asks)?;
        let names: Vec<String> = places.kinds.into_iter().map(|kind| kind.name).collect();
        let entries = trace::read(path, &names)?;
        let last = entries.last().map_or(0, |entry| entry.at.0);
        // The last request is due within the run, not at its end.
        let whole = Span(Span::from_nanos_f64(last as f64 / self.speed).0.saturating_add(1));
        let length = self.duration.unwrap_or(whole);
        let plain = entries.iter().map(|it| (it.at.0, it.demand.map(|span| span.0), it.class));
        Ok((Demand::Trace { entries: plain.collect(), speed: self.speed }, length))
    }
}
