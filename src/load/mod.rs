//! The load generator: the plan against the clock.
//!
//! An open loop sends each request when it is due, whatever the responses do; a closed loop has
//! users who wait for theirs. Latency counts from the instant a request was due, so a generator
//! or a server that stalls cannot hide it (coordinated omission), and the generator's own
//! lateness is measured and reported. Plain HTTP/1.1 goes out from threads that own all they touch
//! (`plain`), so that nothing stands between timer and socket; TLS, HTTP/2 and WebSocket are carried
//! by tasks (`generator`).

mod alarm;
mod closed;
pub mod config;
mod connection;
mod framing;
mod generator;
mod head;
mod http2;
mod jar;
mod json;
mod ledger;
mod merge;
mod open;
mod pacer;
mod plain;
mod pool;
pub mod program;
mod report;
mod rules;
mod run;
mod table;
pub mod tally;
mod target;
pub mod tls;
mod transport;
mod watch;
mod websocket;
mod wire;

pub use config::{Extras, LoadConfig, LoadError, Pace, Protocol, Share};
pub use report::{LittlesLaw, LoadReport};
pub use run::{Outcome, run, run_watched};
pub use tally::Tally;
pub use target::{Target, TargetError};
pub use watch::{Seen, Watch};
