//! A scenario at another load, or with another number of servers.

use crate::scenario::{self, Diagnostics, Scenario};
use crate::traffic::{ArrivalConfig, Source};

/// What is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Requests per second, or users of a closed loop.
    Load,
    /// Servers of the group of this name.
    Servers(String),
}

/// Why a scenario has no such axis.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAxis {
    /// The load is that of a trace.
    #[error(
        "the load is that of a trace: capacity needs a rate or users, and `lab import` fits one"
    )]
    Trace,
    /// The load changes.
    #[error(
        "the load changes over the stages: capacity needs one rate, such as `[traffic] rate = \"100/s\"`"
    )]
    Stages,
    /// No group has that name.
    #[error("there is no [[backend]] named `{0}`")]
    Group(String),
    /// The autoscaler changes it.
    #[error("the autoscaler chooses the number of servers: leave [autoscaler] out")]
    Autoscaler,
}

impl Axis {
    /// Where `scenario` is on the axis now.
    ///
    /// # Errors
    /// When it has no such axis.
    pub fn place(&self, scenario: &Scenario) -> Result<f64, NoAxis> {
        match (self, &scenario.traffic.source) {
            (Self::Servers(_), _) if scenario.autoscaler.is_some() => Err(NoAxis::Autoscaler),
            (Self::Servers(group), _) => {
                let count = scenario.backends.iter().filter(|it| it.group == *group).count();
                if count == 0 { Err(NoAxis::Group(group.clone())) } else { Ok(count as f64) }
            }
            (Self::Load, Source::Closed { users, .. }) => Ok(f64::from(*users)),
            (Self::Load, Source::Open { arrival: ArrivalConfig::Trace { .. }, .. }) => {
                Err(NoAxis::Trace)
            }
            (Self::Load, Source::Open { stages, .. }) => match &stages[..] {
                [stage] if stage.rate_from == stage.rate_until => Ok(stage.rate_from.0),
                _ => Err(NoAxis::Stages),
            },
        }
    }

    /// Whether only whole numbers are on it.
    #[must_use]
    pub const fn is_whole(&self, scenario: &Scenario) -> bool {
        matches!(self, Self::Servers(_)) || matches!(scenario.traffic.source, Source::Closed { .. })
    }

    /// Whether more of it makes things better.
    #[must_use]
    pub const fn helps(&self) -> bool {
        matches!(self, Self::Servers(_))
    }

    /// Its unit, for people.
    #[must_use]
    pub const fn unit(&self, scenario: &Scenario) -> &'static str {
        match (self, &scenario.traffic.source) {
            (Self::Servers(_), _) => "servers",
            (_, Source::Closed { .. }) => "users",
            _ => "requests/s",
        }
    }

    /// `scenario` at `level`, by an override, so that both worlds read it.
    ///
    /// # Errors
    /// When the scenario is wrong there.
    pub fn at(&self, scenario: &Scenario, level: f64) -> Result<Scenario, Diagnostics> {
        let (key, value) = match (self, &scenario.traffic.source) {
            (Self::Servers(group), _) => (format!("backend.{group}.count"), format!("{level:.0}")),
            (_, Source::Closed { .. }) => ("traffic.users".to_owned(), format!("{level:.0}")),
            // A stage of its own has the rate where there is no plain one.
            _ if has_stage(scenario) => ("traffic.stage.0.rate".to_owned(), format!("{level}/s")),
            _ => ("traffic.rate".to_owned(), format!("{level}/s")),
        };
        let mut overrides = scenario.overrides.clone();
        overrides.push((key, value));
        // The scenario's own checks are not asked here, and may name a server that is not there.
        let read = match self {
            Self::Servers(_) => scenario::parse_unchecked,
            Self::Load => scenario::parse_with,
        };
        let mut changed = read(&scenario.text, &scenario.path, &overrides)?;
        changed.seed = scenario.seed;
        changed.checks.clone_from(&scenario.checks);
        changed.replications = scenario.replications;
        changed.precision.clone_from(&scenario.precision);
        changed.until.clone_from(&scenario.until);
        Ok(changed)
    }
}

fn has_stage(scenario: &Scenario) -> bool {
    // The stage that stands for a plain rate is called so.
    scenario.traffic.stages().first().is_some_and(|stage| stage.name != "run")
}
