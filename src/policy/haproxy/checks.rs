//! Health as HAProxy counts it (`src/check.c`), and when it checks.
//!
//! A counter from 0 to rise + fall − 1 is up from `rise` on. It starts at `rise`: up, but one failed
//! check takes the server down. A passed check that reaches `rise` fills it up; a failed one that
//! falls below empties it.

use crate::policy::health::active::ActiveHealthConfig;
use crate::policy::peer::PeerId;
use crate::policy::rules::{HaproxyObserve, HaproxyOnError, HaproxyRules, ObservedLayer};
use crate::units::{Nanos, Span};

/// What a request says of its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Sign {
    /// No connection.
    NoConnection,
    /// A connection, but no response, or a bad one.
    BadResponse,
    GoodResponse,
}

/// The counters of a backend.
#[derive(Debug)]
pub(in crate::policy) struct HealthCounters {
    rise: u32,
    fall: u32,
    interval: Span,
    fast: Option<Span>,
    down: Option<Span>,
    timeout: Span,
    observe: Option<HaproxyObserve>,
    servers: Vec<Counter>,
    next: Nanos,
    started: bool,
}

#[derive(Clone, Copy, Debug)]
struct Counter {
    health: u32,
    /// Errors in a row.
    errors: u32,
    /// When it is checked next.
    due: Nanos,
}

impl HealthCounters {
    pub(in crate::policy) fn new(config: &ActiveHealthConfig, rules: &HaproxyRules) -> Self {
        let least = |span: Span| span.max(Span::from_millis(1));
        Self {
            rise: config.rise.max(1),
            fall: config.fall.max(1),
            interval: least(config.interval),
            fast: rules.fast_interval.map(least),
            down: rules.down_interval.map(least),
            timeout: config.timeout,
            observe: rules.observe,
            servers: Vec::new(),
            next: Nanos::ZERO,
            started: false,
        }
    }

    /// When the next check is due; at once while the checks have not started.
    pub(in crate::policy) const fn next(&self) -> Nanos {
        self.next
    }

    /// The first checks of those of `count` servers that are `there` are spread over one interval
    /// (`start_checks`). One that joins later is checked at once.
    fn start(&mut self, now: Nanos, count: usize, there: impl Fn(PeerId) -> bool) {
        let first = !std::mem::replace(&mut self.started, true);
        let is_there = |place: &usize| there(PeerId(*place as u32));
        let spread_over = (0..count).filter(is_there).count().max(1) as u128;
        let mut before = 0;
        for place in self.servers.len()..count {
            let offset = u128::from(self.interval.0) * before / spread_over;
            let due = if first { now + Span(offset as u64) } else { now };
            self.servers.push(Counter { health: self.rise, errors: 0, due });
            before += u128::from(is_there(&place));
        }
    }

    /// A new server has the number `id`, and is checked at once.
    pub(in crate::policy) fn join(&mut self, now: Nanos, id: PeerId) {
        if let Some(server) = self.servers.get_mut(id.index()) {
            *server = Counter { health: self.rise, errors: 0, due: now };
        }
        self.next = self.next.min(now);
    }

    /// Those to be checked now, out of `count` servers of which some are `there`, if they are
    /// `wanted`. The next check comes an interval after the result; should none be reported, after
    /// the longest it could take.
    pub(in crate::policy) fn take_due(
        &mut self,
        now: Nanos,
        count: usize,
        there: impl Fn(PeerId) -> bool,
        wanted: impl Fn(PeerId) -> bool,
    ) -> Vec<PeerId> {
        self.start(now, count, there);
        let again = now + self.interval + self.timeout;
        let mut due = Vec::new();
        for (place, server) in self.servers.iter_mut().enumerate() {
            if server.due <= now {
                server.due = again;
                let id = PeerId(place as u32);
                if wanted(id) {
                    due.push(id);
                }
            }
        }
        self.reckon();
        due
    }

    fn reckon(&mut self) {
        self.next = self.servers.iter().map(|server| server.due).min().unwrap_or(Nanos::MAX);
    }

    /// The result of a check; whether that leaves the server up. `None` for a server never seen.
    pub(in crate::policy) fn checked(
        &mut self,
        now: Nanos,
        id: PeerId,
        passed: bool,
    ) -> Option<bool> {
        let (rise, full) = (self.rise, self.rise + self.fall - 1);
        let server = self.servers.get_mut(id.index())?;
        if passed {
            server.pass(rise, full);
            server.errors = 0;
        } else {
            server.fail(rise);
        }
        let health = server.health;
        let pause = self.pause(health);
        self.servers[id.index()].due = now + pause;
        self.reckon();
        Some(health >= rise)
    }

