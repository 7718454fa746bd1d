//! Medians with their range, a line for each proxy.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use super::peers::Kind;

/// A number for each proxy and round.
pub(crate) struct Table {
    kinds: Vec<Kind>,
    values: Vec<Vec<f64>>,
}

impl Table {
    pub(crate) fn new(kinds: &[Kind]) -> Self {
        Self { kinds: kinds.to_vec(), values: vec![Vec::new(); kinds.len()] }
    }

    pub(crate) fn add(&mut self, index: usize, value: f64) {
        self.values[index].push(value);
    }

    pub(crate) fn print(&self, unit: &str) {
        for (kind, values) in self.kinds.iter().zip(&self.values) {
            println!("  {:10} {}", kind.name(), spread(values, unit, digits(values)));
        }
    }

    /// Also what part of `of`'s each is, round by round.
    pub(crate) fn print_with_share(&self, unit: &str, of: Kind) {
        let base = self.kinds.iter().position(|kind| *kind == of);
        for (kind, values) in self.kinds.iter().zip(&self.values) {
            let line = spread(values, unit, 0);
            let share = base.filter(|_| *kind != of).map(|base| {
                let pairs = values.iter().zip(&self.values[base]);
                let ratios: Vec<f64> = pairs.map(|(own, other)| own / other).collect();
                format!("   {} × {}", spread(&ratios, "", 2), of.name())
            });
            println!("  {:10} {line}{}", kind.name(), share.unwrap_or_default());
        }
    }
}

fn digits(values: &[f64]) -> usize {
    if values.iter().all(|value| value.abs() < 100.0) { 1 } else { 0 }
}

fn spread(values: &[f64], unit: &str, digits: usize) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let [low, .., high] = sorted[..] else {
        return sorted.first().map_or("-".to_owned(), |only| format!("{only:.digits$}{unit}"));
    };
    let (half, odd) = (sorted.len() / 2, sorted.len() % 2 == 1);
    let median = if odd { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) };
    format!("{median:.digits$}{unit} ({low:.digits$} to {high:.digits$})")
}
