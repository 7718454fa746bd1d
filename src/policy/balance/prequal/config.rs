//! Parameters of Prequal, and what follows from them for a fleet of a given size.

use serde::{Deserialize, Serialize};

use crate::units::Span;

/// Parameters of `prequal`; the defaults are the paper's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrequalConfig {
    /// Probes per pick (`r_probe`); a fraction is allowed.
    pub probes: f64,
    /// Most answers kept (`m`); never more than a quarter of the fleet, nor fewer than two.
    pub pool: u32,
    /// Answers removed per pick (`r_remove`), in turn the oldest and the worst.
    pub remove: f64,
    /// An answer older than this is not used.
    pub age: Span,
    /// Peers with more in flight than this quantile of recent answers are hot, 0 to 1: 0 chooses
    /// by requests in flight alone, 1 by latency alone.
    pub q_rif: f64,
    /// `δ` of the formula for the reuse: the surplus of answers it leaves.
    pub delta: f64,
    /// Most uses of an answer, at least 1, in place of the formula.
    pub reuse: Option<f64>,
    /// An answer that takes longer is lost.
    pub timeout: Span,
    /// Without requests for this long some peers are probed.
    pub idle: Span,
}

impl PrequalConfig {
    /// The paper's baseline.
    pub const DEFAULT: Self = Self {
        probes: 3.0,
        pool: 16,
        remove: 1.0,
        age: Span::from_secs(1),
        q_rif: 0.840_896_415_253_714_5, // 2^-0.25
        delta: 1.0,
        reuse: None,
        timeout: Span::from_millis(3),
        idle: Span::from_millis(500),
    };

    /// Most answers kept of a fleet of this many peers. With more than a quarter of them the
    /// formula gives each answer many uses, and uses of old answers are what makes several
    /// balancers run after the same peers.
    #[must_use]
    pub fn pool_of(&self, fleet: usize) -> usize {
        (self.pool as usize).min(fleet / 4).max(2)
    }

    /// Most uses of an answer in a fleet of this many peers; infinite where the formula has no
    /// meaning.
    #[must_use]
    pub fn reuse_of(&self, fleet: usize) -> f64 {
        let pool = self.pool_of(fleet) as f64;
        let formula = || b_reuse(self.probes, self.remove, pool, fleet as f64, self.delta);
        self.reuse.or_else(formula).unwrap_or(f64::INFINITY)
    }
}

/// The paper's `b_reuse = max(1, (1 + δ) / ((1 - m/n) r_probe - r_remove))`: the uses of an answer
/// with which a pool of `m` answers stays full. `None` where the denominator is not positive, since
/// then removals outrun probes that bring something new.
#[must_use]
pub fn b_reuse(r_probe: f64, r_remove: f64, m: f64, n: f64, delta: f64) -> Option<f64> {
    let surplus = (1.0 - m / n) * r_probe - r_remove;
    (surplus > 1e-9).then(|| ((1.0 + delta) / surplus).max(1.0))
}
