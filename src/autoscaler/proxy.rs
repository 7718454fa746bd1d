//! lab's own proxy as the balancer: orders go to its admin interface.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Balancing, BalancingError};
use crate::host::call;
use crate::policy::PeerConfig;

/// An order that is not obeyed by then has failed.
const LIMIT: Duration = Duration::from_secs(2);

/// The proxies in front of a group.
#[derive(Clone, Debug)]
pub struct ProxyAdmin {
    admins: Vec<SocketAddr>,
    token: Option<String>,
    /// How an instance is added, but for its name.
    peer: PeerConfig,
}

/// A peer as the admin interface shows it, once for each view.
#[derive(Debug, Deserialize)]
struct Shown {
    address: SocketAddr,
    in_flight: u64,
}

impl ProxyAdmin {
    /// Those with their admin interfaces at `admins`, shown `token` if they ask for one. Instances
    /// are added with the weight and limits of `peer`.
    #[must_use]
    pub const fn new(admins: Vec<SocketAddr>, token: Option<String>, peer: PeerConfig) -> Self {
        Self { admins, token, peer }
    }

    async fn call(
        &self,
        admin: SocketAddr,
        (method, path): (Method, &str),
        body: Option<&Value>,
    ) -> Result<(u16, Vec<u8>), BalancingError> {
        let token = self.token.as_deref();
        match call::call_as(token, admin, method, path, body, LIMIT).await {
            Ok((status, body)) => Ok((status, body.to_vec())),
            Err(error) => Err(BalancingError::Unreachable {
                balancer: admin.to_string(),
                reason: error.to_string(),
            }),
        }
    }

    /// Gives an order; those whose status is in `done` as well as the successes have been obeyed.
    async fn order(
        &self,
        admin: SocketAddr,
        request: (Method, &str),
        body: Option<&Value>,
        (order, done): (&str, &[u16]),
    ) -> Result<u16, BalancingError> {
        let (status, answer) = self.call(admin, request, body).await?;
        if status < 300 || done.contains(&status) {
            return Ok(status);
        }
        Err(refused(admin, order, &answer))
    }

    /// How the admin interface shows a peer; empty if it has none of that name.
    async fn shown(&self, admin: SocketAddr, name: &str) -> Result<Vec<Shown>, BalancingError> {
        let path = format!("/upstreams/{name}");
        let (status, answer) = self.call(admin, (Method::GET, &path), None).await?;
        match (status, serde_json::from_slice(&answer)) {
            (404, _) => Ok(Vec::new()),
            (200, Ok(shown)) => Ok(shown),
            _ => Err(refused(admin, &format!("show {name}"), &answer)),
        }
    }

    /// The instance `name` gets requests again after a drain.
    ///
    /// # Errors
    /// When a proxy cannot be reached, or has no such instance.
    pub async fn resume(&mut self, name: &str) -> Result<(), BalancingError> {
        let (path, order) = (format!("/upstreams/{name}/resume"), format!("resume {name}"));
        for admin in &self.admins {
            self.order(*admin, (Method::POST, &path), None, (&order, &[])).await?;
        }
        Ok(())
    }

    async fn add_at(
        &self,
        admin: SocketAddr,
        name: &str,
        address: SocketAddr,
    ) -> Result<(), BalancingError> {
        let PeerConfig { weight, backup, max_conns, max_fails, fail_timeout, slow_start, .. } =
            &self.peer;
        let peer = json!({
            "name": name, "address": address, "weight": weight, "backup": backup,
            "max_conns": max_conns, "max_fails": max_fails,
            "fail_timeout_ns": fail_timeout.0, "slow_start_ns": slow_start.0,
        });
        let order = format!("add {name}");
        let request = (Method::POST, "/upstreams");
        if self.order(admin, request.clone(), Some(&peer), (&order, &[409])).await? != 409 {
            return Ok(());
        }
        // One of this name is there: the very same, perhaps drained, or one that was before it.
        let path = format!("/upstreams/{name}");
        if self.shown(admin, name).await?.iter().all(|shown| shown.address == address) {
            let resume = format!("{path}/resume");
            let done = self.order(admin, (Method::POST, &resume), None, (&order, &[])).await;
            return done.map(drop);
        }
        self.order(admin, (Method::DELETE, &path), None, (&order, &[404])).await?;
        self.order(admin, request, Some(&peer), (&order, &[])).await.map(drop)
    }
}

impl Balancing for ProxyAdmin {
    async fn add(&mut self, name: &str, address: SocketAddr) -> Result<(), BalancingError> {
        for admin in &self.admins {
            self.add_at(*admin, name, address).await?;
        }
        Ok(())
    }

    async fn drain(&mut self, name: &str) -> Result<(), BalancingError> {
        let (path, order) = (format!("/upstreams/{name}/drain"), format!("drain {name}"));
        for admin in &self.admins {
            self.order(*admin, (Method::POST, &path), None, (&order, &[404])).await?;
        }
        Ok(())
    }

    async fn in_flight(&mut self, name: &str) -> Result<Option<u64>, BalancingError> {
        let mut sum = 0;
        for admin in &self.admins {
            sum += self.shown(*admin, name).await?.iter().map(|one| one.in_flight).sum::<u64>();
        }
        Ok(Some(sum))
    }

    async fn remove(&mut self, name: &str) -> Result<(), BalancingError> {
        let (path, order) = (format!("/upstreams/{name}"), format!("remove {name}"));
        for admin in &self.admins {
            self.order(*admin, (Method::DELETE, &path), None, (&order, &[404])).await?;
        }
        Ok(())
    }
}

fn refused(admin: SocketAddr, order: &str, answer: &[u8]) -> BalancingError {
    let text = String::from_utf8_lossy(answer);
    let json: Option<Value> = serde_json::from_str(&text).ok();
    let said = json.as_ref().and_then(|json| json["error"].as_str()).unwrap_or(text.trim());
    BalancingError::Refused {
        balancer: admin.to_string(),
        order: order.to_owned(),
        reason: said.chars().take(200).collect(),
    }
}
