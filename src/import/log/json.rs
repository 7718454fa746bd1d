//! One JSON object a line, under the names that NGINX, HAProxy, Envoy, Caddy and Traefik use or
//! that their documentation proposes.

use serde_json::{Map, Value};

use super::row::{Field, Row};

const SECOND: u64 = 1_000_000_000;
const MILLI: u64 = 1_000_000;

/// Names, and what stands under them. A unit behind a name (`duration_ms`) goes before these.
const NAMES: [(&str, Field); 25] = [
    ("msec", Field::End),
    ("time_iso8601", Field::End),
    ("time_local", Field::End),
    ("@timestamp", Field::End),
    ("timestamp", Field::End),
    ("time", Field::End),
    ("ts", Field::End),
    ("start_time", Field::Start),
    ("StartUTC", Field::Start),
    ("request", Field::Request),
    ("request_method", Field::Method),
    ("method", Field::Method),
    ("RequestMethod", Field::Method),
    ("request_uri", Field::Path),
    ("uri", Field::Path),
    ("path", Field::Path),
    ("RequestPath", Field::Path),
    ("request_time", Field::Took(SECOND)),
    ("duration", Field::Took(SECOND)),
    ("Duration", Field::Took(1)),
    ("upstream_response_time", Field::Upstream(SECOND)),
    ("upstream_time", Field::Upstream(SECOND)),
    ("upstream_service_time", Field::Upstream(MILLI)),
    ("x-envoy-upstream-service-time", Field::Upstream(MILLI)),
    ("OriginDuration", Field::Upstream(1)),
];
const UNITS: [(&str, u64); 4] = [("_ms", MILLI), ("_us", 1_000), ("_ns", 1), ("_s", SECOND)];

/// The texts of an object's fields, which a row borrows.
pub(super) struct Record(Vec<(Field, String)>);

impl Record {
    /// `None` where a line is no object.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        if !line.starts_with('{') {
            return None;
        }
        let object: Map<String, Value> = serde_json::from_str(line).ok()?;
        // Envoy's durations are milliseconds; it is known by the time it gives.
        let envoy = object.contains_key("start_time");
        let mut texts = Vec::new();
        for (name, field) in NAMES {
            let field = if name == "duration" && envoy { Field::Took(MILLI) } else { field };
            texts.extend(object.get(name).and_then(text).map(|text| (field, text)));
            let of_unit: fn(u64) -> Field = match field {
                Field::Took(_) => Field::Took,
                Field::Upstream(_) => Field::Upstream,
                _ => continue,
            };
            for (ending, unit) in UNITS {
                let found = object.get(&format!("{name}{ending}")).and_then(text);
                texts.extend(found.map(|text| (of_unit(unit), text)));
            }
        }
        // Caddy keeps what was asked in an object of its own.
        if let Some(Value::Object(request)) = object.get("request") {
            for (name, field) in [("method", Field::Method), ("uri", Field::Path)] {
                texts.extend(request.get(name).and_then(text).map(|text| (field, text)));
            }
        }
        Some(Self(texts))
    }

    /// `None` where a field holds something else, or there is no time.
    pub(super) fn row(&self) -> Option<Row<'_>> {
        let mut row = Row::default();
        for (field, text) in &self.0 {
            row.take(*field, text)?;
        }
        (row.start.is_some() || row.end.is_some()).then_some(row)
    }
}

/// A string or a number; numbers as they are written in decimals.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => match (number.as_u64(), number.as_f64()) {
            (Some(whole), _) => Some(whole.to_string()),
            // The digits that an f64 holds of a time in seconds since 1970 end at a microsecond.
            (None, Some(number)) if number.abs() >= 1e6 => Some(format!("{number:.6}")),
            (None, Some(number)) => Some(format!("{number:.9}")),
            (None, None) => None,
        },
        _ => None,
    }
}
