//! Where the programs of the live world run.

pub mod process;

pub use process::{Program, ProgramError};
