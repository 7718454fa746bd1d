//! Recorded arrivals.

use lab::traffic::arrival::trace::parse_csv;
use lab::units::Nanos;

/// Reads a trace: arrivals are in order and begin at zero, or it is said what is wrong.
pub(crate) fn run(data: &[u8]) {
    let classes = ["small".to_owned(), "large".to_owned()];
    match parse_csv(data, &classes) {
        Ok(entries) => {
            assert_eq!(entries.first().map(|entry| entry.at), Some(Nanos::ZERO));
            assert!(entries.is_sorted_by_key(|entry| entry.at));
        }
        Err(problem) => assert!(!problem.to_string().is_empty()),
    }
}
