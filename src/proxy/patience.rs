//! A time limit that is started for every request and hardly ever reached.
//!
//! Arming a timer costs more than most of what a proxy does for a request. So starting only notes
//! when the time will be over; the timer behind it stays where it was, fires early, and is then
//! moved. It is touched once per limit, not once per request.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep};

use crate::host::clock;
use crate::units::{Nanos, Span};

/// One limit, started again and again.
#[derive(Debug)]
pub(super) struct Patience {
    limit: Span,
    until: Nanos,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(super) const fn new(limit: Span) -> Self {
        Self { limit, until: Nanos::MAX, timer: None }
    }

    pub(super) const fn limit(&self) -> Span {
        self.limit
    }

    /// The time counts from `start`, which must not be before that of the last call.
    pub(super) fn start(&mut self, start: Nanos) {
        self.until = start + self.limit;
    }

    /// Ready when the time is over.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let until = self.until;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(left(until).to_std())));
        loop {
            ready!(timer.as_mut().poll(context));
            let left = left(until);
            if left == Span::ZERO {
                return Poll::Ready(());
            }
            timer.as_mut().reset(Instant::now() + left.to_std());
        }
    }
}

fn left(until: Nanos) -> Span {
    until.since(clock::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn over(patience: &mut Patience) {
        std::future::poll_fn(|context| patience.poll(context)).await;
    }

    #[tokio::test]
    async fn it_is_over_after_its_limit_and_can_be_started_again() {
        let limit = Span::from_millis(20);
        let mut patience = Patience::new(limit);
        for _ in 0..2 {
            let start = clock::now();
            patience.start(start);
            over(&mut patience).await;
            assert!(clock::elapsed(start) >= limit);
        }
    }

    #[tokio::test]
    async fn starting_anew_extends_it_although_its_timer_is_armed() {
        let limit = Span::from_millis(30);
        let mut patience = Patience::new(limit);
        patience.start(clock::now());
        let waited = tokio::time::timeout(Span::from_millis(15).to_std(), over(&mut patience));
        assert!(waited.await.is_err());
        let start = clock::now();
        patience.start(start);
        over(&mut patience).await;
        assert!(clock::elapsed(start) >= limit);
    }
}
