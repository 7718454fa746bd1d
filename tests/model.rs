//! What the model does: each fault's effect, time-outs whose work is still served, limits, order
//! of service, herding views, closed loops, connections.

#[path = "model/resilience.rs"]
mod resilience;
#[path = "model/rows.rs"]
mod rows;

#[path = "model/client.rs"]
mod client;
#[path = "model/envoy.rs"]
mod envoy;
#[path = "model/fault.rs"]
mod fault;
#[path = "model/property.rs"]
mod property;
#[path = "model/scale.rs"]
mod scale;
#[path = "model/station.rs"]
mod station;
#[path = "model/trace.rs"]
mod trace;
#[path = "model/warning.rs"]
mod warning;
