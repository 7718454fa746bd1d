//! A request that waits, at a group whose time is the test's.

use lab::policy::{Event, Next, Ticket, Upstream};
use lab::units::Nanos;

/// What becomes of the request that waits with `ticket`: `now` goes on from one of the group's
/// timeouts to the next until then.
pub(crate) fn what_follows(upstream: &mut Upstream, now: &mut Nanos, ticket: Ticket) -> Next {
    loop {
        while let Some(event) = upstream.poll_event() {
            match event {
                Event::Turn(whose, attempt) if whose == ticket => return Next::Retry(attempt),
                Event::Expired(whose, refusal) if whose == ticket => return Next::Refused(refusal),
                _ => {}
            }
        }
        *now = upstream.next_timeout().expect("somebody waits").max(*now);
        upstream.handle_timeout(*now);
    }
}
