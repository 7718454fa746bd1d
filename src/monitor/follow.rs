//! Follows the spools of the live world while they are written.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::board::{Board, DELAY};
use crate::host::clock;
use crate::record::{EventRow, RequestRow};
use crate::units::Nanos;
use crate::units::time::NANOS_PER_SECOND;

const PERIOD: Duration = Duration::from_millis(250);

/// A thread that gives a board the rows of a round as they come. It works on a thread of its own,
/// since the one that runs the round also has to keep time.
#[derive(Debug)]
pub struct Follower {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Follows the generator's spool (times relative to `zero`) and the balancers' spools of events
    /// (absolute times). They need not exist yet.
    #[must_use]
    pub fn start(board: Board, zero: Nanos, requests: &Path, events: &[PathBuf]) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let mut requests = Tail::new(requests);
        let mut events: Vec<Tail> = events.iter().map(|path| Tail::new(path)).collect();
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            loop {
                let last = stopped.load(Ordering::Relaxed);
                let passed = clock::now().0.saturating_sub(zero.0);
                let mut seen: Vec<EventRow> = events.iter_mut().flat_map(Tail::rows).collect();
                for event in &mut seen {
                    event.at_ns = event.at_ns.saturating_sub(zero.0);
                }
                board.rows(&requests.rows::<RequestRow>(), &seen);
                let known = if last { passed } else { passed.saturating_sub(DELAY.0) };
                board.known((known / NANOS_PER_SECOND) as u32);
                if last {
                    return;
                }
                thread::park_timeout(PERIOD);
            }
        });
        Self { stop, thread: Some(thread) }
    }

    /// Reads what is left and ends.
    pub fn finish(self) {
        drop(self);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

/// A spool as far as it has been read.
#[derive(Debug)]
struct Tail {
    path: PathBuf,
    file: Option<File>,
    /// Of a line that is not whole yet.
    rest: Vec<u8>,
}

impl Tail {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: None, rest: Vec::new() }
    }

    /// Rows that have come since. Whoever merges the spool at the end says what is wrong in it; here a
    /// broken line is left out.
    fn rows<T: DeserializeOwned>(&mut self) -> Vec<T> {
        if self.file.is_none() {
            self.file = File::open(&self.path).ok();
        }
        let Some(file) = &mut self.file else { return Vec::new() };
        if file.read_to_end(&mut self.rest).is_err() {
            return Vec::new();
        }
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        let lines = self.rest[..end].split(|byte| *byte == b'\n');
        let rows = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
        self.rest.drain(..=end);
        rows
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_line_counts_when_it_is_whole() {
        let path = std::env::temp_dir().join(format!("lab-tail-{}", std::process::id()));
        let mut tail = Tail::new(&path);
        assert!(tail.rows::<u32>().is_empty(), "there is no file yet");
        let mut file = File::create(&path).expect("created");
        let mut write = |text: &str| file.write_all(text.as_bytes()).expect("written");
        write("1\n2\n3");
        assert_eq!(tail.rows::<u32>(), [1, 2]);
        assert!(tail.rows::<u32>().is_empty());
        write("4\nbroken\n5\n");
        assert_eq!(tail.rows::<u32>(), [34, 5]);
        std::fs::remove_file(&path).expect("removed");
    }
}
