//! Formats that a pattern describes: NGINX's `log_format` with `$variables`, Envoy's with
//! `%COMMANDS%`.

use super::row::{Field, Row};

const SECOND: u64 = 1_000_000_000;
const MILLI: u64 = 1_000_000;

/// A format, as texts and what stands between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// What the line begins with.
    head: String,
    /// Each field, and the text behind it.
    fields: Vec<(Field, String)>,
    /// Whether more may follow, as with people who add to a well-known format.
    open: bool,
}

impl Pattern {
    /// A pattern in the words of NGINX (with `$`) or Envoy (with `%`).
    ///
    /// # Errors
    /// A sentence: a pattern without a time or with fields that nothing separates.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let text = directive(text);
        let pattern = if text.contains('$') { nginx(&text) } else { envoy(&text)? };
        pattern.check()?;
        Ok(pattern)
    }

    /// The same, with more behind it.
    pub(super) fn open(mut self) -> Self {
        self.open = true;
        self
    }

    fn check(&self) -> Result<(), String> {
        let has = |wanted: &[Field]| self.fields.iter().any(|(field, _)| wanted.contains(field));
        if !has(&[Field::Start, Field::End]) {
            return Err("it has no time: one of $msec, $time_iso8601, $time_local, or Envoy's \
                        %START_TIME%"
                .to_owned());
        }
        if !has(&[Field::Request, Field::Path]) {
            return Err("it has no path: $request, $request_uri or $uri, or Envoy's \
                        %REQUEST_HEADER(:PATH)%"
                .to_owned());
        }
        let inner = &self.fields[..self.fields.len() - 1];
        if inner.iter().any(|(_, text)| text.is_empty()) {
            return Err("two of its variables stand side by side, so nobody can tell where the \
                        first ends"
                .to_owned());
        }
        Ok(())
    }

    /// What `line` says; `None` if it does not have this format.
    pub(super) fn read<'a>(&self, line: &'a str) -> Option<Row<'a>> {
        let mut row = Row::default();
        let mut rest = line.strip_prefix(self.head.as_str())?;
        for (place, (field, behind)) in self.fields.iter().enumerate() {
            let last = place + 1 == self.fields.len();
            let end = match behind.as_str() {
                "" if last && self.open => rest.find(' ').unwrap_or(rest.len()),
                "" => rest.len(),
                _ => end(rest, *field, behind)?,
            };
            row.take(*field, &rest[..end])?;
            rest = &rest[end + behind.len()..];
        }
        if self.open {
            named(rest, &mut row);
        } else if !rest.is_empty() {
            return None;
        }
        Some(row)
    }
}

/// The durations that people append to a well-known format under a name: `rt=0.012 urt="0.010"`.
fn named(rest: &str, row: &mut Row<'_>) {
    for word in rest.split(' ') {
        let Some((name, value)) = word.split_once('=') else { continue };
        let value = value.trim_matches('"');
        let field = match name {
            "rt" | "request_time" => Field::Took(SECOND),
            "urt" | "upstream_response_time" => Field::Upstream(SECOND),
            _ => continue,
        };
        // Something else under that name says nothing, but harms nothing either.
        let mut known = *row;
        if known.take_duration(field, value).is_some() {
            (row.took, row.service) = (known.took, known.service);
        }
    }
}

/// Where the text of a field ends: at what stands behind it. A quote that is escaped ends nothing,
/// and a list of NGINX's holds spaces itself.
fn end(rest: &str, field: Field, behind: &str) -> Option<usize> {
    let list = matches!(field, Field::Upstream(_) | Field::List);
    let mut from = 0;
    loop {
        let at = from + rest.get(from..)?.find(behind)?;
        let taken = &rest[..at];
        let escaped = behind.starts_with('"') && odd_backslashes(taken);
        let within = list
            && behind.starts_with(' ')
            && (taken.ends_with([',', ':']) || rest[at..].starts_with(" : "));
        if !escaped && !within {
            return Some(at);
        }
        // What stands behind begins with ASCII in both cases.
        from = at + 1;
    }
}

fn odd_backslashes(text: &str) -> bool {
    text.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// The pattern itself, if a whole `log_format NAME 'a' 'b';` is given.
fn directive(text: &str) -> String {
    let Some(rest) = text.trim().strip_prefix("log_format") else { return text.to_owned() };
    let mut joined = String::new();
    let mut rest = rest;
    while let Some(start) = rest.find(['\'', '"']) {
        let quote = &rest[start..=start];
        let inner = &rest[start + 1..];
        let Some(end) = inner.find(quote) else { break };
        joined.push_str(&inner[..end]);
        rest = &inner[end + 1..];
    }
    joined
}

fn nginx(text: &str) -> Pattern {
    let mut pieces = text.split('$');
    let head = pieces.next().unwrap_or_default().to_owned();
    let fields = pieces.map(|piece| {
        let (name, behind) = match piece.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            Some(braced) => braced,
            None => {
                let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                piece.split_at(piece.find(|c| !word(c)).unwrap_or(piece.len()))
            }
        };
        (variable(name), behind.to_owned())
    });
    Pattern { head, fields: fields.collect(), open: false }
}

/// A variable of NGINX's log module and others.
fn variable(name: &str) -> Field {
    match name {
        "msec" | "time_iso8601" | "time_local" => Field::End,
        "request" => Field::Request,
        "request_method" => Field::Method,
        "request_uri" | "uri" | "document_uri" => Field::Path,
        "request_time" => Field::Took(SECOND),
        "upstream_response_time" => Field::Upstream(SECOND),
        name if name.starts_with("upstream_") => Field::List,
        _ => Field::Other,
    }
}

fn envoy(text: &str) -> Result<Pattern, String> {
    let (head, mut rest) = text.split_once('%').unwrap_or((text, ""));
    let mut fields = Vec::new();
    while let Some(end) = command_end(rest) {
        let (command, behind) = (&rest[..end], &rest[end + 1..]);
        let (behind, next) = behind.split_once('%').unwrap_or((behind, ""));
        fields.push((operator(command), behind.to_owned()));
        rest = next;
    }
    if fields.is_empty() {
        return Err(
            "it names neither a $variable of NGINX nor a %COMMAND% of Envoy; known formats \
                    are auto, combined, common, nginx, haproxy, envoy, json"
                .to_owned(),
        );
    }
    Ok(Pattern { head: head.to_owned(), fields, open: false })
}

/// The `%` that ends a command: one outside of brackets, since a time has a format with its own.
fn command_end(text: &str) -> Option<usize> {
    let mut depth = 0_u32;
    text.char_indices().find_map(|(place, c)| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        (c == '%' && depth == 0).then_some(place)
    })
}

/// A command operator of Envoy's access logs.
fn operator(command: &str) -> Field {
    let (name, rest) = command.split_once('(').unwrap_or((command, ""));
    let header = rest.split(')').next().unwrap_or_default().to_ascii_uppercase();
    match (name, header.as_str()) {
        ("START_TIME", _) => Field::Start,
        ("DURATION", _) => Field::Took(MILLI),
        ("REQ" | "REQUEST_HEADER", ":METHOD") => Field::Method,
        ("REQ" | "REQUEST_HEADER", path) if path.ends_with(":PATH") => Field::Path,
        ("PATH", _) => Field::Path,
        ("RESP" | "RESPONSE_HEADER", "X-ENVOY-UPSTREAM-SERVICE-TIME") => Field::Upstream(MILLI),
        _ => Field::Other,
    }
}
