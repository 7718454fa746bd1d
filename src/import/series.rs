//! A series of measurements as CSV: what a rule of scaling is tried on.
//!
//! A column `time` (seconds, or a duration such as `90s`; the first row is the beginning), and
//! either one column for each instance, empty where it is not there, or `mean` and, beside it, the
//! number of `instances`.

use std::sync::Arc;

use super::{ImportError, Origin, SourceFile};
use crate::policy::scale::{RecordedRow, Recording};
use crate::units::{Nanos, Quantity, Span};

/// Reads such a file. Percentages are shares: `70%` is 0.7.
///
/// # Errors
/// When a column is missing, a value is no number, or times do not grow.
pub fn read(file: &SourceFile) -> Result<Recording, ImportError> {
    let name: Arc<str> = file.name.as_str().into();
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .from_reader(file.text.as_bytes());
    let wrong = |line: u64, message: String| Origin::new(&name, line as u32).error(message);
    let header = reader.headers().map_err(|error| wrong(1, error.to_string()))?.clone();
    let columns = Columns::of(header.iter()).map_err(|message| wrong(1, message))?;
    let mut series = Series::default();
    for row in reader.records() {
        let row = row.map_err(|error| {
            let line = error.position().map_or(1, csv::Position::line);
            wrong(line, error.to_string())
        })?;
        let line = row.position().map_or(1, csv::Position::line);
        series.push(&columns, |place| row.get(place).unwrap_or("")).map_err(|m| wrong(line, m))?;
    }
    series.finish().map_err(|message| wrong(1, message))
}

/// Where what stands.
#[derive(Debug)]
pub struct Columns {
    time: usize,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Mean { mean: usize, instances: Option<usize> },
    Each(Vec<usize>),
}

impl Columns {
    /// By the names of the columns.
    ///
    /// # Errors
    /// A sentence, when there is no time or nothing measured.
    pub fn of<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let names: Vec<String> = names.map(str::to_ascii_lowercase).collect();
        let place = |wanted: &[&str]| names.iter().position(|name| wanted.contains(&name.as_str()));
        let Some(time) = place(&["time", "timestamp", "t", "second"]) else {
            return Err("there is no column `time`".to_owned());
        };
        let values = match place(&["mean", "value"]) {
            Some(mean) => Values::Mean { mean, instances: place(&["instances", "replicas"]) },
            None => Values::Each((0..names.len()).filter(|place| *place != time).collect()),
        };
        if matches!(&values, Values::Each(each) if each.is_empty()) {
            return Err("there is a time and nothing measured: a column for each instance, or \
                        `mean` and `instances`"
                .to_owned());
        }
        Ok(Self { time, values })
    }
}

/// Rows as they come.
#[derive(Debug, Default)]
pub struct Series {
    zero: Option<f64>,
    rows: Vec<RecordedRow>,
}

impl Series {
    /// Takes in a row.
    ///
    /// # Errors
    /// A sentence, when a cell is no number, or the time is not later than the last.
    pub fn push<T: AsRef<str>>(
        &mut self,
        columns: &Columns,
        cell: impl Fn(usize) -> T,
    ) -> Result<(), String> {
        let time = cell(columns.time);
        let seconds = seconds(time.as_ref())?;
        let zero = *self.zero.get_or_insert(seconds);
        let at = Nanos::from_secs_f64(seconds - zero);
        if let Some(last) = self.rows.last()
            && at <= last.at
        {
            return Err(format!(
                "the time {} is not later than that of the row before",
                time.as_ref()
            ));
        }
        let row = match &columns.values {
            Values::Mean { mean, instances } => {
                let instances = instances.map(|place| number(cell(place).as_ref())).transpose()?;
                let instances = instances.flatten().unwrap_or(1.0).max(0.0) as u32;
                RecordedRow { at, instances, mean: number(cell(*mean).as_ref())? }
            }
            Values::Each(places) => {
                let mut values = Vec::new();
                for place in places {
                    values.extend(number(cell(*place).as_ref())?);
                }
                let sum: f64 = values.iter().sum();
                let mean = (!values.is_empty()).then(|| sum / values.len() as f64);
                RecordedRow { at, instances: values.len() as u32, mean }
            }
        };
        self.rows.push(row);
        Ok(())
    }

    /// The recording.
    ///
    /// # Errors
    /// A sentence, when it has no length.
    pub fn finish(self) -> Result<Recording, String> {
        if self.rows.len() < 2 {
            return Err("a series needs two rows at least".to_owned());
        }
        Ok(Recording { rows: self.rows })
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    if let Ok(number) = text.parse::<f64>() {
        return if number.is_finite() { Ok(number) } else { Err(format!("{text} is no time")) };
    }
    let span = Span::parse(text)
        .map_err(|_| format!("expected a time in seconds, or such as \"90s\", found \"{text}\""))?;
    Ok(span.as_secs_f64())
}

/// A cell: empty and `NaN` are nothing measured.
fn number(text: &str) -> Result<Option<f64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let (digits, scale) =
        text.strip_suffix('%').map_or((text, 1.0), |digits| (digits.trim(), 100.0));
    match digits.parse::<f64>() {
        Ok(number) if number.is_nan() => Ok(None),
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(Some(number / scale)),
        _ => Err(format!("expected a number of 0 or more, found \"{text}\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Recording, String> {
        let file = SourceFile { name: "load.csv".to_owned(), text: text.to_owned() };
        read(&file).map_err(|error| error.to_string())
    }

    #[test]
    fn instances_come_and_go_by_their_cells() {
        let recording =
            read_text("time,api-1,api-2\n1700000000,0.5,\n1700000015,60%,0.8\n1700000030,,NaN\n");
        let rows = recording.unwrap().rows;
        let plain: Vec<(u64, u32, Option<f64>)> =
            rows.iter().map(|row| (row.at.whole_seconds(), row.instances, row.mean)).collect();
        assert_eq!(plain, [(0, 1, Some(0.5)), (15, 2, Some(0.7)), (30, 0, None)]);
    }

    #[test]
    fn a_mean_has_its_number_of_instances_beside_it() {
        let rows = read_text("t, instances, mean\n0s, 3, 0.4\n90s, 4, 55%\n").unwrap().rows;
        assert_eq!(
            (rows[1].at.whole_seconds(), rows[1].instances, rows[1].mean),
            (90, 4, Some(0.55))
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let said = |text: &str| read_text(text).unwrap_err();
        assert_eq!(said("a,b\n1,2\n"), "load.csv:1: there is no column `time`");
        assert_eq!(
            said("time,a\n0,0.5\n1,much\n"),
            "load.csv:3: expected a number of 0 or more, found \"much\""
        );
        assert_eq!(
            said("time,a\n5,0.5\n5,0.6\n"),
            "load.csv:3: the time 5 is not later than that of the row before"
        );
        assert!(said("time,a\n5,0.5\n").contains("two rows"));
        assert!(said("time\n5\n6\n").contains("nothing measured"));
    }
}
