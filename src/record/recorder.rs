//! Takes rows from either world and writes the four files of a run.
//!
//! Rows are staged in blocks and given to the files a block at a time, in this thread or in one
//! of its own. A [`Sink`] cannot fail, so the first error is kept, the rest of the rows are
//! dropped, and [`Recorder::finish`] tells it.

use std::mem;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread::{self, JoinHandle};

use super::parquet::TableFile;
use super::tables::{SCHEMA_VERSION, TableRow};
use super::{AttemptRow, EventRow, Names, RecordError, RequestRow, Sink, TimelineRow};

/// Rows of a block, which is encoded at once: they stay in the second-level cache meanwhile.
const BLOCK_ROWS: usize = 1024;
/// Requests or attempts of a block for a thread, which may have to be woken for each.
const HANDED_ROWS: usize = 4096;
/// Rows whose columns are taken out together: they stay in the first-level cache meanwhile.
const CACHED_ROWS: usize = 128;
/// Blocks on their way to the writer's thread; when all are under way, the giver waits.
const BLOCKS_UNDER_WAY: usize = 16;

/// Writes rows to `requests.parquet`, `attempts.parquet`, `timeline.parquet` and `events.parquet`.
///
/// Memory does not grow with the run: it is some 20 MiB, and as much again with a thread.
pub struct Recorder {
    requests: Vec<RequestRow>,
    attempts: Vec<AttemptRow>,
    timeline: Vec<TimelineRow>,
    events: Vec<EventRow>,
    /// Requests or attempts of a block.
    block_rows: usize,
    output: Output,
}

impl Recorder {
    /// Begins the four files in `folder` and writes them in the calling thread. `scenario` is the
    /// scenario's name; a row whose index has no name in `names` is an error, but for
    /// [`NO_UPSTREAM`](super::NO_UPSTREAM).
    ///
    /// # Errors
    /// When a file cannot be created.
    pub fn create(folder: &Path, scenario: &str, names: &Names) -> Result<Self, RecordError> {
        let files = Files::create(folder, scenario, names)?;
        Ok(Self::with(BLOCK_ROWS, Output::Here(Box::new(files))))
    }

    /// As [`Recorder::create`], but a thread of its own encodes and writes, so that a second core
    /// does that work. The files are the same to the last byte.
    ///
    /// # Errors
    /// When a file cannot be created, or the thread not started.
    pub fn threaded(folder: &Path, scenario: &str, names: &Names) -> Result<Self, RecordError> {
        let files = Files::create(folder, scenario, names)?;
        Ok(Self::with(HANDED_ROWS, Output::Thread(Writer::start(folder, files)?)))
    }

    fn with(block_rows: usize, output: Output) -> Self {
        Self {
            requests: Vec::with_capacity(block_rows),
            attempts: Vec::with_capacity(block_rows),
            timeline: Vec::new(),
            events: Vec::new(),
            block_rows,
            output,
        }
    }

    /// Writes what is left and completes the files.
    ///
    /// # Errors
    /// The first thing that went wrong since the files were begun, with the file's path.
    pub fn finish(mut self) -> Result<(), RecordError> {
        self.output.write(&mut self.requests);
        self.output.write(&mut self.attempts);
        self.output.write(&mut self.timeline);
        self.output.write(&mut self.events);
        match self.output {
            Output::Here(files) => files.finish(),
            Output::Thread(writer) => writer.finish(),
            Output::Broken(error) => Err(error),
        }
    }
}

impl Sink for Recorder {
    #[inline]
    fn request(&mut self, row: &RequestRow) {
        self.requests.push(*row);
        if self.requests.len() >= self.block_rows {
            self.output.write(&mut self.requests);
        }
    }

    #[inline]
    fn attempt(&mut self, row: &AttemptRow) {
        self.attempts.push(*row);
        if self.attempts.len() >= self.block_rows {
            self.output.write(&mut self.attempts);
        }
    }

    fn timeline(&mut self, row: &TimelineRow) {
        self.timeline.push(*row);
        if self.timeline.len() >= BLOCK_ROWS {
            self.output.write(&mut self.timeline);
        }
    }

    fn event(&mut self, row: &EventRow) {
        self.events.push(row.clone());
        if self.events.len() >= BLOCK_ROWS {
            self.output.write(&mut self.events);
        }
    }
}

/// Who writes.
enum Output {
    Here(Box<Files>),
    Thread(Writer),
    /// Something went wrong: rows are dropped until someone asks.
    Broken(RecordError),
}

impl Output {
    /// Takes all of `rows`.
    #[inline(never)]
    fn write<R: TableRow>(&mut self, rows: &mut Vec<R>)
    where
        Block: From<Vec<R>>,
        Files: Holds<R>,
        Emptied: Gives<R>,
    {
        let written = match self {
            _ if rows.is_empty() => return,
            Self::Here(files) => files.write(rows),
            Self::Thread(writer) => {
                let room = || Vec::with_capacity(rows.capacity());
                let next = writer.emptied.give().unwrap_or_else(room);
                writer.send(mem::replace(rows, next).into())
            }
            Self::Broken(_) => Ok(()),
        };
        rows.clear();
        if let Err(error) = written {
            *self = Self::Broken(error);
        }
    }
}

struct Files {
    requests: TableFile,
    attempts: TableFile,
    timeline: TableFile,
    events: TableFile,
}

