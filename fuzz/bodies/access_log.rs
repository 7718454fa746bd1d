//! An access log in any format.

use lab::import::log::{Format, Log};
use lab::traffic::arrival::trace::parse_csv;

/// Reads lines in each format, and in the one that the first line is: each line is a request, a line
/// without one, or counted as bad, and what becomes of them is a trace that a scenario reads.
pub(crate) fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let names = ["combined", "common", "haproxy", "envoy", "json"];
    for format in names.into_iter().chain([head]).flat_map(Format::named) {
        let mut log = Log::default();
        (1..).zip(rest.lines()).for_each(|(number, line)| log.line(&format, number, line));
        assert_eq!(log.lines, log.bad + log.without_request + log.requests() as u64);
        let trace = log.trace(2, 1);
        assert_eq!(trace.rows.len(), log.requests());
        assert!(trace.classes.len() <= 3);
        if !trace.rows.is_empty() {
            let names: Vec<String> = trace.classes.iter().map(|class| class.name.clone()).collect();
            let entries = parse_csv(trace.csv().as_bytes(), &names).expect("a trace is written");
            assert!(entries.iter().zip(&trace.rows).all(|(read, row)| read.at == row.at));
        }
    }
}
