//! Two attempts at once: when a first attempt is late another peer is asked too, and the first good
//! answer goes to the client. The other attempt is cancelled by closing its connection.
//!
//! Both are polled by the task of the request. Only a request whose body was read and kept is
//! hedged. Connecting for the first attempt is not raced: a peer that does not take connections is
//! the business of `connect_timeout` and health.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::attempt::{Failure, INTERIMS_MAX};
use super::desk::Sheets;
use super::forward::Forward;
use super::halt::Halt;
use super::in_flight::InFlight;
use super::peer::{NoHead, Peer};
use super::pool::Kept;
use crate::host::clock;
use crate::http1::ResponseHead;
use crate::policy::Outcome;
use crate::units::Nanos;

/// How a race ended.
pub(super) enum Raced {
    /// This answer goes to the client; the machine knows.
    Won(Kept<Peer>, InFlight),
    /// One attempt is left, and has come so far.
    Alone(InFlight, Result<Kept<Peer>, Failure>),
}

/// The second attempt.
struct Second {
    in_flight: InFlight,
    stage: Stage,
    sheets: Sheets,
    response: ResponseHead,
    /// How much of the body it has got.
    sent: usize,
    is_ended: bool,
    interims: u32,
    /// It has failed by then.
    deadline: Nanos,
}

enum Stage {
    Connecting(Pin<Box<dyn Future<Output = Result<Peer, Outcome>> + Send>>),
    Waiting(Kept<Peer>),
}

/// What happens next in a race.
enum Turn {
    First(Result<(), Failure>),
    Late,
    Second(Result<Kept<Peer>, Outcome>),
    Halt(Halt),
}