/// Which of the files holds rows of a kind.
trait Holds<R> {
    fn file(&mut self) -> &mut TableFile;
}

/// Gives a block for rows of a kind that was written, if there is one.
trait Gives<R> {
    fn give(&self) -> Option<Vec<R>>;
}

impl Files {
    fn create(folder: &Path, scenario: &str, names: &Names) -> Result<Self, RecordError> {
        Ok(Self {
            requests: create::<RequestRow>(folder, scenario, names)?,
            attempts: create::<AttemptRow>(folder, scenario, names)?,
            timeline: create::<TimelineRow>(folder, scenario, names)?,
            events: create::<EventRow>(folder, scenario, names)?,
        })
    }

    fn write<R: TableRow>(&mut self, rows: &[R]) -> Result<(), RecordError>
    where
        Self: Holds<R>,
    {
        let file = self.file();
        rows.chunks(CACHED_ROWS).for_each(|rows| R::fill(file.block(rows)));
        file.end_block(rows.len())
    }

    fn finish(self) -> Result<(), RecordError> {
        self.requests.finish()?;
        self.attempts.finish()?;
        self.timeline.finish()?;
        self.events.finish()
    }
}

fn create<R: TableRow>(
    folder: &Path,
    scenario: &str,
    names: &Names,
) -> Result<TableFile, RecordError> {
    let metadata = [
        ("lab.schema_version", SCHEMA_VERSION.to_string()),
        ("lab.scenario", scenario.to_owned()),
        ("lab.upstreams", serde_json::json!(names.upstreams).to_string()),
        ("lab.classes", serde_json::json!(names.classes).to_string()),
        ("lab.nulls", R::NULLS.to_owned()),
    ];
    TableFile::create(&folder.join(R::FILE), R::columns(names), &metadata)
}

macro_rules! tables {
    ($($row:ty, $file:ident, $block:ident);* $(;)?) => {
        /// Rows of one file on their way to the writer's thread.
        enum Block { $($block(Vec<$row>)),* }

        /// Blocks that were written, back to be filled again: fresh memory would cost the giver
        /// more than to fill it.
        struct Emptied { $($file: Receiver<Vec<$row>>),* }

        /// Their way back.
        struct Emptying { $($file: Sender<Vec<$row>>),* }

        impl Emptied {
            fn begin() -> (Emptying, Self) {
                $(let $file = mpsc::channel();)*
                (Emptying { $($file: $file.0),* }, Self { $($file: $file.1),* })
            }
        }

        impl Files {
            fn write_block(&mut self, block: Block, emptying: &Emptying) -> Result<(), RecordError> {
                match block {
                    $(Block::$block(mut rows) => {
                        self.write(&rows)?;
                        rows.clear();
                        // If nobody is there any more, nobody needs it.
                        let _ = emptying.$file.send(rows);
                    })*
                }
                Ok(())
            }
        }

        $(
            impl From<Vec<$row>> for Block {
                fn from(rows: Vec<$row>) -> Self {
                    Self::$block(rows)
                }
            }

            impl Gives<$row> for Emptied {
                fn give(&self) -> Option<Vec<$row>> {
                    self.$file.try_recv().ok()
                }
            }

            impl Holds<$row> for Files {
                fn file(&mut self) -> &mut TableFile {
                    &mut self.$file
                }
            }
        )*
    };
}
tables! {
    RequestRow, requests, Requests;
    AttemptRow, attempts, Attempts;
    TimelineRow, timeline, Timeline;
    EventRow, events, Events;
}

/// The files in a thread of their own.
struct Writer {
    folder: PathBuf,
    /// `None` once the thread was told to end.
    blocks: Option<SyncSender<Block>>,
    emptied: Emptied,
    thread: Option<JoinHandle<Result<(), RecordError>>>,
}

impl Writer {
    fn start(folder: &Path, files: Files) -> Result<Self, RecordError> {
        let (blocks, incoming) = mpsc::sync_channel(BLOCKS_UNDER_WAY);
        let (emptying, emptied) = Emptied::begin();
        let thread = thread::Builder::new()
            .name("lab-record".to_owned())
            .spawn(move || write_all(files, &incoming, &emptying))
            .map_err(RecordError::io("start a thread to write", folder))?;
        Ok(Self { folder: folder.to_owned(), blocks: Some(blocks), emptied, thread: Some(thread) })
    }

    fn send(&mut self, block: Block) -> Result<(), RecordError> {
        match self.blocks.as_ref().map(|blocks| blocks.send(block)) {
            Some(Ok(())) => Ok(()),
            // It hung up, so it has an error to tell.
            _ => self.end(),
        }
    }

    fn finish(mut self) -> Result<(), RecordError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), RecordError> {
        self.blocks = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(panic)) => {
                let words = panic.downcast_ref::<&str>().map(|words| (*words).to_owned());
                let why = words.or_else(|| panic.downcast_ref::<String>().cloned());
                Err(RecordError::Writer {
                    path: self.folder.clone(),
                    why: why.unwrap_or_else(|| "no reason given".to_owned()),
                })
            }
            None => Ok(()),
        }
    }
}

/// Whoever drops a recorder may remove its folder next: the thread must be gone by then.
impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn write_all(
    mut files: Files,
    incoming: &Receiver<Block>,
    emptying: &Emptying,
) -> Result<(), RecordError> {
    while let Ok(block) = incoming.recv() {
        files.write_block(block, emptying)?;
    }
    files.finish()
}
