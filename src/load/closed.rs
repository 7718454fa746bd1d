//! The closed loop: users who think, send a request, and wait for its end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;

use super::generator::{Ended, Generator};
use super::pacer::Pacer;
use crate::traffic::{Plan, closed};
use crate::units::{Nanos, Span};

/// Lets `users` work until the plan's end; returns when all are through their last request, or
/// when the rows cannot be kept.
pub(super) async fn drive(
    generator: &Arc<Generator>,
    plan: &Plan,
    users: u32,
    pacer: &mut Pacer,
    mut ended: UnboundedReceiver<Ended>,
) -> io::Result<()> {
    let mut turns = Turns { due: BinaryHeap::new(), plan, end: generator.instant(plan.end()) };
    let start = generator.instant(Nanos::ZERO);
    let share = generator.share();
    (0..users)
        .filter(|user| share.has(u64::from(*user)))
        .for_each(|user| turns.think(start, user, 0));
    let mut in_flight = 0u64;
    let mut left = share.part_of(generator.most_requests());
    while !generator.has_failed() {
        let next = turns.due.peek().map(|&Reverse((due, ..))| due).filter(|_| left > 0);
        if next.is_none() && in_flight == 0 {
            break;
        }
        tokio::select! {
            biased;
            waited = wait(pacer, next) => {
                waited?;
                if let Some(Reverse((due, user, turn))) = turns.due.pop() {
                    in_flight += 1;
                    left -= 1;
                    generator.launch(&plan.turn(user, turn), due);
                }
            }
            Some(one) = ended.recv() => {
                in_flight -= 1;
                let (user, turn) = closed::user_and_turn(one.id);
                turns.think(one.at, user, turn.saturating_add(1));
            }
        }
    }
    Ok(())
}

async fn wait(pacer: &mut Pacer, due: Option<Nanos>) -> io::Result<()> {
    match due {
        Some(due) => pacer.until(due).await,
        None => std::future::pending().await,
    }
}

/// The turns to come: when, whose, which.
struct Turns<'a> {
    due: BinaryHeap<Reverse<(Nanos, u32, u32)>>,
    plan: &'a Plan,
    end: Nanos,
}

impl Turns<'_> {
    /// The user thinks from `since` on. A turn that would come behind the end is none.
    fn think(&mut self, since: Nanos, user: u32, turn: u32) {
        let due = since + Span(self.plan.turn(user, turn).at.0);
        if due < self.end {
            self.due.push(Reverse((due, user, turn)));
        }
    }
}