    /// `srv_getinter` in `src/server.c`.
    fn pause(&self, health: u32) -> Span {
        if health == self.rise + self.fall - 1 {
            self.interval
        } else if health == 0 {
            self.down.unwrap_or(self.interval)
        } else {
            self.fast.unwrap_or(self.interval)
        }
    }

    /// What a request says of its server, if that is observed; whether it leaves the server up
    /// (`__health_adjust`).
    pub(in crate::policy) fn observed(
        &mut self,
        now: Nanos,
        id: PeerId,
        sign: Sign,
    ) -> Option<bool> {
        let HaproxyObserve { layer, error_limit, on_error } = self.observe?;
        let (rise, fast) = (self.rise, self.fast);
        let server = self.servers.get_mut(id.index())?;
        let bad = match sign {
            Sign::NoConnection => true,
            Sign::BadResponse => layer == ObservedLayer::Layer7,
            Sign::GoodResponse => false,
        };
        server.errors = if bad { server.errors + 1 } else { 0 };
        if !bad || server.errors < error_limit {
            return None;
        }
        server.errors = 0;
        match on_error {
            HaproxyOnError::FastInterval => {}
            HaproxyOnError::FailCheck => server.fail(rise),
            HaproxyOnError::SuddenDeath => {
                if server.health > rise {
                    server.health = rise + 1;
                }
                server.fail(rise);
            }
            HaproxyOnError::MarkDown => {
                server.health = rise;
                server.fail(rise);
            }
        }
        if let Some(fast) = fast {
            server.due = server.due.min(now + fast);
        }
        let up = server.health >= rise;
        self.reckon();
        Some(up)
    }
}

/// `set_server_check_status`.
impl Counter {
    const fn pass(&mut self, rise: u32, full: u32) {
        if self.health < full {
            self.health += 1;
            if self.health >= rise {
                self.health = full;
            }
        }
    }

    const fn fail(&mut self, rise: u32) {
        self.health = self.health.saturating_sub(1);
        if self.health < rise {
            self.health = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn counters(rules: &HaproxyRules) -> HealthCounters {
        let config = ActiveHealthConfig {
            path: "/".to_owned(),
            interval: Span::from_secs(2),
            timeout: Span::from_secs(1),
            rise: 2,
            fall: 3,
        };
        let mut counters = HealthCounters::new(&config, rules);
        assert_eq!(counters.take_due(Nanos::ZERO, 1, |_| true, |_| true), [PeerId(0)]);
        counters
    }

    #[test]
    fn a_new_server_is_one_failed_check_from_down_and_a_proven_one_three() {
        let mut counters = counters(&HaproxyRules::default());
        let mut check = |passed| counters.checked(Nanos::ZERO, PeerId(0), passed).unwrap();
        assert!(!check(false));
        assert_eq!(
            [check(true), check(false), check(true), check(true)],
            [false, false, false, true]
        );
        assert_eq!([check(false), check(false), check(false)], [true, true, false]);
    }

    #[test]
    fn checks_come_faster_between_up_and_down() {
        let second = Span::from_secs(1);
        let rules = HaproxyRules {
            fast_interval: Some(second),
            down_interval: Some(Span::from_secs(5)),
            ..HaproxyRules::default()
        };
        let mut counters = counters(&rules);
        let mut next = |passed| {
            counters.checked(Nanos::ZERO, PeerId(0), passed);
            counters.next().0 / SECOND
        };
        assert_eq!([next(true), next(false), next(false), next(false)], [2, 1, 1, 5]);
        assert_eq!([next(true), next(true)], [1, 2]);
    }

    #[test]
    fn errors_in_a_row_have_their_consequence() {
        let observe = |on_error| {
            let observe = HaproxyObserve { layer: ObservedLayer::Layer7, error_limit: 2, on_error };
            counters(&HaproxyRules { observe: Some(observe), ..HaproxyRules::default() })
        };
        let mut marked = observe(HaproxyOnError::MarkDown);
        marked.checked(Nanos::ZERO, PeerId(0), true);
        let mut see = |sign| marked.observed(Nanos::ZERO, PeerId(0), sign);
        assert_eq!(see(Sign::BadResponse), None);
        assert_eq!(see(Sign::GoodResponse), None, "a good one clears the count");
        assert_eq!(see(Sign::BadResponse), None);
        assert_eq!(see(Sign::NoConnection), Some(false));
        let mut failed = observe(HaproxyOnError::SuddenDeath);
        failed.checked(Nanos::ZERO, PeerId(0), true);
        let mut see = |sign| failed.observed(Nanos::ZERO, PeerId(0), sign);
        assert_eq!([see(Sign::BadResponse), see(Sign::BadResponse)], [None, Some(true)]);
        assert_eq!(failed.checked(Nanos::ZERO, PeerId(0), false), Some(false));
    }
}
