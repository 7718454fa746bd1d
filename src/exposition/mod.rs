//! Metrics as text: the Prometheus text format, version 0.0.4, or OpenMetrics 1.0. Every program of
//! lab that has a `/metrics` writes it with this, and what it knows of others to be scraped.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>,
//! <https://github.com/OpenObservability/OpenMetrics/blob/main/specification/OpenMetrics.md>

use std::fmt::{Display, Write};

mod discovery;
mod process;
pub mod read;

pub use discovery::{BACKEND_LABEL, TargetGroup};
pub use process::process;

/// A kind of metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up only; its samples end in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Constant labels on the number 1; its sample ends in `_info`.
    Info,
    /// Durations in seconds.
    Histogram,
}

/// Labels of a sample.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// A page of metrics in the making.
#[derive(Debug)]
pub struct Page {
    text: String,
    open: bool,
    /// Of the family begun last.
    name: String,
    kind: Kind,
}

impl Page {
    /// An empty page, in OpenMetrics if `open`.
    #[must_use]
    pub fn new(open: bool) -> Self {
        Self { text: String::with_capacity(8 << 10), open, name: String::new(), kind: Kind::Gauge }
    }

    /// Begins a family; `name` without the suffix of its kind.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) -> &mut Self {
        name.clone_into(&mut self.name);
        self.kind = kind;
        let (suffix, word) = match (kind, self.open) {
            (Kind::Counter, true) => ("", "counter"),
            (Kind::Counter, false) => ("_total", "counter"),
            (Kind::Info, true) => ("", "info"),
            (Kind::Info, false) => ("_info", "gauge"),
            (Kind::Gauge, _) => ("", "gauge"),
            (Kind::Histogram, _) => ("", "histogram"),
        };
        self.line(format_args!("# HELP {name}{suffix} {help}"));
        self.line(format_args!("# TYPE {name}{suffix} {word}"));
        self
    }

    /// A sample of the family begun last.
    pub fn sample(&mut self, labels: Labels<'_>, value: impl Display) -> &mut Self {
        let suffix = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        self.put(suffix, labels, value);
        self
    }

    /// A histogram of the family begun last: how many were in each bucket (the last is for what is
    /// above every bound), the upper bounds, and the sum of all, in the family's unit.
    ///
    /// # Panics
    /// Unless there is one bucket more than bounds.
    pub fn histogram(
        &mut self,
        labels: Labels<'_>,
        bounds: &[f64],
        buckets: &[u64],
        sum: f64,
    ) -> &mut Self {
        assert_eq!(buckets.len(), bounds.len() + 1, "one bucket is for what is above every bound");
        let mut below = 0;
        for (place, count) in buckets.iter().enumerate() {
            below += count;
            let bound = match bounds.get(place) {
                None => "+Inf".to_owned(),
                // OpenMetrics wants the point of a whole number.
                Some(bound) if self.open => format!("{bound:?}"),
                Some(bound) => bound.to_string(),
            };
            let mut with_bound = labels.to_vec();
            with_bound.push(("le", &bound));
            self.put("_bucket", &with_bound, below);
        }
        self.put("_sum", labels, sum);
        self.put("_count", labels, below);
        self
    }

    /// The finished text.
    #[must_use]
    pub fn finish(mut self) -> String {
        if self.open {
            self.line(format_args!("# EOF"));
        }
        self.text
    }

    fn put(&mut self, suffix: &str, labels: Labels<'_>, value: impl Display) {
        self.text.push_str(&self.name);
        self.text.push_str(suffix);
        for (place, (key, value)) in labels.iter().enumerate() {
            self.text.push(if place == 0 { '{' } else { ',' });
            self.text.push_str(key);
            self.text.push_str("=\"");
            for c in value.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        self.line(format_args!(" {value}"));
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{text}").unwrap_or_else(|_| unreachable!("a string takes everything"));
    }
}

/// The `Content-Type` of a page.
#[must_use]
pub const fn content_type(open: bool) -> &'static str {
    if open {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    }
}

/// Whether an `Accept` prefers OpenMetrics to plain text.
#[must_use]
pub fn wants_open(accept: Option<&str>) -> bool {
    let accept = accept.unwrap_or_default();
    let (mut open, mut plain) = (0.0, 0.0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix("q="));
        let quality: f64 = quality.and_then(|q| q.parse().ok()).unwrap_or(1.0);
        match kind {
            "application/openmetrics-text" => open = f64::max(open, quality),
            "text/plain" | "text/*" | "*/*" => plain = f64::max(plain, quality),
            _ => {}
        }
    }
    open > 0.0 && open >= plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(open: bool) -> String {
        let mut page = Page::new(open);
        page.family("a_requests", Kind::Counter, "Requests.").sample(&[("x", "q\"\\\n")], 3);
        page.family("a_build", Kind::Info, "Build.").sample(&[("version", "1")], 1);
        page.family("a_time_seconds", Kind::Histogram, "Time.").histogram(
            &[],
            &[0.001, 0.0025, 1.0],
            &[0, 1, 0, 0],
            0.002,
        );
        page.finish()
    }

    #[test]
    fn the_text_format_names_counters_with_their_suffix() {
        let text = page(false);
        for line in [
            "# TYPE a_requests_total counter",
            "a_requests_total{x=\"q\\\"\\\\\\n\"} 3",
            "# TYPE a_build_info gauge",
            "a_build_info{version=\"1\"} 1",
            "a_time_seconds_bucket{le=\"0.001\"} 0",
            "a_time_seconds_bucket{le=\"0.0025\"} 1",
            "a_time_seconds_bucket{le=\"1\"} 1",
            "a_time_seconds_bucket{le=\"+Inf\"} 1",
            "a_time_seconds_sum 0.002",
            "a_time_seconds_count 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn open_metrics_names_families_without_it_and_has_an_end() {
        let text = page(true);
        for line in [
            "# TYPE a_requests counter",
            "# TYPE a_build info",
            "a_build_info{version=\"1\"} 1",
            "a_time_seconds_bucket{le=\"1.0\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("\n# EOF\n"));
    }

    #[test]
    fn the_format_is_the_one_preferred() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,\
                          application/openmetrics-text;version=0.0.1;q=0.4,\
                          text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, open) in [
            (None, false),
            (Some("*/*"), false),
            (Some(prometheus), true),
            (Some("text/plain, application/openmetrics-text;q=0.5"), false),
            (Some("application/openmetrics-text;q=0"), false),
        ] {
            assert_eq!(wants_open(accept), open, "{accept:?}");
        }
    }
}
