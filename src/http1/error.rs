//! What is wrong with a message, and the status that says so.

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// The request line is not a method, a target and a version with one space between.
    #[error("the request line is malformed")]
    RequestLine,
    /// The status line is not a version, three digits and a reason.
    #[error("the status line is malformed")]
    StatusLine,
    /// The method is longer than any that exists.
    #[error("the method is not known")]
    Method,
    /// The target has a form or a byte that no request may have.
    #[error("the target is malformed")]
    Target,
    /// The request line is longer than allowed.
    #[error("the target is too long")]
    TargetTooLong,
    /// The version is well formed and neither 1.0 nor 1.1.
    #[error("only HTTP/1.0 and HTTP/1.1 are spoken here")]
    Version,
    /// A line ends with LF alone.
    #[error("a line ends without a carriage return")]
    BareLineFeed,
    /// A line begins with white space.
    #[error("a folded line")]
    Folded,
    /// A field's name is empty, has a byte that no name may have, or white space before its colon.
    #[error("a malformed field name")]
    FieldName,
    /// A field's value has a control character.
    #[error("a control character in a field's value")]
    FieldValue,
    /// The head is longer than allowed, or has too many fields.
    #[error("the header fields are too large")]
    TooLarge,
    /// `Content-Length` is not one number.
    #[error("Content-Length is not one number")]
    ContentLength,
    /// `Content-Length` and `Transfer-Encoding` in one message.
    #[error("Content-Length beside Transfer-Encoding")]
    TwoFramings,
    /// `Transfer-Encoding` is there twice, empty, does not end in `chunked`, or is in a message of HTTP/1.0.
    #[error("Transfer-Encoding is malformed")]
    TransferEncoding,
    /// A transfer coding beside `chunked`.
    #[error("this transfer coding is not implemented")]
    UnknownCoding,
    /// `Host` is missing in HTTP/1.1, there twice, or names no host.
    #[error("Host is missing, repeated or malformed")]
    Host,
    /// An expectation other than `100-continue`.
    #[error("only 100-continue can be expected")]
    Expectation,
}

impl HeadError {
    /// The status that a client gets for such a request.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::TargetTooLong => 414,
            Self::TooLarge => 431,
            Self::Version => 505,
            Self::UnknownCoding | Self::Method => 501,
            Self::Expectation => 417,
            _ => 400,
        }
    }
}

/// Why a body is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// A chunk's size is no hexadecimal number of at most 15 digits, or its line is malformed.
    #[error("a malformed chunk size")]
    ChunkSize,
    /// The extensions of chunks are longer than any use of them.
    #[error("chunk extensions are too long")]
    Extensions,
    /// A chunk's data is not followed by a line end.
    #[error("a chunk without its line end")]
    ChunkEnd,
    /// The trailer section is malformed.
    #[error("a malformed trailer section: {0}")]
    Trailer(HeadError),
    /// The message ended before its body did.
    #[error("the body broke off")]
    Incomplete,
}
