//! A configuration of HAProxy.

use std::collections::BTreeMap;

use lab::import::{SourceFile, haproxy};
use lab::scenario::parse;

/// Reads a configuration: what it gives is a right scenario, or the error names the line.
pub(crate) fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let file = SourceFile { name: "fuzz.cfg".to_owned(), text };
    let around: BTreeMap<String, Vec<SourceFile>> = BTreeMap::new();
    match haproxy::draft(&file, &around, None) {
        Ok(draft) => {
            let scenario = draft.scenario();
            if let Err(wrong) = parse(&scenario, "fuzz.toml") {
                panic!("{wrong}\n{scenario}");
            }
        }
        Err(error) => {
            let lines = file.text.matches('\n').count() + 1;
            assert!(error.origin.line >= 1 && error.origin.line as usize <= lines, "{error}");
            assert!(!error.message.is_empty());
        }
    }
}
