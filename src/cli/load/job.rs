//! What generators send: what the options ask for, or the traffic of a scenario. In plain data, so that
//! other generators can be told.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::order::{self, Order};
use crate::load::{LoadConfig, Pace, Share, Target};
use crate::scenario;
use crate::traffic::{ArrivalConfig, Source};
use crate::units::{Nanos, Rate, Seed};

type Wrong = Box<dyn std::error::Error>;

/// What is to be sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Job {
    Options(Box<Order>),
    Scenario(Script),
}

/// A scenario, and what the command line says beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Script {
    /// Where it was read; files that it names are beside it.
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) overrides: Vec<(String, String)>,
    pub(super) urls: Vec<String>,
    /// `None`: the scenario's.
    pub(super) seed: Option<u64>,
    pub(super) replication: u32,
    pub(super) pace: Pace,
    pub(super) server_header: Option<String>,
}

impl Job {
    /// What the generator is told, to send `share` of it from `zero` on; and the seed.
    pub(super) fn config(&self, zero: Nanos, share: Share) -> Result<(LoadConfig, u64), Wrong> {
        match self {
            Self::Options(order) => Ok((order.config(zero, share)?, order.seed)),
            Self::Scenario(script) => script.config(zero, share),
        }
    }

    /// The same in a few words.
    pub(super) fn words(&self, config: &LoadConfig) -> String {
        match self {
            Self::Options(order) => order.words(),
            Self::Scenario(_) => words(config),
        }
    }
}

impl Script {
    fn config(&self, zero: Nanos, share: Share) -> Result<(LoadConfig, u64), Wrong> {
        let targets = self.urls.iter().map(|url| Target::resolve(url));
        let targets = targets.collect::<Result<Vec<_>, _>>()?;
        if targets.iter().any(|target| target.secure) {
            return Err("a scenario's clients speak plain HTTP; give an http:// URL".into());
        }
        let scenario = scenario::parse_with(&self.text, &self.path, &self.overrides)?;
        let number = self.seed.unwrap_or(scenario.seed);
        let seed = Seed::new(number, self.replication);
        let mut config = LoadConfig::from_scenario(&scenario, targets, seed, zero);
        config.replication = self.replication;
        config.pace = self.pace;
        config.extras.server_header.clone_from(&self.server_header);
        config.extras.share = share;
        let client = &mut config.traffic.client;
        client.connections = order::part(share, client.connections);
        client.in_flight_cap = order::part(share, client.in_flight_cap);
        Ok((config, number))
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
