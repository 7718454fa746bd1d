//! Header and trailer fields: names that mean something to a proxy, and where fields are in a text.

use std::ops::Range;

use super::error::HeadError;
use super::lines;
use super::syntax::{Version, list_items};

/// A field's name, as far as a proxy acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Name {
    /// Any that is only passed on.
    Other,
    /// `Host`
    Host,
    /// `Connection`
    Connection,
    /// `Content-Length`
    ContentLength,
    /// `Transfer-Encoding`
    TransferEncoding,
    /// `Keep-Alive`
    KeepAlive,
    /// `Proxy-Connection`
    ProxyConnection,
    /// `TE`
    Te,
    /// `Trailer`
    Trailer,
    /// `Upgrade`
    Upgrade,
    /// `HTTP2-Settings`
    Http2Settings,
    /// `Expect`
    Expect,
    /// `Date`
    Date,
    /// `Via`
    Via,
    /// `Forwarded`
    Forwarded,
    /// `X-Real-IP`
    XRealIp,
    /// `X-Forwarded-For`
    XForwardedFor,
    /// `X-Forwarded-Proto`
    XForwardedProto,
    /// `X-Forwarded-Host`
    XForwardedHost,
    /// `Content-Type`
    ContentType,
    /// `Authorization`
    Authorization,
    /// `Cookie`
    Cookie,
    /// `Set-Cookie`
    SetCookie,
    /// `X-Lab-Id`: the request's id in lab's plan.
    LabId,
    /// `X-Lab-Attempt`: towards backends, the number of the attempt.
    LabAttempt,
}

impl Name {
    /// The name, whatever its case.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        let known: &[(&[u8], Self)] = match name.len() {
            2 => &[(b"te", Self::Te)],
            3 => &[(b"via", Self::Via)],
            4 => &[(b"host", Self::Host), (b"date", Self::Date)],
            6 => &[(b"cookie", Self::Cookie), (b"expect", Self::Expect)],
            7 => &[(b"upgrade", Self::Upgrade), (b"trailer", Self::Trailer)],
            8 => &[(b"x-lab-id", Self::LabId)],
            9 => &[(b"x-real-ip", Self::XRealIp), (b"forwarded", Self::Forwarded)],
            10 => &[
                (b"connection", Self::Connection),
                (b"set-cookie", Self::SetCookie),
                (b"keep-alive", Self::KeepAlive),
            ],
            12 => &[(b"content-type", Self::ContentType)],
            13 => &[(b"authorization", Self::Authorization), (b"x-lab-attempt", Self::LabAttempt)],
            14 => &[
                (b"content-length", Self::ContentLength),
                (b"http2-settings", Self::Http2Settings),
            ],
            15 => &[(b"x-forwarded-for", Self::XForwardedFor)],
            16 => &[
                (b"proxy-connection", Self::ProxyConnection),
                (b"x-forwarded-host", Self::XForwardedHost),
            ],
            17 => &[
                (b"transfer-encoding", Self::TransferEncoding),
                (b"x-forwarded-proto", Self::XForwardedProto),
            ],
            _ => &[],
        };
        let found = known.iter().find(|(text, _)| name.eq_ignore_ascii_case(text));
        found.map_or(Self::Other, |(_, name)| *name)
    }

    /// Whether the field is of the message, whatever `Connection` says: a client must not be able
    /// to take from a request what the upstream relies on.
    #[must_use]
    pub const fn is_protected(self) -> bool {
        matches!(
            self,
            Self::Host
                | Self::ContentLength
                | Self::ContentType
                | Self::Authorization
                | Self::Cookie
                | Self::SetCookie
                | Self::XForwardedFor
                | Self::XForwardedHost
                | Self::XForwardedProto
                | Self::XRealIp
                | Self::Forwarded
        )
    }

    /// Whether the field may stand in a trailer section (RFC 9110 6.5.1): none that frames, routes
    /// or authenticates.
    #[must_use]
    pub const fn may_trail(self) -> bool {
        matches!(self, Self::Other | Self::Date)
    }
}

/// A set of names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names(u32);

impl Names {
    /// Fields of one hop, whether `Connection` names them or not (RFC 9110 7.6.1).
    pub const HOP: Self = Self::NONE
        .with(Name::Connection)
        .with(Name::KeepAlive)
        .with(Name::ProxyConnection)
        .with(Name::Te)
        .with(Name::TransferEncoding)
        .with(Name::Upgrade)
        .with(Name::Http2Settings);

    /// None.
    pub const NONE: Self = Self(0);

    /// One more.
    #[must_use]
    pub const fn with(self, name: Name) -> Self {
        Self(self.0 | 1 << name as u32)
    }

    /// Those of either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// One less.
    #[must_use]
    pub const fn without(self, name: Name) -> Self {
        Self(self.0 & !(1 << name as u32))
    }

    /// Whether `name` is in it.
    #[must_use]
    pub const fn contains(self, name: Name) -> bool {
        self.0 & (1 << name as u32) != 0
    }
}

