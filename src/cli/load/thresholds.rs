//! Thresholds of `lab load`: checks of a scenario's grammar, tried on what was counted.

use std::ops::ControlFlow;

use crate::compare::spread::jain_of;
use crate::compare::verdict::decide;
use crate::compare::{CheckResult, Verdict};
use crate::load::tally::Group;
use crate::load::{Seen, Tally};
use crate::scenario::{Check, Measure, Subject, check};
use crate::units::{Span, World};

/// Requests that must have ended before a threshold ends a run.
const ENOUGH: u64 = 100;
/// How long a threshold must have failed, at each look, before it ends a run.
const LASTING: Span = Span::from_secs(1);

/// One threshold.
#[derive(Clone, Debug)]
pub(super) struct Threshold {
    check: Check,
    /// What it says must not be.
    forbidden: bool,
}

impl Threshold {
    /// `--check`: it must hold.
    pub(super) fn must(text: &str) -> Result<Self, String> {
        let check = check::parse(text).map_err(|error| {
            let help =
                if error.help.is_empty() { String::new() } else { format!("; {}", error.help) };
            format!("{}{help}", error.message)
        })?;
        refuse_what_load_has_not(&check)?;
        Ok(Self { check, forbidden: false })
    }

    /// `--fail-if`: it must not hold.
    pub(super) fn must_not(text: &str) -> Result<Self, String> {
        Ok(Self { forbidden: true, ..Self::must(text)? })
    }

    /// What became of it so far.
    pub(super) fn judge(&self, tally: &Tally, servers: &[String]) -> CheckResult {
        let mut result = decide(&self.check, |subject| value(subject, tally, servers));
        if self.forbidden {
            result.text = format!("not {}", result.text);
            result.verdict = match result.verdict {
                Verdict::Held => Verdict::Failed,
                Verdict::Failed => Verdict::Held,
                Verdict::Undecided => Verdict::Undecided,
            };
        }
        result
    }
}

fn refuse_what_load_has_not(check: &Check) -> Result<(), String> {
    let subject = &check.subject;
    if subject.world == Some(World::Sim)
        || matches!(check.relation, crate::scenario::Relation::Agrees(..))
    {
        return Err("there is no model here to compare with".to_owned());
    }
    if subject.measure == Measure::Failover
        || [&subject.during, &subject.before, &subject.after].iter().any(|name| name.is_some())
    {
        return Err("there are no faults here".to_owned());
    }
    if subject.measure.is_of_scaling() {
        return Err("there is no autoscaler here".to_owned());
    }
    Ok(())
}

/// What a measure is of: all requests, or those of a class or a stage.
struct Part<'a> {
    requests: u64,
    failed: u64,
    retried: u64,
    latency: &'a crate::record::Histogram,
}

impl<'a> From<&'a Group> for Part<'a> {
    fn from(group: &'a Group) -> Self {
        let Group { requests, failed, retried, ref latency, .. } = *group;
        Self { requests, failed, retried, latency }
    }
}

fn value<'a>(subject: &Subject, tally: &'a Tally, servers: &[String]) -> Result<f64, String> {
    let named = |name: &String, groups: &'a [Group], what: &str| -> Result<Part<'a>, String> {
        groups
            .iter()
            .find(|group| group.name == *name)
            .map(Part::from)
            .ok_or_else(|| format!("there is no {what} `{name}`"))
    };
    let part = match (&subject.class, &subject.stage) {
        (None, None) => Part {
            // Those in flight have no outcome yet.
            requests: tally.errors.iter().sum(),
            failed: tally.failed,
            retried: tally.retried,
            latency: &tally.latency,
        },
        (Some(class), None) => named(class, &tally.classes, "class")?,
        (None, Some(stage)) => named(stage, &tally.stages, "stage")?,
        (Some(_), Some(_)) => return Err("either a class or a stage".to_owned()),
    };
    if part.requests == 0 {
        return Err("no request is in the group".to_owned());
    }
    let whole = subject.class.is_none() && subject.stage.is_none();
    Ok(match &subject.measure {
        Measure::Quantile(order) => part.latency.quantile(*order) as f64,
        Measure::Mean => part.latency.mean(),
        Measure::Errors => part.failed as f64 / part.requests as f64,
        Measure::Failed => part.failed as f64,
        Measure::Retried => part.retried as f64,
        Measure::Goodput if whole => {
            (part.requests - part.failed) as f64 / tally.measured().as_secs_f64().max(1e-9)
        }
        Measure::Spread(name) if whole => {
            let all: u64 = tally.servers.iter().sum();
            let place = servers.iter().position(|server| server == name);
            let place = place.ok_or_else(|| format!("no server `{name}` answered"))?;
            let count = tally.servers.get(place).copied().unwrap_or(0);
            count as f64 / all.max(1) as f64
        }
        Measure::Jain if whole => jain(&tally.servers)?,
        _ => return Err("it is measured over all requests alone".to_owned()),
    })
}

