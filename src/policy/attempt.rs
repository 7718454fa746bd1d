//! What goes in and out of the machine for one request: facts, attempts, places in the line.

use smallvec::SmallVec;

use super::group::Pick;
use super::outcome::Refusal;
use super::peer::PeerId;
use crate::units::Nanos;

/// What the machine needs to know of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFacts {
    /// Its id in the plan; addresses the draws of its picks.
    pub id: u64,
    /// Hash of its key, for algorithms that hash.
    pub key: u64,
    /// May be sent again after it was sent once: not POST, LOCK or PATCH.
    pub idempotent: bool,
}

/// Permission to try a peer. Not cloneable: every attempt is given back exactly once.
#[derive(Debug)]
#[must_use = "an attempt must be given back through `head` or `finished`"]
pub struct Attempt {
    /// The request.
    pub facts: RequestFacts,
    /// 1 for the first attempt of the request.
    pub number: u16,
    /// Where it goes.
    pub peer: PeerId,
    /// When this attempt began.
    pub started: Nanos,
    /// Whether the request can be sent once more. A balancer that passes a body on as it comes sets
    /// this to false once a part that it did not keep has been sent: then no other peer is tried,
    /// whatever the conditions say (`request_body_no_buffering` in `ngx_http_upstream_next`).
    pub repeatable: bool,
    pub(super) progress: Progress,
}

impl Attempt {
    /// The peers this request tried before this attempt, but for the primaries once it has moved
    /// on to the backups.
    #[must_use]
    pub fn tried(&self) -> &[PeerId] {
        &self.progress.tried
    }

    /// Whether it is the second of two at once ([`Upstream::hedge`](super::Upstream::hedge)).
    #[must_use]
    pub const fn is_hedge(&self) -> bool {
        self.progress.hedged && self.number == 2
    }
}

/// The first attempt of a request, as little of it as can be kept while nothing is expected but its
/// answer. [`Self::whole`] makes an [`Attempt`] of it; it is given back like one, or through
/// [`Upstream::passed`](super::Upstream::passed), and exactly once: a copy is no second permission.
#[derive(Clone, Copy, Debug)]
#[must_use = "an attempt must be given back"]
pub struct FirstAttempt {
    /// The peer, the tries left and how it was picked, in one word: a value of smaller parts is moved
    /// about in pieces that differ from those it was written in, for which the processor waits.
    packed: u64,
}

/// Most tries that a first attempt says of itself; those of a request end before.
pub(super) const MOST_TRIES: u32 = (1 << 23) - 1;

impl FirstAttempt {
    /// `tries` are at most [`MOST_TRIES`].
    #[inline(always)]
    pub(super) fn new(pick: Pick, tries: u32) -> Self {
        let Pick { peer, draws, on_backups } = pick;
        let how = u32::from(draws) << 1 | u32::from(on_backups);
        Self::of(peer, tries, how)
    }

    /// At a primary that was picked without a draw.
    #[inline(always)]
    pub(super) fn at_sight(peer: PeerId, tries: u32) -> Self {
        Self::of(peer, tries, 0)
    }

    #[inline(always)]
    fn of(peer: PeerId, tries: u32, how: u32) -> Self {
        debug_assert!(tries <= MOST_TRIES, "a group says no more");
        Self { packed: u64::from(tries << 9 | how) << 32 | u64::from(peer.0) }
    }

    /// Where it goes.
    #[must_use]
    #[inline(always)]
    pub const fn peer(self) -> PeerId {
        PeerId(self.packed as u32)
    }

    /// The attempt as it is from its start on; `facts` are those it was picked by.
    #[inline]
    pub fn whole(self, facts: RequestFacts, started: Nanos) -> Attempt {
        let (peer, rest) = (self.peer(), (self.packed >> 32) as u32);
        let (tries, draws, on_backups) = (rest >> 9, (rest >> 1) as u8, rest & 1 == 1);
        let progress =
            Progress { first_started: started, draws, on_backups, ..Progress::new(tries) };
        Attempt { facts, number: 1, peer, started, repeatable: true, progress }
    }
}

/// A place in the waiting line, or a pause before a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Answer to a new request.
#[derive(Debug)]
pub enum Admission {
    /// Try this peer.
    Go(Attempt),
    /// Wait: [`Event::Turn`](super::Event::Turn) or [`Event::Expired`](super::Event::Expired)
    /// will name the ticket.
    Wait(Ticket),
    /// Answer the client with this.
    Refused(Refusal),
}

/// Why [`Upstream::admit_at_once`](super::Upstream::admit_at_once) could not settle a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detour {
    /// Others wait, or rules beyond NGINX's are in use; nothing has been decided.
    Involved,
    /// No peer may be picked.
    NoPeer,
}

/// Answer to a response head.
#[derive(Debug)]
pub enum Head {
    /// Pass the response on, then report [`Outcome::Responded`](super::Outcome::Responded).
    Pass(Attempt),
    /// Throw the response away: the attempt has ended.
    Next(Next),
}

/// What follows an ended attempt.
#[derive(Debug)]
pub enum Next {
    /// Nothing: the client has its response, or is gone.
    Done,
    /// Try this peer.
    Retry(Attempt),
    /// Wait for a free peer, or for the end of the pause before a retry.
    Wait(Ticket),
    /// Answer the client with this.
    Refused(Refusal),
}

/// How far a request has come: what is carried from one attempt to the next.
#[derive(Debug)]
pub(super) struct Progress {
    /// Peers tried in earlier attempts. That of the attempt in flight is added when it ends.
    pub(super) tried: SmallVec<[PeerId; 4]>,
    /// When the first attempt began.
    pub(super) first_started: Nanos,
    /// Attempts left, the one in flight included.
    pub(super) tries: u32,
    /// Fruitless draws of the random methods (`rp->tries`), kept over attempts.
    pub(super) draws: u8,
    /// The primaries were all out: from now on backups only.
    pub(super) on_backups: bool,
    /// A second attempt was sent beside the first.
    pub(super) hedged: bool,
    /// How it came to its server.
    pub(super) seat: Seat,
}

/// How a request came to its server. HAProxy's rules alone know more than one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seat {
    /// The server was chosen for it.
    Chosen,
    /// Its session binds it there.
    Bound,
    /// A server that came back took it out of the queue, and does not count it as in flight
    /// (`pendconn_grab_from_px` leaves `served` as it is).
    Grabbed,
}

impl Progress {
    /// Of a request that has been nowhere yet.
    pub(super) fn new(tries: u32) -> Self {
        Self {
            tried: SmallVec::new(),
            first_started: Nanos::ZERO,
            tries,
            draws: 0,
            on_backups: false,
            hedged: false,
            seat: Seat::Chosen,
        }
    }

    /// Whether the request has been nowhere yet, so that every eligible peer would do.
    pub(super) fn is_fresh(&self) -> bool {
        self.tried.is_empty() && !self.on_backups
    }

    pub(super) fn so_far(&self) -> SoFar<'_> {
        SoFar { tried: &self.tried, draws: self.draws, on_backups: self.on_backups }
    }
}

/// The part of the progress that a pick reads. Apart from [`Progress`], so that the first pick of
/// a request needs none: the compiler then keeps the new attempt in registers until it is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct SoFar<'a> {
    pub(super) tried: &'a [PeerId],
    pub(super) draws: u8,
    pub(super) on_backups: bool,
}

impl SoFar<'static> {
    /// Of a request that has been nowhere yet.
    pub(super) const NOWHERE: Self = Self { tried: &[], draws: 0, on_backups: false };
}
