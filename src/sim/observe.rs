//! Who watches the decisions of a run: nobody, or [`trace`](super::trace).

use std::sync::atomic::{AtomicBool, Ordering};

use crate::policy::scale::ScaleDecision;
use crate::policy::{Attempt, PeerId, PeerState, Refusal, Upstream};
use crate::record::scaling::InstanceNews;
use crate::record::{AttemptOutcome, PickedBecause, RequestRow};
use crate::units::{Nanos, Span};

/// Something that was decided or became known.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seen<'a> {
    /// A peer was chosen.
    Picked(&'a Attempt, PickedBecause),
    /// The request waits at the balancer.
    Waits {
        /// Its id.
        id: u64,
    },
    /// The request waits before its next attempt.
    Pauses {
        /// Its id.
        id: u64,
        /// How long.
        until: Nanos,
    },
    /// The budget allows the request no retry.
    Withheld {
        /// Its id.
        id: u64,
    },
    /// All peers are used whatever their health, or no longer.
    Panic(bool),
    /// The balancer answers itself.
    Refused {
        /// Id of the request.
        id: u64,
        /// With what.
        refusal: Refusal,
    },
    /// An attempt ended.
    Ended {
        /// Id of the request.
        id: u64,
        /// Where.
        peer: PeerId,
        /// How long it took.
        took: Span,
        /// How.
        outcome: AttemptOutcome,
        /// Status of the response; 0 for none.
        status: u16,
    },
    /// The client has its answer, or gave up.
    Finished(&'a RequestRow),
    /// A peer's state changed.
    Changed {
        /// Which.
        peer: PeerId,
        /// Its new state.
        state: PeerState,
        /// Why.
        reason: &'static str,
    },
    /// The autoscaler decided.
    Scaled(&'a ScaleDecision),
    /// Something became of the instance of this name.
    Instance(&'a str, &'a InstanceNews),
    /// A fault began (`true`) or ended.
    Fault(&'a str, bool),
}

/// Hears of every decision, after it was taken.
pub(super) trait Observe {
    /// Whether anything is done with what is seen; if not, nothing is prepared.
    const WATCHES: bool;

    /// A decision is about to be taken by this machine.
    fn prepare(&mut self, _upstream: &Upstream) {}

    /// Something was decided in `view`, whose upstream machine now looks like this.
    fn see(&mut self, now: Nanos, view: u32, upstream: &Upstream, seen: Seen<'_>);

    /// Whether enough was seen.
    fn is_satisfied(&self) -> bool {
        false
    }
}

/// Watches nothing, and has seen enough once the flag is set.
pub(super) struct Nobody<'a>(pub(super) Option<&'a AtomicBool>);

impl Observe for Nobody<'_> {
    const WATCHES: bool = false;
    #[inline]
    fn see(&mut self, _: Nanos, _: u32, _: &Upstream, _: Seen<'_>) {}

    #[inline]
    fn is_satisfied(&self) -> bool {
        self.0.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }
}