/// Jain's index of the requests per server: 1 is perfectly even.
fn jain(servers: &[u64]) -> Result<f64, String> {
    let requests: Vec<f64> = servers.iter().map(|count| *count as f64).collect();
    let nobody = "no server was named; say which header does, with --server-header";
    jain_of(&requests).ok_or_else(|| nobody.to_owned())
}

/// Ends a run whose thresholds fail: once [`ENOUGH`] requests have ended, and one of them has
/// failed at each look for [`LASTING`], so that neither the first requests nor a moment decide.
#[derive(Debug)]
pub(super) struct Abort {
    thresholds: Vec<Threshold>,
    failing_since: Option<Span>,
    /// What ended the run.
    pub(super) because: Option<CheckResult>,
}

impl Abort {
    pub(super) fn new(thresholds: &[Threshold]) -> Self {
        Self { thresholds: thresholds.to_vec(), failing_since: None, because: None }
    }

    pub(super) fn look(&mut self, seen: &Seen<'_>) -> ControlFlow<()> {
        if seen.tally.errors.iter().sum::<u64>() < ENOUGH {
            return ControlFlow::Continue(());
        }
        let results = self.thresholds.iter().map(|one| one.judge(seen.tally, seen.servers));
        let mut failed = results.filter(|result| result.verdict == Verdict::Failed);
        let Some(first) = failed.next() else {
            self.failing_since = None;
            return ControlFlow::Continue(());
        };
        let since = *self.failing_since.get_or_insert(seen.at);
        if Span(seen.at.0.saturating_sub(since.0)) < LASTING {
            return ControlFlow::Continue(());
        }
        self.because = Some(first);
        ControlFlow::Break(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` requests of `latency` ns each, `failed` of which failed.
    fn tally(count: u64, failed: u64, latency: u64) -> Tally {
        let mut tally = Tally::default();
        (tally.requests, tally.failed) = (count, failed);
        tally.errors[0] = count;
        tally.latency.record_n(latency, count);
        tally.servers = vec![count / 4, count - count / 4];
        tally
    }

    fn judge(threshold: &Threshold, tally: &Tally) -> (Verdict, String) {
        let result = threshold.judge(tally, &["a".to_owned(), "b".to_owned()]);
        (result.verdict, result.measured)
    }

    #[test]
    fn what_must_hold_and_what_must_not_are_each_others_opposite() {
        let tally = tally(1000, 5, 200_000_000);
        for (text, held) in [
            ("p99 < 300ms", true),
            ("p99 < 100ms", false),
            ("mean = 200ms ± 1%", true),
            ("errors < 0.5%", false),
            ("errors <= 0.5%", true),
            ("failed <= 5", true),
            ("spread(a) = 25% ± 1%", true),
            ("jain > 0.9", false),
        ] {
            let must = judge(&Threshold::must(text).unwrap(), &tally);
            let must_not = judge(&Threshold::must_not(text).unwrap(), &tally);
            let (yes, no) = (Verdict::Held, Verdict::Failed);
            assert_eq!((must.0, must_not.0), if held { (yes, no) } else { (no, yes) }, "{text}");
        }
        let unknown = judge(&Threshold::must("spread(c) < 1%").unwrap(), &tally);
        assert_eq!(unknown, (Verdict::Undecided, "no server `c` answered".to_owned()));
    }

    #[test]
    fn what_load_cannot_know_is_refused_when_it_is_written() {
        for (text, word) in [
            ("p99 < 300", "unit is missing"),
            ("sim.p99 < 3s", "no model"),
            ("p99 ~ live.p50 ± 1%", "no model"),
            ("failover(crash) < 1s", "no faults"),
            ("p99(during = crash) < 1s", "no faults"),
            ("flaps < 1/h", "no autoscaler"),
        ] {
            let error = Threshold::must(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn a_run_ends_neither_by_its_first_requests_nor_by_a_moment() {
        let mut abort = Abort::new(&[Threshold::must("p99 < 100ms").unwrap()]);
        let mut look = |millis: u64, tally: &Tally| {
            let at = Span::from_millis(millis);
            abort.look(&Seen { at, tally, servers: &[] }).is_break()
        };
        let (few, slow, fast) =
            (tally(99, 0, 2e8 as u64), tally(100, 0, 2e8 as u64), tally(500, 0, 5));
        assert!(!look(0, &few) && !look(5000, &few));
        assert!(!look(5250, &slow) && !look(6000, &slow));
        assert!(!look(6100, &fast), "it got better");
        assert!(!look(6200, &slow) && !look(7100, &slow));
        assert!(look(7200, &slow));
        assert_eq!(abort.because.unwrap().text, "p99 < 100ms");
    }
}
