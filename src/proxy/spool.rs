//! Rows of attempts and events as JSON lines in a folder, for `lab run` to merge.
//!
//! The data path only appends plain rows to a vector; a thread of its own turns them into text
//! four times a second, so that no request waits for a file.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde::Serialize;

use super::error::ProxyError;
use crate::host::clock;
use crate::record::spool::SpoolWriter;
use crate::record::{AttemptRow, EventRow, RecordError};

const FLUSH_EVERY: Duration = Duration::from_millis(250);

/// Takes rows; see [`Writer`] for where they go.
#[derive(Debug, Default)]
pub(super) struct Spool {
    rows: Mutex<Rows>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Rows {
    attempts: Vec<AttemptRow>,
    events: Vec<EventRow>,
    closed: bool,
}

impl Spool {
    pub(super) fn attempt(&self, row: AttemptRow) {
        self.lock().attempts.push(row);
    }

    pub(super) fn event(&self, row: EventRow) {
        self.lock().events.push(row);
    }

    fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// Rows since the last call, after waiting for some; whether these are the last.
    fn next(&self) -> (Vec<AttemptRow>, Vec<EventRow>, bool) {
        let rows = self.lock();
        let (mut rows, _) = self
            .wake
            .wait_timeout_while(rows, FLUSH_EVERY, |rows| !rows.closed)
            .unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut rows.attempts), std::mem::take(&mut rows.events), rows.closed)
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that writes `attempts.jsonl` and `events.jsonl`.
#[derive(Debug)]
pub(super) struct Writer {
    spool: Arc<Spool>,
    thread: thread::JoinHandle<Result<(), RecordError>>,
}

impl Writer {
    /// Creates both files in `folder`, which must exist.
    ///
    /// # Errors
    /// When a file cannot be created.
    pub(super) fn start(folder: &Path) -> Result<Self, ProxyError> {
        let attempts = SpoolWriter::create(&folder.join("attempts.jsonl"))?;
        let events = SpoolWriter::create(&folder.join("events.jsonl"))?;
        let spool = Arc::new(Spool::default());
        let source = Arc::clone(&spool);
        let thread = thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || write(&source, attempts, events))
            .map_err(ProxyError::Start)?;
        Ok(Self { spool, thread })
    }

    pub(super) fn spool(&self) -> Arc<Spool> {
        Arc::clone(&self.spool)
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// When any row could not be written, now or earlier.
    pub(super) fn finish(self) -> Result<(), ProxyError> {
        self.spool.close();
        match self.thread.join() {
            Ok(result) => Ok(result?),
            Err(_) => Err(ProxyError::Panicked("the spool's writer")),
        }
    }
}

fn write(
    spool: &Spool,
    mut attempts: SpoolWriter<AttemptRow>,
    mut events: SpoolWriter<EventRow>,
) -> Result<(), RecordError> {
    loop {
        let (new_attempts, new_events, last) = spool.next();
        append(&mut attempts, &new_attempts)?;
        append(&mut events, &new_events)?;
        if last {
            return Ok(());
        }
    }
}

fn append<T: Serialize>(file: &mut SpoolWriter<T>, rows: &[T]) -> Result<(), RecordError> {
    let now = clock::now();
    rows.iter().try_for_each(|row| file.write(row, now))?;
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{AttemptOutcome, EventKind, PickedBecause};
    use crate::units::World;

    #[test]
    fn rows_come_back_as_they_went_in() {
        let folder = std::env::temp_dir().join(format!("lab-spool-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let writer = Writer::start(&folder).expect("files");
        let attempt = AttemptRow {
            world: World::Live,
            replication: 3,
            id: 7,
            number: 1,
            view: 2,
            upstream: 1,
            start_ns: 10,
            end_ns: 20,
            outcome: AttemptOutcome::Closed,
            status: 0,
            because: PickedBecause::Retry,
        };
        let event = EventRow {
            world: World::Live,
            replication: 3,
            at_ns: 20,
            kind: EventKind::Ejected,
            subject: "a".to_owned(),
            reason: "closed".to_owned(),
        };
        writer.spool().attempt(attempt);
        writer.spool().event(event.clone());
        writer.finish().expect("written");
        let read = |name| std::fs::read_to_string(folder.join(name)).expect("the file");
        let attempts: AttemptRow = serde_json::from_str(&read("attempts.jsonl")).expect("one row");
        let events: EventRow = serde_json::from_str(&read("events.jsonl")).expect("one row");
        assert_eq!((attempts, events), (attempt, event));
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
