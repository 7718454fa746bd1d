//! What is to be sent, in plain data: made from the options, and handed to other generators.

use serde::{Deserialize, Serialize};

use super::urls::{Ask, places};
use crate::backend::law::parse_law;
use crate::load::tls::{TlsClient, Trust};
use crate::load::{Extras, LoadConfig, Pace, Protocol, Share};
use crate::traffic::arrival::TraceEntry;
use crate::traffic::{ArrivalConfig, ClassConfig, ClientConfig, Law, Source, Stage, TrafficConfig};
use crate::units::{Bytes, Nanos, Rate, Ratio, Seed, Span};

/// What is to be sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) asks: Vec<Ask>,
    pub(super) method: String,
    pub(super) source: Demand,
    /// Warm-up and what is measured.
    pub(super) length: Span,
    pub(super) warm_up: Span,
    pub(super) timeout: Span,
    pub(super) connections: u32,
    pub(super) requests_per_connection: u32,
    pub(super) in_flight_cap: u32,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Vec<u8>>,
    pub(super) body_size: Bytes,
    pub(super) server_header: Option<String>,
    pub(super) requests: Option<u64>,
    pub(super) protocol: Protocol,
    pub(super) trust: Trust,
    pub(super) pace: Pace,
    /// `None`: as many as the load asks for.
    pub(super) threads: Option<u32>,
    pub(super) seed: u64,
    pub(super) replication: u32,
}

/// Where requests come from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Demand {
    Open {
        uniform: bool,
        stages: Vec<Part>,
    },
    Trace {
        entries: Vec<(u64, Option<u64>, Option<u16>)>,
        speed: f64,
    },
    /// `think` is a law as written.
    Closed {
        users: u32,
        think: String,
    },
}

/// A stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) until: Span,
    pub(super) from: Rate,
    pub(super) to: Rate,
}

impl Order {
    /// What the generator is told, to send `share` of it from `zero` on.
    pub(super) fn config(
        &self,
        zero: Nanos,
        share: Share,
    ) -> Result<LoadConfig, Box<dyn std::error::Error>> {
        let places = places(&self.asks)?;
        let several = places.kinds.len() > 1;
        let class = |(kind, ask): (&super::urls::Kind, &Ask)| ClassConfig {
            name: if several { kind.name.clone() } else { "all".to_owned() },
            path: kind.path.clone(),
            method: ask.method.clone().unwrap_or_else(|| self.method.clone()),
            share: Ratio(1.0 / places.kinds.len() as f64),
            body: self.body_size,
        };
        let secure = places.targets.iter().any(|target| target.secure);
        let tls = secure.then(|| TlsClient::new(&self.trust, self.protocol)).transpose()?;
        let mut config = LoadConfig {
            traffic: TrafficConfig {
                source: self.source()?,
                classes: places.kinds.iter().zip(&self.asks).map(class).collect(),
                keys: None,
                client: ClientConfig {
                    connections: part(share, self.connections),
                    requests_per_connection: self.requests_per_connection,
                    timeout: self.timeout,
                    in_flight_cap: part(share, self.in_flight_cap),
                },
            },
            hash_key: None,
            end: Nanos(self.length.0),
            backends: Vec::new(),
            seed: Seed::new(self.seed, self.replication),
            replication: self.replication,
            zero,
            spool: None,
            pace: self.pace,
            extras: Extras {
                protocol: self.protocol,
                tls,
                headers: self.headers.clone(),
                body: self.body.clone().map(Into::into),
                server_header: self.server_header.clone(),
                class_targets: places.kinds.iter().map(|kind| kind.target).collect(),
                warm_up: Nanos(self.warm_up.0),
                requests: self.requests,
                share,
                threads: 1,
            },
            targets: places.targets,
        };
        config.extras.threads = self.threads.unwrap_or_else(|| config.fitting_threads());
        Ok(config)
    }

    fn source(&self) -> Result<Source, Box<dyn std::error::Error>> {
        Ok(match &self.source {
            Demand::Closed { users, think } => {
                Source::Closed { users: *users, think: parse_law(think)? }
            }
            Demand::Open { uniform, stages } => {
                let arrival =
                    if *uniform { ArrivalConfig::Uniform } else { ArrivalConfig::Poisson };
                let mut from = Nanos::ZERO;
                let stages = stages.iter().map(|part| {
                    let until = Nanos(part.until.0);
                    let (rate_from, rate_until) = (part.from, part.to);
                    let name = part.name.clone();
                    let stage = Stage { name, from, until, rate_from, rate_until };
                    from = until;
                    stage
                });
                Source::Open { arrival, stages: stages.collect() }
            }
            Demand::Trace { entries, speed } => {
                let entry = |&(at, demand, class): &(u64, Option<u64>, Option<u16>)| TraceEntry {
                    at: Nanos(at),
                    demand: demand.map(Span),
                    class,
                };
                let seconds = self.length.as_secs_f64().max(1e-9);
                let rate = Rate(entries.len() as f64 / seconds);
                let whole = Stage {
                    name: "trace".to_owned(),
                    from: Nanos::ZERO,
                    until: Nanos(self.length.0),
                    rate_from: rate,
                    rate_until: rate,
                };
                let entries = entries.iter().map(entry).collect();
                let arrival = ArrivalConfig::Trace { entries, speed: *speed };
                Source::Open { arrival, stages: vec![whole] }
            }
        })
    }

    /// What is asked for, in a few words.
    pub(super) fn words(&self) -> String {
        match &self.source {
            Demand::Closed { users, think } if *think == "0s" => format!("{users} users"),
            Demand::Closed { users, think } => format!("{users} users who think {think}"),
            Demand::Trace { entries, .. } => format!("a trace of {}", entries.len()),
            Demand::Open { uniform, stages } => {
                let law = if *uniform { "uniform" } else { "poisson" };
                match &stages[..] {
                    [one] if one.from == one.to => format!("{}, {law}", one.from),
                    stages => format!("{} stages, {law}", stages.len()),
                }
            }
        }
    }
}

/// A generator's part of a limit; 0 stays none, and each has at least one.
pub(super) fn part(share: Share, limit: u32) -> u32 {
    if limit == 0 { 0 } else { (share.part_of(u64::from(limit)) as u32).max(1) }
}

/// Whether `text` is a law of durations.
pub(super) fn think(text: &str) -> Result<String, String> {
    let law: Result<Law, _> = parse_law(text);
    law.map(|_| text.to_owned()).map_err(|error| error.to_string())
}
