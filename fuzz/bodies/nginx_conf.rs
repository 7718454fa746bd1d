//! A configuration of NGINX.

use std::collections::BTreeMap;

use lab::import::{SourceFile, nginx};

use super::draft::judge;

/// Reads a configuration.
pub(crate) fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let file = SourceFile { name: "fuzz.conf".to_owned(), text };
    // It includes itself as `self`, and one that is whole as `part`.
    let part = SourceFile { name: "part.conf".to_owned(), text: "weight 1;".to_owned() };
    let around =
        BTreeMap::from([("self".to_owned(), vec![file.clone()]), ("part".to_owned(), vec![part])]);
    judge(&file, nginx::draft(&file, &around, None));
}
