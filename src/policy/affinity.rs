//! Session affinity: a cookie names the peer that served a session before.
//!
//! The cookie holds a keyed hash of the peer's name (SipHash-2-4, Aumasson and Bernstein 2012), so
//! that it tells nobody what the peers are called or how many there are. It follows the name and
//! not the number, so that it survives a restart and means the same to every worker and balancer.
//! A session stays while its peer may be used, also while it drains; else it is balanced anew.

use std::collections::BTreeMap;
use std::fmt;

use super::peer::PeerId;
use crate::units::Span;

/// Session affinity as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AffinityConfig {
    /// Name of the cookie.
    pub cookie: String,
    /// How long a session lasts from the moment the cookie is set; `None` as long as the browser.
    pub ttl: Option<Span>,
    /// Key of the hash; whoever knows it and guesses names can tell peers apart.
    pub secret: String,
    /// `Path` of the cookie.
    pub path: String,
    /// Scripts do not see the cookie.
    pub http_only: bool,
    /// The cookie goes over TLS only.
    pub secure: bool,
    /// Whether other sites' requests carry the cookie.
    pub same_site: SameSite,
}

/// Whether other sites' requests carry the cookie (RFC 6265bis, 5.6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// Never.
    Strict,
    /// When a user follows a link.
    Lax,
    /// Always; browsers want `Secure` with it.
    None,
}

impl SameSite {
    /// As it stands in a cookie.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// What a cookie says of a peer. Shown as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerToken(pub u64);

impl PeerToken {
    /// Reads what [`fmt::Display`] writes; anything else is no token.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let digits = std::str::from_utf8(text).ok().filter(|text| text.len() == 16)?;
        let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if !digits.bytes().all(hexadecimal) {
            return None;
        }
        u64::from_str_radix(digits, 16).ok().map(Self)
    }
}

impl fmt::Display for PeerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The tokens of the peers of a group.
#[derive(Debug)]
pub(super) struct Tokens {
    key: [u64; 2],
    /// Token of peer `i` at `i`.
    of: Vec<PeerToken>,
    peers: BTreeMap<PeerToken, PeerId>,
}

impl Tokens {
    pub(super) fn new(secret: &str) -> Self {
        let half = |number| siphash([number, 0x6c61_6220_7065_6572], secret.as_bytes());
        Self { key: [half(0), half(1)], of: Vec::new(), peers: BTreeMap::new() }
    }

    /// A peer joined, or came back. Of several with one name the last counts.
    pub(super) fn add(&mut self, peer: PeerId, name: &str) {
        let token = PeerToken(siphash(self.key, name.as_bytes()));
        if self.of.len() <= peer.index() {
            self.of.resize(peer.index() + 1, token);
        }
        self.of[peer.index()] = token;
        self.peers.insert(token, peer);
    }

    pub(super) fn peer(&self, token: PeerToken) -> Option<PeerId> {
        self.peers.get(&token).copied()
    }

    pub(super) fn of(&self, peer: PeerId) -> Option<PeerToken> {
        self.of.get(peer.index()).copied()
    }
}

/// SipHash-2-4 with a key of two words.
fn siphash(key: [u64; 2], bytes: &[u8]) -> u64 {
    let mut state = [
        key[0] ^ 0x736f_6d65_7073_6575,
        key[1] ^ 0x646f_7261_6e64_6f6d,
        key[0] ^ 0x6c79_6765_6e65_7261,
        key[1] ^ 0x7465_6462_7974_6573,
    ];
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        absorb(&mut state, word.iter().rev().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)));
    }
    let rest = words.remainder().iter().rev();
    let length = (bytes.len() as u64) << 56;
    absorb(&mut state, length | rest.fold(0, |sum, byte| (sum << 8) | u64::from(*byte)));
    state[2] ^= 0xff;
    (0..4).for_each(|_| round(&mut state));
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

fn absorb(state: &mut [u64; 4], word: u64) {
    state[3] ^= word;
    round(state);
    round(state);
    state[0] ^= word;
}

const fn round(state: &mut [u64; 4]) {
    let [a, b, c, d] = state;
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *a;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(16) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(21) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *c = c.rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of the reference implementation (`vectors.h`), as little-endian words.
    #[test]
    fn siphash_gives_the_published_values() {
        let key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        let bytes: Vec<u8> = (0..64).collect();
        let hashes = [0, 1, 7, 8, 15, 63].map(|length| siphash(key, &bytes[..length]));
        let published = [
            0x726f_db47_dd0e_0e31,
            0x74f8_39c5_93dc_67fd,
            0xab02_00f5_8b01_d137,
            0x93f5_f579_9a93_2462,
            0xa129_ca61_49be_45e5,
            0x958a_324c_eb06_4572,
        ];
        assert_eq!(hashes, published);
    }

    #[test]
    fn tokens_follow_name_and_secret_and_are_read_back() {
        let mut tokens = Tokens::new("secret");
        (0..3).for_each(|id| tokens.add(PeerId(id), ["a", "b", "a"][id as usize]));
        let a = tokens.of(PeerId(0)).unwrap();
        assert_eq!(tokens.peer(a), Some(PeerId(2)), "a peer that came back under its name");
        assert_eq!(PeerToken::parse(a.to_string().as_bytes()), Some(a));
        let mut others = Tokens::new("other");
        others.add(PeerId(0), "a");
        assert_ne!(others.of(PeerId(0)), Some(a));
        for wrong in ["", "0123", "0123456789abcdeg", "+123456789abcdef", "0123456789ABCDEF"] {
            assert_eq!(PeerToken::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
