//! Directives and blocks, with what they include in its place.

use std::sync::Arc;

use super::token::{Token, Tokens};
use crate::import::{Draft, ImportError, Origin, SourceFile, Surroundings};

/// Deeper than any configuration; NGINX itself has no limit and would run out of stack.
const DEEPEST: usize = 40;
/// A configuration that includes itself reaches it.
const MOST_DIRECTIVES: usize = 200_000;

/// A directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive {
    /// Its name.
    pub(super) name: String,
    /// Its parameters.
    pub(super) args: Vec<String>,
    /// What stands in its braces; `None` for one that ends with `;`.
    pub(super) block: Option<Vec<Self>>,
    /// Where its name stands.
    pub(super) origin: Origin,
}

impl Directive {
    /// The only parameter.
    pub(super) fn one(&self) -> Result<&str, ImportError> {
        match self.args.as_slice() {
            [only] => Ok(only),
            args => {
                let message = format!("`{}` takes one parameter, not {}", self.name, args.len());
                Err(self.origin.error(message))
            }
        }
    }

    /// The directive as one would write it, without its block.
    pub(super) fn text(&self) -> String {
        let mut text = self.name.clone();
        for arg in &self.args {
            text.push(' ');
            text.push_str(arg);
        }
        text
    }

    /// What stands in its braces.
    pub(super) fn children(&self) -> &[Self] {
        self.block.as_deref().unwrap_or(&[])
    }
}

/// The directives of `file`. An included file that is not there is noted, since a configuration is
/// often brought along without the rest of its folder.
pub(super) fn read(
    file: &SourceFile,
    around: &dyn Surroundings,
    draft: &mut Draft,
) -> Result<Vec<Directive>, ImportError> {
    let mut reader = Reader { around, draft, count: 0 };
    reader.file(file, 0)
}

struct Reader<'a> {
    around: &'a dyn Surroundings,
    draft: &'a mut Draft,
    count: usize,
}

impl Reader<'_> {
    fn file(&mut self, file: &SourceFile, depth: usize) -> Result<Vec<Directive>, ImportError> {
        let name: Arc<str> = Arc::from(file.name.as_str());
        let mut tokens = Tokens::new(&file.text, &name);
        self.block(&mut tokens, depth, None)
    }

    /// Directives up to the closing brace of the block opened at `opened`, or the end of the file.
    fn block(
        &mut self,
        tokens: &mut Tokens<'_>,
        depth: usize,
        opened: Option<&Origin>,
    ) -> Result<Vec<Directive>, ImportError> {
        let mut directives = Vec::new();
        loop {
            let Some((token, origin)) = tokens.next()? else {
                return match opened {
                    Some(opened) => Err(opened.error("the block is not closed; a `}` is missing")),
                    None => Ok(directives),
                };
            };
            match token {
                Token::Word(name) => {
                    self.directive(name, origin, tokens, depth, &mut directives)?;
                }
                Token::Close if opened.is_some() => return Ok(directives),
                Token::Close => return Err(origin.error("`}` closes nothing")),
                Token::Open => return Err(origin.error("`{` without a name before it")),
                Token::Semicolon => return Err(origin.error("`;` without a directive before it")),
            }
        }
    }

    fn directive(
        &mut self,
        name: String,
        origin: Origin,
        tokens: &mut Tokens<'_>,
        depth: usize,
        into: &mut Vec<Directive>,
    ) -> Result<(), ImportError> {
        self.count += 1;
        if depth >= DEEPEST || self.count > MOST_DIRECTIVES {
            return Err(origin.error("too much is nested or included; does a file include itself?"));
        }
        let mut args = Vec::new();
        loop {
            match tokens.next()? {
                Some((Token::Word(word), _)) => args.push(word),
                Some((Token::Semicolon, _)) if name == "include" => {
                    return self.include(&args, &origin, depth, into);
                }
                Some((Token::Semicolon, _)) => {
                    into.push(Directive { name, args, block: None, origin });
                    return Ok(());
                }
                Some((Token::Open, _)) if name.ends_with("_by_lua_block") => {
                    tokens.skip_code(&origin)?;
                    into.push(Directive { name, args, block: Some(Vec::new()), origin });
                    return Ok(());
                }
                Some((Token::Open, _)) => {
                    let block = Some(self.block(tokens, depth + 1, Some(&origin))?);
                    into.push(Directive { name, args, block, origin });
                    return Ok(());
                }
                Some((Token::Close, _)) | None => {
                    return Err(origin.error(format!("`{name}` is not ended with `;`")));
                }
            }
        }
    }

    fn include(
        &mut self,
        args: &[String],
        origin: &Origin,
        depth: usize,
        into: &mut Vec<Directive>,
    ) -> Result<(), ImportError> {
        let [pattern] = args else {
            return Err(origin.error("`include` takes one file or pattern"));
        };
        match self.around.include(pattern) {
            Ok(files) => {
                for file in files {
                    into.extend(self.file(&file, depth + 1)?);
                }
            }
            Err(why) => self.draft.leave(origin, format!("include {pattern}"), why),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read_with(
        text: &str,
        files: &BTreeMap<String, Vec<SourceFile>>,
    ) -> Result<(Vec<Directive>, Draft), ImportError> {
        let file = SourceFile { name: "nginx.conf".to_owned(), text: text.to_owned() };
        let mut draft = Draft::new("nginx", "nginx.conf");
        read(&file, files, &mut draft).map(|tree| (tree, draft))
    }

    #[test]
    fn included_directives_keep_their_own_place() {
        let part = SourceFile { name: "a.conf".to_owned(), text: "\nb 1;".to_owned() };
        let files = BTreeMap::from([("*.conf".to_owned(), vec![part])]);
        let (tree, draft) = read_with("http { include *.conf; include gone; }", &files).unwrap();
        assert_eq!(tree[0].children()[0].origin.to_string(), "a.conf:2");
        assert_eq!(
            draft.not_taken[0].to_string(),
            "nginx.conf:1: include gone: there is no such file"
        );
    }

    #[test]
    fn what_nginx_refuses_is_refused_with_its_line() {
        let none = BTreeMap::new();
        for (text, expected) in [
            ("http {\n a 1;", "nginx.conf:1: the block is not closed; a `}` is missing"),
            ("a 1;\n}", "nginx.conf:2: `}` closes nothing"),
            ("\n;", "nginx.conf:2: `;` without a directive before it"),
            ("a {\n b 1 }", "nginx.conf:2: `b` is not ended with `;`"),
            ("a 1", "nginx.conf:1: `a` is not ended with `;`"),
            ("{}", "nginx.conf:1: `{` without a name before it"),
            (
                "content_by_lua_block { if {",
                "nginx.conf:1: the block is not closed; a `}` is missing",
            ),
        ] {
            assert_eq!(read_with(text, &none).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_file_that_includes_itself_is_no_endless_loop() {
        let own = SourceFile { name: "x".to_owned(), text: "include x;".to_owned() };
        let files = BTreeMap::from([("x".to_owned(), vec![own])]);
        // Without a directive between, only the depth grows.
        assert!(read_with("include x;", &files).unwrap_err().message.contains("include itself"));
        assert!(read_with(&"a { ".repeat(500), &files).is_err());
    }

    #[test]
    fn lua_is_no_configuration() {
        let (tree, _) =
            read_with("content_by_lua_block { local t = {1}; if x then }\nb 1;", &BTreeMap::new())
                .unwrap();
        assert_eq!(tree.len(), 2);
    }
}
