//! What holds for a request on every data path.

use super::head::LabHeaders;
use crate::record::{RequestError, RequestRow};
use crate::units::{Nanos, Purpose, Seed};

/// Which of `targets` servers request `id` reaches: uniform by a draw (Lemire's multiplication).
pub(super) fn drawn_target(seed: Seed, id: u64, targets: usize) -> usize {
    let word = seed.words(Purpose::View, id)[0];
    ((u128::from(word) * targets as u128) >> 64) as usize
}

/// When a request counts as ended that failed with `error` at `now`.
pub(super) fn failed_at(error: RequestError, now: Nanos, deadline: Nanos) -> Nanos {
    match error {
        RequestError::Timeout => deadline,
        RequestError::Interrupted => now,
        // It never got an answer: not quicker than one that waited for it in vain.
        _ => now.max(deadline),
    }
}

/// What a response's head says of the request.
pub(super) fn note(row: &mut RequestRow, lab: &LabHeaders<'_>) {
    row.demand_ns = lab.demand_ns;
    row.queued_ns = lab.queued_ns;
    row.service_ns = lab.service_ns;
    row.attempts = lab.attempts.unwrap_or(1);
}
