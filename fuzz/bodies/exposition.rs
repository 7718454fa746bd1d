//! Metrics in the Prometheus text format.

use lab::exposition::read::samples;

/// Reads a page: names are names, and a page that is good stays so with more good lines behind it.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match samples(text) {
        Ok(read) => {
            assert!(read.iter().all(|one| !one.name.is_empty()
                && one.name.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c))));
            let more = format!("{text}\none_more{{label=\"value\"}} 1\n");
            assert_eq!(samples(&more).map(|more| more.len()), Ok(read.len() + 1));
        }
        Err(problem) => {
            assert!(problem.line >= 1 && problem.line <= text.split('\n').count());
        }
    }
}
