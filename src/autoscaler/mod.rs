//! The autoscaler as a program: it measures a group of instances, asks [`policy::scale`] what is to
//! change, and carries that out in an order that loses no request.
//!
//! What it acts on are two traits: a [`Fleet`] has the instances (processes, containers), and
//! [`Balancing`] tells every balancer about them. A new instance is told to the balancers once it is
//! healthy; one that goes is drained there first, and stopped when nothing is in flight any more.
//!
//! [`policy::scale`]: crate::policy::scale

pub mod balancers;
pub mod balancing;
pub mod control;
pub mod fleet;
pub mod log;
mod member;
pub mod prometheus;
pub mod proxy;
pub mod scrape;
pub mod serve;
pub mod source;
pub mod status;

pub use balancing::{Balancing, BalancingError};
pub use control::{Control, ControlConfig};
pub use fleet::{Fleet, FleetError, Health, Instance, InstanceState};
pub use log::{Happening, Log};
pub use prometheus::Prometheus;
pub use proxy::ProxyAdmin;
pub use scrape::Scraper;
pub use serve::MetricsServer;
pub use source::{Around, Measuring, Source, SourceError};
pub use status::Status;
