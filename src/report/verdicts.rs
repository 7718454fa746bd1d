//! Everything that held or did not, as one list: what the formats for CI are made of.

use crate::compare::{CheckResult, Results, Verdict};

/// Something that held, failed, or could not be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// `checks`, `baseline` or `validity`.
    pub suite: &'static str,
    /// What must hold, such as `p99 < 300ms (sim)`.
    pub name: String,
    /// Whether it did.
    pub verdict: Verdict,
    /// What was measured.
    pub measured: String,
}

/// Checks, changes against a baseline, and the validity of the live measurement.
#[must_use]
pub fn cases(results: &Results) -> Vec<Case> {
    let of = |suite: &'static str, result: &CheckResult| Case {
        suite,
        name: match result.world {
            Some(world) => format!("{} ({world})", result.text),
            None => result.text.clone(),
        },
        verdict: result.verdict,
        measured: result.measured.clone(),
    };
    let items = results.validity.iter().flat_map(|validity| &validity.items).map(|item| Case {
        suite: "validity",
        name: format!("{} (limit {})", item.name, item.limit),
        verdict: if item.held { Verdict::Held } else { Verdict::Failed },
        measured: item.measured.clone(),
    });
    let checks = results.checks.iter().map(|result| of("checks", result));
    let regressions = results.regressions.iter().map(|result| of("baseline", result));
    checks.chain(regressions).chain(items).collect()
}
