//! Takes the text of a check apart, and says where in it something is wrong.

/// What is wrong with a check, and with which bytes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckError {
    pub(crate) at: usize,
    pub(crate) until: usize,
    pub(crate) message: String,
    pub(crate) help: String,
}

impl CheckError {
    /// For a text that stands in no file.
    pub(crate) fn into_sentence(self) -> String {
        let Self { message, help, .. } = self;
        if help.is_empty() { message } else { format!("{message} ({help})") }
    }
}

/// A place in the text of a check.
pub(super) struct Cursor<'a> {
    pub(super) text: &'a str,
    /// Bytes that were taken.
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    /// What was not taken yet.
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Takes white space.
    pub(super) fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes `sign` if it comes next.
    pub(super) fn take(&mut self, sign: &str) -> bool {
        self.skip_spaces();
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    /// Takes letters, digits, `-`, `_` and `.`; or what stands in quotes.
    pub(super) fn word(&mut self) -> Result<(usize, &'a str), CheckError> {
        self.skip_spaces();
        let start = self.at;
        if let Some(quote) = self.rest().chars().next().filter(|c| matches!(c, '"' | '\'')) {
            let inside = &self.rest()[1..];
            let Some(end) = inside.find(quote) else {
                let help = format!("add {quote}");
                return Err(self.fail(start, self.text.len(), "the quote is not closed", help));
            };
            self.at += end + 2;
            return Ok((start, &inside[..end]));
        }
        let part_of_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let end = self.rest().find(|c| !part_of_word(c)).unwrap_or(self.rest().len());
        self.at += end;
        Ok((start, &self.text[start..start + end]))
    }

    /// An error about some bytes of the text.
    pub(super) fn fail(
        &self,
        at: usize,
        until: usize,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> CheckError {
        CheckError { at, until, message: message.into(), help: help.into() }
    }
}
