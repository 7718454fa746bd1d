//! From the options of `lab load` to what the generator is told.

use super::order::{Demand, Order, Part};
use super::urls::{self, Ask};
use super::{Arrival, LoadArgs, PaceArg};
use crate::host::clock;
use crate::load::tls::Trust;
use crate::load::{LoadConfig, Pace, Protocol, Share, Target};
use crate::scenario;
use crate::traffic::arrival::trace;
use crate::traffic::{ArrivalConfig, Source};
use crate::units::{Nanos, Rate, Seed, Span};

/// Users of a closed loop that nothing else says.
const USERS: u32 = 50;
const DURATION: Span = Span::from_secs(10);

type Wrong = Box<dyn std::error::Error>;

impl LoadArgs {
    /// What the generator is told, if it sends everything itself; and the same in a few words.
    pub(super) fn config(&self) -> Result<(LoadConfig, String), Wrong> {
        let zero = self.zero.map_or_else(|| clock::now() + super::LEAD, Nanos);
        let (mut config, words) = match &self.scenario {
            None => {
                let order = self.order()?;
                (order.config(zero, Share::default())?, order.words())
            }
            Some(file) => {
                let urls = self.urls.iter().chain(&self.target);
                let targets =
                    urls.map(|url| Target::resolve(url)).collect::<Result<Vec<_>, _>>()?;
                if targets.iter().any(|target| target.secure) {
                    return Err("a scenario's clients speak plain HTTP; give an http:// URL".into());
                }
                let scenario = scenario::load_with(file, self.overrides.pairs())?;
                let seed = Seed::new(self.seed.unwrap_or(scenario.seed), self.replication);
                let mut config = LoadConfig::from_scenario(&scenario, targets, seed, zero);
                config.replication = self.replication;
                if let PaceArg::Batch = self.pace {
                    config.pace = Pace::Batch(super::order::BATCH);
                }
                config.extras.server_header.clone_from(&self.server_header);
                let words = words(&config);
                (config, words)
            }
        };
        config.spool.clone_from(&self.spool);
        Ok((config, words))
    }

    /// What is to be sent, in plain data.
    pub(super) fn order(&self) -> Result<Order, Wrong> {
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
            batch: matches!(self.pace, PaceArg::Batch),
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

/// What a scenario asks for, in a few words.
fn words(config: &LoadConfig) -> String {
    match &config.traffic.source {
        Source::Closed { users, .. } => format!("{users} users"),
        Source::Open { arrival: ArrivalConfig::Trace { .. }, .. } => "a trace".to_owned(),
        Source::Open { .. } => format!("{} on average", Rate(config.traffic.mean_rate())),
    }
}
