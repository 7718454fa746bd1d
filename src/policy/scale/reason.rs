//! Why a decision was made, in plain words.

use std::fmt;

use super::decision::{ActionError, MetricsError};
use super::metric::{Metric, ScaleMetric};
use super::target::TargetValue;
use crate::units::{Nanos, Span};

/// Why a decision is what it is: what was found, and what held it back.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// What the rule found.
    pub finding: Finding,
    /// What kept the rule from having its way, in the order in which it did.
    pub limits: Vec<Limit>,
}

/// What a rule found in what was measured.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// Nothing fresh was measured of any ready instance.
    NoSample,
    /// The metrics could not be had.
    NoMetrics(MetricsError),
    /// The rule was not asked.
    Unasked,
    /// Instances ended without being told to.
    Died {
        /// How many.
        count: u32,
    },
    /// There are fewer or more than were last wanted: an action failed, or someone else acted.
    OffTarget {
        /// How many there are.
        size: u32,
        /// How many were wanted.
        desired: u32,
    },
    /// The mean is above the upper bound.
    Above {
        /// What was measured.
        metric: ScaleMetric,
        /// Its mean.
        mean: f64,
        /// Over how many ready instances.
        of: u32,
        /// The upper bound.
        bound: f64,
        /// Polls in a row that found this.
        polls: u32,
        /// Polls in a row that are needed.
        needed: u32,
    },
    /// The mean is below the lower bound.
    Below {
        /// What was measured.
        metric: ScaleMetric,
        /// Its mean.
        mean: f64,
        /// Over how many ready instances.
        of: u32,
        /// The lower bound.
        bound: f64,
        /// Polls in a row that found this.
        polls: u32,
        /// Polls in a row that are needed.
        needed: u32,
    },
    /// The mean, beside a target.
    Target {
        /// What was measured.
        metric: ScaleMetric,
        /// Its mean.
        mean: f64,
        /// Over how many instances.
        of: u32,
        /// What it should be.
        target: f64,
        /// Instances that were not measured and stood in for something assumed.
        assumed: u32,
        /// How many instances follow.
        wanted: u32,
    },
    /// What was measured of the whole, beside a target.
    Whole {
        /// What was measured.
        metric: Metric,
        /// Its value.
        value: f64,
        /// What it should be, or what each instance's share of it should be.
        target: TargetValue,
        /// How many instances follow.
        wanted: u32,
    },
    /// Of several metrics the one that wants most instances.
    Most {
        /// What was found by that one.
        finding: Box<Self>,
        /// And by the others.
        others: Vec<Self>,
    },
    /// The mean is between the bounds.
    Between {
        /// What was measured.
        metric: ScaleMetric,
        /// Its mean.
        mean: f64,
        /// Over how many ready instances.
        of: u32,
        /// The lower bound.
        down: f64,
        /// The upper bound.
        up: f64,
    },
}

/// What kept a rule from having its way.
#[derive(Clone, Debug, PartialEq)]
pub enum Limit {
    /// A metric is not known, so the group may not shrink.
    Unknown {
        /// The first of those.
        metric: String,
        /// Why it is not.
        why: String,
        /// How many are not known.
        of: u32,
    },
    /// There must be at least so many.
    Min(u32),
    /// There may be no more than so many.
    Max(u32),
    /// More, or fewer, were recommended a short time ago.
    Stabilized {
        /// What holds instead.
        to: u32,
        /// How far back recommendations count.
        window: Span,
    },
    /// By what was added lately, no more than so many.
    RateUp(u32),
    /// By what was taken away lately, no fewer than so many.
    RateDown(u32),
    /// It has not been so for long enough.
    Alarm {
        /// Periods in a row that found it so.
        periods: u32,
        /// Periods in a row that are needed.
        needed: u32,
        /// How long one is.
        period: Span,
    },
    /// New instances do not count yet.
    WarmingUp,
    /// One decision adds no more than so many.
    StepUp(u32),
    /// One decision takes away no more than so many.
    StepDown(u32),
    /// The last scale-out was carried out too short a time ago.
    CoolingUp {
        /// When it may scale out again.
        until: Nanos,
    },
    /// The last change was carried out too short a time ago.
    CoolingDown {
        /// When it may scale in again.
        until: Nanos,
    },
    /// A change is being carried out.
    Busy,
    /// The last action failed, and is not repeated yet.
    Pausing {
        /// How it failed.
        error: ActionError,
        /// How many failed in a row.
        failures: u32,
        /// When it is tried again.
        until: Nanos,
    },
    /// No slot is free: those that drain still hold theirs.
    NoFreeSlot,
}

