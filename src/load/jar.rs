//! Cookies, as the clients of keyed traffic keep them: each key is a session with a jar of its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::units::{Nanos, Span};

/// The cookies of all sessions. A session holds one cookie, the last that it was given: lab's
/// traffic meets no server that sets several.
#[derive(Debug, Default)]
pub(super) struct Jar {
    /// Whether any was ever given, so that traffic without cookies pays nothing.
    is_used: AtomicBool,
    sessions: Mutex<HashMap<u64, Cookie>>,
}

#[derive(Debug)]
struct Cookie {
    /// `name=value`.
    pair: String,
    until: Nanos,
}

impl Jar {
    /// Appends the line that tells the cookie of `session`, if it has one.
    pub(super) fn write(&self, now: Nanos, session: u64, out: &mut Vec<u8>) {
        if !self.is_used.load(Ordering::Relaxed) {
            return;
        }
        if let Some(cookie) = self.sessions().get(&session).filter(|cookie| now < cookie.until) {
            out.extend_from_slice(b"cookie: ");
            out.extend_from_slice(cookie.pair.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Keeps what a `Set-Cookie` of a response to `session` says (RFC 6265, 5.2).
    pub(super) fn keep(&self, now: Nanos, session: u64, set_cookie: &str) {
        let mut parts = set_cookie.split(';').map(str::trim);
        let Some(pair) = parts.next().filter(|pair| pair.contains('=')) else { return };
        let age = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.eq_ignore_ascii_case("max-age").then(|| value.parse::<u64>().ok())?
        });
        let until = age.map_or(Nanos::MAX, |seconds| now + Span::from_secs(seconds));
        let cookie = Cookie { pair: pair.to_owned(), until };
        self.sessions().insert(session, cookie);
        self.is_used.store(true, Ordering::Relaxed);
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<u64, Cookie>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(jar: &Jar, now: u64, session: u64) -> String {
        let mut out = Vec::new();
        jar.write(Nanos(now * 1_000_000_000), session, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_session_has_its_own_cookie_until_that_expires() {
        let jar = Jar::default();
        assert_eq!(line(&jar, 0, 1), "");
        jar.keep(Nanos::ZERO, 1, "lab_peer=aa; Path=/; max-age=5; HttpOnly");
        jar.keep(Nanos::ZERO, 2, "lab_peer=bb; Path=/");
        assert_eq!(line(&jar, 4, 1), "cookie: lab_peer=aa\r\n");
        assert_eq!(line(&jar, 5, 1), "");
        assert_eq!(line(&jar, 99, 2), "cookie: lab_peer=bb\r\n");
        assert_eq!(line(&jar, 0, 3), "");
    }
}
