//! The replications of a world beside all of them as one.

use super::digest::Digest;
use crate::units::World;

/// The replications (or rounds) of a world: each, and merged. Merging takes longer than most of what
/// is asked afterwards, so it is done once.
#[derive(Debug)]
pub struct WorldDigests<'a> {
    pub(super) each: &'a [Digest],
    pub(super) pooled: Digest,
}

impl<'a> WorldDigests<'a> {
    /// `None` without any.
    #[must_use]
    pub fn new(each: &'a [Digest]) -> Option<Self> {
        Some(Self { each, pooled: Digest::merged(each)? })
    }

    /// The model's replication with the plan that the live rounds had: what they are compared with,
    /// since the others saw other traffic. `None` for the live world.
    pub(super) fn sharing_the_plan(&self) -> Option<Self> {
        if self.pooled.world() == World::Live { None } else { Self::new(self.each.get(..1)?) }
    }
}
