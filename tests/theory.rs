//! The model against theory, as a whole: `lab theory` in a test.
//!
//! The seed is one that nobody chose for its outcome, and the criterion is the one for many rows
//! at once: with some 37 rows of 99 % each, a row outside its own interval is to be expected in one
//! battery out of three, so the test asks for the family's interval (Bonferroni, 99 % for all
//! together), and beside it for no more single misses than a right model shows in 99.9 % of cases
//! (binomial with 37 rows and 1 %: at most 3).

use lab::experiment::theory::{family_holds, systems};
use lab::record::{RequestRow, Sink};
use lab::theory::two_choices::Choices;

const SEED: u64 = 20_260_101;

/// Debug builds are some thirty times slower; shorter runs only widen the intervals.
const LENGTH: f64 = if cfg!(debug_assertions) { 0.03 } else { 1.0 };

#[test]
fn the_model_agrees_with_theory() {
    let rows: Vec<_> = systems(SEED, LENGTH).iter().flat_map(|system| system.rows(2)).collect();
    let outside: Vec<_> = rows.iter().filter(|row| !row.inside).collect();
    assert_eq!(rows.len(), 37);
    assert!(family_holds(&rows), "outside: {outside:#?}");
    assert!(outside.len() <= 3, "outside: {outside:#?}");
    for row in &rows {
        // An interval so wide that it would hold anything proves nothing.
        let width = (row.high - row.low) / row.formula;
        let widest = if cfg!(debug_assertions) { 1.0 } else { 0.1 };
        assert!(width < widest, "{} {}: {width}", row.system, row.statistic);
    }
}

/// Sums up latencies from an instant on.
struct Mean {
    from: u64,
    sum: u64,
    count: u64,
}

impl Sink for Mean {
    const TIMELINE: bool = false;
    const ATTEMPTS: bool = false;
    fn request(&mut self, row: &RequestRow) {
        if row.scheduled_ns >= self.from {
            self.sum += row.latency_ns();
            self.count += 1;
        }
    }
}

/// Two choices of a thousand servers at load 0.9: the mean time is 2.614 services in the limit of
/// many servers, and 10 with one choice. With or without replacement, by NGINX's rule or Envoy's.
#[test]
fn two_choices_of_a_thousand_servers_take_the_time_of_the_limit() {
    let expected = Choices::new(0.9, 1.0, 2).unwrap().mean_response();
    assert!((expected - 2.614_057_377_323_876).abs() < 1e-9);
    for algorithm in ["random_two", "least_request"] {
        let text = format!(
            "schema_version = 1\n[scenario]\nduration = \"2800ms\"\n[traffic]\nrate = \"90000/s\"\n\
             [balancer]\nalgorithm = \"{algorithm}\"\nread_timeout = \"1h\"\n[[backend]]\n\
             name = \"s\"\ncount = 1000\nservice = {{ law = \"exponential\", mean = \"10ms\" }}\n"
        );
        let scenario = lab::scenario::parse(&text, "two.toml").unwrap();
        // Sixty services from empty; it settles within some ten.
        let mut mean = Mean { from: 600_000_000, sum: 0, count: 0 };
        lab::sim::run(&scenario, 0, &lab::sim::Options::default(), &mut mean);
        let services = mean.sum as f64 / mean.count as f64 / 1e7;
        assert!((services / expected - 1.0).abs() < 0.02, "{algorithm}: {services}, {expected}");
    }
}
