//! Changes of peers' states, as far as they show: engines other than lab's proxy write no events of
//! their own, so their views are looked at each second, and what changed between two looks is one.

use std::collections::BTreeMap;

use super::engine::PeerView;
use crate::policy::PeerState;
use crate::record::{EventKind, EventRow};
use crate::units::{Nanos, World};

/// What the instances of an engine showed so far in a round.
#[derive(Debug)]
pub(super) struct Sightings {
    engine: &'static str,
    round: u32,
    /// Per instance, by peer.
    last: Vec<BTreeMap<String, PeerState>>,
}

impl Sightings {
    pub(super) const fn new(engine: &'static str, round: u32) -> Self {
        Self { engine, round, last: Vec::new() }
    }

    /// The changes since the last look, seen at `at` since zero. A peer that is new counts as up
    /// before; of one that is gone only the autoscaler can tell, and does. An instance that did not
    /// answer shows nothing.
    pub(super) fn look(&mut self, at: Nanos, views: &[Vec<PeerView>]) -> Vec<EventRow> {
        self.last.resize(views.len().max(self.last.len()), BTreeMap::new());
        let several = self.last.len() > 1;
        let mut events = Vec::new();
        for (instance, (view, last)) in views.iter().zip(&mut self.last).enumerate() {
            if view.is_empty() {
                continue;
            }
            for peer in view {
                let before = last.get(&peer.name).copied().unwrap_or(PeerState::Up);
                if before == peer.state {
                    continue;
                }
                let who = if several { format!(" {}", instance + 1) } else { String::new() };
                events.push(EventRow {
                    world: World::Live,
                    replication: self.round,
                    at_ns: at.0,
                    kind: EventKind::from(peer.state),
                    subject: peer.name.clone(),
                    reason: format!(
                        "{}{who} shows it {}, at its look of each second",
                        self.engine,
                        word(peer.state)
                    ),
                });
            }
            *last = view.iter().map(|peer| (peer.name.clone(), peer.state)).collect();
        }
        events
    }
}

/// As an engine's operator says it.
const fn word(state: PeerState) -> &'static str {
    match state {
        PeerState::Up => "up again",
        PeerState::Failed => "out after failures",
        PeerState::Unhealthy => "down by its health checks",
        PeerState::Ejected => "ejected as an outlier",
        PeerState::Draining => "draining",
        PeerState::Down => "in maintenance",
        PeerState::Removed => "removed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(peers: &[(&str, PeerState)]) -> Vec<PeerView> {
        let peer = |(name, state): &(&str, PeerState)| PeerView {
            name: (*name).to_owned(),
            state: *state,
            in_flight: 0,
        };
        peers.iter().map(peer).collect()
    }

    fn seen(
        sightings: &mut Sightings,
        at: u64,
        views: &[Vec<PeerView>],
    ) -> Vec<(EventKind, String)> {
        let events = sightings.look(Nanos(at), views);
        assert!(events.iter().all(|event| (event.at_ns, event.replication) == (at, 2)));
        events.into_iter().map(|event| (event.kind, event.subject)).collect()
    }

    #[test]
    fn what_changes_between_two_looks_is_an_event_and_what_stays_is_none() {
        use PeerState::{Draining, Ejected, Unhealthy, Up};
        let mut it = Sightings::new("envoy", 2);
        let a = || "a".to_owned();
        assert!(seen(&mut it, 1, &[view(&[("a", Up), ("b", Up)])]).is_empty());
        let out = view(&[("a", Unhealthy), ("b", Up)]);
        assert_eq!(seen(&mut it, 2, std::slice::from_ref(&out)), [(EventKind::Ejected, a())]);
        assert!(seen(&mut it, 3, &[out]).is_empty());
        // Nobody answers: nothing is known, and nothing has changed.
        assert!(seen(&mut it, 4, &[Vec::new()]).is_empty());
        assert_eq!(
            seen(&mut it, 5, &[view(&[("a", Up), ("b", Up)])]),
            [(EventKind::Restored, a())]
        );
        let both = view(&[("a", Draining), ("b", Ejected)]);
        let b = || "b".to_owned();
        let wanted = [(EventKind::Drained, a()), (EventKind::Ejected, b())];
        assert_eq!(seen(&mut it, 6, &[both]), wanted);
    }

    #[test]
    fn one_that_left_and_came_again_is_up_before() {
        use PeerState::{Draining, Up};
        let mut it = Sightings::new("haproxy", 2);
        seen(&mut it, 1, &[view(&[("a", Up), ("b", Draining)])]);
        assert!(seen(&mut it, 2, &[view(&[("a", Up)])]).is_empty());
        assert!(seen(&mut it, 3, &[view(&[("a", Up), ("b", Up)])]).is_empty());
    }

    #[test]
    fn of_several_instances_each_has_a_view_of_its_own() {
        use PeerState::{Unhealthy, Up};
        let mut it = Sightings::new("haproxy", 2);
        let events = it.look(Nanos(1), &[view(&[("a", Up)]), view(&[("a", Unhealthy)])]);
        assert_eq!(events.len(), 1);
        assert!(events[0].reason.starts_with("haproxy 2 shows it down"), "{}", events[0].reason);
        assert_eq!(
            seen(&mut it, 2, &[view(&[("a", Unhealthy)]), view(&[("a", Unhealthy)])]).len(),
            1
        );
    }
}
