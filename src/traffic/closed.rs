//! The closed loop: users that think, send one request, wait for its response, and think again.
//!
//! The order of completions differs between worlds, so a request is not known by its place in
//! the run but by its user and that user's turn.

use super::Law;
use crate::units::{Purpose, Seed, Span};

/// Id of turn `turn` of user `user`.
#[must_use]
pub const fn id(user: u32, turn: u32) -> u64 {
    (user as u64) << 32 | turn as u64
}

/// The user and the turn that an id stands for.
#[must_use]
pub const fn user_and_turn(id: u64) -> (u32, u32) {
    ((id >> 32) as u32, id as u32)
}

/// Think time before request `id`.
#[must_use]
pub fn think(law: &Law, seed: Seed, id: u64) -> Span {
    law.sample(seed.words(Purpose::Think, id)[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_user_and_turn() {
        for (user, turn) in [(0, 0), (0, u32::MAX), (u32::MAX, 0), (7, 9)] {
            assert_eq!(user_and_turn(id(user, turn)), (user, turn));
        }
        assert!(id(0, u32::MAX) < id(1, 0));
    }
}
