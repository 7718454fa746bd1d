//! How many instances there should be: one pure machine, with time and samples handed in.
//!
//! A [`Scaler`] is polled with what was measured and says what is to change and why; who polls it
//! carries that out and tells it how it ended. The model and `lab autoscale` poll the same machine,
//! so that no decision is made twice.

mod config;
mod decision;
mod flap;
mod instance;
mod metric;
mod reason;
mod replay;
mod rule;
mod scaler;
pub mod series;
mod slots;
mod target;
mod target_tracking;
mod threshold;

pub use config::{ScaleConfig, ScaleRule};
pub use decision::{ActionError, Change, Direction, MetricsError, ScaleDecision};
pub use flap::{Flaps, MOVED};
pub use instance::{InstanceSample, Phase, Usage};
pub use metric::{External, Metric, Reading, Readings, ScaleMetric};
pub use reason::{Finding, Limit, Reason};
pub use replay::{RecordedRow, Recording, Replay};
pub use scaler::Scaler;
pub use series::Series;
pub use target::{
    Behavior, PolicyKind, ScalingPolicy, ScalingRules, SelectPolicy, TargetConfig, TargetValue,
};
pub use target_tracking::TargetTrackingConfig;
pub use threshold::ThresholdConfig;

#[cfg(test)]
mod tests;
