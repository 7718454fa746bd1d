//! Text in the form of YAML: blocks at a depth, and values that need care.

use std::fmt::Write as _;

use crate::units::Span;
use crate::units::time::NANOS_PER_SECOND;

/// A file that grows block by block.
#[derive(Debug, Default)]
pub(super) struct Yaml {
    text: String,
}

impl Yaml {
    /// Adds the lines of `block`, `depth` levels of two blanks to the right. The block's own
    /// indentation is kept; an empty block adds nothing.
    pub(super) fn block(&mut self, depth: usize, block: &str) -> &mut Self {
        for line in block.lines() {
            let width = if line.is_empty() { 0 } else { 2 * depth };
            // Writing to a string cannot fail.
            let _ = writeln!(self.text, "{:width$}{line}", "");
        }
        self
    }

    /// The file.
    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// A duration as Envoy's YAML has it: decimal seconds, such as `0.25s`.
pub(super) fn duration(span: Span) -> String {
    let (seconds, nanos) = (span.0 / NANOS_PER_SECOND, span.0 % NANOS_PER_SECOND);
    if nanos == 0 {
        return format!("{seconds}s");
    }
    format!("{seconds}.{}s", format!("{nanos:09}").trim_end_matches('0'))
}

/// A text as a quoted scalar. JSON's quoting is YAML's too.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_decimal_seconds() {
        let cases = [
            (Span::ZERO, "0s"),
            (Span::from_millis(1), "0.001s"),
            (Span::from_millis(2_500), "2.5s"),
            (Span(1), "0.000000001s"),
            (Span::from_secs(60), "60s"),
        ];
        for (span, text) in cases {
            assert_eq!(duration(span), text);
        }
    }

    #[test]
    fn blocks_keep_their_shape() {
        let mut yaml = Yaml::default();
        yaml.block(0, "a:").block(1, "b:\n  c: 1\n\nd: 2").block(1, "");
        assert_eq!(yaml.finish(), "a:\n  b:\n    c: 1\n\n  d: 2\n");
    }
}
