//! What an autoscaler did, as rows of `events.parquet`: made here for both worlds, and read back
//! here.
//!
//! A decision that changes something has the group for its subject and begins with `from → to`,
//! the sizes before and after; what becomes of an instance has the instance for its subject.

use super::{EventKind, EventRow};
use crate::policy::scale::ScaleDecision;
use crate::units::{Nanos, World};

/// What became of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstanceNews {
    /// It is ready, and every balancer knows it.
    Ready,
    /// It was drained, removed from every balancer, and stopped.
    Stopped,
    /// It ended without being told to: how.
    Ended(String),
}

const READY: &str = "is ready and serves";
const STOPPED: &str = "was drained and stopped";
const ENDED: &str = "ended (";

/// As the reason of a row: the instance is its subject.
impl std::fmt::Display for InstanceNews {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready => f.write_str(READY),
            Self::Stopped => f.write_str(STOPPED),
            Self::Ended(how) => write!(f, "{ENDED}{how})"),
        }
    }
}

/// The row of a decision about `group`.
#[must_use]
pub fn decided(
    (world, replication): (World, u32),
    at: Nanos,
    group: &str,
    decision: &ScaleDecision,
) -> EventRow {
    let (subject, reason) = (group.to_owned(), decision.to_string());
    EventRow { world, replication, at_ns: at.0, kind: EventKind::Scaled, subject, reason }
}

/// The row of what became of the instance `name`.
#[must_use]
pub fn happened(
    (world, replication): (World, u32),
    at: Nanos,
    name: &str,
    news: &InstanceNews,
) -> EventRow {
    let (subject, reason) = (name.to_owned(), news.to_string());
    EventRow { world, replication, at_ns: at.0, kind: EventKind::Scaled, subject, reason }
}

/// A row read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scaled {
    /// The group was to change.
    Decided {
        /// Instances there were.
        from: u32,
        /// Instances there should be.
        to: u32,
        /// Slots in which instances were to be started, from 0.
        started: Vec<u32>,
        /// Why, in words.
        reason: String,
    },
    /// Something became of the instance in this slot.
    Instance(u32, InstanceNews),
}

/// Reads a row about `group` or one of its instances; `None` if it is another one.
#[must_use]
pub fn read(row: &EventRow, group: &str) -> Option<Scaled> {
    if row.kind != EventKind::Scaled {
        return None;
    }
    let rest = row.subject.strip_prefix(group)?;
    if rest.is_empty() {
        return read_decision(&row.reason);
    }
    let slot = rest.strip_prefix('-')?.parse::<u32>().ok()?.checked_sub(1)?;
    let news = if row.reason.contains(READY) {
        InstanceNews::Ready
    } else if row.reason.contains(STOPPED) {
        InstanceNews::Stopped
    } else {
        let (_, how) = row.reason.split_once(ENDED)?;
        InstanceNews::Ended(how.strip_suffix(')').unwrap_or(how).to_owned())
    };
    Some(Scaled::Instance(slot, news))
}

/// `2 → 3 (start 3): why`.
fn read_decision(text: &str) -> Option<Scaled> {
    let (from, rest) = text.split_once(" → ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (to, rest) = rest.split_at(digits);
    let (change, reason) = rest.split_once(": ")?;
    let numbers = change.trim().strip_prefix("(start ").and_then(|list| list.strip_suffix(')'));
    let started = numbers.into_iter().flat_map(|list| list.split(", "));
    let started = started.filter_map(|number| number.parse::<u32>().ok()?.checked_sub(1));
    Some(Scaled::Decided {
        from: from.parse().ok()?,
        to: to.parse().ok()?,
        started: started.collect(),
        reason: reason.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::scale::{Change, Finding, Reason};

    const HERE: (World, u32) = (World::Live, 1);

    #[test]
    fn what_is_written_is_read_back() {
        let reason = Reason { finding: Finding::Died { count: 2 }, limits: Vec::new() };
        let change = Change::Out(vec![2, 4]);
        let decision = ScaleDecision { size: 3, desired: 5, change, reason };
        let row = decided(HERE, Nanos(7), "api", &decision);
        assert_eq!((row.at_ns, row.subject.as_str()), (7, "api"));
        let Some(Scaled::Decided { from, to, started, reason }) = read(&row, "api") else {
            panic!("{row:?}")
        };
        assert_eq!((from, to, started), (3, 5, vec![2, 4]));
        assert!(reason.contains("died"), "{reason}");
        let decision = ScaleDecision { change: Change::In(vec![1]), ..decision };
        let row = decided(HERE, Nanos(7), "api", &decision);
        assert!(
            matches!(read(&row, "api"), Some(Scaled::Decided { started, .. }) if started.is_empty())
        );
        for news in [
            InstanceNews::Ready,
            InstanceNews::Stopped,
            InstanceNews::Ended("signal 9 (SIGKILL)".to_owned()),
        ] {
            let row = happened(HERE, Nanos(8), "api-12", &news);
            assert_eq!(read(&row, "api"), Some(Scaled::Instance(11, news)));
        }
    }

    #[test]
    fn rows_about_something_else_are_none() {
        let row = happened(HERE, Nanos(8), "api-1", &InstanceNews::Ready);
        assert_eq!(read(&row, "web"), None);
        assert_eq!(read(&EventRow { kind: EventKind::Ejected, ..row.clone() }, "api"), None);
        for (subject, reason) in
            [("api-1", "removed"), ("api", "3 to 4"), ("api-0", READY), ("api", "3 → x")]
        {
            let row = EventRow { subject: subject.into(), reason: reason.into(), ..row.clone() };
            assert_eq!(read(&row, "api"), None, "{row:?}");
        }
    }
}
