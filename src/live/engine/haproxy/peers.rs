//! Brings the servers of a running HAProxy to a given set: `add server`, `set server` and
//! `del server` of the runtime API, as HAProxy 2.6 has them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::runtime::{Row, Runtime, RuntimeError};
use crate::engine::haproxy::{BACKEND, RuntimeServer};
use crate::host::clock;
use crate::units::{Nanos, Span};

/// How often a leaving server is looked at.
const PERIOD: Duration = Duration::from_millis(20);

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PeerChanges {
    pub(super) added: Vec<String>,
    /// Another address, weight or state.
    pub(super) changed: Vec<String>,
    pub(super) removed: Vec<String>,
}

impl Runtime {
    /// Makes the servers those of `wanted`: the missing are added and take part at once, those that
    /// are there get their address, weight and state, and the rest are drained, and removed as soon
    /// as nothing is in flight there. One that gets another address takes nothing until what it
    /// has is finished.
    ///
    /// # Errors
    /// What HAProxy refuses, such as an addition under a map-based hash; and a server that still
    /// had requests after `patience`: it stays there, drained.
    pub(super) async fn apply(
        &self,
        wanted: &[RuntimeServer],
        patience: Span,
    ) -> Result<PeerChanges, RuntimeError> {
        let mut changes = PeerChanges::default();
        let deadline = clock::now() + patience;
        let rows = self.servers().await?;
        for server in wanted {
            match rows.iter().find(|row| field(row, "srv_name") == server.name) {
                None => {
                    self.add(server).await?;
                    changes.added.push(server.name.clone());
                }
                Some(row) if self.change(row, server, deadline).await? => {
                    changes.changed.push(server.name.clone());
                }
                Some(_) => {}
            }
        }
        let wanted: BTreeSet<&str> = wanted.iter().map(|server| server.name.as_str()).collect();
        let names = rows.iter().map(|row| field(row, "srv_name"));
        let leaving: Vec<&str> = names.filter(|name| !wanted.contains(name)).collect();
        // All stop getting requests before the first is waited for.
        for name in &leaving {
            self.ask(&format!("set server {BACKEND}/{name} state drain")).await?;
        }
        for name in leaving {
            self.remove(name, deadline).await?;
            changes.removed.push(name.to_owned());
        }
        Ok(changes)
    }

    /// Added servers begin in maintenance, and without their checks.
    async fn add(&self, server: &RuntimeServer) -> Result<(), RuntimeError> {
        let RuntimeServer { name, address, state, words, .. } = server;
        self.ask(&format!("add server {BACKEND}/{name} {address} {words}")).await?;
        if server.is_checked {
            self.ask(&format!("enable health {BACKEND}/{name}")).await?;
        }
        self.ask(&format!("set server {BACKEND}/{name} state {state}")).await?;
        Ok(())
    }

    async fn change(
        &self,
        row: &Row,
        server: &RuntimeServer,
        deadline: Nanos,
    ) -> Result<bool, RuntimeError> {
        let RuntimeServer { name, address, weight, state, .. } = server;
        let mut orders = Vec::new();
        let (host, port) = (address.ip(), address.port());
        let has_moved = field(row, "srv_addr") != host.to_string()
            || field(row, "srv_port") != port.to_string();
        if has_moved {
            // With the address HAProxy closes the idle connections to the old one, but those that
            // are in use would be kept afterwards, and used on and on.
            self.ask(&format!("set server {BACKEND}/{name} state drain")).await?;
            self.finished(name, deadline).await?;
            orders.push(format!("addr {host} port {port}"));
        }
        if field(row, "srv_uweight") != weight.to_string() {
            orders.push(format!("weight {weight}"));
        }
        if has_moved || administrative(row) != *state {
            orders.push(format!("state {state}"));
        }
        for order in &orders {
            self.ask(&format!("set server {BACKEND}/{name} {order}")).await?;
        }
        Ok(!orders.is_empty())
    }

    /// Waits until a drained server has nothing in flight.
    async fn finished(&self, name: &str, deadline: Nanos) -> Result<(), RuntimeError> {
        let busy = |row: &Row| {
            field(row, "svname") == name && (field(row, "scur") != "0" || field(row, "qcur") != "0")
        };
        while self.rows().await?.iter().any(busy) {
            if clock::now() >= deadline {
                return Err(RuntimeError::Busy { name: name.to_owned() });
            }
            tokio::time::sleep(PERIOD).await;
        }
        // A thread counts a request out just before it gives its connection back.
        tokio::time::sleep(PERIOD).await;
        Ok(())
    }

    /// Only a server in maintenance without requests and connections can be removed.
    async fn remove(&self, name: &str, deadline: Nanos) -> Result<(), RuntimeError> {
        self.finished(name, deadline).await?;
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

/// What a server was told to be, whatever its checks say (`SRV_ADMF_FMAINT` and `SRV_ADMF_FDRAIN`
/// of `include/haproxy/server-t.h`).
fn administrative(row: &Row) -> &'static str {
    let state: u32 = field(row, "srv_admin_state").parse().unwrap_or_default();
    match (state & 0x01 != 0, state & 0x08 != 0) {
        (true, _) => "maint",
        (false, true) => "drain",
        (false, false) => "ready",
    }
}

fn field<'a>(row: &'a Row, name: &str) -> &'a str {
    row.get(name).map_or("", String::as_str)
}
