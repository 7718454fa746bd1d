//! JSON Schema of the scenario format, for editors that complete and check while one types.

use serde_json::{Value, json};

use super::SCHEMA_VERSION;
use super::file::ScenarioFile;
use super::reader::Read;

/// The schema (draft 2020-12). `scenarios/schema.json` is this, and a test holds it current.
#[must_use]
pub fn schema() -> Value {
    let mut schema = ScenarioFile::schema();
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Scenario of lab");
    let version = &mut schema["properties"]["schema_version"];
    *version = json!({ "const": SCHEMA_VERSION, "description": version["description"].clone() });
    schema
}
