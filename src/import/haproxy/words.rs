//! The words of a line of `haproxy.cfg`, by the rules of `parse_line` (src/tools.c).

use crate::import::{ImportError, Origin};

/// HAProxy refuses lines with more.
const MOST_WORDS: usize = 64;

/// Splits a line; `variable` gives the variables of the environment, which `"$NAME"` stands for.
pub(super) fn words(
    line: &str,
    origin: &Origin,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<String>, ImportError> {
    let mut reader = Reader { rest: line, words: Vec::new(), word: None };
    while let Some(next) = reader.take() {
        match next {
            '#' => break,
            ' ' | '\t' | '\r' => reader.end_word(),
            '\\' => reader.escape(false, origin)?,
            '\'' => reader.strong(origin)?,
            '"' => reader.weak(origin, variable)?,
            other => reader.push(other),
        }
    }
    reader.end_word();
    if reader.words.len() > MOST_WORDS {
        return Err(origin.error(format!("more than {MOST_WORDS} words in a line")));
    }
    Ok(reader.words)
}

struct Reader<'a> {
    rest: &'a str,
    words: Vec<String>,
    /// The word that was begun; quotes begin one even if nothing is in them.
    word: Option<String>,
}

impl Reader<'_> {
    fn take(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn end_word(&mut self) {
        self.words.extend(self.word.take());
    }

    /// A backslash was taken.
    fn escape(&mut self, quoted: bool, origin: &Origin) -> Result<(), ImportError> {
        let Some(next) = self.take() else {
            return Err(origin.error("a `\\` at the end of the line escapes nothing"));
        };
        let plain = match next {
            'n' if !quoted => '\n',
            'r' if !quoted => '\r',
            't' if !quoted => '\t',
            'x' if !quoted => {
                let digits = self.rest.get(..2).unwrap_or("");
                let code = u8::from_str_radix(digits, 16).ok().filter(u8::is_ascii);
                let message = format!("`\\x{digits}` is no ASCII character");
                let code = code.ok_or_else(|| origin.error(message))?;
                self.rest = &self.rest[2..];
                char::from(code)
            }
            '\\' | '"' | '$' => next,
            ' ' | '#' | '\'' if !quoted => next,
            other => {
                self.push('\\');
                other
            }
        };
        self.push(plain);
        Ok(())
    }

    fn strong(&mut self, origin: &Origin) -> Result<(), ImportError> {
        self.word.get_or_insert_default();
        let Some(end) = self.rest.find('\'') else {
            return Err(origin.error("the quote ' is not closed"));
        };
        self.word.get_or_insert_default().push_str(&self.rest[..end]);
        self.rest = &self.rest[end + 1..];
        Ok(())
    }

    fn weak(
        &mut self,
        origin: &Origin,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), ImportError> {
        self.word.get_or_insert_default();
        loop {
            match self.take() {
                None => return Err(origin.error("the quote \" is not closed")),
                Some('"') => return Ok(()),
                Some('\\') => self.escape(true, origin)?,
                Some('$') => self.expand(origin, variable)?,
                Some(other) => self.push(other),
            }
        }
    }

    /// `$NAME` or `${NAME}`, `${NAME-default}`.
    fn expand(
        &mut self,
        origin: &Origin,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), ImportError> {
        let braced = self.rest.starts_with('{');
        self.rest = self.rest.strip_prefix('{').unwrap_or(self.rest);
        let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let length = self.rest.find(|c| !part(c)).unwrap_or(self.rest.len());
        let (name, after) = self.rest.split_at(length);
        if name.is_empty() {
            return Err(origin.error("a `$` in double quotes without the name of a variable"));
        }
        let mut fallback = None;
        self.rest = after;
        if braced {
            let Some(end) = after.find('}') else {
                return Err(origin.error("the brace behind `$` is not closed"));
            };
            fallback = after[..end].strip_prefix('-').map(str::to_owned);
            self.rest = &after[end + 1..];
        }
        let value = variable(name).or(fallback).unwrap_or_default();
        self.word.get_or_insert_default().push_str(&value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn read(line: &str) -> Result<Vec<String>, String> {
        let variable = |name: &str| (name == "PORT").then(|| "8080".to_owned());
        words(line, &Origin::new(&Arc::from("h"), 3), &variable).map_err(|error| error.to_string())
    }

    #[test]
    fn words_are_those_of_haproxy() {
        assert_eq!(read("  server a  127.0.0.1:80 # x").unwrap(), ["server", "a", "127.0.0.1:80"]);
        assert_eq!(read(r#"a "b c" 'd "e"' f\ g"#).unwrap(), ["a", "b c", "d \"e\"", "f g"]);
        assert_eq!(
            read(r#"bind ":${PORT}" "$NONE" "${NONE-7}""#).unwrap(),
            ["bind", ":8080", "", "7"]
        );
        assert_eq!(read(r"a '$PORT' \#b \x41").unwrap(), ["a", "$PORT", "#b", "A"]);
        assert_eq!(read("").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn open_quotes_name_the_line() {
        assert_eq!(read("a 'b").unwrap_err(), "h:3: the quote ' is not closed");
        assert_eq!(read("a \"b").unwrap_err(), "h:3: the quote \" is not closed");
        assert!(read("a \\").is_err());
        assert!(read("a \\xé").is_err());
        assert!(read("a \"$\"").is_err());
        assert!(read("a \"${PORT\"").is_err());
        assert!(read(&"a ".repeat(65)).is_err());
    }
}
