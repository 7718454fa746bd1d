//! In what two scenarios differ, by what they mean and not by how they are written.
//!
//! What means the same is for the reader itself to say, so that no default and no unit is known
//! twice. Every key that is written differently is a candidate. One after the other is put back in
//! the second scenario to how the first has it; where lab reads the very same system from that, the
//! difference was one of writing. What stays is the least that turns the first into the second: no
//! key of it could be left out.

mod candidate;
mod patch;

use std::path::Path;

use serde::Serialize;
use serde_json::Value as Json;

use super::diagnostic::{Diagnostics, Problems};
use super::file::ScenarioFile;
use super::lower::{self, Surroundings};
use super::reader::Read as _;
use super::tree::{self, Node, Value};
use super::{Scenario, load, schema};

/// A scenario as it is written.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    /// The text.
    pub text: &'a str,
    /// Where it came from; what it names is relative to that.
    pub path: &'a Path,
    /// Keys that are replaced in it, as [`super::load_with`] takes them.
    pub overrides: &'a [(String, String)],
}

/// A key whose meaning differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Path of the key; a member of a list of tables stands under its name.
    pub key: String,
    /// The value in the first scenario; `None` if it does not say.
    pub a: Option<Json>,
    /// The value in the second.
    pub b: Option<Json>,
    /// What holds where it is not said, in words; `None` if nothing does.
    pub default: Option<String>,
}

/// In what two scenarios differ.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Differences {
    /// The keys whose meaning differs, in the order of the first scenario.
    pub differences: Vec<Difference>,
    /// Keys that are written differently, or in one of them alone, and mean the same.
    pub same_meaning: Vec<String>,
}

/// Compares two scenarios. The order of keys, and of members with a name, is no difference, but for
/// stages, which follow each other.
///
/// # Errors
/// What is wrong with either.
pub fn differences(a: Written<'_>, b: Written<'_>) -> Result<Differences, Diagnostics> {
    let (first, second) = (a.tree()?, b.tree()?);
    let candidates = candidate::between(&first, &second);
    let meaning = |tree: &Node| meaning(tree, b);
    let wanted = meaning(&second);
    let mut now = second;
    let mut found = Differences::default();
    let schema = schema::schema();
    for candidate in &candidates {
        let mut tried = now.clone();
        candidate.put_back(&mut tried);
        if wanted.is_some() && meaning(&tried) == wanted {
            now = tried;
            found.same_meaning.push(candidate.key());
        } else {
            found.differences.push(candidate.difference(&schema));
        }
    }
    Ok(found)
}

impl Written<'_> {
    /// The whole tree, with overrides applied, and with the files it names made relative to here.
    fn tree(&self) -> Result<Node, Diagnostics> {
        load::parse_with(self.text, self.path, self.overrides)?;
        let mut problems = Problems::default();
        let root = tree::parse(self.text, &mut problems);
        let mut root = root.unwrap_or_else(|| Node {
            place: super::diagnostic::Place::default(),
            value: Value::Table(Vec::new()),
        });
        for (number, (key, value)) in self.overrides.iter().enumerate() {
            tree::graft(&mut root, number, key, value, &mut problems);
        }
        let folder = self.path.parent().unwrap_or(Path::new(""));
        for path in [&["host", "calibration"][..], &["traffic", "arrival", "file"]] {
            if let Some(Value::Text(name)) =
                patch::find(&mut root, path).map(|node| &mut node.value)
            {
                *name = folder.join(&*name).display().to_string();
            }
        }
        Ok(root)
    }
}

/// What lab reads from `tree`, apart from how and where it is written; `None` if that is wrong.
fn meaning(tree: &Node, written: Written<'_>) -> Option<Scenario> {
    // Files are relative to here already, so the folder must not be put before them again.
    let path = Path::new(written.path.file_name()?);
    let around = Surroundings { path, text: "", overrides: &[] };
    let mut problems = Problems::default();
    let file = ScenarioFile::read(tree, &mut problems)?;
    let mut scenario = lower::scenario(&file, &around, &mut problems);
    for check in &mut scenario.checks {
        check.text.clear();
    }
    problems.is_empty().then_some(scenario)
}

#[cfg(test)]
mod tests;
