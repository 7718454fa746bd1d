//! The cookie that keeps a session with its peer: read from a request, written to a response
//! (RFC 6265). Which peer it names is the machine's to say.

use crate::http1::Fields;
use crate::policy::{AffinityConfig, PeerToken};

/// What the cookie of a request says, if it has one that means something.
pub(super) fn shown(config: &AffinityConfig, fields: &Fields) -> Option<PeerToken> {
    let cookies = fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"cookie"));
    cookies.flat_map(|(_, value)| value.split(|byte| *byte == b';')).find_map(|pair| {
        let value = pair.trim_ascii().strip_prefix(config.cookie.as_bytes())?;
        PeerToken::parse(value.strip_prefix(b"=")?)
    })
}

/// The line that sets the cookie.
pub(super) fn line(config: &AffinityConfig, token: PeerToken) -> String {
    let mut line = format!("Set-Cookie: {}={token}; Path={}", config.cookie, config.path);
    if let Some(ttl) = config.ttl {
        // Of less than a second: none would be kept.
        let seconds = (ttl.0 / 1_000_000_000).max(1);
        line.push_str(&format!("; Max-Age={seconds}"));
    }
    if config.http_only {
        line.push_str("; HttpOnly");
    }
    if config.secure {
        line.push_str("; Secure");
    }
    line.push_str(&format!("; SameSite={}\r\n", config.same_site.word()));
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::{Limits, RequestHead};
    use crate::policy::affinity::SameSite;
    use crate::units::Span;

    fn config() -> AffinityConfig {
        AffinityConfig {
            cookie: "lab_peer".to_owned(),
            ttl: None,
            secret: String::new(),
            path: "/".to_owned(),
            http_only: true,
            secure: false,
            same_site: SameSite::Lax,
        }
    }

    fn shown_by(cookies: &str) -> Option<PeerToken> {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{cookies}\r\n");
        let mut head = RequestHead::default();
        head.read(text.as_bytes(), &Limits::new(4096)).unwrap().unwrap();
        shown(&config(), head.fields())
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let token = Some(PeerToken(0x0123_4567_89ab_cdef));
        assert_eq!(shown_by("Cookie: lab_peer=0123456789abcdef\r\n"), token);
        assert_eq!(shown_by("cookie: a=b; lab_peer=0123456789abcdef;c=d\r\n"), token);
        assert_eq!(shown_by("Cookie: a=b\r\nCookie: lab_peer=0123456789abcdef\r\n"), token);
        for wrong in ["", "Cookie: lab_peer=1\r\n", "Cookie: xlab_peer=0123456789abcdef\r\n"] {
            assert_eq!(shown_by(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_line_has_the_attributes_that_are_wanted() {
        let line_of = |config: &AffinityConfig| line(config, PeerToken(1));
        let plain = "Set-Cookie: lab_peer=0000000000000001; Path=/; HttpOnly; SameSite=Lax\r\n";
        assert_eq!(line_of(&config()), plain);
        let (ttl, same_site) = (Some(Span::from_secs(60)), SameSite::None);
        let other = AffinityConfig { ttl, secure: true, http_only: false, same_site, ..config() };
        let line = line_of(&other);
        assert!(line.ends_with("; Path=/; Max-Age=60; Secure; SameSite=None\r\n"), "{line}");
    }
}