impl Forward<'_> {
    /// An attempt that is hedged if it is late.
    pub(super) async fn race(&mut self, in_flight: InFlight) -> Raced {
        let mut kept = match self.reach(in_flight.endpoint()).await {
            Ok(kept) => kept,
            Err(failure) => return Raced::Alone(in_flight, Err(failure)),
        };
        kept.connection.lend(&mut self.desk.peer);
        self.begin(&mut kept.connection, in_flight.number());
        self.upload.begin(self.now);
        let mut late = in_flight.hedge_at().unwrap_or(Nanos::MAX);
        let mut first = Some((kept, in_flight));
        let mut second: Option<Second> = None;
        loop {
            let turn =
                poll_fn(|context| self.poll_race(context, &mut first, &mut second, late)).await;
            let turn = match turn {
                Turn::First(Err(Failure::Unprocessed)) => {
                    Turn::First(Err(Failure::Ended(Outcome::Closed { reused: true })))
                }
                turn => turn,
            };
            match (turn, first.take(), second.take()) {
                (Turn::Late, Some((kept, mut in_flight)), _) => {
                    late = Nanos::MAX;
                    second = in_flight.hedge().map(|hedge| self.second(hedge));
                    first = Some((kept, in_flight));
                }
                (Turn::First(Ok(())), Some((kept, in_flight)), Some(mut other)) => {
                    let status = self.desk.response.status();
                    match in_flight.head_beside(status, &mut other.in_flight) {
                        Some(in_flight) => {
                            self.tried = Some((2, Arc::clone(in_flight.endpoint())));
                            other.in_flight.superseded();
                            return Raced::Won(kept, in_flight);
                        }
                        None => second = Some(self.promoted(other)),
                    }
                }
                (
                    Turn::First(Err(Failure::Ended(outcome))),
                    Some((_, in_flight)),
                    Some(mut other),
                ) => {
                    in_flight.lost(outcome, &mut other.in_flight);
                    second = Some(self.promoted(other));
                }
                (Turn::First(ended), Some((kept, in_flight)), _) => {
                    return Raced::Alone(in_flight, ended.map(|()| kept));
                }
                (Turn::Second(Ok(kept)), Some((own, mut in_flight)), Some(mut other)) => {
                    let status = other.response.status();
                    match other.in_flight.head_beside(status, &mut in_flight) {
                        Some(winner) => {
                            in_flight.superseded();
                            drop(own);
                            self.tried = Some((2, Arc::clone(winner.endpoint())));
                            std::mem::swap(&mut self.desk.response, &mut other.response);
                            self.upload.sent_by_another();
                            return Raced::Won(kept, winner);
                        }
                        None => first = Some((own, in_flight)),
                    }
                }
                (Turn::Second(Err(outcome)), Some((own, mut in_flight)), Some(other)) => {
                    other.in_flight.lost(outcome, &mut in_flight);
                    first = Some((own, in_flight));
                }
                (Turn::Second(ended), None, Some(mut other)) => {
                    if ended.is_ok() {
                        std::mem::swap(&mut self.desk.response, &mut other.response);
                        self.upload.sent_by_another();
                    }
                    return Raced::Alone(other.in_flight, ended.map_err(Failure::Ended));
                }
                // Both are given back as those of a client that has gone.
                (Turn::Halt(halt), first, second) => {
                    let left = first.map(|(_, one)| one).or(second.map(|two| two.in_flight));
                    match left {
                        Some(in_flight) => {
                            return Raced::Alone(in_flight, Err(Failure::Halt(halt)));
                        }
                        None => unreachable!("one attempt is left until the race has ended"),
                    }
                }
                _ => unreachable!("a turn belongs to an attempt that is under way"),
            }
        }
    }

    /// The first attempt is gone: the second is the one that was tried last.
    fn promoted(&mut self, second: Second) -> Second {
        self.tried = Some((2, Arc::clone(second.in_flight.endpoint())));
        second
    }

    fn poll_race(
        &mut self,
        context: &mut Context<'_>,
        first: &mut Option<(Kept<Peer>, InFlight)>,
        second: &mut Option<Second>,
        late: Nanos,
    ) -> Poll<Turn> {
        self.wake();
        let now = self.now;
        match first {
            Some((kept, _)) => {
                if let Poll::Ready(ended) = self.poll_head(context, kept) {
                    return Poll::Ready(Turn::First(ended));
                }
            }
            None => {
                if self.client.poll_gone(context).is_ready() {
                    return Poll::Ready(Turn::Halt(Halt::ClientGone));
                }
                if self.alarm.poll(context, now, self.deadline).is_ready() {
                    return Poll::Ready(Turn::Halt(Halt::TooLate));
                }
            }
        }
        if let Some(other) = second
            && let Poll::Ready(ended) = self.poll_second(context, other, now)
        {
            return Poll::Ready(Turn::Second(ended));
        }
        self.alarm.poll(context, now, late).map(|()| Turn::Late)
    }

    /// A second attempt, on an idle connection or a new one.
    fn second(&mut self, in_flight: InFlight) -> Second {
        let worker = Arc::clone(self.visit.worker);
        let endpoint = Arc::clone(in_flight.endpoint());
        let now = clock::now();
        let (reached, introduction) = (Arc::clone(&worker), self.visit.origin.introduction());
        let connecting = async move {
            reached.connector.connect(&endpoint, &reached.shared, introduction).await
        };
        let mut second = Second {
            in_flight,
            stage: Stage::Connecting(Box::pin(connecting)),
            sheets: Sheets::default(),
            response: ResponseHead::default(),
            sent: 0,
            is_ended: false,
            interims: 0,
            deadline: now + worker.limits.connect_timeout,
        };
        if let Some(kept) = worker.take_idle(second.in_flight.endpoint().line) {
            worker.account.counters.peer_reused.add(1);
            self.start_second(&mut second, kept);
        }
        second
    }

    /// The second attempt has its connection.
    fn start_second(&mut self, second: &mut Second, mut kept: Kept<Peer>) {
        kept.connection.lend(&mut second.sheets);
        self.begin(&mut kept.connection, second.in_flight.number());
        second.stage = Stage::Waiting(kept);
        second.deadline = clock::now() + self.visit.worker.limits.read_timeout;
    }

    /// Ready when the second attempt has a head, in `second.response`, or has failed.
    fn poll_second(
        &mut self,
        context: &mut Context<'_>,
        second: &mut Second,
        now: Nanos,
    ) -> Poll<Result<Kept<Peer>, Outcome>> {
        if let Stage::Connecting(connecting) = &mut second.stage {
            match connecting.as_mut().poll(context) {
                Poll::Pending => {
                    ready!(self.alarm.poll(context, now, second.deadline));
                    return Poll::Ready(Err(Outcome::ConnectTimedOut));
                }
                Poll::Ready(Err(outcome)) => return Poll::Ready(Err(outcome)),
                Poll::Ready(Ok(peer)) => {
                    let counters = &self.visit.worker.account.counters;
                    let count =
                        if peer.is_new() { &counters.peer_opened } else { &counters.peer_reused };
                    count.add(1);
                    let kept = Kept::new(peer, second.in_flight.endpoint().line, now);
                    self.start_second(second, kept);
                }
            }
        }
        let Stage::Waiting(kept) = &mut second.stage else {
            unreachable!("it has its connection");
        };
        let reused = kept.reused();
        let peer = &mut kept.connection;
        let (sent, is_ended) = (&mut second.sent, &mut second.is_ended);
        // A peer that takes no more may have answered before it closed.
        let _ = self.upload.poll_copy(context, peer, sent, is_ended);
        loop {
            match peer.poll_head(context, &mut second.response) {
                Poll::Ready(Ok(())) if second.response.status() == 101 => {
                    return Poll::Ready(Err(Outcome::InvalidHead));
                }
                Poll::Ready(Ok(())) if second.response.is_interim() => {
                    second.interims += 1;
                    if second.interims > INTERIMS_MAX {
                        return Poll::Ready(Err(Outcome::InvalidHead));
                    }
                }
                Poll::Ready(Ok(())) => break,
                Poll::Ready(Err(NoHead::Closed)) => {
                    return Poll::Ready(Err(Outcome::Closed { reused }));
                }
                // As if the peer had closed an idle connection: it is not its failure.
                Poll::Ready(Err(NoHead::Unprocessed)) => {
                    return Poll::Ready(Err(Outcome::Closed { reused: true }));
                }
                Poll::Ready(Err(NoHead::Malformed(_))) => {
                    return Poll::Ready(Err(Outcome::InvalidHead));
                }
                Poll::Pending => {
                    ready!(self.alarm.poll(context, now, second.deadline));
                    return Poll::Ready(Err(Outcome::ReadTimedOut));
                }
            }
        }
        self.progress.first_byte = Some(now.since(self.began));
        let idle = Box::pin(std::future::pending());
        match std::mem::replace(&mut second.stage, Stage::Connecting(idle)) {
            Stage::Waiting(kept) => Poll::Ready(Ok(kept)),
            Stage::Connecting(_) => unreachable!("it has its connection"),
        }
    }
}
