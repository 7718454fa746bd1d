//! The servers behind an engine when they are no longer those that the scenario began with: some
//! came, some went, some have another weight or are drained.

use std::net::SocketAddr;

use super::Wiring;
use crate::policy::PeerConfig;
use crate::scenario::Scenario;

/// A server behind a balancer.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Its name, weight and limits.
    pub peer: PeerConfig,
    /// Where it is.
    pub address: SocketAddr,
    /// It gets nothing new, and finishes what it has.
    pub drained: bool,
}

/// The members as the scenario begins, without those that are absent; `addresses` are those of all
/// backends of the scenario, in order.
#[must_use]
pub fn members(scenario: &Scenario, addresses: &[SocketAddr]) -> Vec<Member> {
    let peers = scenario.balancer.upstream.peers.iter().zip(addresses);
    peers
        .filter(|(peer, _)| !peer.absent)
        .map(|(peer, address)| Member { peer: peer.clone(), address: *address, drained: false })
        .collect()
}

/// Scenario and wiring with these members instead, for [`configuration`](super::configuration): a
/// drained member is `down`, so that it keeps its place.
#[must_use]
pub fn with_members(
    scenario: &Scenario,
    wiring: &Wiring,
    members: &[Member],
) -> (Scenario, Wiring) {
    let (mut scenario, mut wiring) = (scenario.clone(), wiring.clone());
    let peer = |member: &Member| PeerConfig {
        down: member.peer.down || member.drained,
        absent: false,
        ..member.peer.clone()
    };
    scenario.balancer.upstream.peers = members.iter().map(peer).collect();
    wiring.backends = members.iter().map(|member| member.address).collect();
    (scenario, wiring)
}
