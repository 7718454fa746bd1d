//! A configuration of NGINX.

use std::collections::BTreeMap;

use lab::import::{SourceFile, nginx};
use lab::scenario::parse;

/// Reads a configuration: what it gives is a right scenario, or the error names the line.
pub(crate) fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let file = SourceFile { name: "fuzz.conf".to_owned(), text };
    // It includes itself as `self`, and one that is whole as `part`.
    let part = SourceFile { name: "part.conf".to_owned(), text: "weight 1;".to_owned() };
    let around =
        BTreeMap::from([("self".to_owned(), vec![file.clone()]), ("part".to_owned(), vec![part])]);
    match nginx::draft(&file, &around, None) {
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
