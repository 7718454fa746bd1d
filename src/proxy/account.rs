//! The end of a request as it is counted and logged: the one call that the data path makes for both.

use std::net::SocketAddr;
use std::sync::Arc;

use super::access_log::Sink;
use super::count::{Counters, Protocol};
use crate::units::{Nanos, Span};

/// A request that has ended, or a TCP connection; what does not apply is 0, empty or `None`.
#[derive(Clone, Debug)]
pub(super) struct Exchange<'a> {
    /// Who asked: the address that its connection came from, or that a PROXY header named.
    pub(super) client: SocketAddr,
    pub(super) protocol: Protocol,
    pub(super) method: &'a [u8],
    /// Path and query, as the client wrote them.
    pub(super) path: &'a [u8],
    /// Status that the client got; 0 if it got none.
    pub(super) status: u16,
    /// Whether the client got all of the response.
    pub(super) complete: bool,
    /// When its head had been read.
    pub(super) started: Nanos,
    /// When its last byte had been handed to the kernel, or it broke off.
    pub(super) ended: Nanos,
    /// Time that connecting took, if the last attempt had to.
    pub(super) connect: Option<Span>,
    /// Time from `started` to the head of the response.
    pub(super) first_byte: Option<Span>,
    /// Bytes of bodies, from and to the client.
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    /// The peer tried last.
    pub(super) upstream: Option<&'a str>,
    pub(super) attempts: u16,
    /// `X-Request-Id` and `traceparent`, as the client sent them; without the former the id in lab's
    /// plan.
    pub(super) request_id: Option<&'a [u8]>,
    pub(super) traceparent: Option<&'a [u8]>,
}

/// Where a worker's requests are counted and logged.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) counters: Arc<Counters>,
    pub(super) log: Option<Sink>,
}

impl Account {
    /// Counts the request, and logs it if its turn has come.
    #[inline]
    pub(super) fn close(&self, exchange: &Exchange<'_>) {
        let counters = &*self.counters;
        let class = usize::from(exchange.status / 100).min(5);
        counters.requests[exchange.protocol as usize][class].add(1);
        counters.request_time.record(exchange.ended.since(exchange.started));
        counters.bytes_in.add(exchange.bytes_in);
        counters.bytes_out.add(exchange.bytes_out);
        if exchange.attempts > 1 {
            counters.retries.add(u64::from(exchange.attempts - 1));
        }
        if let Some(log) = &self.log
            && !log.offer(exchange)
        {
            counters.log_dropped.add(1);
        }
    }
}
