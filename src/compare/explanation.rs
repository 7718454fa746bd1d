//! Why a check came out as it did, as data: for the terminal and for JSON.

use serde::Serialize;

use super::breakdown::Part;
use super::summary::Verdict;
use crate::units::World;

/// Version of the JSON of `lab explain`.
pub const EXPLANATION_SCHEMA_VERSION: u32 = 1;

/// A check in a world, and what decided it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The check as written.
    pub check: String,
    /// Its world; `None` where it compares two.
    pub world: Option<World>,
    /// What became of it.
    pub verdict: Verdict,
    /// What was measured, in words.
    pub measured: String,
    /// Which requests decide it, in words.
    pub decided_by: String,
    /// Requests that it is about, of the first replication.
    pub requests: u64,
    /// Of them, those that decide it.
    pub deciding: u64,
    /// Where their time went, beside that of the others; `None` where the check is not about
    /// requests one by one.
    pub split: Option<Split>,
    /// Some of those that decide it, the worst first.
    pub examples: Vec<Example>,
    /// What else should be known: what servers and the autoscaler did, in words.
    pub notes: Vec<String>,
}

/// Mean parts of latency of two groups of requests, and their difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Split {
    /// What the two groups are: those beside, and those that decide.
    pub groups: [String; 2],
    /// Means in ns, in the order of [`Part::ALL`].
    pub parts: Vec<SplitPart>,
    /// Mean latency of each group, ns.
    pub together_ns: [f64; 2],
    /// The means are those of a sample of so many requests; `None` if of all.
    pub sampled: Option<u64>,
}

/// One part in both groups.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SplitPart {
    /// Which.
    pub part: Part,
    /// Mean in those beside, ns.
    pub beside_ns: f64,
    /// Mean in those that decide, ns.
    pub deciding_ns: f64,
    /// Its share of what the deciding take longer; negative where it was shorter.
    pub share_of_excess: f64,
}

/// A request that decides a check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Example {
    /// Model or reality.
    pub world: World,
    /// Its id in the plan.
    pub id: u64,
    /// When it was due, ns.
    pub due_ns: u64,
    /// From then to its end, ns.
    pub latency_ns: u64,
    /// How it ended, in words.
    pub ended: String,
    /// Where its time went, ns, in the order of [`Part::ALL`].
    pub parts: [u64; 8],
    /// What was decided about it, in order.
    pub decisions: Vec<Decision>,
}

/// One attempt (or refusal), and the state that the decision saw.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decision {
    /// When, ns.
    pub at_ns: u64,
    /// The server; empty for a refusal.
    pub server: String,
    /// What led to it.
    pub because: String,
    /// How it ended, in words.
    pub outcome: String,
    /// When it ended, ns.
    pub until_ns: u64,
    /// Servers just before, from the records.
    pub saw: Vec<Saw>,
    /// The model's own reason, from making the decision again; `None` in the live world.
    pub reason: Option<String>,
}

/// A server as the records show it at an instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Saw {
    /// Its name.
    pub server: String,
    /// Attempts in flight there.
    pub in_flight: u32,
    /// Why it was not up: ejected, drained, a fault; empty if it was.
    pub state: String,
}

impl Split {
    /// From the sums of the parts over two groups of so many requests.
    #[must_use]
    pub fn new(groups: [String; 2], sums: [[u128; 8]; 2], counts: [u64; 2]) -> Self {
        let mean = |group: usize, part: usize| {
            if counts[group] == 0 { 0.0 } else { sums[group][part] as f64 / counts[group] as f64 }
        };
        let together = |group| (0..8).map(|part| mean(group, part)).sum::<f64>();
        let together_ns = [together(0), together(1)];
        let excess = together_ns[1] - together_ns[0];
        let parts = Part::ALL.into_iter().enumerate().map(|(place, part)| {
            let (beside_ns, deciding_ns) = (mean(0, place), mean(1, place));
            let share_of_excess =
                if excess == 0.0 { 0.0 } else { (deciding_ns - beside_ns) / excess };
            SplitPart { part, beside_ns, deciding_ns, share_of_excess }
        });
        Self { groups, parts: parts.collect(), together_ns, sampled: None }
    }

    /// What most of the excess is, in words; `None` without an excess or without one of the groups.
    #[must_use]
    pub fn in_words(&self) -> Option<String> {
        if self.together_ns[0] == 0.0 || self.together_ns[1] <= self.together_ns[0] {
            return None;
        }
        let mut parts: Vec<&SplitPart> =
            self.parts.iter().filter(|it| it.share_of_excess >= 0.05).collect();
        parts.sort_by(|a, b| b.share_of_excess.total_cmp(&a.share_of_excess));
        let named = parts
            .iter()
            .map(|it| format!("{} {:.0} %", it.part.name(), it.share_of_excess * 100.0));
        Some(format!("of what they take longer: {}", named.collect::<Vec<_>>().join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_the_excess_are_told_by_size() {
        let beside = [0, 0, 0, 0, 0, 100, 900, 0].map(|n: u128| n * 2);
        let deciding = [0, 0, 0, 3_000, 0, 1_100, 900, 0];
        let split = Split::new(["a".into(), "b".into()], [beside, deciding], [2, 1]);
        assert_eq!(split.together_ns, [1_000.0, 5_000.0]);
        let words = split.in_words().unwrap();
        assert_eq!(words, "of what they take longer: faults 75 %, queueing 25 %");
        let none = Split::new(["a".into(), "b".into()], [[0; 8], deciding], [0, 1]);
        assert_eq!(none.in_words(), None);
    }
}
