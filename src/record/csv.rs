//! Requests as CSV, for whoever has no reader of Parquet: the columns of `requests.parquet`, with
//! names instead of indices, and an empty cell for a phase that was not reached.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{Names, RecordError, RequestRow, Sink};

const COLUMNS: [&str; 15] = [
    "id",
    "class",
    "scheduled_ns",
    "sent_ns",
    "connected_ns",
    "first_byte_ns",
    "finished_ns",
    "latency_ns",
    "queued_ns",
    "service_ns",
    "upstream",
    "attempts",
    "status",
    "error",
    "bytes",
];

/// Writes requests as CSV.
#[derive(Debug)]
pub struct CsvWriter {
    path: PathBuf,
    file: csv::Writer<BufWriter<File>>,
    names: Names,
    error: Option<RecordError>,
}

impl CsvWriter {
    /// Begins the file at `path`.
    ///
    /// # Errors
    /// When it cannot be created or written.
    pub fn create(path: &Path, names: &Names) -> Result<Self, RecordError> {
        let file = File::create(path).map_err(RecordError::io("create", path))?;
        let mut file = csv::Writer::from_writer(BufWriter::new(file));
        let written = file.write_record(COLUMNS).map_err(std::io::Error::from);
        written.map_err(RecordError::io("write", path))?;
        Ok(Self { path: path.to_owned(), file, names: names.clone(), error: None })
    }

    /// Completes the file, and tells the first error of all.
    ///
    /// # Errors
    /// When the file could not be written, now or before.
    pub fn finish(mut self) -> Result<(), RecordError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let flushed = self.file.flush().and_then(|()| self.file.get_ref().get_ref().flush());
        flushed.map_err(RecordError::io("write", &self.path))
    }

    fn cells(&self, row: &RequestRow) -> [String; 15] {
        let name = |names: &[String], index: usize| names.get(index).cloned().unwrap_or_default();
        let reached = |nanos: u64| if nanos == 0 { String::new() } else { nanos.to_string() };
        [
            row.id.to_string(),
            name(&self.names.classes, usize::from(row.class)),
            row.scheduled_ns.to_string(),
            reached(row.sent_ns),
            reached(row.connected_ns),
            reached(row.first_byte_ns),
            row.finished_ns.to_string(),
            row.latency_ns().to_string(),
            reached(row.queued_ns),
            reached(row.service_ns),
            name(&self.names.upstreams, row.upstream as usize),
            row.attempts.to_string(),
            reached(u64::from(row.status)),
            serde_json::to_value(row.error)
                .ok()
                .and_then(|word| word.as_str().map(str::to_owned))
                .unwrap_or_default(),
            row.bytes.to_string(),
        ]
    }
}

impl Sink for CsvWriter {
    const ATTEMPTS: bool = false;
    const TIMELINE: bool = false;

    fn request(&mut self, row: &RequestRow) {
        if self.error.is_none() {
            let written = self.file.write_record(self.cells(row)).map_err(std::io::Error::from);
            self.error = written.err().map(RecordError::io("write", &self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RequestError;

    #[test]
    fn rows_have_names_and_nothing_where_nothing_happened() {
        let path = std::env::temp_dir().join(format!("lab-csv-{}.csv", std::process::id()));
        let names = Names::new(["10.0.0.7:80"], ["/a, \"b\""]);
        let mut writer = CsvWriter::create(&path, &names).unwrap();
        let row =
            RequestRow { id: 7, scheduled_ns: 5, sent_ns: 6, finished_ns: 9, ..RequestRow::BLANK };
        writer.request(&RequestRow { upstream: 0, status: 200, attempts: 1, bytes: 3, ..row });
        writer.request(&RequestRow { error: RequestError::Timeout, ..row });
        writer.finish().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(lines[0], "7,\"/a, \"\"b\"\"\",5,6,,,9,4,,,10.0.0.7:80,1,200,none,3");
        assert_eq!(lines[1], "7,\"/a, \"\"b\"\"\",5,6,,,9,4,,,,0,,timeout,0");
    }
}