/// Where a field is in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// What it is.
    pub name: Name,
    /// First byte of its line.
    start: u32,
    /// First byte of its value.
    value: u32,
    /// Length of its value, without white space around.
    value_length: u32,
    /// Length of its name.
    name_length: u32,
}

impl Field {
    pub(super) fn new(start: usize, name: &[u8], value: Range<usize>) -> Self {
        Self {
            name: Name::of(name),
            start: start as u32,
            value: value.start as u32,
            value_length: (value.end - value.start) as u32,
            name_length: name.len() as u32,
        }
    }

    /// Its name as it was written.
    #[must_use]
    pub fn name_in<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[self.start as usize..][..self.name_length as usize]
    }

    /// Its value, without white space around.
    #[must_use]
    pub fn value_in<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[self.value as usize..][..self.value_length as usize]
    }

    /// Its line, from the name to the end of the value, without a line end.
    #[must_use]
    pub fn line_in<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[self.start as usize..(self.value + self.value_length) as usize]
    }
}

/// A text with fields in it: a trailer section, or what all heads have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    pub(super) text: Vec<u8>,
    pub(super) list: Vec<Field>,
}

impl Fields {
    /// All text, with what stands before the fields.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Where the fields are in it, in order.
    #[must_use]
    pub fn list(&self) -> &[Field] {
        &self.list
    }

    /// A trailer section that came in another form than text.
    ///
    /// # Errors
    /// What cannot be written as text.
    pub fn assemble<'a>(
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Self, HeadError> {
        let mut text = Vec::new();
        for (name, value) in fields {
            lines::write(&[name, b": ", value], &mut text)?;
        }
        text.extend_from_slice(b"\r\n");
        lines::trailer(&text)
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.list.iter().map(|field| (field.name_in(&self.text), field.value_in(&self.text)))
    }

    /// Values of the fields that have this name.
    pub fn all(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        let named = self.list.iter().filter(move |field| field.name == name);
        named.map(|field| field.value_in(&self.text))
    }

    /// The first value of a field called `name`, in any case; for names without a [`Name`].
    #[must_use]
    pub fn named(&self, name: &[u8]) -> Option<&[u8]> {
        let found = self.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    /// Whether `Connection` names `name`.
    #[must_use]
    pub fn connection_names(&self, name: &[u8]) -> bool {
        self.all(Name::Connection).flat_map(list_items).any(|item| item.eq_ignore_ascii_case(name))
    }

    /// The only value of the fields of this name; `Err` if there are several.
    pub(super) fn only(&self, name: Name) -> Result<Option<&[u8]>, ()> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() { Err(()) } else { Ok(first) }
    }

    /// Those that may stand in a trailer section.
    pub fn trailing(&self) -> impl Iterator<Item = &Field> {
        self.list.iter().filter(|field| field.name.may_trail())
    }

    /// Appends those that may stand in a trailer section, as lines.
    pub fn write_trailer(&self, out: &mut Vec<u8>) {
        for field in self.trailing() {
            out.extend_from_slice(field.line_in(&self.text));
            out.extend_from_slice(b"\r\n");
        }
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.list.clear();
    }
}

/// What the `Connection` fields of a message say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ConnectionOptions {
    close: bool,
    keep_alive: bool,
    pub(super) upgrade: bool,
    /// Names of fields are among the options.
    pub(super) names_fields: bool,
}

impl ConnectionOptions {
    pub(super) fn of(fields: &Fields) -> Self {
        let mut options = Self::default();
        for item in fields.all(Name::Connection).flat_map(list_items) {
            if item.eq_ignore_ascii_case(b"keep-alive") {
                options.keep_alive = true;
            } else if item.eq_ignore_ascii_case(b"close") {
                options.close = true;
            } else if item.eq_ignore_ascii_case(b"upgrade") {
                options.upgrade = true;
            } else {
                options.names_fields = true;
            }
        }
        options
    }

    /// Whether the connection ends behind the message (RFC 9112 9.3).
    pub(super) const fn closes(self, version: Version) -> bool {
        match version {
            Version::Http11 => self.close,
            Version::Http10 => self.close || !self.keep_alive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case() {
        for (text, name) in [
            ("HOST", Name::Host),
            ("content-Length", Name::ContentLength),
            ("Transfer-Encoding", Name::TransferEncoding),
            ("x-forwarded-FOR", Name::XForwardedFor),
            ("X-Lab-Attempt", Name::LabAttempt),
            ("Hast", Name::Other),
            ("", Name::Other),
        ] {
            assert_eq!(Name::of(text.as_bytes()), name, "{text}");
        }
    }

    #[test]
    fn what_frames_a_message_cannot_trail() {
        for name in [Name::ContentLength, Name::TransferEncoding, Name::Host, Name::Authorization] {
            assert!(!name.may_trail(), "{name:?}");
        }
    }
}
