//! What a worker counts.
//!
//! A number is written by its own worker's thread alone, so that counting is a load, an addition and
//! a store: no locked instruction, no line of cache that two cores pull at. Readers see each number
//! whole, and all of them not older than the last moments.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::units::Span;

/// A number with a single writer.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    #[inline]
    pub(super) fn add(&self, more: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    #[inline]
    pub(super) fn sub(&self, less: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(less), Relaxed);
    }

    #[inline]
    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    #[inline]
    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Upper bounds of the buckets of every histogram of durations, in microseconds.
pub(super) const BOUNDS_MICROS: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// Durations by bucket.
#[derive(Debug, Default)]
pub(super) struct Durations {
    /// One bucket more than bounds.
    buckets: [Count; BOUNDS_MICROS.len() + 1],
    nanos: Count,
}

impl Durations {
    #[inline]
    pub(super) fn record(&self, took: Span) {
        self.buckets[bucket(took)].add(1);
        self.nanos.add(took.0);
    }

    fn total(&self) -> DurationTotals {
        DurationTotals {
            buckets: std::array::from_fn(|i| self.buckets[i].get()),
            nanos: self.nanos.get(),
        }
    }
}

/// The bucket of a duration; one on a bound belongs to it.
#[inline]
fn bucket(took: Span) -> usize {
    BOUNDS_MICROS.partition_point(|bound| bound * 1_000 < took.0)
}

/// Durations as read, or kept under a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DurationTotals {
    pub(super) buckets: [u64; BOUNDS_MICROS.len() + 1],
    pub(super) nanos: u64,
}

impl DurationTotals {
    #[inline]
    pub(super) fn record(&mut self, took: Span) {
        self.buckets[bucket(took)] += 1;
        self.nanos = self.nanos.wrapping_add(took.0);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        add(&mut self.buckets, &other.buckets);
        self.nanos = self.nanos.wrapping_add(other.nanos);
    }
}

pub(super) fn add(mine: &mut [u64], theirs: &[u64]) {
    mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
}

/// What clients and peers are spoken to in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.0 or 1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// A connection passed on as it is.
    Tcp,
}

impl Protocol {
    /// All of them, in the order in which they are counted.
    pub(super) const ALL: [Self; 3] = [Self::Http1, Self::Http2, Self::Tcp];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Tcp => "tcp",
        }
    }
}

/// Classes of a status: none, because the exchange broke off before there was one, and 1xx to 5xx.
pub(super) const STATUS_CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

macro_rules! counters {
    ($( $(#[doc = $doc:literal])+ $name:ident, )*) => {
        /// The numbers of one worker.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub(super) struct Counters {
            $( $(#[doc = $doc])+ pub(super) $name: Count, )*
            /// Ended requests by protocol and class of the status that the client got.
            pub(super) requests: [[Count; STATUS_CLASSES.len()]; Protocol::ALL.len()],
            /// Time of requests from the head to the last byte of the response.
            pub(super) request_time: Durations,
            /// Time of connections to peers from the start to the end of every handshake.
            pub(super) connect_time: Durations,
        }

        /// The numbers of workers, added up.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub(super) struct Totals {
            $( $(#[doc = $doc])+ pub(super) $name: u64, )*
            pub(super) requests: [[u64; STATUS_CLASSES.len()]; Protocol::ALL.len()],
            pub(super) request_time: DurationTotals,
            pub(super) connect_time: DurationTotals,
        }

        impl Totals {
            /// Sets what is now, not what was counted, to nothing: for workers that have ended.
            pub(super) fn forget_gauges(&mut self) {
                self.open = 0;
                self.peer_idle = 0;
            }

            /// Adds what a worker has counted so far.
            pub(super) fn take_in(&mut self, counters: &Counters) {
                $( self.$name = self.$name.wrapping_add(counters.$name.get()); )*
                for (mine, theirs) in self.requests.iter_mut().zip(&counters.requests) {
                    mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs.get());
                }
                self.request_time.merge(&counters.request_time.total());
                self.connect_time.merge(&counters.connect_time.total());
            }
        }
    };
}

counters! {
    /// Client connections accepted.
    accepted,
    /// Client connections refused, since there were too many.
    refused,
    /// Client connections now open.
    open,
    /// TLS handshakes with clients that succeeded.
    tls_handshakes,
    /// TLS handshakes with clients that failed.
    tls_failures,
    /// Requests whose connection was then used for another protocol (WebSocket and the like).
    upgrades,
    /// Bytes of request bodies, and of TCP, read from clients.
    bytes_in,
    /// Bytes of response bodies, and of TCP, sent to clients.
    bytes_out,
    /// Attempts beyond the first of their request.
    retries,
    /// Connections opened to peers.
    peer_opened,
    /// Attempts that took an idle connection.
    peer_reused,
    /// Connections to peers now idle.
    peer_idle,
    /// Lines of the access log dropped, since its queue was full.
    log_dropped,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_on_a_bound_belongs_to_it() {
        let durations = Durations::default();
        let mut totals = DurationTotals::default();
        for took in [Span::from_micros(100), Span(100_001), Span::from_secs(60)] {
            durations.record(took);
            totals.record(took);
        }
        assert_eq!(durations.total(), totals);
        assert_eq!((totals.buckets[0], totals.buckets[1]), (1, 1));
        assert_eq!(totals.buckets[BOUNDS_MICROS.len()], 1);
        assert_eq!(totals.nanos, 60_000_200_001);
    }

    #[test]
    fn totals_add_up_workers() {
        let workers = [Counters::default(), Counters::default()];
        workers[0].accepted.add(3);
        workers[1].accepted.add(4);
        workers[1].open.add(2);
        workers[1].open.sub(1);
        workers[0].requests[Protocol::Http2 as usize][5].add(1);
        workers[1].connect_time.record(Span::from_millis(3));
        let mut totals = Totals::default();
        workers.iter().for_each(|worker| totals.take_in(worker));
        assert_eq!((totals.accepted, totals.open), (7, 1));
        assert_eq!(totals.requests[1], [0, 0, 0, 0, 0, 1]);
        assert_eq!(totals.connect_time.nanos, 3_000_000);
    }
}
