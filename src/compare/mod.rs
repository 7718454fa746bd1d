//! How the worlds differ, and whether either may be believed.

pub mod digest;
pub mod interval;
pub mod layout;
mod sample;
mod seconds;
pub mod spread;
pub mod student;
mod summarise;
pub mod summary;

pub use digest::{Digest, Little};
pub use layout::Layout;
pub use summarise::summary_of;
pub use summary::*;
