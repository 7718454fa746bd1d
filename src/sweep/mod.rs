//! A sweep: the points that its axes make, who runs which of them, and what they say together.
//!
//! Every point runs the same requests as far as its keys allow (the plan is a function of the
//! seed and of a request's number), so two points that differ by a policy alone are compared
//! request by request: common random numbers. What differs between them is the policy.

mod best;
mod design;
mod result;
mod shard;

pub use best::{Condition, Contender, Ranking, rank};
pub use design::{DesignError, MOST_POINTS, Point, Setting, points};
pub use result::{
    CheckTally, Measured, POINT_SCHEMA_VERSION, PointResult, Replications, SWEEP_SCHEMA_VERSION,
    SweepResults, tally,
};
pub use shard::{Shard, ShardError};
