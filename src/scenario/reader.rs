//! Reading values of a known type out of the tree.
//!
//! Serde stops at the first error; a person wants all of them. A [`Read`] type reads itself from a
//! node, reports what is wrong and goes on, and describes itself as JSON Schema, so that what the
//! reader takes and what an editor completes are one definition.

use serde_json::{Value as Json, json};

use super::diagnostic::{Place, Problems, suggestion};
use super::tree::{Node, Value};
use crate::units::{Bytes, Quantity, Rate, Ratio, Span};

/// A value of a scenario file.
pub(crate) trait Read: Sized {
    /// Reads it, or reports what is wrong with it.
    fn read(node: &Node, problems: &mut Problems) -> Option<Self>;
    /// Its JSON Schema.
    fn schema() -> Json;
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Written<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

/// A table whose keys are known beforehand; the macro `section!` makes them.
pub(crate) trait Section: Sized {
    /// Takes the keys it knows out of a table.
    fn take(fields: &mut Fields<'_>, problems: &mut Problems) -> Self;
    /// The schema of each key, in order, and whether it is required.
    fn properties() -> Vec<(&'static str, bool, Json)>;
}

/// The keys of a table as they are taken out of it.
pub(crate) struct Fields<'a> {
    table: &'a Node,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The fields of `node`; reports it if it is no table.
    pub(crate) fn of(node: &'a Node, problems: &mut Problems) -> Option<Self> {
        if matches!(node.value, Value::Table(_)) {
            return Some(Self { table: node, known: Vec::new() });
        }
        let message = format!("expected a table, found {}", node.value.kind());
        problems.report(&node.place, message);
        None
    }

    /// The value of a key that may be missing.
    pub(crate) fn optional<T: Read>(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
    ) -> Option<Written<T>> {
        self.known.push(key);
        let node = &self.table.get(key)?.node;
        let value = T::read(node, problems)?;
        Some(Written { value, place: node.place.clone() })
    }

    /// The value of a key that must be there.
    pub(crate) fn required<T: Read>(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
    ) -> Option<Written<T>> {
        if self.table.get(key).is_none() {
            problems.report(&self.table.place, format!("the key `{key}` is missing"));
        }
        self.optional(key, problems)
    }

    /// Reports the keys that nobody took.
    pub(crate) fn finish(self, problems: &mut Problems) {
        let Value::Table(entries) = &self.table.value else { return };
        for entry in entries.iter().filter(|entry| !self.known.contains(&entry.key.as_str())) {
            let help = suggestion(&entry.key, self.known.iter().copied(), "valid keys here");
            problems.report_with(&entry.place, format!("unknown key `{}`", entry.key), help);
        }
    }
}

/// Reads a section, and reports the keys it does not know.
pub(crate) fn read_section<T: Section>(node: &Node, problems: &mut Problems) -> Option<T> {
    let mut fields = Fields::of(node, problems)?;
    let section = T::take(&mut fields, problems);
    fields.finish(problems);
    Some(section)
}

/// The schema of a section.
pub(crate) fn section_schema<T: Section>(about: &str) -> Json {
    let mut properties = serde_json::Map::new();
    let mut required = Vec::new();
    for (key, needed, schema) in T::properties() {
        if needed {
            required.push(key);
        }
        properties.insert(key.to_owned(), schema);
    }
    let mut schema = json!({
        "type": "object",
        "description": about,
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// Adds a description to a schema; a description it has already gives way.
pub(crate) fn described(mut schema: Json, about: &str) -> Json {
    schema["description"] = json!(about);
    schema
}

fn wrong_type(node: &Node, expected: &str, problems: &mut Problems) {
    let found = node.value.kind();
    problems.report(&node.place, format!("expected {expected}, found {found}"));
}

impl Read for String {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            _ => {
                wrong_type(node, "a string", problems);
                None
            }
        }
    }
    fn schema() -> Json {
        json!({ "type": "string" })
    }
}

impl Read for bool {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.value {
            Value::Boolean(value) => Some(value),
            _ => {
                wrong_type(node, "true or false", problems);
                None
            }
        }
    }
    fn schema() -> Json {
        json!({ "type": "boolean" })
    }
}

/// A finite number; a whole one will do.
impl Read for f64 {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.value {
            Value::Float(value) if value.is_finite() => Some(value),
            Value::Integer(value) => Some(value as Self),
            Value::Float(_) => {
                problems.report(&node.place, "the number is not finite");
                None
            }
            _ => {
                wrong_type(node, "a number", problems);
                None
            }
        }
    }
    fn schema() -> Json {
        json!({ "type": "number" })
    }
}

/// Reads a whole number from `low` to `high`.
fn whole(node: &Node, low: i128, high: i128, problems: &mut Problems) -> Option<i128> {
    match node.value {
        Value::Integer(value) if (low..=high).contains(&value) => Some(value),
        Value::Integer(value) if value < low => {
            problems.report(&node.place, format!("{value} is too small: at least {low}"));
            None
        }
        Value::Integer(value) => {
            problems.report(&node.place, format!("{value} is too large: at most {high}"));
            None
        }
        _ => {
            wrong_type(node, "a whole number", problems);
            None
        }
    }
}

impl Read for u32 {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        whole(node, 0, Self::MAX.into(), problems).and_then(|n| Self::try_from(n).ok())
    }
    fn schema() -> Json {
        json!({ "type": "integer", "minimum": 0, "maximum": Self::MAX })
    }
}

