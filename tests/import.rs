//! Configurations that are there already, as scenarios.

#[path = "import/configurations.rs"]
mod configurations;
