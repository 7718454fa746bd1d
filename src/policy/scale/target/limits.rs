//! From a recommendation to a size: stabilize, then limit the rate, then keep within the bounds
//! (`normalizeDesiredReplicas` and `normalizeDesiredReplicasWithBehaviors` in
//! `pkg/controller/podautoscaler/horizontal.go`).

use super::config::{Behavior, PolicyKind, ScalingRules, SelectPolicy};
use crate::policy::scale::reason::Limit;
use crate::units::{Nanos, Span};

/// What was recommended and done lately.
#[derive(Clone, Debug, Default)]
pub(in crate::policy::scale) struct History {
    /// As recommended, before anything was done about it.
    pub(in crate::policy::scale) recommended: Vec<(Nanos, i64)>,
    /// Replicas added.
    pub(in crate::policy::scale) added: Vec<(Nanos, i64)>,
    /// Replicas taken away.
    pub(in crate::policy::scale) removed: Vec<(Nanos, i64)>,
}

/// Fewest and most replicas.
#[derive(Clone, Copy, Debug)]
pub(in crate::policy::scale) struct Bounds {
    pub(in crate::policy::scale) min: i64,
    pub(in crate::policy::scale) max: i64,
}

/// Without a behavior a group may grow to this many times its size at once.
const GROWTH: i64 = 2;
/// But to so many at any rate.
const GROWTH_MIN: i64 = 4;

impl History {
    /// Without a behavior: the most that was recommended in the last `window`, no more than twice
    /// `current` or 4, within the bounds.
    pub(in crate::policy::scale) fn plain(
        &mut self,
        now: Nanos,
        (current, wanted): (i64, i64),
        window: Span,
        bounds: Bounds,
        limits: &mut Vec<Limit>,
    ) -> i64 {
        let recent = self.recommended.iter().filter(|(at, _)| *at + window >= now);
        let stable = recent.map(|(_, replicas)| *replicas).fold(wanted, i64::max);
        if stable != wanted {
            limits.push(Limit::Stabilized { to: stable as u32, window });
        }
        self.recommend(now, wanted, window);
        let most = (GROWTH * current).max(GROWTH_MIN);
        if stable < bounds.min {
            limits.push(Limit::Min(bounds.min as u32));
            bounds.min
        } else if stable > most.min(bounds.max) {
            limits.push(capped(most, bounds.max));
            most.min(bounds.max)
        } else {
            stable
        }
    }

    /// With a behavior.
    pub(in crate::policy::scale) fn with_behavior(
        &mut self,
        now: Nanos,
        (current, wanted): (i64, i64),
        (behavior, window): (&Behavior, Span),
        bounds: Bounds,
        limits: &mut Vec<Limit>,
    ) -> i64 {
        let up = behavior.up.stabilization.unwrap_or(Span::ZERO);
        let down = behavior.down.stabilization.unwrap_or(window);
        let stable = self.stabilized(now, (current, wanted), up, down);
        if stable != wanted {
            let window = if wanted >= current { up } else { down };
            limits.push(Limit::Stabilized { to: stable as u32, window });
        }
        self.limited(now, (current, stable), behavior, bounds, limits)
    }

    /// As near to `current` as the windows of both directions demand
    /// (`stabilizeRecommendationWithBehaviors`).
    pub(in crate::policy::scale) fn stabilized(
        &mut self,
        now: Nanos,
        (current, wanted): (i64, i64),
        up: Span,
        down: Span,
    ) -> i64 {
        let (mut least, mut most) = (wanted, wanted);
        for (at, replicas) in &self.recommended {
            if *at + up > now {
                least = least.min(*replicas);
            }
            if *at + down > now {
                most = most.max(*replicas);
            }
        }
        self.recommend(now, wanted, up.max(down));
        current.max(least).min(most)
    }

    /// As fast as the policies allow (`convertDesiredReplicasWithBehaviorRate`).
    pub(in crate::policy::scale) fn limited(
        &self,
        now: Nanos,
        (current, wanted): (i64, i64),
        behavior: &Behavior,
        bounds: Bounds,
        limits: &mut Vec<Limit>,
    ) -> i64 {
        if wanted > current {
            let most = self.allowed(now, current, &behavior.up, true).max(current);
            if wanted > most.min(bounds.max) {
                limits.push(capped(most, bounds.max));
                return most.min(bounds.max);
            }
        } else if wanted < current {
            let least = self.allowed(now, current, &behavior.down, false).min(current);
            if wanted < least.max(bounds.min) {
                limits.push(if bounds.min < least {
                    Limit::RateDown(least as u32)
                } else {
                    Limit::Min(bounds.min as u32)
                });
                return least.max(bounds.min);
            }
        }
        wanted
    }

    /// `calculateScaleUpLimitWithScalingRules`, `calculateScaleDownLimitWithBehaviors`.
    fn allowed(&self, now: Nanos, current: i64, rules: &ScalingRules, up: bool) -> i64 {
        let proposals = rules.policies.iter().map(|policy| {
            let within = |changes: &[(Nanos, i64)]| -> i64 {
                let recent = changes.iter().filter(|(at, _)| *at + policy.period > now);
                recent.map(|(_, count)| count).sum()
            };
            let base = current - within(&self.added) + within(&self.removed);
            let (value, share) = (i64::from(policy.value), f64::from(policy.value) / 100.0);
            match (policy.kind, up) {
                (PolicyKind::Pods, true) => base + value,
                (PolicyKind::Pods, false) => base - value,
                // Rounded up, lest a small group never grow.
                (PolicyKind::Percent, true) => libm::ceil(base as f64 * (1.0 + share)) as i64,
                (PolicyKind::Percent, false) => (base as f64 * (1.0 - share)) as i64,
            }
        });
        match (rules.select, up) {
            (SelectPolicy::Disabled, _) => current,
            (SelectPolicy::Max, true) => proposals.max().unwrap_or(i64::MIN),
            (SelectPolicy::Min, true) => proposals.min().unwrap_or(i64::MAX),
            (SelectPolicy::Max, false) => proposals.min().unwrap_or(i64::MAX),
            (SelectPolicy::Min, false) => proposals.max().unwrap_or(i64::MIN),
        }
    }

    fn recommend(&mut self, now: Nanos, wanted: i64, keep: Span) {
        self.recommended.retain(|(at, _)| *at + keep >= now);
        self.recommended.push((now, wanted));
    }

    /// The group was told to change, under a `behavior` that may ask for it.
    pub(in crate::policy::scale) fn changed(
        &mut self,
        now: Nanos,
        (before, after): (i64, i64),
        behavior: &Behavior,
    ) {
        let (events, rules, count) = if after > before {
            (&mut self.added, &behavior.up, after - before)
        } else {
            (&mut self.removed, &behavior.down, before - after)
        };
        events.push((now, count));
        let longest = |rules: &ScalingRules| rules.policies.iter().map(|p| p.period).max();
        // Policies of the other direction look at these changes too.
        let keep = longest(rules).max(longest(&behavior.up)).max(longest(&behavior.down));
        events.retain(|(at, _)| *at + keep.unwrap_or(Span::ZERO) >= now);
    }
}

fn capped(most: i64, max: i64) -> Limit {
    if max > most { Limit::RateUp(most as u32) } else { Limit::Max(max as u32) }
}
