//! Which slots a change is about.
//!
//! As in a Kubernetes `StatefulSet` a new instance takes the lowest free slot. Of those that must
//! go, the ones that serve nothing go first, then the youngest (as a `ReplicaSet` ranks its pods,
//! `pkg/controller/controller_utils.go`, `ActivePods`); of equals the highest slot.

use std::cmp::Reverse;

use super::instance::{InstanceSample, Phase};

/// The lowest `count` slots below `max` in which nothing runs; fewer if there are fewer.
pub(super) fn free(instances: &[InstanceSample], max: u32, count: u32) -> Vec<u32> {
    let taken = |slot: u32| {
        let here = |instance: &&InstanceSample| instance.slot == slot;
        instances.iter().find(here).is_some_and(|instance| instance.phase != Phase::Dead)
    };
    (0..max).filter(|slot| !taken(*slot)).take(count as usize).collect()
}

/// The `count` members that go, in the order in which they do.
pub(super) fn leaving(instances: &[InstanceSample], count: u32) -> Vec<u32> {
    let mut members: Vec<_> = instances.iter().filter(|instance| instance.is_member()).collect();
    members.sort_by_key(|instance| {
        let serves = instance.phase == Phase::Ready;
        (serves, Reverse(instance.started_at), Reverse(instance.slot))
    });
    members.into_iter().take(count as usize).map(|instance| instance.slot).collect()
}

/// The slots of those that died, ascending.
pub(super) fn dead(instances: &[InstanceSample]) -> Vec<u32> {
    let dead = instances.iter().filter(|instance| instance.phase == Phase::Dead);
    let mut slots: Vec<_> = dead.map(|instance| instance.slot).collect();
    slots.sort_unstable();
    slots
}
