//! The table of raw requests as its files write it.
//!
//! ```text
//! @ what the case is about
//! = 200 400 close         the statuses the client gets, and how its connection goes on
//! > POST /a length body   a request the upstream sees, how it is framed, and its body
//! ? host t                a field of that request        ! te   one that it must not have
//! | GET / HTTP/1.1        a line sent, with CRLF         + abc  bytes sent, without
//! ```
//!
//! `400/501` allows both, `-` no response at all. The connection must `close`, must `keep`
//! serving, or may do `any`; `half` says that the client ends its side first. A body is `none`,
//! `empty` (no length, or zero), `length`, `chunked`; `cut` is a request that may have begun and
//! must not be whole, and `…-or-cut` one that was refused or is whole. In what is sent, `\r`,
//! `\n`, `\t`, `\0`, `\\`, `\x20` stand for a byte, and `\{text*9}` for a text nine times.

use crate::raw::unescaped;

/// How the client's connection goes on after the responses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum After {
    Keep,
    Close,
    Any,
}

/// A body as the upstream must see it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Body {
    None,
    Empty,
    Length,
    Chunked,
    Cut,
}

/// A request as the upstream must see it.
#[derive(Clone, Debug)]
pub(super) struct Forwarded {
    /// Method and target.
    pub(super) line: String,
    pub(super) framed: Body,
    /// The request may have been refused instead.
    pub(super) or_cut: bool,
    pub(super) body: Vec<u8>,
    pub(super) with: Vec<(String, String)>,
    pub(super) without: Vec<String>,
}

/// What is sent and the reaction it must get.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) sent: Vec<u8>,
    /// For each response the statuses that are right; 0 stands for none.
    pub(super) statuses: Vec<Vec<u16>>,
    pub(super) after: After,
    pub(super) half_close: bool,
    pub(super) forwarded: Vec<Forwarded>,
}

/// Reads one file of the table; `file` is for messages.
pub(super) fn read(file: &str, text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let wrong = |what: &str| -> ! { panic!("{file}:{number}: {what}: {line}") };
        let (mark, rest) = line.split_at(line.len().min(1));
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        if matches!(mark, "" | "#") {
            continue;
        }
        if mark == "@" {
            cases.push(Case::named(rest));
            continue;
        }
        let Some(case) = cases.last_mut() else { wrong("before the first case") };
        let read = match mark {
            "=" => case.reaction(rest),
            ">" => forwarded(rest).map(|request| case.forwarded.push(request)),
            "?" | "!" => case.field(mark, rest),
            "|" => unescaped(&format!("{rest}\\r\\n")).map(|bytes| case.sent.extend(bytes)),
            "+" => unescaped(rest).map(|bytes| case.sent.extend(bytes)),
            _ => None,
        };
        if read.is_none() {
            wrong("not understood");
        }
    }
    cases
}

impl Case {
    fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            sent: Vec::new(),
            statuses: Vec::new(),
            after: After::Any,
            half_close: false,
            forwarded: Vec::new(),
        }
    }

    fn reaction(&mut self, text: &str) -> Option<()> {
        for word in text.split(' ') {
            match word {
                "keep" => self.after = After::Keep,
                "close" => self.after = After::Close,
                "any" => self.after = After::Any,
                "half" => self.half_close = true,
                statuses => self.statuses.push(
                    statuses
                        .split('/')
                        .map(|status| if status == "-" { Some(0) } else { status.parse().ok() })
                        .collect::<Option<_>>()?,
                ),
            }
        }
        Some(())
    }

    fn field(&mut self, mark: &str, text: &str) -> Option<()> {
        let request = self.forwarded.last_mut()?;
        if mark == "!" {
            request.without.push(text.to_owned());
        } else {
            let (name, value) = text.split_once(' ')?;
            request.with.push((name.to_owned(), value.to_owned()));
        }
        Some(())
    }
}

fn forwarded(text: &str) -> Option<Forwarded> {
    let mut words = text.splitn(4, ' ');
    let line = format!("{} {}", words.next()?, words.next()?);
    let word = words.next()?;
    let framed = match word.strip_suffix("-or-cut").unwrap_or(word) {
        "none" => Body::None,
        "empty" => Body::Empty,
        "length" => Body::Length,
        "chunked" => Body::Chunked,
        "cut" => Body::Cut,
        _ => return None,
    };
    let body = unescaped(words.next().unwrap_or_default())?;
    let (with, without) = (Vec::new(), Vec::new());
    Some(Forwarded { line, framed, or_cut: word.ends_with("-or-cut"), body, with, without })
}
