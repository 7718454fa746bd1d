//! NGINX's syntax (`src/core/ngx_conf_file.c`): directives, blocks, comments, with their places in
//! the text, so that single words can be replaced and all else stays as it is.

use std::ops::Range;

use crate::engine::UserConfigurationError;

/// A word, without its quotes, and where it stands in the text with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) place: Range<usize>,
}

/// A directive, with the blocks around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive {
    /// Its name first.
    pub(super) words: Vec<Word>,
    /// Line of its name, from 1.
    pub(super) line: usize,
    /// Names of the blocks around it, the outermost first.
    pub(super) within: Vec<String>,
    /// Number of the innermost block around it, in order of opening from 1; 0 is the whole file.
    pub(super) block: usize,
    /// Number of the block that it opens, if it does.
    pub(super) opens: Option<usize>,
    /// The comment behind it on its last line, without `#`; empty if there is none.
    pub(super) comment: String,
    /// From its name to behind its `;` or `{`.
    pub(super) place: Range<usize>,
}

impl Directive {
    pub(super) fn name(&self) -> &str {
        &self.words[0].text
    }

    /// Its first argument; empty without one.
    pub(super) fn argument(&self) -> &str {
        self.words.get(1).map_or("", |word| &word.text)
    }

    pub(super) fn is_in(&self, blocks: &[&str]) -> bool {
        self.within.iter().map(String::as_str).eq(blocks.iter().copied())
    }
}

/// All directives in order.
pub(super) fn parse(text: &str) -> Result<Vec<Directive>, UserConfigurationError> {
    let mut reader = Reader { text, at: 0, open: Vec::new(), blocks: 0, found: Vec::new() };
    reader.read()?;
    Ok(reader.found)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Name and number of each open block.
    open: Vec<(String, usize)>,
    blocks: usize,
    found: Vec<Directive>,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(), UserConfigurationError> {
        let mut words: Vec<Word> = Vec::new();
        while let Some(byte) = self.byte() {
            match byte {
                b if b.is_ascii_whitespace() => self.at += 1,
                b'#' => self.skip_comment(),
                b';' | b'{' => {
                    self.at += 1;
                    self.end(std::mem::take(&mut words), byte == b'{')?;
                }
                b'}' => {
                    if let Some(word) = words.first() {
                        let what = format!("`{}` ends in `}}`: a `;` is missing", word.text);
                        return Err(self.wrong(word.place.start, what));
                    }
                    if self.open.pop().is_none() {
                        return Err(self.wrong(self.at, "this `}` closes nothing".to_owned()));
                    }
                    self.at += 1;
                }
                _ => words.push(self.word()?),
            }
        }
        if let Some(word) = words.first() {
            let what = format!("`{}` has no end: a `;` is missing", word.text);
            return Err(self.wrong(word.place.start, what));
        }
        match self.open.last() {
            Some((name, _)) => {
                Err(self.wrong(self.text.len(), format!("the block `{name}` is not closed")))
            }
            None => Ok(()),
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn wrong(&self, at: usize, what: String) -> UserConfigurationError {
        UserConfigurationError::Syntax { line: line(self.text, at), what }
    }

    fn skip_comment(&mut self) {
        self.at += self.text[self.at..].find('\n').unwrap_or(self.text.len() - self.at);
    }

    fn word(&mut self) -> Result<Word, UserConfigurationError> {
        let start = self.at;
        let quote = self.byte().filter(|byte| matches!(byte, b'"' | b'\''));
        let mut bytes = Vec::new();
        self.at += usize::from(quote.is_some());
        loop {
            let Some(byte) = self.byte() else {
                return match quote {
                    Some(_) => Err(self.wrong(start, "this quote is not closed".to_owned())),
                    None => Ok(self.finish(bytes, start)),
                };
            };
            match (byte, quote) {
                (b'\\', _) if self.at + 1 < self.text.len() => {
                    bytes.extend([b'\\', self.text.as_bytes()[self.at + 1]]);
                    self.at += 2;
                    continue;
                }
                (byte, Some(quote)) if byte == quote => {
                    self.at += 1;
                    return Ok(self.finish(bytes, start));
                }
                // `${name}` is part of a word.
                (b'{', None) if bytes.last() == Some(&b'$') => {}
                (b';' | b'{', None) => return Ok(self.finish(bytes, start)),
                (b, None) if b.is_ascii_whitespace() => return Ok(self.finish(bytes, start)),
                _ => {}
            }
            bytes.push(byte);
            self.at += 1;
        }
    }

    fn finish(&self, bytes: Vec<u8>, start: usize) -> Word {
        Word { text: String::from_utf8_lossy(&bytes).into_owned(), place: start..self.at }
    }

    fn end(&mut self, words: Vec<Word>, opens: bool) -> Result<(), UserConfigurationError> {
        let Some(first) = words.first() else {
            let sign = if opens { '{' } else { ';' };
            return Err(self.wrong(self.at - 1, format!("this `{sign}` follows no directive")));
        };
        if first.text.ends_with("_by_lua_block") {
            let what = format!("`{}`: Lua is not part of NGINX and cannot be read", first.text);
            return Err(self.wrong(first.place.start, what));
        }
        self.blocks += usize::from(opens);
        let directive = Directive {
            line: line(self.text, first.place.start),
            within: self.open.iter().map(|(name, _)| name.clone()).collect(),
            block: self.open.last().map_or(0, |(_, number)| *number),
            opens: opens.then_some(self.blocks),
            comment: self.comment_behind(),
            place: first.place.start..self.at,
            words,
        };
        if opens {
            self.open.push((directive.name().to_owned(), self.blocks));
        }
        self.found.push(directive);
        Ok(())
    }

    fn comment_behind(&self) -> String {
        let rest = self.text[self.at..].lines().next().unwrap_or_default().trim();
        rest.strip_prefix('#').unwrap_or_default().trim().to_owned()
    }
}

/// The line of the byte at `at`, from 1.
fn line(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_blocks_and_comments_are_told_apart() {
        let text = "a 'b;c' ${d}; # e\nhttp { # f\n  server\n  \"x\\\"y\"; }\n";
        let found = parse(text).expect("valid");
        let words = |directive: &Directive| -> Vec<String> {
            directive.words.iter().map(|word| word.text.clone()).collect()
        };
        assert_eq!(words(&found[0]), ["a", "b;c", "${d}"]);
        assert_eq!((found[0].comment.as_str(), found[0].line), ("e", 1));
        assert_eq!((found[1].name(), found[1].opens), ("http", Some(1)));
        assert_eq!(words(&found[2]), ["server", "x\\\"y"]);
        assert!(found[2].is_in(&["http"]) && found[2].line == 3 && found[2].block == 1);
        assert_eq!(&text[found[2].words[1].place.clone()], "\"x\\\"y\"");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, expected) in [
            ("a b\n}", "line 1: `a` ends in `}`: a `;` is missing"),
            ("\n}", "line 2: this `}` closes nothing"),
            ("http {\n", "line 2: the block `http` is not closed"),
            ("a 'b", "line 1: this quote is not closed"),
            (";", "line 1: this `;` follows no directive"),
            ("a", "line 1: `a` has no end: a `;` is missing"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), expected, "{text}");
        }
    }
}
