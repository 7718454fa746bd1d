//! Which format a log has.

use super::haproxy;
use super::json::Record;
use super::pattern::Pattern;
use super::row::Row;

/// The log format `combined` that NGINX and Apache have built in.
const COMBINED: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status \
                        $body_bytes_sent \"$http_referer\" \"$http_user_agent\"";
/// The NCSA's Common Log Format.
const COMMON: &str =
    "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent";
/// Envoy's default format string (`DEFAULT_FORMAT` in
/// `source/common/formatter/substitution_format_string.cc`), up to the peer.
const ENVOY: &str = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% \
                     %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% \
                     %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%";

/// A log's format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// Its name, or `pattern`.
    pub name: &'static str,
    reader: Reader,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Reader {
    Pattern(Pattern),
    Haproxy,
    Json,
}

/// A format that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Neither a name nor a pattern that can be read.
    #[error("the format `{text}` cannot be used: {why}")]
    Pattern {
        /// As given.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// None of the known formats reads most of the first lines.
    #[error(
        "the first lines have no format that lab knows (combined, common, haproxy, envoy, json); \
         give the pattern of `log_format` with --format"
    )]
    Unknown,
}

impl Format {
    /// The format named `text`, or the pattern that it is. `nginx` is `combined`, NGINX's default,
    /// to which people add `rt=$request_time urt=$upstream_response_time`.
    ///
    /// # Errors
    /// A pattern that cannot be used.
    pub fn named(text: &str) -> Result<Self, FormatError> {
        let (name, reader) = match text {
            "combined" | "nginx" => ("combined", Reader::Pattern(known(COMBINED))),
            "common" => ("common", Reader::Pattern(known(COMMON))),
            "envoy" => ("envoy", Reader::Pattern(known(ENVOY))),
            "haproxy" => ("haproxy", Reader::Haproxy),
            "json" => ("json", Reader::Json),
            _ => match Pattern::new(text) {
                Ok(pattern) => ("pattern", Reader::Pattern(pattern)),
                Err(why) => return Err(FormatError::Pattern { text: text.to_owned(), why }),
            },
        };
        Ok(Self { name, reader })
    }

    /// The format that most of the first `lines` have.
    ///
    /// # Errors
    /// If it is none of those with a name.
    pub fn of<'a>(lines: impl Iterator<Item = &'a str> + Clone) -> Result<Self, FormatError> {
        let mut best = (0, None);
        // In this order a tie goes to the format that says more.
        for name in ["json", "envoy", "haproxy", "combined", "common"] {
            let format = Self::named(name)?;
            let read = lines.clone().filter(|line| format.with_row(line, |_| ()).is_some()).count();
            if read > best.0 {
                best = (read, Some(format));
            }
        }
        let all = lines.filter(|line| !line.trim().is_empty()).count();
        best.1.filter(|_| best.0 * 2 > all).ok_or(FormatError::Unknown)
    }

    /// What `take` makes of a line; `None` if the line does not have this format.
    pub(super) fn with_row<T>(&self, line: &str, take: impl FnOnce(Row<'_>) -> T) -> Option<T> {
        match &self.reader {
            Reader::Pattern(pattern) => pattern.read(line).map(take),
            Reader::Haproxy => haproxy::read(line).map(take),
            Reader::Json => Record::parse(line)?.row().map(take),
        }
    }
}

/// A pattern of this file, behind which more may follow.
fn known(text: &str) -> Pattern {
    Pattern::new(text).map_or_else(|why| unreachable!("{why}"), Pattern::open)
}
