//! Where rows go: the spool, and the statistics.

use std::collections::BTreeMap;
use std::path::Path;

use super::tally::Tally;
use crate::record::spool::SpoolWriter;
use crate::record::{NO_UPSTREAM, RecordError, RequestRow};
use crate::units::Nanos;

/// Rows, statistics and the names of servers.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) rows: Rows,
    pub(super) tally: Tally,
    pub(super) servers: Servers,
}

/// Names of servers and their indices in rows.
#[derive(Clone, Debug)]
pub(super) struct Servers {
    pub(super) names: Vec<String>,
    index: BTreeMap<String, u32>,
    /// A scenario's backends are all there are; without one, names are numbered as they come.
    closed: bool,
}

/// More names than this come from no load balancer.
const NAMES_MAX: usize = 4096;

impl Servers {
    pub(super) fn new(names: Vec<String>) -> Self {
        let index = names.iter().zip(0..).map(|(name, index)| (name.clone(), index)).collect();
        Self { closed: !names.is_empty(), names, index }
    }

    pub(super) fn index(&mut self, name: &str) -> u32 {
        if let Some(&index) = self.index.get(name) {
            return index;
        }
        if self.closed || self.names.len() >= NAMES_MAX {
            return NO_UPSTREAM;
        }
        let index = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.index.insert(name.to_owned(), index);
        index
    }
}

impl Ledger {
    pub(super) fn new(rows: Rows, backends: Vec<String>, tally: Tally) -> Self {
        Self { rows, tally, servers: Servers::new(backends) }
    }

    pub(super) fn write(&mut self, row: &RequestRow, now: Nanos) {
        self.tally.outcome(row);
        self.rows.write(row, now);
    }
}

/// The spool, if rows are asked for.
#[derive(Debug, Default)]
pub(super) struct Rows {
    spool: Option<SpoolWriter<RequestRow>>,
    /// Why the spool ended, if it did.
    pub(super) failure: Option<RecordError>,
}

impl Rows {
    /// Writes them to `path`, if there is one.
    ///
    /// # Errors
    /// When that cannot be.
    pub(super) fn create(path: Option<&Path>) -> Result<Self, RecordError> {
        let spool = path.map(SpoolWriter::create).transpose()?;
        Ok(Self { spool, failure: None })
    }

    /// Whether anybody wants them.
    pub(super) const fn are_kept(&self) -> bool {
        self.spool.is_some()
    }

    pub(super) fn write(&mut self, row: &RequestRow, now: Nanos) {
        let written = self.spool.as_mut().map(|spool| spool.write(row, now));
        self.note(written);
    }

    pub(super) fn flush(&mut self) {
        let written = self.spool.as_mut().map(SpoolWriter::flush);
        self.note(written);
    }

    /// The first failure counts; a spool that lost a row gets no more.
    fn note(&mut self, written: Option<Result<(), RecordError>>) {
        if let Some(Err(error)) = written {
            self.spool = None;
            self.failure.get_or_insert(error);
        }
    }
}
