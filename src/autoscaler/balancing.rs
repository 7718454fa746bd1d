//! Who sends requests to the instances, and must be told when they come and go.

use std::future::Future;
use std::net::SocketAddr;

/// All balancer instances in front of a group. Each order has reached every one of them when it
/// returns, or failed.
///
/// Orders are idempotent: one that is repeated because only some balancers had obeyed it does not
/// fail where it was obeyed.
pub trait Balancing {
    /// The instance `name` at `address` gets requests from now on. The name is that of a slot, which
    /// may have been there before at another address.
    fn add(
        &mut self,
        name: &str,
        address: SocketAddr,
    ) -> impl Future<Output = Result<(), BalancingError>>;

    /// The instance `name` gets nothing new from now on, and finishes what it has.
    fn drain(&mut self, name: &str) -> impl Future<Output = Result<(), BalancingError>>;

    /// Requests that all balancers together have in flight to the instance `name`; `None` where they
    /// do not show it, and the instance's own count must do.
    fn in_flight(
        &mut self,
        name: &str,
    ) -> impl Future<Output = Result<Option<u64>, BalancingError>>;

    /// Forgets the instance `name`, whatever it has in flight.
    fn remove(&mut self, name: &str) -> impl Future<Output = Result<(), BalancingError>>;
}

/// Why an order to the balancers was not obeyed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BalancingError {
    /// A balancer cannot be reached.
    #[error("balancer {balancer} cannot be reached: {reason}")]
    Unreachable {
        /// Which.
        balancer: String,
        /// What the system said.
        reason: String,
    },
    /// A balancer was reached, and will not do it.
    #[error("balancer {balancer} refused to {order}: {reason}")]
    Refused {
        /// Which.
        balancer: String,
        /// What it was asked, such as `add api-3`.
        order: String,
        /// What it said.
        reason: String,
    },
}
