//! Which part of a run the replay shows, where all of it would make the page too large.
//!
//! A window keeps every request in it, so that what is counted at an instant is exact; a sample of
//! the requests would show queues that never were.

use crate::compare::WorldSummary;
use crate::units::time::NANOS_PER_SECOND;

/// Requests that all replays of a page hold together: some 45 bytes each.
pub(super) const REQUESTS: usize = 60_000;
/// What is shown ahead of what happens.
const LEAD_S: u64 = 3;

/// A part of the run, ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: u64,
    pub(super) until: u64,
}

/// The window of a run whose worlds may hold `most` requests each: all of it if that fits, else
/// from shortly before `interesting` on.
pub(super) fn window(worlds: &[WorldSummary], most: usize, interesting: u64) -> Window {
    let due = |second: usize| {
        let of = |world: &WorldSummary| world.seconds.get(second).map_or(0, |it| it.offered);
        worlds.iter().map(of).max().unwrap_or(0)
    };
    let seconds = worlds.iter().map(|world| world.seconds.len()).max().unwrap_or(0);
    let all = Window { from: 0, until: seconds as u64 * NANOS_PER_SECOND };
    let total: u64 = (0..seconds).map(due).sum();
    if total <= most as u64 {
        return all;
    }
    let first = (interesting / NANOS_PER_SECOND).saturating_sub(LEAD_S);
    let first = first.min(seconds.saturating_sub(1) as u64);
    let mut room = most as u64;
    let mut until = first * NANOS_PER_SECOND;
    for second in first as usize..seconds {
        let count = due(second);
        if count > room {
            until += NANOS_PER_SECOND * room / count;
            break;
        }
        room -= count;
        until += NANOS_PER_SECOND;
    }
    Window { from: first * NANOS_PER_SECOND, until }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Layout;
    use crate::compare::{Digest, Second};
    use crate::units::World;

    fn world(offered: &[u64]) -> WorldSummary {
        let mut summary = Digest::new(&Layout::default().recut(), World::Sim).summary();
        let second = |(second, offered): (usize, &u64)| Second {
            second: second as u32,
            offered: *offered,
            ..Second::default()
        };
        summary.seconds = offered.iter().enumerate().map(second).collect();
        summary
    }

    #[test]
    fn a_run_that_fits_is_shown_whole() {
        let window = window(&[world(&[5, 5]), world(&[5, 4, 0])], 10, 0);
        assert_eq!((window.from, window.until), (0, 3 * NANOS_PER_SECOND));
    }

    #[test]
    fn a_longer_one_from_shortly_before_something_happens() {
        let seconds = [100; 60];
        let window = window(&[world(&seconds)], 250, 30 * NANOS_PER_SECOND + 5);
        assert_eq!(window.from, 27 * NANOS_PER_SECOND);
        assert_eq!(window.until, 29 * NANOS_PER_SECOND + NANOS_PER_SECOND / 2);
    }
}
