//! The tunnel after a 101 (WebSocket and the like): bytes in both directions until one side ends
//! it. The attempt lasts as long, so the connection counts as in flight at its peer.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use super::alarm::Alarm;
use super::client::Client;
use super::message::{Broken, Piece};
use super::peer::Peer;
use crate::host::clock;
use crate::units::Span;

/// When one side has ended, the other has this long to end too.
const FAREWELL: Span = Span::from_secs(5);

/// One end of a tunnel.
trait End {
    fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Broken>>;
    fn content(&self) -> &[u8];
    fn took(&mut self, length: usize);
    fn poll_content(&mut self, context: &mut Context<'_>, part: &[u8]) -> Poll<io::Result<usize>>;
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>>;
    fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>>;
}

macro_rules! end {
    ($side:ty) => {
        impl End for $side {
            fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Broken>> {
                self.poll_body(context)
            }
            fn content(&self) -> &[u8] {
                self.content()
            }
            fn took(&mut self, length: usize) {
                self.took(length);
            }
            fn poll_content(
                &mut self,
                context: &mut Context<'_>,
                part: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.poll_content(context, part)
            }
            fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_flush(context)
            }
            fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_shutdown(context)
            }
        }
    };
}

end!(Client<'_>);
end!(Peer);

/// Joins both until they have ended, or nothing moved for `idle`. How many bytes went up and down.
/// How it ended says nothing about the peer: the response had been passed on.
pub(super) async fn join(
    client: &mut Client<'_>,
    peer: &mut Peer,
    alarm: &mut Alarm,
    idle: Span,
) -> (u64, u64) {
    client.begin_tunnel();
    peer.begin_tunnel();
    let (mut up, mut down) = (Way::default(), Way::default());
    let mut moved = clock::now();
    poll_fn(|context| {
        let before = up.length + down.length;
        let ups = up.poll(context, client, peer);
        let downs = down.poll(context, peer, client);
        match (ups, downs) {
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(()),
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => return Poll::Ready(()),
            _ => {}
        }
        let now = clock::now();
        if up.length + down.length > before {
            moved = now;
        }
        let limit = if up.has_ended || down.has_ended { FAREWELL.min(idle) } else { idle };
        alarm.poll(context, now, moved + limit)
    })
    .await;
    (up.length, down.length)
}

/// One direction.
#[derive(Default)]
struct Way {
    length: u64,
    has_ended: bool,
    is_shut: bool,
}

impl Way {
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        from: &mut impl End,
        to: &mut impl End,
    ) -> Poll<io::Result<()>> {
        while !self.has_ended {
            match from.poll_body(context) {
                Poll::Ready(Ok(Piece::Content)) => {
                    let taken = ready!(to.poll_content(context, from.content()))?;
                    from.took(taken);
                    self.length += taken as u64;
                }
                Poll::Ready(Ok(Piece::End)) => self.has_ended = true,
                Poll::Ready(Err(_)) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                Poll::Pending => {
                    ready!(to.poll_flush(context))?;
                    return Poll::Pending;
                }
            }
        }
        if !self.is_shut {
            ready!(to.poll_flush(context))?;
            ready!(to.poll_shutdown(context))?;
            self.is_shut = true;
        }
        Poll::Ready(Ok(()))
    }
}
