//! Reads metrics in the Prometheus text format, version 0.0.4, as a scraper does.
//!
//! Strict where a mistake would become a wrong number: a text that was cut off in the middle of a
//! value does not end with a line feed, and is refused as a whole.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use std::borrow::Cow;

/// One sample of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Its name, with the suffix of its kind, such as `_total`.
    pub name: &'a str,
    /// In their order.
    pub labels: Vec<(&'a str, Cow<'a, str>)>,
    /// May be infinite or not a number.
    pub value: f64,
    /// In milliseconds since 1970, if the page says so.
    pub timestamp_ms: Option<i64>,
}

impl Sample<'_> {
    /// The value of a label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| *label == name).map(|(_, value)| value.as_ref())
    }
}

/// What is wrong with a page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ReadError {
    /// From 1.
    pub line: usize,
    /// What is wrong there.
    pub what: &'static str,
}

/// The samples of a page, in their order; comments, types and help are passed over.
///
/// # Errors
/// When a line is no sample, or the last one has no end.
pub fn samples(page: &str) -> Result<Vec<Sample<'_>>, ReadError> {
    let mut samples = Vec::new();
    let lines = page.split('\n').count();
    for (number, line) in page.split('\n').enumerate() {
        let wrong = |what| ReadError { line: number + 1, what };
        let text = line.trim_start_matches(BLANKS);
        if number + 1 == lines {
            return if text.is_empty() { Ok(samples) } else { Err(wrong("it is cut off")) };
        }
        if !text.is_empty() && !text.starts_with('#') {
            samples.push(Cursor(text).sample().map_err(wrong)?);
        }
    }
    Ok(samples)
}

const BLANKS: [char; 2] = [' ', '\t'];

