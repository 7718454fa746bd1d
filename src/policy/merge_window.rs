//! When picks learn of changes of health: Envoy's `update_merge_window`.
//!
//! The main thread tells the workers of the first change at once. A change within the window after
//! the last one that was told waits for a whole window, and what comes meanwhile is told with it; a
//! peer that comes or goes is told at once, and what waits with it
//! (`ClusterManagerImpl::scheduleUpdate` in `source/common/upstream/cluster_manager_impl.cc`). Each
//! priority has a window of its own. So the second of two peers that fail together keeps its traffic
//! for a second by default.

use super::peers::PeerList;
use crate::units::{Nanos, Span};

/// The windows of a group.
#[derive(Debug)]
pub(super) struct MergeWindow {
    width: Span,
    /// Of the primaries and the backups.
    updates: [Updates; 2],
}

#[derive(Clone, Copy, Debug, Default)]
struct Updates {
    told: Option<Nanos>,
    due: Option<Nanos>,
}

impl MergeWindow {
    /// A width of zero merges nothing.
    pub(super) fn new(width: Span) -> Self {
        Self { width, updates: [Updates::default(); 2] }
    }

    /// A peer of `list` changed its health or weight; whether picks are to know at once.
    pub(super) fn changed(&mut self, now: Nanos, list: PeerList) -> bool {
        let width = self.width;
        let updates = self.of(list);
        // Compared in whole milliseconds, as there.
        let is_over = |told| now.since(told).0 / MILLISECOND > width.0 / MILLISECOND;
        if width == Span::ZERO || updates.told.is_none_or(is_over) {
            self.told(now, list);
            return true;
        }
        updates.due.get_or_insert(now + width);
        false
    }

    /// Picks know everything of `list` by now.
    pub(super) fn told(&mut self, now: Nanos, list: PeerList) {
        *self.of(list) = Updates { told: Some(now), due: None };
    }

    /// When changes are to be told that wait.
    pub(super) fn next(&self) -> Option<Nanos> {
        self.updates.iter().filter_map(|updates| updates.due).min()
    }

    /// A list of which changes are to be told now.
    pub(super) fn take_due(&mut self, now: Nanos) -> Option<PeerList> {
        let lists = [PeerList::Primaries, PeerList::Backups];
        let due = lists.into_iter().find(|list| self.of(*list).due.is_some_and(|at| at <= now))?;
        self.told(now, due);
        Some(due)
    }

    const fn of(&mut self, list: PeerList) -> &mut Updates {
        match list {
            PeerList::Primaries => &mut self.updates[0],
            PeerList::Backups => &mut self.updates[1],
        }
    }
}

const MILLISECOND: u64 = Span::from_millis(1).0;

#[cfg(test)]
mod tests {
    use super::PeerList::{Backups, Primaries};
    use super::*;

    fn at(millis: u64) -> Nanos {
        Nanos::ZERO + Span::from_millis(millis)
    }

    #[test]
    fn the_second_change_waits_a_window_and_takes_the_third_along() {
        let mut window = MergeWindow::new(Span::from_secs(1));
        assert!(window.changed(at(100), Primaries));
        assert!(!window.changed(at(400), Primaries));
        assert!(!window.changed(at(900), Primaries));
        assert_eq!(window.next(), Some(at(1400)), "a window after the change, not after the first");
        assert_eq!(window.take_due(at(1399)), None);
        assert_eq!(window.take_due(at(1400)), Some(Primaries));
        assert_eq!((window.take_due(at(1400)), window.next()), (None, None));
        assert!(!window.changed(at(2400), Primaries), "exactly a window later it still merges");
        assert!(window.changed(at(2401), Primaries), "late enough, and it takes what waits along");
        assert_eq!(window.next(), None);
    }

    #[test]
    fn each_priority_has_its_own_and_membership_is_told_at_once() {
        let mut window = MergeWindow::new(Span::from_secs(1));
        assert!(window.changed(at(0), Primaries) && window.changed(at(1), Backups));
        assert!(!window.changed(at(2), Backups));
        window.told(at(3), Backups);
        assert_eq!(window.next(), None);
        assert!(!window.changed(at(900), Backups));
    }

    #[test]
    fn a_window_of_zero_merges_nothing() {
        let mut window = MergeWindow::new(Span::ZERO);
        assert!((0..3).all(|_| window.changed(at(7), Primaries)));
    }
}
