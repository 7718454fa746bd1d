//! How the options of `lab load` are written.

use std::path::PathBuf;

use crate::units::{Quantity, Rate, Span};

/// A stage as written: its length, and the offered load at its beginning and its end.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StageForm {
    pub(super) length: Span,
    pub(super) from: Rate,
    pub(super) until: Rate,
}

/// `30s:500/s`, or `30s:100..800/s` for a ramp.
pub(super) fn stage(text: &str) -> Result<StageForm, String> {
    let form = "a stage is written 30s:500/s, a ramp 30s:100/s..800/s";
    let (length, load) = text.split_once(':').ok_or(form)?;
    let length = Span::parse(length).map_err(|error| format!("{error}; {form}"))?;
    if length == Span::ZERO {
        return Err("a stage takes some time".to_owned());
    }
    let rate = |text: &str| Rate::parse(text).map_err(|error| format!("{error}; {form}"));
    let (from, until) = match load.split_once("..") {
        None => (rate(load)?, rate(load)?),
        Some((from, until)) => {
            // The unit of both may stand behind the second alone.
            let unit = until.find('/').map_or("", |place| &until[place..]);
            let from = if from.contains('/') { from.to_owned() } else { format!("{from}{unit}") };
            (rate(&from)?, rate(until)?)
        }
    };
    Ok(StageForm { length, from, until })
}

/// `Name: value`.
pub(super) fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header is written `Name: value`")?;
    let (name, value) = (name.trim(), value.trim());
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(format!("`{name}` cannot name a header (RFC 9110, 5.1)"));
    }
    if value.bytes().any(|byte| byte < b' ' && byte != b'\t') || value.contains('\u{7f}') {
        return Err(format!("the value of `{name}` holds a control character"));
    }
    if ["content-length", "transfer-encoding", "connection"]
        .iter()
        .any(|owned| name.eq_ignore_ascii_case(owned))
    {
        return Err(format!("`{name}` is set by lab, from the body and the connections"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// A method of HTTP.
pub(super) fn method(text: &str) -> Result<String, String> {
    let token = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase());
    if token { Ok(text.to_owned()) } else { Err("a method is a word in capitals".to_owned()) }
}

/// The name of a response header.
pub(super) fn header_name(text: &str) -> Result<String, String> {
    header(&format!("{text}:")).map(|(name, _)| name.to_ascii_lowercase())
}

/// A rate that sends something.
pub(super) fn rate(text: &str) -> Result<Rate, String> {
    match Rate::parse(text) {
        Ok(rate) if rate.0 <= 0.0 => Err("no request would ever come".to_owned()),
        Ok(rate) if rate.0 > 1e8 => Err("more than 100000000/s".to_owned()),
        other => other.map_err(|error| error.to_string()),
    }
}

/// A body: text, or `@FILE`.
#[derive(Clone, Debug)]
pub(super) enum Data {
    Text(String),
    File(PathBuf),
}

#[expect(clippy::unnecessary_wraps, reason = "as clap takes it")]
pub(super) fn data(text: &str) -> Result<Data, String> {
    Ok(match text.strip_prefix('@') {
        Some(path) => Data::File(path.into()),
        None => Data::Text(text.to_owned()),
    })
}

impl Data {
    pub(super) fn read(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::File(path) => std::fs::read(path)
                .map_err(|error| format!("cannot read the body `{}`: {error}", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_step_or_ramp() {
        let read =
            |text: &str| stage(text).map(|it| (it.length.as_secs_f64(), it.from.0, it.until.0));
        assert_eq!(read("30s:500/s"), Ok((30.0, 500.0, 500.0)));
        assert_eq!(read("30s:100..800/s"), Ok((30.0, 100.0, 800.0)));
        assert_eq!(read("1m:60/m..800/s"), Ok((60.0, 1.0, 800.0)));
        for (text, word) in [
            ("30s", "a stage is written"),
            ("30:5/s", "unit is missing"),
            ("30s:5", "unit is missing"),
            ("0s:5/s", "some time"),
            ("30s:a..5/s", "number"),
        ] {
            let error = stage(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn headers_cannot_smuggle_anything() {
        let pair = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(header("X-Key:  a: b "), pair("X-Key", "a: b"));
        for text in ["x", ": y", "a b: c", "x: a\r\ny: b", "Content-Length: 4", "é: x"] {
            assert!(header(text).is_err(), "{text}");
        }
        assert_eq!(header_name("X-Served-By"), Ok("x-served-by".to_owned()));
    }
}
