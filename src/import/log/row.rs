//! What one line of a log says, before it becomes a request.

use super::stamp::{Stamp, decimal};
use crate::units::Span;

/// What a field of a line means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// Nothing to lab.
    Other,
    /// When the request began.
    Start,
    /// When it was complete and logged.
    End,
    /// `GET /path HTTP/1.1`.
    Request,
    Method,
    /// Path and query, or a whole URL.
    Path,
    /// How long the request took, in units of so many nanoseconds.
    Took(u64),
    /// How long the upstream took; a list where it was asked several times.
    Upstream(u64),
    /// Another list of NGINX's, which may hold spaces.
    List,
}

/// What was read of one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Row<'a> {
    pub(super) start: Option<Stamp>,
    pub(super) end: Option<Stamp>,
    pub(super) took: Option<Span>,
    pub(super) service: Option<Span>,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
}

impl<'a> Row<'a> {
    /// Takes the text of a field. `None` if it is not what belongs there; `-` is "not known".
    pub(super) fn take(&mut self, field: Field, text: &'a str) -> Option<()> {
        match field {
            Field::Other | Field::List => {}
            Field::Start => self.start = Some(finer(self.start, Stamp::parse(text)?)),
            Field::End => self.end = Some(finer(self.end, Stamp::parse(text)?)),
            Field::Request => {
                // A line that was no request is logged as `-`, empty, or the bytes that came.
                let mut words = text.split(' ');
                if let (Some(method), Some(path)) = (words.next(), words.next()) {
                    (self.method, self.path) = (method, path);
                }
            }
            Field::Method => self.method = text,
            Field::Path => self.path = text,
            Field::Took(_) | Field::Upstream(_) => return self.take_duration(field, text),
        }
        Some(())
    }

    /// Takes one of the two durations, whose text need not live on.
    pub(super) fn take_duration(&mut self, field: Field, text: &str) -> Option<()> {
        match field {
            Field::Took(unit) => self.took = duration(text, unit)?,
            Field::Upstream(unit) => self.service = duration(last(text), unit)?,
            _ => {}
        }
        Some(())
    }
}

/// Of two stamps of the same event the one with a part of a second.
fn finer(known: Option<Stamp>, new: Stamp) -> Stamp {
    known.filter(|known| known.fine || !new.fine).unwrap_or(new)
}

/// The attempt that was answered is the last of `0.010, 0.020 : 0.005`: attempts are separated by
/// commas, and groups of servers by colons (`ngx_http_upstream_response_time_variable`).
fn last(list: &str) -> &str {
    list.rsplit([',', ':']).next().unwrap_or(list).trim()
}

/// `Some(None)` if it is not known.
fn duration(text: &str, unit: u64) -> Option<Option<Span>> {
    match text {
        "-" | "" => Some(None),
        _ => decimal(text, unit).map(Some),
    }
}
