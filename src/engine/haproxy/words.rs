//! The lines of a `haproxy.cfg` as words, as HAProxy separates them (configuration manual, 2.2:
//! quoting and escaping).

use std::ops::Range;

use crate::engine::UserConfigurationError;

/// A line with at least one word.
pub(super) struct Line<'a> {
    /// Counted from 1.
    pub(super) number: usize,
    pub(super) words: Vec<Word>,
    /// What stands behind `#`.
    pub(super) comment: &'a str,
    /// Where the next line begins.
    pub(super) end: usize,
}

/// A word without its quotes, and with them its bytes in the text.
pub(super) struct Word {
    pub(super) text: String,
    pub(super) place: Range<usize>,
}

impl Line<'_> {
    /// Its first word.
    pub(super) fn name(&self) -> &str {
        self.words.first().map_or("", |word| word.text.as_str())
    }

    /// The value behind the word `name`, which is not among the first two.
    pub(super) fn after(&self, name: &str) -> Option<&Word> {
        let first = if self.name() == "default-server" { 1 } else { 3 };
        let mut words = self.words.iter().skip(first);
        words.find(|word| word.text == name)?;
        words.next()
    }
}

/// The lines that have words.
///
/// # Errors
/// A quote that does not end in its line.
pub(super) fn lines(text: &str) -> Result<Vec<Line<'_>>, UserConfigurationError> {
    let (mut found, mut start) = (Vec::new(), 0);
    for (place, line) in text.split_inclusive('\n').enumerate() {
        let end = start + line.len();
        let (words, comment) = words(line, start).ok_or(UserConfigurationError::Syntax {
            line: place + 1,
            what: "a quote that does not end in its line".to_owned(),
        })?;
        if !words.is_empty() {
            found.push(Line { number: place + 1, words, comment, end });
        }
        start = end;
    }
    Ok(found)
}

/// The words and the comment of a line that begins at byte `start`; `None` within a quote at its
/// end.
fn words(line: &str, start: usize) -> Option<(Vec<Word>, &str)> {
    let (mut words, mut word): (Vec<Word>, Option<Word>) = (Vec::new(), None);
    let mut quote = None;
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => word.as_mut()?.text.push(c),
            (None, '#') => {
                words.extend(word.take());
                return Some((words, line[at + 1..].trim()));
            }
            (None, c) if c.is_ascii_whitespace() => words.extend(word.take()),
            (_, c) => {
                let place = start + at..start + at;
                let word = word.get_or_insert(Word { text: String::new(), place });
                match c {
                    '\\' => word.text.extend(chars.next().map(|(_, c)| c)),
                    '\'' | '"' if quote.is_none() => quote = Some(c),
                    c => word.text.push(c),
                }
            }
        }
        if let Some(word) = &mut word {
            let next = chars.clone().next().map_or(line.len(), |(next, _)| next);
            word.place.end = start + next;
        }
    }
    words.extend(word);
    quote.is_none().then_some((words, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_separated_as_haproxy_does() {
        let text = "a 'b #c'\"d e\" f\\ g\\#h # i\n\n  j'k'l";
        let lines = lines(text).unwrap();
        let words = |line: &Line<'_>| -> Vec<String> {
            line.words.iter().map(|word| word.text.clone()).collect()
        };
        assert_eq!(words(&lines[0]), ["a", "b #cd e", "f g#h"]);
        assert_eq!(lines[0].comment, "i");
        assert_eq!((lines[1].number, words(&lines[1])), (3, vec!["jkl".to_owned()]));
        let places: Vec<&str> = lines
            .iter()
            .flat_map(|line| &line.words)
            .map(|word| &text[word.place.clone()])
            .collect();
        assert_eq!(places, ["a", "'b #c'\"d e\"", "f\\ g\\#h", "j'k'l"]);
    }

    #[test]
    fn a_quote_that_stays_open_is_an_error() {
        for text in ["a 'b\nc'", "a \"b", "a 'b\\'"] {
            assert_eq!(lines(text).is_err(), !text.ends_with("\\'"), "{text}");
        }
    }
}
