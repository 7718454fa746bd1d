//! A run as one page of HTML that needs nothing beside it: no network, no other file.
//!
//! The page is `page.html` with its style, its scripts and its data put in. Everything that is shown
//! is in the data; the scripts decide how. They are plain functions in files of their own, tested
//! with Node in `tests/html_report/`.

mod facts;
mod happening;
mod pack;
mod records;
mod replay;
mod series;
mod window;

use std::path::Path;

use serde::Serialize;

use crate::compare::{EnginesResults, Results};
use crate::record::{Manifest, RecordError};
use crate::scenario::Scenario;
use facts::Facts;
use records::Records;

/// A run, or what one engine did in a comparison.
#[derive(Debug)]
pub struct Part<'a> {
    /// The engine's name in a comparison; else empty.
    pub label: &'a str,
    /// Where its records are.
    pub folder: &'a Path,
    /// What it was.
    pub manifest: &'a Manifest,
    /// The scenario, as its engine ran it.
    pub scenario: &'a Scenario,
    /// Its numbers, as they were saved.
    pub results: &'a Results,
}

#[derive(Serialize)]
struct Page<'a> {
    version: &'static str,
    parts: Vec<PartData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    engines: Option<EnginesData<'a>>,
}

#[derive(Serialize)]
struct PartData<'a> {
    label: &'a str,
    manifest: &'a Manifest,
    facts: Facts,
    results: Results,
    records: Records,
}

/// What engines are compared by.
#[derive(Serialize)]
struct EnginesData<'a> {
    labels: Vec<&'a str>,
    order: &'a [Vec<String>],
    statistics: &'a [crate::compare::statistic::Statistic],
    apart: &'a [crate::compare::engines::Apart],
    gaps: Vec<&'a [crate::engine::Gap]>,
}

/// The page of a run, or of a comparison of engines with a part for each.
///
/// # Errors
/// When a record cannot be read.
pub fn render(parts: &[Part<'_>], engines: Option<&EnginesResults>) -> Result<String, RecordError> {
    let worlds: usize = parts.iter().map(|part| part.results.worlds.len()).sum();
    let most = window::REQUESTS / worlds.max(1);
    let data = Page {
        version: env!("CARGO_PKG_VERSION"),
        parts: parts.iter().map(|part| part_data(part, most)).collect::<Result<_, _>>()?,
        engines: engines.map(|results| EnginesData {
            labels: results.engines.iter().map(|engine| engine.label.as_str()).collect(),
            order: &results.order,
            statistics: &results.statistics,
            apart: &results.apart,
            gaps: results.engines.iter().map(|engine| &engine.gaps[..]).collect(),
        }),
    };
    let title = match parts.first() {
        Some(part) => format!("{} – {}", part.results.scenario, part.results.run),
        None => "lab".to_owned(),
    };
    Ok(assemble(&title, &serde_json::to_string(&data).unwrap_or_default()))
}

fn part_data<'a>(part: &Part<'a>, most: usize) -> Result<PartData<'a>, RecordError> {
    let facts = Facts::of(part.scenario);
    let records = records::read(part.folder, part.results, &facts, most)?;
    let mut results = part.results.clone();
    // The charts have them per bin.
    for world in &mut results.worlds {
        world.seconds.clear();
        world.in_flight.clear();
    }
    Ok(PartData { label: part.label, manifest: part.manifest, facts, results, records })
}

/// In the order in which they use one another.
const SCRIPTS: [&str; 14] = [
    include_str!("number.js"),
    include_str!("table.js"),
    include_str!("chart.js"),
    include_str!("toml.js"),
    include_str!("replay.js"),
    include_str!("layout.js"),
    include_str!("scene.js"),
    include_str!("stage.js"),
    include_str!("words.js"),
    include_str!("believe.js"),
    include_str!("over_time.js"),
    include_str!("details.js"),
    include_str!("engines.js"),
    include_str!("page.js"),
];

fn assemble(title: &str, data: &str) -> String {
    let fill = [
        ("{{title}}", escaped(title)),
        ("{{style}}", include_str!("page.css").to_owned()),
        ("{{script}}", SCRIPTS.join("\n")),
        // Inside of a script only this could end it.
        ("{{data}}", data.replace('<', "\\u003c")),
    ];
    let mut rest = include_str!("page.html");
    let mut page = String::new();
    for (mark, text) in fill {
        let (before, after) = rest.split_once(mark).unwrap_or((rest, ""));
        page.push_str(before);
        page.push_str(&text);
        rest = after;
    }
    page + rest
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_the_data_can_end_the_script_that_holds_it() {
        let page = assemble("a < b", r#"{"text":"</script><script>alert(1)</script>{{script}}"}"#);
        assert!(page.contains("<title>a &lt; b"), "{}", &page[..300]);
        assert!(page.contains(r#""text":"\u003c/script>\u003cscript>alert(1)"#));
        assert_eq!(page.matches("</script>").count(), 2);
        // The one address in it is the name of SVG.
        let page = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!page.contains("http://") && !page.contains("https://"), "the page is whole");
    }
}
