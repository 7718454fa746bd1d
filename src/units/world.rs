//! The two worlds.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which world something comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum World {
    /// The model.
    Sim = 0,
    /// The real stack.
    Live = 1,
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sim => "sim",
            Self::Live => "live",
        })
    }
}
