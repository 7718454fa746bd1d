//! The plan: every request of one replication, addressed by its id, none of them stored.

use super::TrafficConfig;
use super::request::Request;
use crate::units::{Nanos, Seed};

/// The requests of one replication.
#[derive(Clone, Debug)]
pub struct Plan {
    _config: TrafficConfig,
}

impl Plan {
    /// The plan of `traffic` up to `end`, where arrivals stop.
    #[must_use]
    pub fn new(_traffic: &TrafficConfig, _seed: Seed, _end: Nanos) -> Self {
        todo!()
    }
    /// The requests of an open loop in order of arrival; empty for a closed loop.
    #[must_use]
    pub fn arrivals(&self) -> Arrivals<'_> {
        todo!()
    }
    /// Turn `turn` (from 0) of user `user` of a closed loop; `at` is its think time.
    #[must_use]
    pub fn turn(&self, _user: u32, _turn: u32) -> Request {
        todo!()
    }
    /// The key of all draws of this replication.
    #[must_use]
    pub fn seed(&self) -> Seed {
        todo!()
    }
    /// Where arrivals stop.
    #[must_use]
    pub fn end(&self) -> Nanos {
        todo!()
    }
}

/// Iterator over the arrivals of an open loop, in constant memory.
#[derive(Clone, Debug)]
pub struct Arrivals<'a> {
    _plan: &'a Plan,
}

impl Iterator for Arrivals<'_> {
    type Item = Request;
    fn next(&mut self) -> Option<Request> {
        todo!()
    }
}
