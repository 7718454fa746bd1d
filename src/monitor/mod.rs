//! What a run shows of itself while it lasts: an HTTP endpoint with `/metrics`, where the model's
//! series stand beside the live world's of the same instant, and `/sd`, where Prometheus finds what
//! the run has started.
//!
//! The model runs first, so all of its seconds are known when the live world begins its first. Both
//! worlds are shown up to the same whole second of the run, the last one that is known of both: a
//! simulated and a live number in one scrape belong together. That second lies one to two seconds
//! back, since the rows of the load generator reach their file once a second.

mod board;
mod follow;
mod page;
mod series;
mod server;

pub use board::{Board, Job, Observed};
pub use follow::Follower;
pub use series::Series;
pub use server::{MonitorError, Server};
