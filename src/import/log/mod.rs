//! Access logs as traces: when requests came, how long they held the upstream, and of which kind
//! they were.

mod format;
mod haproxy;
mod json;
mod path;
mod pattern;
mod row;
mod scenario;
mod stamp;
mod trace;

use std::collections::BTreeMap;

pub use format::{Format, FormatError};
pub use scenario::Arrivals;
pub use trace::{Class, Trace, TraceRow};

use crate::units::{Nanos, Span};
use row::Row;

/// Lines that could not be read of which the text is kept.
const SHOWN: usize = 5;

/// A request of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Request {
    /// Its beginning or end.
    at: Nanos,
    is_start: bool,
    took: Option<Span>,
    service: Option<Span>,
    /// Its kind, an index into [`Log::kinds`].
    kind: u32,
}

/// A kind of request.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    method: String,
    template: String,
    /// A path of this kind as it was asked for.
    example: String,
    count: u64,
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: u64,
    /// Its beginning.
    pub text: String,
}

/// What was read of a log.
#[derive(Clone, Debug, Default)]
pub struct Log {
    requests: Vec<Request>,
    kinds: Vec<Kind>,
    places: BTreeMap<(String, String), u32>,
    /// Lines that are not empty.
    pub lines: u64,
    /// How many of them do not have the format.
    pub bad: u64,
    /// The first of them.
    pub first_bad: Vec<BadLine>,
    /// Lines of the format that record no request, such as a connection closed before it sent one.
    pub without_request: u64,
    /// Requests whose stamp has a part of a second.
    fine: u64,
}

impl Log {
    /// Reads the next line, whose number is `number`, without its line feed.
    pub fn line(&mut self, format: &Format, number: u64, line: &str) {
        let line = line.trim_end_matches('\r');
        if line.trim().is_empty() {
            return;
        }
        self.lines += 1;
        if !format.with_row(line, |row| self.row(&row)).unwrap_or(false) {
            self.bad += 1;
            if self.first_bad.len() < SHOWN {
                let text = line.chars().take(160).collect();
                self.first_bad.push(BadLine { line: number, text });
            }
        }
    }

    /// Whether the row has all that a request needs.
    fn row(&mut self, row: &Row<'_>) -> bool {
        let (stamp, is_start) = match (row.start, row.end) {
            (Some(start), _) => (start, true),
            (None, Some(end)) => (end, false),
            (None, None) => return false,
        };
        let asks = row.path.starts_with('/') || row.path.contains("://") || row.path == "*";
        let method = row.method.bytes().all(|byte| byte.is_ascii_uppercase());
        if !asks || !method {
            self.without_request += 1;
            return true;
        }
        self.fine += u64::from(stamp.fine);
        // A log without the method tells of GET requests as well as any other.
        let kind = self.kind(if row.method.is_empty() { "GET" } else { row.method }, row.path);
        let (took, service) = (row.took, row.service);
        self.requests.push(Request { at: stamp.at, is_start, took, service, kind });
        true
    }

    fn kind(&mut self, method: &str, path: &str) -> u32 {
        let key = (method.to_owned(), path::template(path));
        let next = u32::try_from(self.kinds.len()).unwrap_or(u32::MAX);
        let place = *self.places.entry(key).or_insert_with_key(|(method, template)| {
            let (method, template) = (method.clone(), template.clone());
            self.kinds.push(Kind { method, template, example: path::example(path), count: 0 });
            next
        });
        self.kinds[place as usize].count += 1;
        place
    }

    /// Requests that were read.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests.len()
    }

    /// Requests of which the log says how long they took, so that their arrival is known and not
    /// only their end.
    #[must_use]
    pub fn with_arrival(&self) -> usize {
        self.requests.iter().filter(|request| request.is_start || request.took.is_some()).count()
    }

    /// Requests of which the log says how long the upstream took.
    #[must_use]
    pub fn with_service(&self) -> usize {
        self.requests.iter().filter(|request| request.service.is_some()).count()
    }

    /// Whether no stamp has a part of a second.
    #[must_use]
    pub const fn whole_seconds(&self) -> bool {
        self.fine == 0
    }

    /// Share of the lines that could not be read, 0 to 1.
    #[must_use]
    pub fn bad_share(&self) -> f64 {
        if self.lines == 0 { 0.0 } else { self.bad as f64 / self.lines as f64 }
    }
}
