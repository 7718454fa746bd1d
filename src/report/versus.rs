//! A against B, in a sentence and a table.

use super::number::{count, difference, latency, percent, rate, signed};
use super::table::{Paint, lay_out};
use crate::compare::{Difference, Estimate, Finding, PairUnit, Versus};
use crate::units::World;

/// Everything there is to say.
#[must_use]
pub fn render(versus: &Versus, paint: Paint) -> String {
    let sentence = headline(versus);
    let sentence = match versus.finding {
        Finding::Unknown => paint.warning(&sentence),
        _ => paint.bold(&sentence),
    };
    format!("{sentence}\n\n{}\n{}\n", table(versus, paint), distribution(versus))
}

/// `A is faster than B by 12.1 ± 2.0 % at p99`, or why that can't be said.
#[must_use]
pub fn headline(versus: &Versus) -> String {
    let Some(first) = versus.differences.first() else { return String::new() };
    let (name, Estimate { value, low, high }) = (&first.name, first.difference);
    let half = low.zip(high).map(|(low, high)| (high - low) / 2.0);
    let places = half.map_or(1, places);
    let number = |value: f64| signed(value * 100.0, places, "");
    let around = half.map_or_else(String::new, |half| format!(" ± {:.places$}", half * 100.0));
    let size = format!("{:.places$}{around}", (value * 100.0).abs());
    let at = if name == "mean" { "in the mean".to_owned() } else { format!("at {name}") };
    match (versus.finding, &**name) {
        (Finding::Less, "errors") => format!("A fails less often than B, by {size} points"),
        (Finding::More, "errors") => format!("A fails more often than B, by {size} points"),
        (Finding::Less, "goodput") => format!("A serves less than B, by {size} %"),
        (Finding::More, "goodput") => format!("A serves more than B, by {size} %"),
        (Finding::Less, _) => format!("A is faster than B by {size} % {at}"),
        (Finding::More, _) => format!("A is slower than B by {size} % {at}"),
        (Finding::Same, _) if value == 0.0 && half == Some(0.0) => {
            format!("A and B are the same {at}")
        }
        (Finding::Same, _) => format!(
            "A and B differ by less than {} {at}: {}{around} %",
            percent(versus.margin),
            number(value),
        ),
        (Finding::Unknown, _) => {
            let seen = format!("can't tell A from B {at}: {}{around} %", number(value));
            format!("{seen} from {}; {}", counted(versus), advice(versus, first))
        }
    }
}

/// Two digits of an uncertainty, and no more.
fn places(half: f64) -> usize {
    match half * 100.0 {
        half if half < 0.1 => 2,
        half if half < 10.0 => 1,
        _ => 0,
    }
}

fn advice(versus: &Versus, first: &Difference) -> String {
    let unit = unit(versus);
    match (first.needed, first.difference.low) {
        (Some(needed), None) => format!("it takes {needed} of each at least"),
        (Some(needed), Some(_)) if versus.unit == PairUnit::Pieces => format!(
            "a difference of this size would take a run {} times as long, or replications",
            needed.div_ceil(versus.pairs.max(1))
        ),
        (Some(needed), Some(_)) => format!(
            "a difference of this size would take about {} {unit} of each",
            count(u64::from(needed))
        ),
        (None, _) => format!("more {unit} will not find a difference of this size"),
    }
}

fn counted(versus: &Versus) -> String {
    format!("{} {} of each", versus.pairs, unit(versus))
}

const fn unit(versus: &Versus) -> &'static str {
    match (versus.unit, versus.pairs) {
        (PairUnit::Replications, 1) => "replication",
        (PairUnit::Replications, _) => "replications",
        (PairUnit::Rounds, 1) => "round",
        (PairUnit::Rounds, _) => "rounds",
        (PairUnit::Pieces, _) => "pieces of one run",
    }
}

fn table(versus: &Versus, paint: Paint) -> String {
    let heading = ["", "A", "B", "A against B", "95 % interval"];
    let mut all = vec![heading.map(str::to_owned).to_vec()];
    all.extend(rows(versus).map(|row| row.to_vec()));
    lay_out(&all, paint)
}

/// For each measure its name, A, B, the difference and its interval.
pub(super) fn rows(versus: &Versus) -> impl Iterator<Item = [String; 5]> {
    versus.differences.iter().map(|row| {
        type Words = fn(f64) -> String;
        let (value, apart): (Words, Words) = match &*row.name {
            "errors" => {
                (|share| format!("{:.3}%", share * 100.0), |apart| signed(apart * 100.0, 3, " pt"))
            }
            "goodput" => (rate, difference),
            _ => (latency, difference),
        };
        let interval = row.difference.low.zip(row.difference.high);
        let ends = |(low, high)| format!("{} to {}", apart(low), apart(high));
        [
            row.name.clone(),
            value(row.a),
            value(row.b),
            apart(row.difference.value),
            interval.map_or_else(|| "–".to_owned(), ends),
        ]
    })
}

fn distribution(versus: &Versus) -> String {
    let world = if versus.world == World::Sim { "model" } else { "live" };
    let basis = format!("  {world}, {}", counted(versus));
    let Some(test) = versus.distribution else { return basis };
    let verdict = match test.p {
        None => "too few for a test of the whole distribution, which takes six".to_owned(),
        Some(p) => format!(
            "the distributions of latency {}, p = {p:.4}\n  (Anderson and Darling's distance, {} exchanges of A \
             and B)",
            if test.differ() { "differ" } else { "are not told apart" },
            count(u64::from(test.exchanges))
        ),
    };
    format!(
        "{basis}: {verdict}; Kolmogorov-Smirnov {:.4}, Wasserstein {}",
        test.kolmogorov_smirnov,
        latency(test.wasserstein_ns)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versus(finding: Finding, difference: Estimate, needed: Option<u32>) -> Versus {
        let first = Difference { name: "p99".to_owned(), a: 88e6, b: 100e6, difference, needed };
        Versus {
            world: World::Live,
            unit: PairUnit::Rounds,
            pairs: 6,
            finding,
            margin: 0.01,
            differences: vec![first],
            distribution: None,
        }
    }

    fn within(value: f64, half: f64) -> Estimate {
        Estimate { value, low: Some(value - half), high: Some(value + half) }
    }

    #[test]
    fn the_sentence_says_who_is_faster_and_how_sure_that_is() {
        for (finding, difference, needed, sentence) in [
            (
                Finding::Less,
                within(-0.121, 0.02),
                None,
                "A is faster than B by 12.1 ± 2.0 % at p99",
            ),
            (Finding::More, within(0.5, 0.2), None, "A is slower than B by 50 ± 20 % at p99"),
            (
                Finding::Same,
                within(0.001, 0.0005),
                None,
                "A and B differ by less than 1.0% at p99: +0.10 ± 0.05 %",
            ),
            (Finding::Same, within(0.0, 0.0), None, "A and B are the same at p99"),
            (
                Finding::Unknown,
                within(-0.012, 0.034),
                Some(70),
                "can't tell A from B at p99: −1.2 ± 3.4 % from 6 rounds of each; a difference of this \
              size would take about 70 rounds of each",
            ),
        ] {
            assert_eq!(headline(&versus(finding, difference, needed)), sentence);
        }
        let alone = Estimate { value: 0.1, low: None, high: None };
        let alone = Versus { pairs: 1, ..versus(Finding::Unknown, alone, Some(6)) };
        assert_eq!(
            headline(&alone),
            "can't tell A from B at p99: +10.0 % from 1 round of each; it takes 6 of each at least"
        );
    }
}