/// Up to the largest integer of TOML.
impl Read for u64 {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        whole(node, 0, i64::MAX.into(), problems).and_then(|n| Self::try_from(n).ok())
    }
    fn schema() -> Json {
        json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX })
    }
}

/// A whole number of at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) u32);

impl Read for Count {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        whole(node, 1, u32::MAX.into(), problems).and_then(|n| u32::try_from(n).ok()).map(Self)
    }
    fn schema() -> Json {
        json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX })
    }
}

fn read_quantity<T: Quantity>(node: &Node, problems: &mut Problems) -> Option<T> {
    let Value::Text(text) = &node.value else {
        let message = format!("expected {}, found {}", T::EXPECTED, node.value.kind());
        let number = matches!(node.value, Value::Integer(_) | Value::Float(_));
        let help = if number { "with its unit, in quotes" } else { "" };
        problems.report_with(&node.place, message, help);
        return None;
    };
    T::parse(text).map_err(|error| problems.report(&node.place, error.to_string())).ok()
}

fn quantity_schema<T: Quantity>() -> Json {
    let units: Vec<&str> = T::UNITS.iter().map(|(name, ..)| *name).collect();
    json!({ "type": "string", "pattern": format!(r"^\s*\+?[0-9._]+\s*({})\s*$", units.join("|")) })
}

macro_rules! read_quantities {
    ($($kind:ty),*) => {$(
        impl Read for $kind {
            fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
                read_quantity(node, problems)
            }
            fn schema() -> Json {
                quantity_schema::<Self>()
            }
        }
    )*};
}
read_quantities!(Span, Rate, Ratio, Bytes);

impl<T: Read> Read for Vec<Written<T>> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::Array(items) = &node.value else {
            if T::schema()["type"] == "object" {
                let message = format!("expected a list of tables, found {}", node.value.kind());
                let help = format!("write `[[{}]]`, once for each", node.place.key);
                problems.report_with(&node.place, message, help);
            } else {
                wrong_type(node, "a list", problems);
            }
            return None;
        };
        let read = |item: &Node| {
            let value = T::read(item, problems)?;
            Some(Written { value, place: item.place.clone() })
        };
        Some(items.iter().filter_map(read).collect())
    }
    fn schema() -> Json {
        json!({ "type": "array", "items": T::schema() })
    }
}

/// The schema of one form of a tagged table.
pub(crate) fn tagged_form<T: Section>(tag: &str, word: &str, about: &str) -> Json {
    let mut schema = section_schema::<T>(about);
    schema["properties"][tag] = json!({ "const": word });
    match schema["required"].as_array_mut() {
        Some(required) => required.insert(0, json!(tag)),
        None => schema["required"] = json!([tag]),
    }
    schema
}
