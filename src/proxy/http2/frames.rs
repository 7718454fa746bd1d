//! The frames of HTTP/2 as they pass (RFC 9113, 4.1), seen from the outside: what the `h2` crate
//! reads, and does not tell of.

/// Bytes before the first frame of a client: the connection preface (RFC 9113, 3.4).
pub(in crate::proxy) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const HEADER: usize = 9;
const GO_AWAY: u8 = 7;

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// As RFC 9113, 6, numbers them.
    pub(super) kind: u8,
    /// Bytes of its payload.
    pub(super) length: u32,
}

/// What is seen of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// A frame begins.
    Frame(Frame),
    /// A GOAWAY: streams above this one were not processed (RFC 9113, 6.8).
    GoAway {
        /// Identifier of the last stream that may have been.
        last_stream: u32,
    },
}

/// Follows a connection's bytes, in whatever pieces they come.
#[derive(Clone, Debug)]
pub(super) struct Frames {
    /// Bytes to skip: of the preface, or of a payload.
    skip: u32,
    /// Bytes of a frame's head, and of the beginning of a GOAWAY's payload.
    head: [u8; HEADER + 4],
    filled: usize,
}

impl Frames {
    /// What comes from a server, or from a client behind its preface.
    pub(super) const fn new() -> Self {
        Self { skip: 0, head: [0; HEADER + 4], filled: 0 }
    }

    /// What comes from a client from its first byte.
    pub(super) const fn behind_preface() -> Self {
        Self { skip: PREFACE.len() as u32, ..Self::new() }
    }

    /// Follows `bytes`.
    pub(super) fn follow(&mut self, mut bytes: &[u8], mut seen: impl FnMut(Seen)) {
        while !bytes.is_empty() {
            let skipped = bytes.len().min(self.skip as usize);
            self.skip -= skipped as u32;
            bytes = &bytes[skipped..];
            let wanted = self.wanted();
            let taken = bytes.len().min(wanted - self.filled);
            self.head[self.filled..][..taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled == wanted {
                self.complete(&mut seen);
            }
        }
    }

    /// Bytes to be gathered: a head, or for a GOAWAY the identifier behind it too.
    const fn wanted(&self) -> usize {
        if self.filled >= HEADER { HEADER + 4 } else { HEADER }
    }

    fn complete(&mut self, seen: &mut impl FnMut(Seen)) {
        let [l0, l1, l2, kind, _, _, _, _, _, id @ ..] = self.head;
        let length = u32::from_be_bytes([0, l0, l1, l2]);
        if self.filled == HEADER {
            seen(Seen::Frame(Frame { kind, length }));
            if kind == GO_AWAY && length >= 4 {
                return;
            }
            self.skip = length;
        } else {
            // The highest bit is reserved.
            seen(Seen::GoAway { last_stream: u32::from_be_bytes(id) & (u32::MAX >> 1) });
            self.skip = length - 4;
        }
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([kind, 0, 0, 0, 0, 1]);
        bytes.extend(payload);
        bytes
    }

    fn followed<'a>(frames: &mut Frames, parts: impl Iterator<Item = &'a [u8]>) -> Vec<Seen> {
        let mut list = Vec::new();
        parts.for_each(|part| frames.follow(part, |seen| list.push(seen)));
        list
    }

    proptest! {
        #[test]
        fn frames_are_seen_in_whatever_pieces_they_come(
            sent in prop::collection::vec((0..12u8, prop::collection::vec(any::<u8>(), 0..40)), 0..20),
            size in 1..50usize,
        ) {
            let mut bytes = PREFACE.to_vec();
            let mut expected = Vec::new();
            for (kind, payload) in &sent {
                bytes.extend(frame(*kind, payload));
                expected.push(Seen::Frame(Frame { kind: *kind, length: payload.len() as u32 }));
                if let (GO_AWAY, Some(id)) = (*kind, payload.first_chunk()) {
                    let last_stream = u32::from_be_bytes(*id) & 0x7fff_ffff;
                    expected.push(Seen::GoAway { last_stream });
                }
            }
            let seen = followed(&mut Frames::behind_preface(), bytes.chunks(size));
            prop_assert_eq!(seen, expected);
        }
    }

    #[test]
    fn a_short_go_away_names_no_stream() {
        let bytes = [frame(GO_AWAY, &[1, 2, 3]), frame(0, &[])].concat();
        let seen = followed(&mut Frames::new(), std::iter::once(bytes.as_slice()));
        let kinds = [(GO_AWAY, 3), (0, 0)];
        assert_eq!(seen, kinds.map(|(kind, length)| Seen::Frame(Frame { kind, length })));
    }
}
