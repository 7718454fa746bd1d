//! A run that is over: what is said of it, and the exit code.

use std::process::ExitCode;

use crate::cli::exit::Exit;
use crate::cli::terminal::{complain, paint};
use crate::compare::{CheckResult, Validity, Verdict};
use crate::load::Outcome;

/// A run and all that is to be said of it.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) outcome: Outcome,
    pub(super) validity: Validity,
    /// Whether a schedule was to be kept.
    pub(super) open: bool,
    pub(super) thresholds: Vec<CheckResult>,
    /// Changes against a baseline.
    pub(super) regressions: Vec<CheckResult>,
    /// The threshold that ended it.
    pub(super) aborted: Option<CheckResult>,
    /// A part of what was sent is not counted.
    pub(super) incomplete: bool,
    /// What to say besides, such as of a generator that was lost.
    pub(super) remarks: Vec<String>,
}

impl Finished {
    pub(super) fn to_json(&self) -> String {
        let mut value = self.outcome.to_value();
        let put = |result: &CheckResult| serde_json::to_value(result).unwrap_or_default();
        if let Some(object) = value.as_object_mut() {
            let validity = serde_json::to_value(&self.validity).unwrap_or_default();
            object.insert("validity".to_owned(), validity);
            let thresholds = self.thresholds.iter().map(put).collect();
            object.insert("thresholds".to_owned(), thresholds);
            let regressions = self.regressions.iter().map(put).collect();
            object.insert("regressions".to_owned(), regressions);
            object.insert("aborted".to_owned(), self.aborted.as_ref().map(put).into());
        }
        // Numbers, strings and maps with keys of text: nothing here can fail.
        serde_json::to_string_pretty(&value).unwrap_or_default()
    }

    pub(super) fn to_text(&self) -> String {
        let paint = paint();
        let mut text = self.outcome.to_string();
        for (head, results) in
            [("thresholds", &self.thresholds), ("against the baseline", &self.regressions)]
        {
            if !results.is_empty() {
                text.push_str(&format!("\n{head}\n"));
            }
            for result in results {
                let word = format!("{:<9}", word(result.verdict));
                let word = match result.verdict {
                    Verdict::Held => paint.good(&word),
                    Verdict::Failed => paint.bad(&word),
                    Verdict::Undecided => paint.warning(&word),
                };
                text.push_str(&format!("  {word} {:<32} {}\n", result.text, result.measured));
            }
        }
        if let Some(result) = &self.aborted {
            let words = format!("ended early: {} failed ({})", result.text, result.measured);
            text.push_str(&format!("\n{}\n", paint.bad(&words)));
        }
        if self.validity.valid() {
            text.push_str(&format!("\nmeasurement {}\n", paint.good("valid")));
        } else {
            let verdict = if self.open || self.incomplete {
                paint.bad("NOT VALID")
            } else {
                paint.warning("limited by this host")
            };
            text.push_str(&format!("\nmeasurement {verdict}\n"));
            for item in self.validity.items.iter().filter(|item| !item.held) {
                text.push_str(&format!("  {}: {} ({})\n", item.name, item.measured, item.limit));
            }
        }
        text
    }

    pub(super) fn exit(&self) -> ExitCode {
        let (report, tally) = (&self.outcome.report, &self.outcome.tally);
        if report.partial && self.aborted.is_none() {
            return Exit::Interrupted.into();
        }
        if report.requests > 0 && tally.statuses.is_empty() {
            complain(&"no request was answered");
            return Exit::Failed.into();
        }
        // What cannot be decided, such as the share of a server that never answered, did not hold.
        let unheld = self.thresholds.iter().any(|result| result.verdict != Verdict::Held)
            || self.regressions.iter().any(|result| result.verdict == Verdict::Failed);
        match () {
            () if unheld || self.aborted.is_some() => Exit::CheckFailed.into(),
            // A closed loop promises no schedule: it goes as fast as both sides can.
            () if self.incomplete || (self.open && !self.validity.valid()) => Exit::Invalid.into(),
            () => ExitCode::SUCCESS,
        }
    }
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "held",
        Verdict::Failed => "FAILED",
        Verdict::Undecided => "undecided",
    }
}
