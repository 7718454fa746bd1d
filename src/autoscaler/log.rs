//! What the autoscaler says about its own doing.

use std::fmt;

use serde::Serialize;

use crate::policy::scale::{Change, ScaleDecision};
use crate::units::Nanos;

/// Something that happened, at an instant since the zero of the run.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A poll, or the death of an instance, was decided upon.
    Decided(ScaleDecision),
    /// The instance of this name was healthy, was told to every balancer, and serves.
    Ready(String),
    /// The instance of this name was drained, removed from every balancer, and stopped.
    Stopped(String),
    /// The instance of this name ended without being told to: how.
    Died(String, String),
    /// Something was not done: what, and why. It is tried again.
    Failed(String),
}

/// Who hears what happens.
pub trait Log {
    /// At `at` since zero, `happening`.
    fn hear(&mut self, at: Nanos, happening: &Happening);
}

impl<F: FnMut(Nanos, &Happening)> Log for F {
    fn hear(&mut self, at: Nanos, happening: &Happening) {
        self(at, happening);
    }
}

impl Happening {
    /// Whether the number of instances changes by it.
    #[must_use]
    pub fn is_change(&self) -> bool {
        match self {
            Self::Decided(decision) => decision.change != Change::None,
            Self::Ready(_) | Self::Stopped(_) | Self::Died(..) => true,
            Self::Failed(_) => false,
        }
    }

    /// As one line of JSON.
    #[must_use]
    pub fn json(&self, at: Nanos) -> String {
        let mut line =
            Line { at_seconds: at.0 as f64 / 1e9, event: self.word(), ..Line::default() };
        match self {
            Self::Decided(decision) => {
                line.size = Some(decision.size);
                line.desired = Some(decision.desired);
                line.change = decision.change.direction().map(|direction| match direction {
                    crate::policy::scale::Direction::Out => "out",
                    crate::policy::scale::Direction::In => "in",
                });
                line.slots = decision.change.slots().iter().map(|slot| slot + 1).collect();
                line.reason = Some(decision.reason.to_string());
            }
            Self::Ready(name) | Self::Stopped(name) => line.instance = Some(name),
            Self::Died(name, how) => {
                line.instance = Some(name);
                line.reason = Some(how.clone());
            }
            Self::Failed(what) => line.reason = Some(what.clone()),
        }
        serde_json::to_string(&line).unwrap_or_default()
    }

    const fn word(&self) -> &'static str {
        match self {
            Self::Decided(_) => "decided",
            Self::Ready(_) => "ready",
            Self::Stopped(_) => "stopped",
            Self::Died(..) => "died",
            Self::Failed(_) => "failed",
        }
    }
}

/// As in a log for people.
impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decided(decision) => decision.fmt(f),
            Self::Ready(name) => write!(f, "{name} is ready and serves"),
            Self::Stopped(name) => write!(f, "{name} was drained and stopped"),
            Self::Died(name, how) => write!(f, "{name} ended ({how})"),
            Self::Failed(what) => write!(f, "failed: {what}"),
        }
    }
}

#[derive(Default, Serialize)]
struct Line<'a> {
    at_seconds: f64,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    desired: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<&'static str>,
    /// The numbers of the instances' names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    slots: Vec<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}
