//! Panic: when too few peers are healthy, all are used.
//!
//! A balancer that trusts its health checks to the end sends the whole traffic to the last healthy
//! peer, and so takes that out too. Envoy's answer (`isHostSetInPanic` in `source/extensions/
//! load_balancing_policies/common/load_balancer_impl.cc`): below a threshold of healthy peers it
//! no longer believes the verdicts and spreads the traffic over everybody. As there, healthy
//! backups that can take the traffic come first. NGINX has nothing like it.

use crate::units::Ratio;

/// The peers of a group that are in service, as the threshold counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Census {
    /// Primaries.
    pub(super) primaries: usize,
    /// Primaries that are neither out by failures nor by health checks nor ejected.
    pub(super) healthy: usize,
    /// Backups of which the same holds.
    pub(super) healthy_backups: usize,
}

/// Whether the group is in panic: the healthy share of the primaries is below `threshold`, and no
/// backup can serve.
pub(super) fn is_panic(threshold: Ratio, census: Census) -> bool {
    let Census { primaries, healthy, healthy_backups } = census;
    healthy_backups == 0 && (healthy as f64) < threshold.0 * primaries as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_below_the_threshold_and_not_at_it() {
        let panics = |healthy, primaries| {
            is_panic(Ratio(0.5), Census { primaries, healthy, healthy_backups: 0 })
        };
        assert_eq!(
            [0, 1, 2, 3, 4].map(|healthy| panics(healthy, 4)),
            [true, true, false, false, false]
        );
        assert!(panics(1, 3) && !panics(2, 3) && !panics(0, 0));
    }

    #[test]
    fn a_threshold_of_zero_and_a_healthy_backup_switch_it_off() {
        let census = Census { primaries: 3, healthy: 0, healthy_backups: 0 };
        assert!(!is_panic(Ratio(0.0), census));
        assert!(is_panic(Ratio(1.0), census));
        assert!(!is_panic(Ratio(1.0), Census { healthy_backups: 1, ..census }));
    }
}
