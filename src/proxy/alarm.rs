//! The one timer of a connection. There is a time limit for everything that is waited for, and
//! hardly any is ever reached.
//!
//! Arming a timer costs more than most of what a proxy does for a request. So the timer stays where
//! it is as long as it fires before the limit that counts now; when it fires early it is moved. It
//! is touched about once per limit, not once per request.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::units::Nanos;

/// A timer for deadlines that change all the time.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    timer: Option<Pin<Box<Sleep>>>,
    /// When it fires; what is past means never.
    armed: Nanos,
    /// Who is woken then.
    waker: Option<Waker>,
}

impl Alarm {
    /// Ready when `deadline` is reached, `now` being the present; else the task is woken no later
    /// than then, and perhaps before.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        now: Nanos,
        deadline: Nanos,
    ) -> Poll<()> {
        if now >= deadline {
            return Poll::Ready(());
        }
        let fires_in_time = now < self.armed && self.armed <= deadline;
        let wakes = self.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        if (fires_in_time && wakes) || deadline == Nanos::MAX {
            return Poll::Pending;
        }
        if !fires_in_time {
            self.armed = deadline;
        }
        let at = Instant::now() + self.armed.since(now).to_std();
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        timer.as_mut().reset(at);
        self.waker = Some(context.waker().clone());
        timer.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::clock;
    use crate::units::Span;

    async fn reached(alarm: &mut Alarm, deadline: Nanos) {
        std::future::poll_fn(|context| alarm.poll(context, clock::now(), deadline)).await;
    }

    #[tokio::test]
    async fn a_deadline_is_reached_and_never_early() {
        let mut alarm = Alarm::default();
        for _ in 0..2 {
            let deadline = clock::now() + Span::from_millis(20);
            reached(&mut alarm, deadline).await;
            assert!(clock::now() >= deadline);
        }
    }

    #[tokio::test]
    async fn a_deadline_that_moves_either_way_is_kept() {
        let mut alarm = Alarm::default();
        for millis in [60_000, 30, 60_000, 40, 20] {
            let deadline = clock::now() + Span::from_millis(millis);
            let short = Span::from_millis(5).to_std();
            assert!(tokio::time::timeout(short, reached(&mut alarm, deadline)).await.is_err());
        }
        let start = clock::now();
        reached(&mut alarm, start + Span::from_millis(25)).await;
        assert!((25..1000).contains(&(clock::elapsed(start).0 / 1_000_000)));
    }

    #[tokio::test]
    async fn a_timer_that_fires_for_an_old_deadline_is_armed_again() {
        let mut alarm = Alarm::default();
        let start = clock::now();
        let first = tokio::time::timeout(
            Span::from_millis(2).to_std(),
            reached(&mut alarm, start + Span::from_millis(10)),
        );
        assert!(first.await.is_err());
        let deadline = start + Span::from_millis(40);
        reached(&mut alarm, deadline).await;
        assert!(clock::now() >= deadline);
    }
}
