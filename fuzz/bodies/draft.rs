//! What every reader of configurations must hold.

use lab::import::{Draft, ImportError, SourceFile};
use lab::scenario::parse;

/// What was read of `file` is a right scenario, or the error names a line of it.
pub(crate) fn judge(file: &SourceFile, read: Result<Draft, ImportError>) {
    match read {
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
