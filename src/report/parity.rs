//! What stands before a comparison of engines: whether they were set alike, and what each cannot do.

use super::table::Paint;
use crate::compare::EngineColumn;
use crate::engine::Gap;
use crate::record::manifest::Engine;

/// Width of a page: the whole report stays within it.
pub(super) const PAGE: usize = 100;
/// Digits of a hash that tell two configurations apart.
const SHOWN_DIGITS: usize = 12;

/// One setting: its name, and each engine's value.
struct Row {
    name: String,
    values: Vec<String>,
}

impl Row {
    /// Whether the engines differ in it. What sets them apart by nature does not count.
    fn differs(&self) -> bool {
        !["version", "config hash"].contains(&self.name.as_str())
            && self.values.iter().any(|value| *value != self.values[0])
    }
}

/// The settings of the engines side by side, a row for each; those that differ are marked. Empty
/// if the live world did not run.
#[must_use]
pub fn parity_box(engines: &[EngineColumn], paint: Paint) -> String {
    let facts: Vec<&Engine> = engines.iter().filter_map(|engine| engine.facts.as_ref()).collect();
    if facts.is_empty() || facts.len() != engines.len() {
        return String::new();
    }
    let rows = rows(&facts);
    let first = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max(10);
    let column = (PAGE - first - 4) / facts.len() - 2;
    let mut text = String::new();
    let labels: Vec<String> = engines.iter().map(|engine| engine.label.clone()).collect();
    for line in lines("settings", &labels, first, column) {
        text.push_str(&format!("  {}\n", paint.dim(line.trim_end())));
    }
    for row in &rows {
        let mark = if row.differs() { paint.warning("≠") } else { " ".to_owned() };
        for (number, line) in lines(&row.name, &row.values, first, column).iter().enumerate() {
            let mark = if number == 0 { mark.as_str() } else { " " };
            text.push_str(format!("{mark} {line}").trim_end());
            text.push('\n');
        }
    }
    if rows.iter().any(Row::differs) {
        text.push_str(&format!("{} not the same in all engines\n", paint.warning("≠")));
    }
    text + "\n"
}

/// Name and version, then each setting in the order of its first mention, then the hash.
fn rows(facts: &[&Engine]) -> Vec<Row> {
    let row = |name: &str, value: &dyn Fn(&Engine) -> String| Row {
        name: name.to_owned(),
        values: facts.iter().map(|engine| value(engine)).collect(),
    };
    let mut rows = vec![row("version", &|engine| engine.version.clone())];
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in facts.iter().flat_map(|engine| &engine.settings) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    for name in names {
        rows.push(row(name, &|engine| {
            let found = engine.settings.iter().find(|(other, _)| other == name);
            found.map_or_else(|| "–".to_owned(), |(_, value)| value.clone())
        }));
    }
    rows.push(row("config hash", &|engine| {
        engine.config_sha256.chars().take(SHOWN_DIGITS).collect()
    }));
    rows
}

/// A row whose values are wrapped to their columns.
fn lines(name: &str, values: &[String], first: usize, column: usize) -> Vec<String> {
    let wrapped: Vec<Vec<String>> = values.iter().map(|value| wrap(value, column)).collect();
    let height = wrapped.iter().map(Vec::len).max().unwrap_or(1).max(1);
    (0..height)
        .map(|line| {
            let mut shown = format!("{:first$}", if line == 0 { name } else { "" });
            for value in &wrapped {
                let part = value.get(line).map_or("", String::as_str);
                shown.push_str(&format!("  {part:column$}"));
            }
            shown
        })
        .collect()
}

/// `text` in lines of at most `width` characters, broken between words where that is possible.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        let used = lines.last().map_or(0, |line| line.chars().count());
        if used > 0 && used + 1 + word.len() > width {
            lines.push(String::new());
        }
        while word.len() > width {
            let rest = word.split_off(width);
            lines.last_mut().expect("never empty").extend(word);
            lines.push(String::new());
            word = rest;
        }
        let line = lines.last_mut().expect("never empty");
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word);
    }
    lines
}

/// What each engine cannot do, a line or more for each; empty if all can do everything.
#[must_use]
pub fn gaps<'a>(engines: impl IntoIterator<Item = (&'a str, &'a [Gap])>, paint: Paint) -> String {
    let mut text = String::new();
    for (label, gaps) in engines {
        for gap in gaps {
            for (number, line) in wrap(&format!("{label}: {gap}"), PAGE - 4).iter().enumerate() {
                let indent = if number == 0 { "  " } else { "    " };
                text.push_str(&format!("{indent}{line}\n"));
            }
        }
    }
    if text.is_empty() {
        return text;
    }
    format!("{}\n{text}\n", paint.dim("  what an engine cannot do, and what is done instead"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_broken_between_words_or_where_they_must() {
        assert_eq!(wrap("error timeout http_500", 14), ["error timeout", "http_500"]);
        assert_eq!(wrap("0123456789abcdef x", 10), ["0123456789", "abcdef x"]);
        assert_eq!(wrap("", 5), [""]);
    }

    #[test]
    fn no_gap_is_no_text() {
        assert_eq!(gaps([("own", &[][..])], Paint::Plain), "");
        let gap = [Gap::new("balancer.health", "it has none", "failures of requests")];
        let text = gaps([("nginx", &gap[..])], Paint::Plain);
        assert!(
            text.contains("  nginx: balancer.health: it has none; instead: failures"),
            "{text}"
        );
    }
}
