//! A configuration of HAProxy.

use std::collections::BTreeMap;

use lab::import::{SourceFile, haproxy};

use super::draft::judge;

/// Reads a configuration.
pub(crate) fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let file = SourceFile { name: "fuzz.cfg".to_owned(), text };
    judge(&file, haproxy::draft(&file, &BTreeMap::new(), None));
}
