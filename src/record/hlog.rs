//! Latencies as an `HdrHistogram` interval log (`.hlog`), for other tools such as
//! HdrHistogramLogAnalyzer.
//!
//! One histogram per interval, world and replication, tagged `sim`, `live`, `sim-1`, …; values
//! are nanoseconds in three significant digits. As with any recorder of interval logs, a value
//! belongs to the interval in which it was recorded: rows come in order of completion, and one
//! that comes late goes into the interval that is open. So memory is one histogram per tag.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::mem;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram as HdrHistogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, Tag,
};
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};

use super::{RecordError, RequestRow, Sink};
use crate::units::{Nanos, Span, World};

const EXPECTED: &str = "an HdrHistogram log (.hlog)";
const SIGNIFICANT_DIGITS: u8 = 3;
const LEGEND: &str =
    r#""StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram""#;
/// Tools show maxima in milliseconds.
const NANOS_PER_MILLI: f64 = 1e6;

/// Writes the latency of every request, from the instant it was due, as an interval log.
#[derive(Debug)]
pub struct HlogWriter {
    path: PathBuf,
    file: BufWriter<File>,
    interval: Span,
    /// One per tag; there are few, and rows of one tag come in a row.
    open: Vec<Interval>,
    error: Option<RecordError>,
}

#[derive(Debug)]
struct Interval {
    tag: (World, u32),
    number: u64,
    values: HdrHistogram<u64>,
}

impl HlogWriter {
    /// Begins the file at `path`, with a histogram per `interval`. `started` is the wall clock's
    /// time of the run's zero since 1970.
    ///
    /// # Errors
    /// When the file cannot be created or written.
    pub fn create(path: &Path, interval: Span, started: Nanos) -> Result<Self, RecordError> {
        let file = File::create(path).map_err(RecordError::io("create", path))?;
        let mut file = BufWriter::new(file);
        let started = SystemTime::UNIX_EPOCH + Duration::from_nanos(started.0);
        IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .add_comment("written by lab; values in nanoseconds, latency from the due instant")
            .with_start_time(started)
            .with_base_time(started)
            .with_max_value_divisor(NANOS_PER_MILLI)
            .begin_log_with(&mut file, &mut V2DeflateSerializer::new())
            .map_err(RecordError::io("write", path))?;
        writeln!(file, "{LEGEND}").map_err(RecordError::io("write", path))?;
        let interval = Span(interval.0.max(1));
        Ok(Self { path: path.to_owned(), file, interval, open: Vec::new(), error: None })
    }

    /// Writes the intervals still open, and tells the first error of all.
    ///
    /// # Errors
    /// When the file could not be written, now or before.
    pub fn finish(mut self) -> Result<(), RecordError> {
        for mut interval in mem::take(&mut self.open) {
            self.close(&mut interval);
        }
        if let Some(error) = self.error {
            return Err(error);
        }
        self.file.flush().map_err(RecordError::io("write", &self.path))
    }

    /// Writes `interval` and empties it.
    fn close(&mut self, interval: &mut Interval) {
        if !interval.values.is_empty() && self.error.is_none() {
            self.error = self
                .write(interval)
                .err()
                .map(|source| RecordError::io("write", &self.path)(source));
        }
        interval.values.reset();
    }

    fn write(&mut self, interval: &Interval) -> io::Result<()> {
        let (world, replication) = interval.tag;
        let name = match replication {
            0 => world.to_string(),
            n => format!("{world}-{n}"),
        };
        let start = Span(interval.number.saturating_mul(self.interval.0));
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&interval.values, &mut bytes)
            .map_err(|error| io::Error::other(error.to_string()))?;
        writeln!(
            self.file,
            "Tag={name},{:.3},{:.3},{:.3},{}",
            start.as_secs_f64(),
            self.interval.as_secs_f64(),
            interval.values.max() as f64 / NANOS_PER_MILLI,
            BASE64.encode(&bytes),
        )
    }
}

impl Sink for HlogWriter {
    const ATTEMPTS: bool = false;
    const TIMELINE: bool = false;

    fn request(&mut self, row: &RequestRow) {
        let number = row.finished_ns / self.interval.0;
        let tag = (row.world, row.replication);
        let found = self.open.iter().position(|interval| interval.tag == tag);
        let place = found.unwrap_or_else(|| {
            self.open.push(Interval { tag, number, values: empty() });
            self.open.len() - 1
        });
        if number > self.open[place].number {
            let mut full = self.open.swap_remove(place);
            self.close(&mut full);
            self.open.push(Interval { number, ..full });
        }
        if let Some(interval) = self.open.iter_mut().find(|interval| interval.tag == tag) {
            // It resizes itself, and so cannot refuse a value.
            let _ = interval.values.record(row.latency_ns());
        }
    }
}

/// A histogram that was read from a log.
#[derive(Clone, Debug)]
pub struct HlogInterval {
    /// Its tag; empty for none.
    pub tag: String,
    /// Its start, as the log gives it.
    pub start: Nanos,
    /// Its length.
    pub length: Span,
    /// Its values, in the log's own unit.
    pub values: HdrHistogram<u64>,
}

/// Reads every interval of the log at `path`, whichever tool wrote it.
///
/// # Errors
/// When the file cannot be read or is something else; names the interval.
pub fn read_hlog(path: &Path) -> Result<Vec<HlogInterval>, RecordError> {
    let bytes = fs::read(path).map_err(RecordError::io("read", path))?;
    let mut found = Vec::new();
    for entry in IntervalLogIterator::new(&bytes) {
        let number = found.len() + 1;
        let malformed = |why: String| {
            RecordError::malformed(path, EXPECTED, format!("interval {number}: {why}"))
        };
        let LogEntry::Interval(interval) =
            entry.map_err(|error| malformed(format!("{error:?}")))?
        else {
            continue;
        };
        let encoded = BASE64
            .decode(interval.encoded_histogram())
            .map_err(|error| malformed(format!("its histogram is not base64: {error}")))?;
        found.push(HlogInterval {
            tag: interval.tag().map(|tag: Tag<'_>| tag.as_str().to_owned()).unwrap_or_default(),
            start: Nanos(interval.start_timestamp().as_nanos() as u64),
            length: Span(interval.duration().as_nanos() as u64),
            values: Deserializer::new()
                .deserialize(&mut encoded.as_slice())
                .map_err(|error| malformed(error.to_string()))?,
        });
    }
    Ok(found)
}

/// Grows as needed; the digits are valid, so the fallback is never taken.
fn empty() -> HdrHistogram<u64> {
    HdrHistogram::new(SIGNIFICANT_DIGITS).unwrap_or_else(|_| unreachable!("3 digits are valid"))
}

/// The values of all intervals with `tag` together.
#[must_use]
pub fn merge_tag(intervals: &[HlogInterval], tag: &str) -> HdrHistogram<u64> {
    let mut merged = empty();
    for interval in intervals.iter().filter(|interval| interval.tag == tag) {
        for value in interval.values.iter_recorded() {
            let _ = merged.record_n(value.value_iterated_to(), value.count_at_value());
        }
    }
    merged
}
