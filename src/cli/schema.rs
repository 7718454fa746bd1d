//! `lab schema`: the JSON Schema of scenarios, for editors.

use super::exit::Exit;
use super::terminal::print;
use crate::scenario;

/// Prints the schema.
pub(super) fn run() -> Exit {
    print(&format!("{:#}\n", scenario::schema::schema()));
    Exit::Held
}
