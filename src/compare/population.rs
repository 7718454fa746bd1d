//! The requests that a check is about, one by one.

use super::layout::Layout;
use super::measured::selection;
use crate::record::{RequestError, RequestRow};
use crate::scenario::{Measure, Subject};
use crate::units::Nanos;

/// Requests of a class that were due in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Population {
    class: Option<usize>,
    from: Nanos,
    until: Nanos,
}

impl Population {
    /// The requests that `subject` is measured over; of a failover those that were due from the
    /// fault on, up to the next one.
    ///
    /// # Errors
    /// When the scenario has no such class, stage or fault.
    pub fn of(subject: &Subject, layout: &Layout) -> Result<Self, String> {
        if subject.measure == Measure::Failover {
            return Self::of_failover(subject, layout);
        }
        let selection = selection(subject, layout)?;
        let (from, until) = selection.time.unwrap_or((layout.warm_up, layout.end));
        Ok(Self { class: selection.class, from: from.max(layout.warm_up), until })
    }

    fn of_failover(subject: &Subject, layout: &Layout) -> Result<Self, String> {
        let name = subject.during.as_ref().or(subject.after.as_ref()).or(subject.before.as_ref());
        let named = |fault: &&super::layout::Period| name.is_none_or(|name| *name == fault.name);
        let fault = layout.faults.iter().find(named).ok_or("the scenario has no such fault")?;
        let next = layout.faults.iter().map(|fault| fault.from).find(|from| *from > fault.from);
        Ok(Self { class: None, from: fault.from, until: next.unwrap_or(layout.end) })
    }

    /// Whether a request is one of them.
    #[must_use]
    pub fn contains(&self, row: &RequestRow) -> bool {
        row.error != RequestError::Interrupted
            && (self.from..self.until).contains(&Nanos(row.scheduled_ns))
            && self.class.is_none_or(|class| class == usize::from(row.class))
    }
}