/// The rest of a line.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn sample(mut self) -> Result<Sample<'a>, &'static str> {
        let name = self.name(true).ok_or("a sample begins with the name of a metric")?;
        self.skip_blanks();
        let labels = if self.eat('{') { self.labels()? } else { Vec::new() };
        let mut words = self.0.split(BLANKS).filter(|word| !word.is_empty());
        let value = words.next().ok_or("the value is missing")?;
        let value = value.parse().map_err(|_| "the value is no number")?;
        let timestamp = words.next().map(str::parse).transpose();
        let timestamp_ms = timestamp.map_err(|_| "the timestamp is no whole number")?;
        match words.next() {
            None => Ok(Sample { name, labels, value, timestamp_ms }),
            Some(_) => Err("something stands behind the timestamp"),
        }
    }

    /// Those behind an opening brace, and the brace that closes them.
    fn labels(&mut self) -> Result<Vec<(&'a str, Cow<'a, str>)>, &'static str> {
        let mut labels = Vec::new();
        loop {
            self.skip_blanks();
            if self.eat('}') {
                return Ok(labels);
            }
            let name = self.name(false).ok_or("the name of a label is missing")?;
            self.skip_blanks();
            if !self.eat('=') {
                return Err("a label has no value");
            }
            self.skip_blanks();
            labels.push((name, self.quoted()?));
            self.skip_blanks();
            if !self.eat(',') && !self.0.starts_with('}') {
                return Err("a comma or a brace is missing behind a label");
            }
        }
    }

    /// `[a-zA-Z_:][a-zA-Z0-9_:]*`; without colons if it is a label's.
    fn name(&mut self, colons: bool) -> Option<&'a str> {
        let belongs = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
        let end = self.0.find(|c| !belongs(c)).unwrap_or(self.0.len());
        let (name, rest) = self.0.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        self.0 = rest;
        Some(name)
    }

    /// A value in quotes, in which `\\`, `\"` and `\n` are escapes.
    fn quoted(&mut self) -> Result<Cow<'a, str>, &'static str> {
        if !self.eat('"') {
            return Err("a label's value begins with a quote");
        }
        let (text, mut unescaped) = (self.0, None::<String>);
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.0 = &text[at + 1..];
                    return Ok(unescaped.map_or(Cow::Borrowed(&text[..at]), Cow::Owned));
                }
                '\\' => {
                    let value = unescaped.get_or_insert_with(|| text[..at].to_owned());
                    match chars.next() {
                        Some((_, '\\')) => value.push('\\'),
                        Some((_, '"')) => value.push('"'),
                        Some((_, 'n')) => value.push('\n'),
                        _ => return Err("an escape is none of \\\\, \\\" and \\n"),
                    }
                }
                c => {
                    if let Some(value) = &mut unescaped {
                        value.push(c);
                    }
                }
            }
        }
        Err("a label's value has no end")
    }

    fn eat(&mut self, c: char) -> bool {
        match self.0.strip_prefix(c) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn skip_blanks(&mut self) {
        self.0 = self.0.trim_start_matches(BLANKS);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exposition::{Kind, Page};

    /// The example of the format's own documentation.
    const DOCUMENTED: &str = r#"# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9

# Minimalistic line:
metric_without_timestamp_and_labels 12.47

# A weird metric from before the epoch:
something_weird{problem="division by zero"} +Inf -3982045
http_request_duration_seconds_bucket{le="+Inf",} 144320
"#;

    #[test]
    fn the_documented_example_is_read() {
        let read = samples(DOCUMENTED).unwrap();
        assert_eq!(read.len(), 6);
        assert_eq!((read[0].label("code"), read[0].value), (Some("200"), 1027.0));
        assert_eq!(read[1].timestamp_ms, Some(1_395_066_363_000));
        assert_eq!(read[2].label("path"), Some("C:\\DIR\\FILE.TXT"));
        assert_eq!(read[2].label("error"), Some("Cannot find file:\n\"FILE.TXT\""));
        assert_eq!((read[3].name, read[3].value), ("metric_without_timestamp_and_labels", 12.47));
        assert_eq!((read[4].value, read[4].timestamp_ms), (f64::INFINITY, Some(-3_982_045)));
        assert_eq!(read[5].label("le"), Some("+Inf"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (page, line, what) in [
            ("a 1\nb 2", 2, "it is cut off"),
            ("a 1\nb\n", 2, "the value is missing"),
            ("1a 1\n", 1, "a sample begins with the name of a metric"),
            ("a one\n", 1, "the value is no number"),
            ("a 1 2.5\n", 1, "the timestamp is no whole number"),
            ("a 1 2 3\n", 1, "something stands behind the timestamp"),
            ("a{b=\"c\"\n", 1, "a comma or a brace is missing behind a label"),
            ("a{b=\"c} 1\n", 1, "a label's value has no end"),
            ("a{b=c} 1\n", 1, "a label's value begins with a quote"),
            ("a{b} 1\n", 1, "a label has no value"),
            ("a{=\"c\"} 1\n", 1, "the name of a label is missing"),
            ("a{b=\"\\t\"} 1\n", 1, "an escape is none of \\\\, \\\" and \\n"),
        ] {
            assert_eq!(samples(page), Err(ReadError { line, what }), "{page:?}");
        }
    }

    proptest! {
        /// What this program writes it reads back.
        #[test]
        fn a_written_page_is_read_back(
            values in prop::collection::vec((".*", any::<f64>()), 0..8),
        ) {
            let mut page = Page::new(false);
            page.family("written", Kind::Gauge, "Whatever.");
            for (label, value) in &values {
                page.sample(&[("label", label)], value);
            }
            let text = page.finish();
            let read = samples(&text).unwrap();
            prop_assert_eq!(read.len(), values.len());
            for (sample, (label, value)) in read.iter().zip(&values) {
                prop_assert_eq!(sample.name, "written");
                prop_assert_eq!(sample.label("label"), Some(label.as_str()));
                prop_assert!(sample.value == *value || (sample.value.is_nan() && value.is_nan()));
            }
        }

        /// A page that was cut off anywhere but behind a line is refused.
        #[test]
        fn a_page_cut_off_is_refused(cut in 1..DOCUMENTED.len()) {
            let part = &DOCUMENTED[..cut];
            prop_assert_eq!(samples(part).is_ok(), part.ends_with('\n'));
        }
    }
}
