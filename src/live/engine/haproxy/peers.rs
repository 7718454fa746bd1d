//! Brings the servers of a running HAProxy to a given set: `add server`, `set server` and
//! `del server` of the runtime API, as HAProxy 2.6 has them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::runtime::{Row, Runtime, RuntimeError};
use crate::engine::haproxy::BACKEND;
use crate::host::clock;
use crate::units::Span;

/// How often a leaving server is looked at.
const PERIOD: Duration = Duration::from_millis(20);

/// A server that is to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::live) struct PeerTarget {
    pub(in crate::live) name: String,
    pub(in crate::live) address: SocketAddr,
    /// 1 to 256.
    pub(in crate::live) weight: u32,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::live) struct PeerChanges {
    pub(in crate::live) added: Vec<String>,
    /// Another address or weight, or back from a drain.
    pub(in crate::live) changed: Vec<String>,
    pub(in crate::live) removed: Vec<String>,
}

impl Runtime {
    /// Makes the servers those of `targets`: the missing are added with `words` (those of all
    /// servers) and take part at once, the others of the targets get their address and weight, and
    /// the rest are drained, and removed as soon as nothing is in flight there.
    ///
    /// # Errors
    /// What HAProxy refuses, such as an addition under a map-based hash; and a server that still
    /// had requests after `patience`: it stays there, drained.
    pub(super) async fn apply(
        &self,
        targets: &[PeerTarget],
        words: &str,
        patience: Span,
    ) -> Result<PeerChanges, RuntimeError> {
        let mut changes = PeerChanges::default();
        let rows = self.rows().await?;
        for target in targets {
            match rows.iter().find(|row| field(row, "svname") == target.name) {
                None => {
                    self.add(target, words).await?;
                    changes.added.push(target.name.clone());
                }
                Some(row) if self.change(row, target).await? => {
                    changes.changed.push(target.name.clone());
                }
                Some(_) => {}
            }
        }
        let wanted: BTreeSet<&str> = targets.iter().map(|target| target.name.as_str()).collect();
        let names = rows.iter().map(|row| field(row, "svname"));
        let leaving: Vec<&str> =
            names.filter(|name| *name != "BACKEND" && !wanted.contains(name)).collect();
        // All stop getting requests before the first is waited for.
        for name in &leaving {
            self.ask(&format!("set server {BACKEND}/{name} state drain")).await?;
        }
        let deadline = clock::now() + patience;
        for name in leaving {
            self.remove(name, deadline).await?;
            changes.removed.push(name.to_owned());
        }
        Ok(changes)
    }

    /// Added servers begin in maintenance, without their checks.
    async fn add(&self, target: &PeerTarget, words: &str) -> Result<(), RuntimeError> {
        let PeerTarget { name, address, weight } = target;
        let server = format!("{BACKEND}/{name}");
        self.ask(&format!("add server {server} {address} weight {weight} {words}")).await?;
        if words.split(' ').any(|word| word == "check") {
            self.ask(&format!("enable health {server}")).await?;
        }
        self.ask(&format!("enable server {server}")).await?;
        Ok(())
    }

    async fn change(&self, row: &Row, target: &PeerTarget) -> Result<bool, RuntimeError> {
        let PeerTarget { name, address, weight } = target;
        let server = format!("{BACKEND}/{name}");
        let mut changed = false;
        if field(row, "addr") != address.to_string() {
            let (host, port) = (address.ip(), address.port());
            self.ask(&format!("set server {server} addr {host} port {port}")).await?;
            changed = true;
        }
        if field(row, "uweight") != weight.to_string() {
            self.ask(&format!("set server {server} weight {weight}")).await?;
            changed = true;
        }
        if field(row, "status").starts_with("DRAIN") || field(row, "status").starts_with("MAINT") {
            self.ask(&format!("set server {server} state ready")).await?;
            changed = true;
        }
        Ok(changed)
    }

    /// Only a server in maintenance without requests and connections can be removed.
    async fn remove(&self, name: &str, deadline: crate::units::Nanos) -> Result<(), RuntimeError> {
        let busy = |row: &Row| {
            field(row, "svname") == name && (field(row, "scur") != "0" || field(row, "qcur") != "0")
        };
        while self.rows().await?.iter().any(busy) {
            if clock::now() >= deadline {
                return Err(RuntimeError::Refused {
                    command: format!("del server {BACKEND}/{name}"),
                    answer: "it still has requests in flight".to_owned(),
                });
            }
            tokio::time::sleep(PERIOD).await;
        }
        self.ask(&format!("set server {BACKEND}/{name} state maint")).await?;
        loop {
            // Its idle connections are closed by other threads in their own time.
            match self.ask(&format!("del server {BACKEND}/{name}")).await {
                Ok(_) => return Ok(()),
                Err(RuntimeError::Refused { answer, .. })
                    if answer.contains("connections") && clock::now() < deadline =>
                {
                    tokio::time::sleep(PERIOD).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn field<'a>(row: &'a Row, name: &str) -> &'a str {
    row.get(name).map_or("", String::as_str)
}
