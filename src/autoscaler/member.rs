//! How far an instance is.

use crate::policy::scale::Phase;
use crate::units::{Nanos, Span};

/// The pause before a step that failed is repeated: this, doubling up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Span = Span::from_millis(100);
const LONGEST_PAUSE: Span = Span::from_secs(10);

/// An instance as the controller knows it.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) stage: Stage,
    pub(super) started_at: Nanos,
    pub(super) readiness_changed_at: Nanos,
    /// The scaler waits to hear how its change ended.
    pub(super) is_pending: bool,
    /// Steps in a row that failed.
    pub(super) failures: u32,
    /// Its next step is not taken before.
    pub(super) again_at: Nanos,
}

/// Where it is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It was started, and no balancer knows it.
    Starting,
    /// Every balancer knows it.
    Serving {
        /// Whether its last health check passed.
        is_healthy: bool,
    },
    /// It is to go.
    Leaving(Leaving),
    /// It ended without being told to.
    Dead,
}

/// What is to be done next about one that is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// Tell the balancers to give it nothing new.
    Drain,
    /// Wait until nothing is in flight.
    Wait {
        /// And no longer than until then.
        until: Nanos,
    },
    /// Tell the balancers to forget it.
    Remove,
    /// Stop it.
    Stop,
    /// Wait until it has ended.
    Stopped,
}

impl Member {
    /// One that serves from the start.
    pub(super) const fn serving() -> Self {
        Self { stage: Stage::Serving { is_healthy: true }, ..Self::starting(Nanos::ZERO, false) }
    }

    pub(super) const fn starting(now: Nanos, is_pending: bool) -> Self {
        Self {
            stage: Stage::Starting,
            started_at: now,
            readiness_changed_at: now,
            is_pending,
            failures: 0,
            again_at: now,
        }
    }

    pub(super) const fn phase(&self) -> Phase {
        match self.stage {
            Stage::Starting => Phase::Starting,
            Stage::Serving { is_healthy: true } => Phase::Ready,
            Stage::Serving { is_healthy: false } => Phase::Unready,
            Stage::Leaving(_) => Phase::Draining,
            Stage::Dead => Phase::Dead,
        }
    }

    pub(super) const fn is_serving(&self) -> bool {
        matches!(self.stage, Stage::Serving { .. })
    }

    /// Whether its end would be news.
    pub(super) const fn is_alive(&self) -> bool {
        match self.stage {
            Stage::Starting | Stage::Serving { .. } => true,
            Stage::Leaving(leaving) => matches!(leaving, Leaving::Drain | Leaving::Wait { .. }),
            Stage::Dead => false,
        }
    }

    pub(super) fn wait_to_repeat(&mut self, now: Nanos) {
        let doubled = FIRST_PAUSE * (1 << self.failures.min(10));
        self.again_at = now + doubled.min(LONGEST_PAUSE);
        self.failures += 1;
    }
}
