//! The token that an order must show.

use hyper::header::{self, HeaderMap};
use sha2::{Digest, Sha256};

use crate::proxy::error::ProxyError;
use crate::scenario::edge::TokenSource;

/// Fewer characters could be tried one after the other.
const LENGTH_MIN: usize = 16;

/// The token, as a digest: so that comparing takes the same time whatever is shown, also for
/// another length, and so that it is printed nowhere by mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Token([u8; 32]);

impl Token {
    /// Reads it where the configuration says.
    ///
    /// # Errors
    /// When it is not there, too short, or holds what a header cannot.
    pub(in crate::proxy) fn read(source: &TokenSource) -> Result<Self, ProxyError> {
        let (place, text) = match source {
            TokenSource::File(path) => {
                let place = path.display().to_string();
                (place, std::fs::read_to_string(path).map_err(|error| error.to_string()))
            }
            TokenSource::Environment(name) => {
                (format!("${name}"), std::env::var(name).map_err(|error| error.to_string()))
            }
        };
        let fail = |why: &str| ProxyError::AdminToken(format!("{place}: {why}"));
        let text = text.map_err(|why| fail(&why))?;
        let token = text.lines().next().unwrap_or_default().trim();
        if token.len() < LENGTH_MIN {
            return Err(fail("it has fewer than 16 characters"));
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(fail("it holds more than visible ASCII characters"));
        }
        Ok(Self::of(token))
    }

    fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Whether a request shows it.
    pub(super) fn is_shown(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let Ok(value) = value.to_str() else { return false };
        let Some((scheme, shown)) = value.split_once(' ') else { return false };
        let differ = |a: u8, (b, c): (&u8, &u8)| a | (b ^ c);
        let same = self.0.iter().zip(&Self::of(shown.trim()).0).fold(0, differ) == 0;
        scheme.eq_ignore_ascii_case("bearer") && same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_opens() {
        let token = Token::of("correct-horse-battery");
        let shown = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, value.parse().expect("a value"));
            }
            token.is_shown(&headers)
        };
        assert!(shown(&["Bearer correct-horse-battery"]));
        assert!(shown(&["bearer  correct-horse-battery"]));
        for wrong in [
            &[][..],
            &["Bearer"],
            &["Bearer "],
            &["Bearer correct-horse-batter"],
            &["Bearer correct-horse-battery2"],
            &["Basic correct-horse-battery"],
            &["correct-horse-battery"],
            &["Bearer wrong-horse-battery", "Bearer correct-horse-battery"],
        ] {
            assert!(!shown(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_token_is_read_from_the_first_line_and_must_be_long() {
        let path = std::env::temp_dir().join(format!("lab-token-{}", std::process::id()));
        let read = |text: &str| {
            std::fs::write(&path, text).expect("written");
            Token::read(&TokenSource::File(path.clone()))
        };
        assert_eq!(read("0123456789abcdef\nmore\n").ok(), Some(Token::of("0123456789abcdef")));
        for wrong in ["", "short\n", "0123456789 abcdef", "0123456789\u{e4}bcdefg"] {
            let error = read(wrong).expect_err(wrong).to_string();
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
        std::fs::remove_file(&path).expect("removed");
        assert!(Token::read(&TokenSource::File(path)).is_err());
        assert!(Token::read(&TokenSource::Environment("LAB_NO_SUCH_TOKEN".to_owned())).is_err());
    }
}
