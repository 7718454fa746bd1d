//! The proof of a drain at a balancer that shows nobody its view of the peers: what the backend
//! itself has counted.

use std::net::SocketAddr;
use std::time::Duration;

use crate::backend::fault::FaultReport;
use crate::host::call;
use crate::units::Span;

/// An answer that takes longer is none.
const LIMIT: Duration = Duration::from_millis(400);
/// A drained backend gets at most this share of what it got before, since a request may be under
/// way to it at the instant of counting.
const MOST: f64 = 0.01;

/// What a backend had counted while it was drained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Drained {
    /// Requests until then since the backend's start.
    requests: u64,
    /// Requests per second before the drain.
    usual: f64,
}

/// Requests that the backend at `control` has read since its start.
async fn requests(control: SocketAddr) -> Result<u64, String> {
    let asked = call::get::<FaultReport>(control, "/fault", LIMIT).await;
    asked.map(|report| report.total.requests).map_err(|error| error.to_string())
}

impl Drained {
    /// Looks while it is drained. Traffic had come for `before`, without the drain.
    pub(super) async fn look(control: SocketAddr, before: Span) -> Result<Self, String> {
        Ok(Self::after(requests(control).await?, before))
    }

    fn after(requests: u64, before: Span) -> Self {
        let seconds = before.as_secs_f64();
        let usual = if seconds > 0.0 { requests as f64 / seconds } else { 0.0 };
        Self { requests, usual }
    }

    /// Looks again `later`, at the end of the drain: whether it had its effect, and what was seen.
    pub(super) async fn prove(self, control: SocketAddr, later: Span) -> (bool, String) {
        match requests(control).await {
            Ok(requests) => self.judge(requests, later),
            Err(error) => (false, error),
        }
    }

    fn judge(self, requests: u64, later: Span) -> (bool, String) {
        // A backend that was started anew meanwhile counts from zero.
        let new = requests.checked_sub(self.requests).unwrap_or(requests);
        let usual = self.usual * later.as_secs_f64();
        let words = format!("{new} requests reached it in {later}, where about {usual:.0} would");
        (new as f64 <= usual * MOST, words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECONDS: Span = Span::from_secs(6);

    #[test]
    fn a_backend_that_goes_on_getting_requests_is_not_drained() {
        let seen = Drained::after(500, Span::from_secs(5));
        assert!(!seen.judge(1_100, SECONDS).0, "as many as before");
        assert!(!seen.judge(510, SECONDS).0, "10 of 600");
        let (bit, words) = seen.judge(503, SECONDS);
        assert!(bit, "{words}");
        assert_eq!(words, "3 requests reached it in 6s, where about 600 would");
    }

    #[test]
    fn a_backend_without_traffic_is_drained_if_it_gets_none() {
        let seen = Drained::after(0, Span::from_secs(5));
        assert!(seen.judge(0, SECONDS).0);
        assert!(!seen.judge(1, SECONDS).0);
    }

    #[test]
    fn a_backend_that_was_started_anew_counts_from_zero() {
        let seen = Drained::after(500, Span::from_secs(5));
        assert!(!seen.judge(400, SECONDS).0);
        assert!(seen.judge(0, SECONDS).0);
    }
}
