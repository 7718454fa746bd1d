//! How much a client may ask of a connection without giving it anything to do.
//!
//! Some frames cost the one who gets them more than the one who sends them, and are no request:
//! PING and SETTINGS want an answer, RST_STREAM throws work away (rapid reset, CVE-2023-44487),
//! WINDOW_UPDATE, PRIORITY and empty DATA are looked at for nothing (CVE-2019-9512 to 9518,
//! CVE-2024-27316). Honest clients send them in proportion to requests, bodies and responses. So a
//! connection has an allowance: useful traffic and time fill it, such frames take from it, and a
//! connection that has used it up is closed with ENHANCE_YOUR_CALM. Envoy counts each kind against
//! the number of streams, HAProxy counts all "glitches" of a connection; this is between the two.

use super::frames::Frame;
use crate::units::Nanos;

/// What a connection begins with, and the most it can have.
const FULL: i64 = 10_000;
/// What a second brings.
const PER_SECOND: u64 = 100;
/// A stream thrown away costs this: 250 at once, then one in half a second.
const RESET: i64 = -50;
/// Bytes written that earn as much as one DATA frame.
const WRITTEN: usize = 256;

/// A connection's allowance.
#[derive(Clone, Debug)]
pub(super) struct Allowance {
    left: i64,
    /// Until when time has been paid for.
    paid: Nanos,
}

impl Allowance {
    pub(super) const fn new(now: Nanos) -> Self {
        Self { left: FULL, paid: now }
    }

    /// The client sent a frame.
    pub(super) fn read(&mut self, frame: Frame) {
        self.add(match frame.kind {
            // DATA with something in it; HEADERS.
            0 if frame.length > 0 => 1,
            1 => 10,
            3 => RESET,
            _ => -1,
        });
    }

    /// The client was sent so many bytes: it may have to say that there is room for more.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.add((bytes / WRITTEN) as i64);
    }

    /// Whether it is used up. The clock is read only when it seems so.
    pub(super) fn is_used_up(&mut self, now: impl FnOnce() -> Nanos) -> bool {
        if self.left >= 0 {
            return false;
        }
        let now = now();
        let seconds_hundredth = now.since(self.paid).0 / (1_000_000_000 / PER_SECOND);
        self.paid = now;
        self.add(i64::try_from(seconds_hundredth).unwrap_or(FULL));
        self.left < 0
    }

    fn add(&mut self, amount: i64) {
        self.left = (self.left + amount).min(FULL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Span;

    const PING: Frame = Frame { kind: 6, length: 8 };
    const HEADERS: Frame = Frame { kind: 1, length: 30 };
    const RST_STREAM: Frame = Frame { kind: 3, length: 4 };
    const WINDOW_UPDATE: Frame = Frame { kind: 8, length: 4 };

    fn start() -> Allowance {
        Allowance::new(Nanos::ZERO)
    }

    fn at_once(allowance: &mut Allowance) -> bool {
        allowance.is_used_up(|| Nanos::ZERO)
    }

    #[test]
    fn a_flood_ends_soon() {
        for (frames, most) in [
            (&[PING][..], 10_001),
            (&[HEADERS, RST_STREAM], 250),
            (&[Frame { kind: 0, length: 0 }], 10_001),
        ] {
            let mut allowance = start();
            let rounds = (1..).find(|_| {
                frames.iter().for_each(|frame| allowance.read(*frame));
                at_once(&mut allowance)
            });
            assert_eq!(rounds, Some(most), "{frames:?}");
        }
    }

    #[test]
    fn useful_traffic_pays_for_what_it_brings_with_it() {
        let mut allowance = start();
        for _ in 0..100_000 {
            allowance.read(HEADERS);
            allowance.read(WINDOW_UPDATE);
            allowance.read(WINDOW_UPDATE);
            allowance.read(PING);
            allowance.wrote(300);
        }
        assert!(!at_once(&mut allowance));
        // A large download: an update of two windows for each 16 KiB.
        for _ in 0..100_000 {
            allowance.wrote(16 << 10);
            allowance.read(WINDOW_UPDATE);
            allowance.read(WINDOW_UPDATE);
        }
        assert!(!at_once(&mut allowance));
    }

    #[test]
    fn one_cancelled_request_of_ten_is_no_attack() {
        let mut allowance = start();
        for number in 0..100_000 {
            allowance.read(HEADERS);
            if number % 10 == 0 {
                allowance.read(RST_STREAM);
            }
        }
        assert!(!at_once(&mut allowance));
    }

    #[test]
    fn time_fills_it_again() {
        let mut allowance = start();
        (0..10_050).for_each(|_| allowance.read(PING));
        assert!(!allowance.is_used_up(|| Nanos::ZERO + Span::from_secs(1)));
        (0..51).for_each(|_| allowance.read(PING));
        assert!(allowance.is_used_up(|| Nanos::ZERO + Span::from_secs(1)));
    }
}
