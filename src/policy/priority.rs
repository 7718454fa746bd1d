//! Priorities: how Envoy divides the load between its primaries and its backups.
//!
//! A priority is trusted with its healthy share times the overprovisioning factor, and what is
//! beyond that spills to the next: with the default of 140 % a group of ten passes load on from the
//! third unhealthy peer on, long before it is empty. If all priorities together are not trusted with
//! the whole, those with too few healthy peers panic, each for itself, and use all they have
//! (`recalculatePerPriorityState`, `recalculatePerPriorityPanic` and `recalculateLoadInTotalPanic`
//! in `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`). Shares are whole
//! percents there and here.

use crate::units::Ratio;

/// The hosts of a priority as picks see them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hosts {
    /// All.
    pub(super) all: u64,
    /// Neither ejected nor found unhealthy.
    pub(super) healthy: u64,
}

/// What the priorities do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    /// Percent of the load for the first priority; the second has the rest.
    pub(super) first: u64,
    /// Which of them panic.
    pub(super) panic: [bool; 2],
}

/// Divides the load. A second priority without hosts is none; `threshold` is that of panic.
pub(super) fn shares(overprovisioning: u32, threshold: Ratio, hosts: [Hosts; 2]) -> Shares {
    let carries = |hosts: Hosts| {
        (u64::from(overprovisioning) * hosts.healthy).checked_div(hosts.all).unwrap_or(0).min(100)
    };
    let trusted = hosts.map(carries);
    let together = (trusted[0] + trusted[1]).min(100);
    let percent = |share: u64| share.checked_mul(100).and_then(|s| s.checked_div(together));
    let threshold = (threshold.0 * 100.0).clamp(0.0, 100.0) as u64;
    let panics = |hosts: Hosts| {
        let healthy = 100.0 * hosts.healthy as f64 / hosts.all.max(1) as f64;
        hosts.all > 0 && together != 100 && healthy < threshold as f64
    };
    let panic = hosts.map(panics);
    let count = hosts[0].all + hosts[1].all;
    let all_panic = hosts.iter().zip(panic).all(|(hosts, panics)| panics || hosts.all == 0);
    let first = if all_panic && count > 0 {
        // In total panic by the number of hosts; what rounding leaves is the first one's.
        if hosts[0].all == 0 { 0 } else { 100 - 100 * hosts[1].all / count }
    } else if let (Some(first), Some(second)) = (percent(trusted[0]), percent(trusted[1])) {
        let first = first.min(100);
        let second = second.min(100 - first);
        // What rounding leaves goes to the first that can carry anything.
        if trusted[0] > 0 { 100 - second } else { 0 }
    } else {
        // Nobody is healthy and nobody panics: the first gets everything, and refuses it.
        100
    };
    Shares { first, panic }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divided(first: (u64, u64), second: (u64, u64), threshold: f64) -> (u64, [bool; 2]) {
        let hosts = |(healthy, all)| Hosts { all, healthy };
        let shares = shares(140, Ratio(threshold), [hosts(first), hosts(second)]);
        (shares.first, shares.panic)
    }

    /// As the table in Envoy's documentation ("Priority levels"), with ten hosts in either.
    #[test]
    fn the_first_spills_before_it_is_empty() {
        let first = |healthy| divided((healthy, 10), (10, 10), 0.5).0;
        assert_eq!([10, 8, 7, 5, 2, 1, 0].map(first), [100, 100, 98, 70, 28, 14, 0]);
        // Trusted with 70 % and 28 %, which is not the whole.
        assert_eq!(divided((5, 10), (2, 10), 0.5), (72, [false, true]));
        assert_eq!(divided((2, 10), (2, 10), 0.5), (50, [true, true]));
    }

    #[test]
    fn a_healthy_second_priority_keeps_the_first_from_panicking() {
        assert_eq!(divided((1, 10), (10, 10), 0.5), (14, [false, false]));
        assert_eq!(divided((0, 3), (1, 1), 0.5), (0, [false, false]));
    }

    #[test]
    fn alone_it_panics_below_the_threshold_and_not_at_it() {
        assert_eq!(divided((2, 4), (0, 0), 0.5), (100, [false, false]));
        assert_eq!(divided((1, 4), (0, 0), 0.5), (100, [true, false]));
        assert_eq!(divided((3, 4), (0, 0), 0.5), (100, [false, false]));
    }

    #[test]
    fn in_total_panic_the_number_of_hosts_decides() {
        assert_eq!(divided((0, 3), (0, 1), 0.5), (75, [true, true]));
        assert_eq!(divided((0, 2), (0, 1), 0.5), (67, [true, true]));
        assert_eq!(divided((0, 0), (0, 1), 0.5), (0, [false, true]));
    }

    #[test]
    fn without_panic_nobody_takes_over_from_nobody() {
        assert_eq!(divided((0, 3), (0, 0), 0.0), (100, [false, false]));
        assert_eq!(divided((0, 0), (0, 0), 0.5), (100, [false, false]));
    }
}
