//! A round on the board: what there is to scrape, and the follower of its spools.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::engine::Balancers;
use super::world::{LiveOptions, Stack};
use crate::exposition::{BACKEND_LABEL, TargetGroup};
use crate::monitor::{Board, Follower, Job};
use crate::scenario::Scenario;
use crate::units::Nanos;

/// A round that is shown while this lives.
pub(super) struct Shown {
    board: Board,
    // It reads the rest when it is dropped, before the board is told of the end.
    follower: Option<Follower>,
}

impl Shown {
    /// Shows the round that begins at `zero`; nothing without a board. `events` are the balancers'
    /// spools.
    pub(super) fn begin(
        scenario: &Scenario,
        options: &LiveOptions,
        stack: &Stack,
        zero: Nanos,
        (requests, events): (&Path, &[PathBuf]),
    ) -> Option<Self> {
        let board = options.board.clone()?;
        let backends = scenario.backends.iter().zip(&stack.backends).zip(&stack.endpoints);
        for ((backend, instance), endpoint) in backends {
            if instance.is_some() {
                found(&board, &backend.name, endpoint.listen);
            }
        }
        for (name, target) in balancers(&stack.balancers) {
            board.found(Job::Balancer, &name, target);
        }
        board.zero(zero);
        let follower = Follower::start(board.clone(), zero, requests, events);
        Some(Self { board, follower: Some(follower) })
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        drop(self.follower.take());
        self.board.ended();
    }
}

/// A backend is there to be scraped.
pub(super) fn found(board: &Board, name: &str, listen: SocketAddr) {
    let target = TargetGroup::new(listen).label(BACKEND_LABEL, name.to_owned());
    board.found(Job::Backends, name, target);
}

/// A backend is gone.
pub(super) fn lost(board: &Board, name: &str) {
    board.lost(Job::Backends, name);
}

/// The balancers that have metrics for Prometheus.
fn balancers(balancers: &Balancers) -> Vec<(String, TargetGroup)> {
    let Some((addresses, path)) = balancers.scraped() else { return Vec::new() };
    let target = |(place, address): (usize, &SocketAddr)| {
        let name = format!("balancer-{}", place + 1);
        let group = TargetGroup::new(*address).label("balancer", name.clone());
        (name, group.label("__metrics_path__", path))
    };
    addresses.iter().enumerate().map(target).collect()
}
