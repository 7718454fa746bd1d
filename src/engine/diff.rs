//! What was changed in a text, as a unified diff (POSIX `diff -u`).

use std::fmt::Write as _;

/// Unchanged lines around a change.
const CONTEXT: usize = 3;
/// Beyond this many pairs of lines the changed middle is shown as a whole.
const MOST_PAIRS: usize = 4_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line<'a> {
    Same(&'a str),
    Gone(&'a str),
    New(&'a str),
}

/// The unified diff from `before` to `after`, with these names in its head; empty if they are equal.
#[must_use]
pub fn unified(names: (&str, &str), before: &str, after: &str) -> String {
    let (before, after): (Vec<&str>, Vec<&str>) =
        (before.lines().collect(), after.lines().collect());
    let lines = compare(&before, &after);
    let mut text = String::new();
    for (from, until) in hunks(&lines) {
        if text.is_empty() {
            let _ = write!(text, "--- {}\n+++ {}\n", names.0, names.1);
        }
        hunk(&mut text, &lines, from, until);
    }
    text
}

/// All lines in order, those that went before those that came.
fn compare<'a>(before: &[&'a str], after: &[&'a str]) -> Vec<Line<'a>> {
    let head = before.iter().zip(after).take_while(|(old, new)| old == new).count();
    let tails = before[head..].iter().rev().zip(after[head..].iter().rev());
    let tail = tails.take_while(|(old, new)| old == new).count();
    let (old, new) = (&before[head..before.len() - tail], &after[head..after.len() - tail]);
    let mut lines: Vec<_> = before[..head].iter().map(|line| Line::Same(line)).collect();
    lines.extend(middle(old, new));
    lines.extend(before[before.len() - tail..].iter().map(|line| Line::Same(line)));
    lines
}

/// By the longest common subsequence, from a table of lengths.
fn middle<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    if old.len() * new.len() > MOST_PAIRS {
        let gone = old.iter().map(|line| Line::Gone(line));
        return gone.chain(new.iter().map(|line| Line::New(line))).collect();
    }
    let width = new.len() + 1;
    let mut common = vec![0_u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i * width + j] = if old[i] == new[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        let both = i < old.len() && j < new.len();
        if both && old[i] == new[j] {
            lines.push(Line::Same(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len()
            || (both && common[(i + 1) * width + j] >= common[i * width + j + 1])
        {
            lines.push(Line::Gone(old[i]));
            i += 1;
        } else {
            lines.push(Line::New(new[j]));
            j += 1;
        }
    }
    lines
}

/// Ranges of lines that hold changes and what surrounds them.
fn hunks(lines: &[Line<'_>]) -> Vec<(usize, usize)> {
    let mut hunks: Vec<(usize, usize)> = Vec::new();
    let changed = lines.iter().enumerate().filter(|(_, line)| !matches!(line, Line::Same(_)));
    for (place, _) in changed {
        let (from, until) = (place.saturating_sub(CONTEXT), (place + CONTEXT + 1).min(lines.len()));
        match hunks.last_mut() {
            Some(last) if from <= last.1 => last.1 = until,
            _ => hunks.push((from, until)),
        }
    }
    hunks
}

fn hunk(text: &mut String, lines: &[Line<'_>], from: usize, until: usize) {
    let count = |lines: &[Line<'_>]| {
        let new = lines.iter().filter(|line| matches!(line, Line::New(_))).count();
        let gone = lines.iter().filter(|line| matches!(line, Line::Gone(_))).count();
        (lines.len() - new, lines.len() - gone)
    };
    let ((old_before, new_before), (old, new)) =
        (count(&lines[..from]), count(&lines[from..until]));
    // Lines count from 1; a range without lines is named by the line before it.
    let start = |before: usize, length: usize| before + usize::from(length != 0);
    let (old_start, new_start) = (start(old_before, old), start(new_before, new));
    let _ = writeln!(text, "@@ -{old_start},{old} +{new_start},{new} @@");
    for line in &lines[from..until] {
        let (sign, line) = match line {
            Line::Same(line) => (' ', line),
            Line::Gone(line) => ('-', line),
            Line::New(line) => ('+', line),
        };
        let _ = writeln!(text, "{sign}{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_no_difference() {
        assert_eq!(unified(("a", "b"), "x\ny\n", "x\ny\n"), "");
    }

    #[test]
    fn changes_stand_in_their_context() {
        let before: String = (1..=12).map(|n| format!("{n}\n")).collect();
        let after = before.replace("\n2\n", "\ntwo\n").replace("\n11\n", "\n11\nmore\n");
        let expected = "--- mine\n+++ run\n@@ -1,5 +1,5 @@\n 1\n-2\n+two\n 3\n 4\n 5\n\
                        @@ -9,4 +9,5 @@\n 9\n 10\n 11\n+more\n 12\n";
        assert_eq!(unified(("mine", "run"), &before, &after), expected);
    }

    #[test]
    fn near_changes_share_a_hunk_and_all_may_go() {
        let diff = unified(("a", "b"), "1\n2\n3\n4\n", "one\n2\n3\nfour\n");
        assert_eq!(diff.matches("@@ -1,4 +1,4 @@").count(), 1, "{diff}");
        assert_eq!(unified(("a", "b"), "1\n", ""), "--- a\n+++ b\n@@ -1,1 +0,0 @@\n-1\n");
    }
}
