//! Budgets: how much more work than was asked for a balancer may make.
//!
//! Retries and hedges turn one request into several. When everything is slow they multiply the
//! load just then, and an overload that began with a hiccup keeps itself alive (Bronson et al.,
//! "Metastable failures in distributed systems", HotOS 2021). A budget bounds the multiplication.
//! Two kinds, which may be used together:
//!
//! - **Concurrency**, Envoy's `retry_budget` (`source/common/upstream/resource_manager_impl.h`): as
//!   many retries at once as a share of the requests in the group, and always a few.
//! - **Tokens**, Finagle's `RetryBudget` (`finagle-core/.../service/RetryBudget.scala`): each request
//!   deposits a share of a retry, which is lost again after a while; some come with time alone.

use crate::units::{Nanos, Ratio, Span};

/// A budget as configured; a part that is missing allows everything.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BudgetConfig {
    /// Most at once.
    pub concurrency: Option<ConcurrencyConfig>,
    /// Most over time.
    pub tokens: Option<TokensConfig>,
}

/// Most at once: max(`min_concurrency`, `percent` of the attempts in flight and the requests that
/// wait).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConcurrencyConfig {
    /// Share of what is in the group; Envoy's default is 20 %.
    pub percent: Ratio,
    /// Always allowed; Envoy's default is 3.
    pub min_concurrency: u32,
}

/// Most over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokensConfig {
    /// What a request deposits, in units of what one more attempt costs.
    pub ratio: Ratio,
    /// How long a deposit lasts.
    pub ttl: Span,
    /// Allowed in each second on top of the deposits.
    pub min_per_second: f64,
}

impl TokensConfig {
    /// Finagle's defaults, but for the ratio: ten seconds, and ten a second.
    #[must_use]
    pub const fn new(ratio: Ratio) -> Self {
        Self { ratio, ttl: Span::from_secs(10), min_per_second: 10.0 }
    }
}

/// A budget and what is left of it.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    concurrency: Option<ConcurrencyConfig>,
    tokens: Option<Tokens>,
}

impl Budget {
    pub(super) fn new(config: &BudgetConfig) -> Self {
        Self { concurrency: config.concurrency, tokens: config.tokens.map(Tokens::new) }
    }

    /// A request came.
    pub(super) fn deposit(&mut self, now: Nanos) {
        if let Some(tokens) = &mut self.tokens {
            tokens.deposit(now);
        }
    }

    /// Whether the tokens would pay for one more attempt.
    pub(super) fn allows(&mut self, now: Nanos) -> bool {
        self.tokens.as_mut().is_none_or(|tokens| tokens.allows(now))
    }

    /// Takes one more attempt out of the budget, if it allows one: `running` of its kind are under
    /// way, and `present` requests and attempts are in the group.
    pub(super) fn withdraw(&mut self, now: Nanos, running: u32, present: u64) -> bool {
        let room = self.concurrency.is_none_or(|config| {
            let share = (present as f64 * config.percent.0) as u64;
            u64::from(running) < share.max(u64::from(config.min_concurrency))
        });
        room && self.tokens.as_mut().is_none_or(|tokens| tokens.withdraw(now))
    }
}

/// Deposits expire by tenths of their time to live, as in Finagle's `WindowedAdder`.
const WINDOWS: usize = 10;
/// The price of one attempt. Integers, so that sums are the same in any order.
const PRICE: i64 = 1_000_000;

#[derive(Clone, Debug)]
struct Tokens {
    deposit: i64,
    reserve: i64,
    width: Span,
    /// Deposits less withdrawals by window, and the number of the present one.
    windows: [i64; WINDOWS],
    present: u64,
}

impl Tokens {
    fn new(config: TokensConfig) -> Self {
        let reserve = config.min_per_second * config.ttl.as_secs_f64() * PRICE as f64;
        Self {
            deposit: libm::round(config.ratio.0 * PRICE as f64) as i64,
            reserve: libm::round(reserve) as i64,
            width: (config.ttl / WINDOWS as u64).max(Span(1)),
            windows: [0; WINDOWS],
            present: 0,
        }
    }

    /// Empties the windows that have expired.
    fn advance(&mut self, now: Nanos) {
        let window = now.0 / self.width.0;
        let passed = window.saturating_sub(self.present).min(WINDOWS as u64);
        for step in 0..passed {
            self.windows[((window - step) % WINDOWS as u64) as usize] = 0;
        }
        self.present = self.present.max(window);
    }

    fn deposit(&mut self, now: Nanos) {
        self.advance(now);
        self.windows[(self.present % WINDOWS as u64) as usize] += self.deposit;
    }

    fn allows(&mut self, now: Nanos) -> bool {
        self.advance(now);
        self.reserve + self.windows.iter().sum::<i64>() >= PRICE
    }

    fn withdraw(&mut self, now: Nanos) -> bool {
        let allowed = self.allows(now);
        if allowed {
            self.windows[(self.present % WINDOWS as u64) as usize] -= PRICE;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Nanos {
        Nanos::ZERO + Span::from_millis(millis)
    }

    #[test]
    fn concurrency_is_a_share_of_what_is_present_and_never_below_the_least() {
        let config = ConcurrencyConfig { percent: Ratio(0.2), min_concurrency: 3 };
        let mut budget = Budget::new(&BudgetConfig { concurrency: Some(config), tokens: None });
        let mut allows = |running, present| budget.withdraw(at(0), running, present);
        assert!(allows(2, 0) && !allows(3, 0));
        assert!(!allows(3, 19), "a fifth of 19 is 3");
        assert!(allows(3, 20) && !allows(4, 20));
        assert!(allows(19, 100) && !allows(20, 100));
    }

    fn tokens(ratio: f64, min_per_second: f64) -> Budget {
        let tokens = TokensConfig { ratio: Ratio(ratio), ttl: Span::from_secs(1), min_per_second };
        Budget::new(&BudgetConfig { concurrency: None, tokens: Some(tokens) })
    }

    #[test]
    fn every_fifth_request_pays_for_a_retry() {
        let mut budget = tokens(0.2, 0.0);
        assert!(!budget.withdraw(at(0), 0, 0));
        (0..11).for_each(|_| budget.deposit(at(0)));
        let allowed = (0..5).filter(|_| budget.withdraw(at(0), 0, 0)).count();
        assert_eq!(allowed, 2);
    }

    #[test]
    fn deposits_expire_and_the_reserve_comes_back() {
        let mut budget = tokens(0.5, 2.0);
        (0..4).for_each(|_| budget.deposit(at(50)));
        let take = |budget: &mut Budget, millis| {
            (0..10).filter(|_| budget.withdraw(at(millis), 0, 0)).count()
        };
        assert_eq!(take(&mut budget.clone(), 999), 4, "two deposited, two of the reserve");
        assert_eq!(take(&mut budget.clone(), 1000), 2, "the deposits have expired");
        assert_eq!(take(&mut budget, 500), 4);
        assert_eq!(take(&mut budget, 1499), 0, "what was taken expires too");
        assert_eq!(take(&mut budget, 1500), 2);
    }
}
