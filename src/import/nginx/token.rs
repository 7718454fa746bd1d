//! The words of `nginx.conf`, by the rules of `ngx_conf_read_token` (src/core/ngx_conf_file.c).

use std::iter::Peekable;
use std::str::Chars;
use std::sync::Arc;

use crate::import::{ImportError, Origin};

/// NGINX reads through a buffer of this size and refuses what does not fit into it.
const LONGEST_WORD: usize = 4096;

/// What a configuration consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name or a parameter, without quotes and escapes.
    Word(String),
    /// `;`
    Semicolon,
    /// `{`
    Open,
    /// `}`
    Close,
}

/// Reads tokens with their lines.
pub(super) struct Tokens<'a> {
    chars: Peekable<Chars<'a>>,
    file: Arc<str>,
    line: u32,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str, file: &Arc<str>) -> Self {
        Self { chars: text.chars().peekable(), file: Arc::clone(file), line: 1 }
    }

    /// Where reading has come to.
    pub(super) fn here(&self) -> Origin {
        Origin::new(&self.file, self.line)
    }

    /// The next token; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<(Token, Origin)>, ImportError> {
        self.skip_blank();
        let origin = self.here();
        let Some(first) = self.take() else { return Ok(None) };
        let token = match first {
            ';' => Token::Semicolon,
            '{' => Token::Open,
            '}' => Token::Close,
            '"' | '\'' => Token::Word(self.quoted(first, &origin)?),
            _ => Token::Word(self.plain(first, &origin)?),
        };
        Ok(Some((token, origin)))
    }

    fn take(&mut self) -> Option<char> {
        let taken = self.chars.next();
        self.line += u32::from(taken == Some('\n'));
        taken
    }

    fn skip_blank(&mut self) {
        while let Some(next) = self.chars.peek() {
            if *next == '#' {
                while self.chars.peek().is_some_and(|c| *c != '\n') {
                    self.take();
                }
            } else if !is_blank(*next) {
                return;
            }
            self.take();
        }
    }

    fn quoted(&mut self, quote: char, origin: &Origin) -> Result<String, ImportError> {
        let mut word = String::new();
        loop {
            match self.take() {
                None => return Err(origin.error(format!("the quote {quote} is not closed"))),
                Some('\\') => self.escape(&mut word),
                Some(c) if c == quote => break,
                Some(c) => word.push(c),
            }
            self.check_length(&word, origin)?;
        }
        match self.chars.peek() {
            None | Some(';' | '{' | ')') => Ok(word),
            Some(c) if is_blank(*c) => Ok(word),
            Some(c) => {
                let message = format!("`{}` directly behind a closing quote", c.escape_default());
                Err(self.here().error(message))
            }
        }
    }

    fn plain(&mut self, first: char, origin: &Origin) -> Result<String, ImportError> {
        let mut word = String::new();
        if first == '\\' {
            self.escape(&mut word);
        } else {
            word.push(first);
        }
        let mut after_dollar = first == '$';
        while let Some(next) = self.chars.peek().copied() {
            // `${name}` is a variable, any other brace begins a block.
            if is_blank(next) || next == ';' || (next == '{' && !after_dollar) {
                break;
            }
            self.take();
            after_dollar = next == '$';
            if next == '\\' {
                self.escape(&mut word);
            } else {
                word.push(next);
            }
            self.check_length(&word, origin)?;
        }
        Ok(word)
    }

    /// A backslash was taken. Only these are escapes; before others it stays, as for regular
    /// expressions.
    fn escape(&mut self, word: &mut String) {
        match self.take() {
            Some(c @ ('"' | '\'' | '\\')) => word.push(c),
            Some('t') => word.push('\t'),
            Some('r') => word.push('\r'),
            Some('n') => word.push('\n'),
            Some(c) => word.extend(['\\', c]),
            None => word.push('\\'),
        }
    }

    fn check_length(&self, word: &str, origin: &Origin) -> Result<(), ImportError> {
        if word.len() < LONGEST_WORD {
            return Ok(());
        }
        let start: String = word.chars().take(20).collect();
        let message = format!("`{start}…` is too long a parameter; is a `;` or a quote missing?");
        Err(origin.error(message))
    }

    /// Skips foreign code behind the opening brace that was just read, up to its closing brace.
    pub(super) fn skip_code(&mut self, origin: &Origin) -> Result<(), ImportError> {
        let mut depth = 1_u32;
        while depth > 0 {
            match self.take() {
                None => return Err(origin.error("the block is not closed; a `}` is missing")),
                Some('{') => depth += 1,
                Some('}') => depth -= 1,
                Some(_) => {}
            }
        }
        Ok(())
    }
}

const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Vec<String>, ImportError> {
        let mut tokens = Tokens::new(text, &Arc::from("t"));
        let mut found = Vec::new();
        while let Some((token, origin)) = tokens.next()? {
            found.push(match token {
                Token::Word(word) => format!("{}:{word}", origin.line),
                other => format!("{other:?}"),
            });
        }
        Ok(found)
    }

    #[test]
    fn words_end_where_they_end_for_nginx() {
        assert_eq!(
            words("a b;\nc{d}").unwrap(),
            ["1:a", "1:b", "Semicolon", "2:c", "Open", "2:d}"]
        );
        assert_eq!(words("set ${x}y z;").unwrap(), ["1:set", "1:${x}y", "1:z", "Semicolon"]);
        assert_eq!(words("a#b # c\n;").unwrap(), ["1:a#b", "Semicolon"]);
        assert_eq!(
            words(r#"x 'a "b"' "c\"\t\d";"#).unwrap(),
            ["1:x", "1:a \"b\"", "1:c\"\t\\d", "Semicolon"]
        );
        assert_eq!(words(r"x a\ b;").unwrap(), ["1:x", r"1:a\ b", "Semicolon"]);
        assert_eq!(words("}").unwrap(), ["Close"]);
    }

    #[test]
    fn quotes_must_close_and_stand_alone() {
        assert_eq!(words("a\n 'b").unwrap_err().to_string(), "t:2: the quote ' is not closed");
        assert!(words("a 'b'c;").unwrap_err().message.contains("`c` directly behind"));
        assert!(words(&"a".repeat(5000)).unwrap_err().message.contains("too long"));
    }
}
