//! A scenario.

use lab::scenario::parse;

/// Reads a scenario; what is wrong with it can be shown, and stands in the text.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    // Another file that a scenario names is not of these bytes.
    if text.contains("trace") || text.contains("file") {
        return;
    }
    if let Err(diagnostics) = parse(text, "fuzz.toml") {
        assert!(diagnostics.to_string().contains("fuzz.toml"));
    }
}
