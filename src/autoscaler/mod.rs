//! The autoscaler as a program: it measures a group of instances, asks [`policy::scale`] what is to
//! change, and carries that out in an order that loses no request.
//!
//! What it acts on are two traits: a [`Fleet`] has the instances (processes, containers), and
//! [`Balancing`] tells every balancer about them. A new instance is told to the balancers once it is
//! healthy; one that goes is drained there first, and stopped when nothing is in flight any more.
//!
//! [`policy::scale`]: crate::policy::scale

pub mod balancing;
pub mod fleet;

pub use balancing::{Balancing, BalancingError};
pub use fleet::{Fleet, FleetError, Health, Instance, InstanceState};
