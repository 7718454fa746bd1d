//! How an attempt ended, and why a request was refused.

use serde::{Deserialize, Serialize};

/// How an attempt at a peer ended, as the balancer saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The response was passed to the client as far as it went; a body that broke off after the
    /// head was sent counts as this too.
    Responded,
    /// The connection was refused or reset before anything was sent.
    ConnectFailed,
    /// No connection within the connect time-out.
    ConnectTimedOut,
    /// The peer closed or reset the connection after the request was (partly) sent and before a
    /// full response head. `reused` tells that it was a kept-alive connection.
    Closed {
        /// The connection had carried an earlier request.
        reused: bool,
    },
    /// No response head within the read time-out.
    ReadTimedOut,
    /// A response head that cannot be parsed.
    InvalidHead,
    /// The client went away or gave up; says nothing about the peer.
    ClientGone,
    /// The other of two attempts at once answered first; says nothing about the peer.
    Superseded,
}

impl Outcome {
    /// Whether it counts against the peer. In NGINX every error, time-out and broken head does,
    /// also where it may not be retried; a client that goes away does not
    /// (`ngx_http_upstream_next`, `ngx_http_upstream_finalize_request`).
    #[must_use]
    #[inline]
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::Responded | Self::ClientGone | Self::Superseded)
    }

    /// Whether the request had begun to be sent (`u->request_sent`).
    #[must_use]
    pub const fn was_sent(self) -> bool {
        !matches!(self, Self::ConnectFailed | Self::ConnectTimedOut)
    }

    /// Whether it is a time-out.
    #[must_use]
    pub const fn is_timeout(self) -> bool {
        matches!(self, Self::ConnectTimedOut | Self::ReadTimedOut)
    }
}

/// Why a request gets an answer from the balancer itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// No peer is eligible: all are down, full, or were tried.
    NoLiveUpstream,
    /// The waiting line at the balancer is full.
    QueueFull,
    /// The wait in the line at the balancer took too long.
    QueueTimedOut,
    /// The last attempt failed and may not be retried.
    AttemptFailed,
    /// The last attempt timed out and may not be retried.
    AttemptTimedOut,
}

/// The answer that the balancer itself gives to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: RefusalReason,
    /// The HTTP status to send.
    pub status: u16,
}

impl Refusal {
    /// The refusal that NGINX gives: 504 after a time-out, else 502. The waiting line too: NGINX
    /// Plus documents 502 for its `queue` directive, full or too slow.
    #[must_use]
    pub const fn new(reason: RefusalReason) -> Self {
        let status = match reason {
            RefusalReason::AttemptTimedOut => 504,
            RefusalReason::NoLiveUpstream
            | RefusalReason::QueueFull
            | RefusalReason::QueueTimedOut
            | RefusalReason::AttemptFailed => 502,
        };
        Self { reason, status }
    }
}
