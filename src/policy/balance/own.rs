//! Policies of one's own under the names by which scenarios choose them.
//!
//! The list is set once, by `lab::cli::main_with` before anything is read, and never changes: it
//! belongs to the program as the built-in algorithms do.

use std::fmt;
use std::sync::OnceLock;

use super::{Algorithm, Balance};

/// A policy of one's own: its name, and how a fresh one is made for each group of peers.
#[derive(Clone, Copy)]
pub struct Policy {
    /// The word for `balancer.algorithm`: lower-case letters, digits and `_`, first a letter.
    pub name: &'static str,
    /// Makes the policy. Each group has its own: one in the model for each view, one in each
    /// proxy, or in each of its workers where they share nothing.
    pub make: fn() -> Box<dyn Balance>,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Policy {}

/// Why policies cannot be registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// They were registered before.
    #[error("policies are registered once, before the first scenario is read")]
    Twice,
    /// A name that a scenario could not hold.
    #[error(
        "`{0}` is no name for a policy: lower-case letters, digits and `_`, beginning with a letter"
    )]
    Name(&'static str),
    /// A name that stands for something else.
    #[error("there is another algorithm named `{0}`")]
    Taken(&'static str),
}

static POLICIES: OnceLock<Vec<Policy>> = OnceLock::new();

/// Makes `policies` known to every scenario that this program reads.
///
/// # Errors
/// See [`RegisterError`]; nothing is registered then.
pub fn register(policies: &[Policy]) -> Result<(), RegisterError> {
    check_names(policies)?;
    POLICIES.set(policies.to_vec()).map_err(|_| RegisterError::Twice)
}

/// Whether policies may have these names.
///
/// # Errors
/// [`RegisterError::Name`] or [`RegisterError::Taken`].
pub fn check_names(policies: &[Policy]) -> Result<(), RegisterError> {
    for (place, policy) in policies.iter().enumerate() {
        if !is_name(policy.name) {
            return Err(RegisterError::Name(policy.name));
        }
        if Algorithm::NAMES.contains(&policy.name) || policies[..place].contains(policy) {
            return Err(RegisterError::Taken(policy.name));
        }
    }
    Ok(())
}

/// The policies of one's own that this program knows.
#[must_use]
pub fn registered() -> &'static [Policy] {
    POLICIES.get().map_or(&[], Vec::as_slice)
}

fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase();
    name.bytes().next().is_some_and(letter)
        && name.bytes().all(|byte| letter(byte) || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &'static str) -> Policy {
        Policy { name, make: || unreachable!("it is not made here") }
    }

    #[test]
    fn names_are_words_that_stand_for_one_thing() {
        assert_eq!(check_names(&[named("mine"), named("mine_2")]), Ok(()));
        for wrong in ["", "2", "_a", "Mine", "my-own", "é"] {
            assert_eq!(check_names(&[named(wrong)]), Err(RegisterError::Name(wrong)));
        }
        let taken = Err(RegisterError::Taken("maglev"));
        assert_eq!(check_names(&[named("mine"), named("maglev")]), taken);
        assert_eq!(check_names(&[named("a"), named("a")]), Err(RegisterError::Taken("a")));
    }

    #[test]
    fn policies_are_registered_once() {
        assert_eq!(registered(), []);
        assert_eq!(register(&[named("Wrong")]), Err(RegisterError::Name("Wrong")));
        register(&[named("registered_in_a_test")]).unwrap();
        assert_eq!(registered(), [named("registered_in_a_test")]);
        assert_eq!(register(&[]), Err(RegisterError::Twice));
    }
}
