//! The requests of a window with all their attempts, to the nanosecond, packed for the page.

use serde::Serialize;

use super::pack::Pack;
use super::window::Window;
use crate::record::{AttemptOutcome, AttemptRow, NO_UPSTREAM, PickedBecause, RequestRow};
use crate::units::World;

/// The first replication (or round) of a world, as far as it is in the window.
#[derive(Debug)]
pub(super) struct Replay {
    world: World,
    window: Window,
    most: usize,
    requests: Vec<RequestRow>,
    /// In order of their request's id once it is sorted, then of their beginning.
    attempts: Vec<AttemptRow>,
}

/// As the page has it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PackedReplay {
    world: World,
    from_ns: u64,
    until_ns: u64,
    /// Every request that was out at any instant of the window.
    requests: usize,
    /// Attempts were not recorded, and are what the requests say of their last one.
    derived: bool,
    /// See [`Replay::pack`].
    packed: String,
}

impl Replay {
    pub(super) const fn new(world: World, window: Window, most: usize) -> Self {
        Self { world, window, most, requests: Vec::new(), attempts: Vec::new() }
    }

    pub(super) const fn is_of(&self, world: World, replication: u32) -> bool {
        self.world as u32 == world as u32 && replication == 0
    }

    pub(super) fn request(&mut self, row: &RequestRow) {
        let Window { from, until } = self.window;
        if self.is_of(row.world, row.replication)
            && row.scheduled_ns < until
            && row.finished_ns >= from
        {
            self.requests.push(*row);
        }
    }

    /// To be called after the last request: what is more than there is room for goes, and the
    /// window ends before it.
    pub(super) fn close(&mut self) -> u64 {
        self.requests.sort_unstable_by_key(|row| (row.scheduled_ns, row.id));
        if let Some(first_out) = self.requests.get(self.most + self.most / 4) {
            self.end_at(first_out.scheduled_ns);
        }
        self.window.until
    }

    /// Ends the window earlier.
    pub(super) fn end_at(&mut self, until: u64) {
        self.window.until = self.window.until.min(until);
        let until = self.window.until;
        self.requests.retain(|row| row.scheduled_ns < until);
    }

    /// Ids of its requests, sorted.
    pub(super) fn ids(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = self.requests.iter().map(|row| row.id).collect();
        ids.sort_unstable();
        ids
    }

    /// A row whose request it has.
    pub(super) fn attempt(&mut self, row: &AttemptRow) {
        self.attempts.push(*row);
    }

    /// Per request, by the instant it was due: steps of its id and of that instant from the request
    /// before; from there to its sending, its first byte, its end; how long it queued and was
    /// served; class, status, error; number of attempt rows. Per attempt: number, place of the
    /// server plus 1, step from the request's due instant to its beginning, from there to its end,
    /// outcome, status, what led to it.
    pub(super) fn pack(mut self) -> PackedReplay {
        let derived = self.attempts.is_empty();
        if derived {
            self.attempts.extend(self.requests.iter().filter_map(last_attempt));
        }
        self.attempts.sort_by_key(|row| (row.id, row.start_ns, row.number));
        let mut pack = Pack::default();
        let (mut id, mut due) = (0, 0);
        for row in &self.requests {
            pack.step(id, row.id);
            pack.step(due, row.scheduled_ns);
            (id, due) = (row.id, row.scheduled_ns);
            pack.step(due, row.sent_ns);
            pack.step(due, row.first_byte_ns);
            pack.step(due, row.finished_ns);
            pack.unsigned(row.queued_ns);
            pack.unsigned(row.service_ns);
            pack.unsigned(u64::from(row.class));
            pack.unsigned(u64::from(row.status));
            pack.unsigned(row.error as u64);
            let first = self.attempts.partition_point(|it| it.id < id);
            let count = self.attempts[first..].partition_point(|it| it.id == id);
            pack.unsigned(count as u64);
            for it in &self.attempts[first..first + count] {
                pack.unsigned(u64::from(it.number));
                pack.unsigned(if it.upstream == NO_UPSTREAM {
                    0
                } else {
                    u64::from(it.upstream) + 1
                });
                pack.step(due, it.start_ns);
                pack.step(it.start_ns, it.end_ns);
                pack.unsigned(it.outcome as u64);
                pack.unsigned(u64::from(it.status));
                pack.unsigned(it.because as u64);
            }
        }
        PackedReplay {
            world: self.world,
            from_ns: self.window.from,
            until_ns: self.window.until,
            requests: self.requests.len(),
            derived: derived && !self.attempts.is_empty(),
            packed: pack.finish(),
        }
    }
}

/// What a request says of the attempt that was answered: the server tells in its answer how long it
/// had it. Engines that are not lab's record no attempts.
fn last_attempt(row: &RequestRow) -> Option<AttemptRow> {
    (row.upstream != NO_UPSTREAM).then(|| AttemptRow {
        world: row.world,
        replication: row.replication,
        id: row.id,
        number: row.attempts.max(1),
        view: 0,
        upstream: row.upstream,
        start_ns: row.first_byte_ns.saturating_sub(row.queued_ns + row.service_ns).max(row.sent_ns),
        end_ns: row.finished_ns,
        outcome: AttemptOutcome::Passed,
        status: row.status,
        because: PickedBecause::Picked,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_recorded_attempts_a_request_is_where_its_answer_says_it_was() {
        let row = RequestRow {
            sent_ns: 10,
            first_byte_ns: 100,
            finished_ns: 105,
            queued_ns: 20,
            service_ns: 30,
            upstream: 2,
            attempts: 2,
            status: 200,
            ..RequestRow::BLANK
        };
        let attempt = last_attempt(&row).unwrap();
        // The first of the two tries was the balancer's affair until 50.
        let found = (attempt.start_ns, attempt.end_ns, attempt.upstream, attempt.number);
        assert_eq!(found, (50, 105, 2, 2));
        let late = RequestRow { sent_ns: 70, ..row };
        assert_eq!(last_attempt(&late).unwrap().start_ns, 70, "not before it was sent");
        assert_eq!(last_attempt(&RequestRow { upstream: NO_UPSTREAM, ..row }), None);

        let packed = |recorded: bool| {
            let mut replay = Replay::new(row.world, Window { from: 0, until: 1_000 }, 4);
            replay.request(&row);
            if recorded {
                replay.attempt(&attempt);
            }
            replay.pack()
        };
        let (derived, recorded) = (packed(false), packed(true));
        assert!(derived.derived && !recorded.derived);
        assert_eq!(derived.packed, recorded.packed);
    }

    #[test]
    fn a_window_that_is_too_full_ends_where_there_is_no_more_room() {
        let mut replay = Replay::new(World::Sim, Window { from: 100, until: 1_000 }, 4);
        for id in 0..20 {
            let (scheduled_ns, finished_ns) = (id * 20, id * 20 + 50);
            replay.request(&RequestRow { id, scheduled_ns, finished_ns, ..RequestRow::BLANK });
        }
        // Those due at 60 and 80 are still out at 100; five are one more than there is room for.
        assert_eq!(replay.close(), 160);
        assert_eq!(replay.ids(), [3, 4, 5, 6, 7]);
    }
}
