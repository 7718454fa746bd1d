//! Who looks at a run while it lasts: a live view, or thresholds that may end it.

use std::ops::ControlFlow;

use super::tally::Tally;
use crate::units::Span;

/// Looks at a run while it lasts.
pub trait Watch {
    /// Called a few times each second; whoever breaks ends the run now, and what was not answered
    /// is counted as interrupted.
    fn look(&mut self, seen: &Seen<'_>) -> ControlFlow<()>;
}

/// A run as it is now.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Since its first instant.
    pub at: Span,
    /// All that was counted.
    pub tally: &'a Tally,
    /// Names of the servers in the tally, by index.
    pub servers: &'a [String],
}

/// Nobody.
impl Watch for () {
    fn look(&mut self, _: &Seen<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
