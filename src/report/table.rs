//! Tables for the terminal: the first column to the left, numbers to the right, two spaces apart.

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Text alone, for pipes, files and `NO_COLOR`.
    Plain,
    /// ANSI escapes.
    Ansi,
}

impl Paint {
    /// For headings.
    #[must_use]
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// For what held.
    #[must_use]
    pub fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// For what failed.
    #[must_use]
    pub fn bad(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    /// For what needs attention.
    #[must_use]
    pub fn warning(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// For what may be overlooked.
    #[must_use]
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Ansi => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
}

/// Lays `rows` out. The first row is the heading.
#[must_use]
pub fn lay_out(rows: &[Vec<String>], paint: Paint) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max())
        .map(Option::unwrap_or_default)
        .collect();
    let mut shown = String::new();
    for (number, row) in rows.iter().enumerate() {
        let mut line = String::from("  ");
        for (column, cell) in row.iter().enumerate() {
            let gap = " ".repeat(widths[column] - width(cell));
            let (before, after) = if column == 0 { ("", gap.as_str()) } else { (gap.as_str(), "") };
            line.push_str(if column == 0 { "" } else { "  " });
            line.push_str(before);
            line.push_str(cell);
            line.push_str(after);
        }
        let line = line.trim_end();
        shown.push_str(&if number == 0 { paint.dim(line) } else { line.to_owned() });
        shown.push('\n');
    }
    shown
}

/// Characters that take a place; those of a colour take none.
#[must_use]
pub fn width(cell: &str) -> usize {
    let mut places = 0;
    let mut escape = false;
    for c in cell.chars() {
        match (escape, c) {
            (false, '\u{1b}') => escape = true,
            (false, _) => places += 1,
            (true, c) => escape = c != 'm',
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_take_no_place() {
        assert_eq!(width(&Paint::Ansi.bad("−12%")), 4);
        let coloured = vec![vec!["a".to_owned(), Paint::Ansi.good("1")]];
        let plain = vec![vec!["a".to_owned(), "1".to_owned()]];
        let shown = lay_out(&coloured, Paint::Plain);
        assert_eq!(shown.replace(&Paint::Ansi.good("1"), "1"), lay_out(&plain, Paint::Plain));
    }

    #[test]
    fn numbers_line_up_on_the_right() {
        let rows = [["", "sim", "live"], ["p50", "1.00ms", "12.00ms"], ["failed", "3", "−1"]];
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect();
        let expected =
            "             sim     live\n  p50     1.00ms  12.00ms\n  failed       3       −1\n";
        assert_eq!(lay_out(&rows, Paint::Plain), expected);
    }
}