/// In plain words: what was found, and what held the rule back.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.finding.fmt(f)?;
        for (i, limit) in self.limits.iter().enumerate() {
            write!(f, "{} {limit}", if i == 0 { ", but" } else { ", and" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSample => f.write_str("no ready instance has a fresh sample"),
            Self::NoMetrics(error) => write!(f, "no metrics: {error}"),
            Self::Unasked => f.write_str("no instance died"),
            Self::Died { count: 1 } => f.write_str("an instance died"),
            Self::Died { count } => write!(f, "{count} instances died"),
            Self::OffTarget { size, desired } => {
                write!(f, "there are {size} instances where {desired} are wanted")
            }
            Self::Above { metric, mean, of, bound, polls, needed } => {
                write!(f, "{} is above {}", Mean(*metric, *mean, *of), metric.show(*bound))?;
                in_a_row(f, *polls, *needed)
            }
            Self::Below { metric, mean, of, bound, polls, needed } => {
                write!(f, "{} is below {}", Mean(*metric, *mean, *of), metric.show(*bound))?;
                in_a_row(f, *polls, *needed)
            }
            Self::Target { metric, mean, of, target, assumed, wanted } => {
                let mean = Mean(*metric, *mean, *of);
                write!(f, "{mean} beside a target of {} takes {wanted}", metric.show(*target))?;
                match assumed {
                    0 => Ok(()),
                    1 => f.write_str(", 1 more being assumed"),
                    more => write!(f, ", {more} more being assumed"),
                }
            }
            Self::Whole { metric, value, target, wanted } => {
                let (unit, number) = (metric.unit(), target.number());
                write!(
                    f,
                    "{metric} {} beside a target of {}",
                    unit.show(*value),
                    unit.show(number)
                )?;
                let each = matches!(target, TargetValue::Average(_));
                write!(f, "{} takes {wanted}", if each { " per instance" } else { "" })
            }
            Self::Most { finding, others } => {
                write!(f, "{finding}, the most of {}", others.len() + 1)?;
                for (place, other) in others.iter().enumerate() {
                    write!(f, "{}{other}", if place == 0 { " (beside it: " } else { "; " })?;
                }
                f.write_str(")")
            }
            Self::Between { metric, mean, of, down, up } => {
                let (down, up) = (metric.show(*down), metric.show(*up));
                write!(f, "{} is between {down} and {up}", Mean(*metric, *mean, *of))
            }
        }
    }
}

/// "the mean utilization 78.2 % of 3 ready instances".
struct Mean(ScaleMetric, f64, u32);

impl fmt::Display for Mean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(metric, mean, of) = *self;
        let plural = if of == 1 { "" } else { "s" };
        write!(f, "mean {metric} {} of {of} ready instance{plural}", metric.show(mean))
    }
}

fn in_a_row(f: &mut fmt::Formatter<'_>, polls: u32, needed: u32) -> fmt::Result {
    if needed <= 1 { Ok(()) } else { write!(f, " for {polls} of {needed} polls in a row") }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { metric, why, of } => {
                write!(f, "{metric} is not known ({why})")?;
                if *of > 1 {
                    write!(f, ", nor {} more", of - 1)?;
                }
                f.write_str(", so it may not shrink")
            }
            Self::Min(min) => write!(f, "there must be at least {min}"),
            Self::Max(max) => write!(f, "there may be no more than {max}"),
            Self::Stabilized { to, window } => {
                write!(f, "{to} were recommended within the last {window}")
            }
            Self::RateUp(most) => write!(f, "it may grow to {most} at once"),
            Self::RateDown(least) => write!(f, "it may shrink to {least} at once"),
            Self::Alarm { periods, needed, period } => {
                write!(f, "that was so for {periods} of {needed} times {period}")
            }
            Self::WarmingUp => f.write_str("new instances are warming up"),
            Self::StepUp(most) => write!(f, "one decision adds no more than {most}"),
            Self::StepDown(most) => write!(f, "one decision takes away no more than {most}"),
            Self::CoolingUp { until } => {
                write!(f, "the cooldown after the last scale-out lasts until {until}")
            }
            Self::CoolingDown { until } => {
                write!(f, "the cooldown after the last change lasts until {until}")
            }
            Self::Busy => f.write_str("the last change is still being carried out"),
            Self::Pausing { error, failures: 1, until } => {
                write!(f, "the last action failed ({error}) and is tried again at {until}")
            }
            Self::Pausing { error, failures, until } => {
                let words = "actions in a row failed, the last since";
                write!(f, "{failures} {words} {error}, and the next comes at {until}")
            }
            Self::NoFreeSlot => f.write_str("no slot is free while instances drain"),
        }
    }
}

impl Limit {
    /// The pause that is over at `until`, if `now` is before that.
    pub(super) fn cooling(now: Nanos, last: Option<Nanos>, pause: Span) -> Option<Nanos> {
        last.map(|last| last + pause).filter(|until| now < *until)
    }
}
