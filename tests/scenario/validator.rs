//! Checks JSON against the part of JSON Schema (draft 2020-12) that the scenario's schema uses. A
//! keyword it does not know is a panic, so that it can never pass over one. (The crate jsonschema
//! would do, but its features rebuild half of the tree.)

use serde_json::Value;

/// What is wrong with `value`, each with its path.
pub(crate) fn errors(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, value, "", &mut found);
    found
}

fn check(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().expect("a schema is an object") {
        if let Some(error) = broken(keyword, rule, schema, value, path, found) {
            found.push(format!("{path}: {error}"));
        }
    }
}

fn broken(
    keyword: &str,
    rule: &Value,
    schema: &Value,
    value: &Value,
    path: &str,
    found: &mut Vec<String>,
) -> Option<String> {
    let holds = match keyword {
        "$schema" | "title" | "description" => true,
        "type" => is_type(rule.as_str().expect("a type"), value),
        "const" => rule == value,
        "enum" => rule.as_array().expect("a list").contains(value),
        "minimum" => value.as_f64().is_none_or(|n| n >= rule.as_f64().expect("a number")),
        "exclusiveMinimum" => value.as_f64().is_none_or(|n| n > rule.as_f64().expect("a number")),
        "maximum" => value.as_f64().is_none_or(|n| n <= rule.as_f64().expect("a number")),
        "pattern" => {
            value.as_str().is_none_or(|text| is_quantity(rule.as_str().expect("text"), text))
        }
        "required" => {
            return rule.as_array().expect("a list").iter().find_map(|key| {
                let key = key.as_str().expect("a key");
                (value.is_object() && value.get(key).is_none()).then(|| format!("lacks {key}"))
            });
        }
        "properties" => {
            for (key, inner) in rule.as_object().expect("an object") {
                if let Some(member) = value.get(key) {
                    check(inner, member, &format!("{path}.{key}"), found);
                }
            }
            true
        }
        "additionalProperties" => {
            assert_eq!(rule, &Value::Bool(false));
            let known = schema["properties"].as_object().expect("an object");
            return value.as_object().into_iter().flatten().find_map(|(key, _)| {
                (!known.contains_key(key)).then(|| format!("does not know {key}"))
            });
        }
        "items" => {
            for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                check(rule, item, &format!("{path}[{i}]"), found);
            }
            true
        }
        "oneOf" | "anyOf" => {
            let forms = rule.as_array().expect("a list").iter();
            let fitting = forms.filter(|form| errors(form, value).is_empty()).count();
            fitting == 1 || (keyword == "anyOf" && fitting > 1)
        }
        other => panic!("the keyword {other} is not known here"),
    };
    (!holds).then(|| format!("{value} does not meet {keyword} {rule}"))
}

fn is_type(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("the type {other} is not known here"),
    }
}

/// The only patterns are that of a part of a request, that of an engine's URL, that of a precision,
/// which ends in a percentage, and those of quantities: a number, then one of the units in the last
/// group.
fn is_quantity(pattern: &str, text: &str) -> bool {
    if pattern.starts_with("^(client|uri|path|host|(header|cookie):") {
        let named = text.strip_prefix("header:").or_else(|| text.strip_prefix("cookie:"));
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
        return ["client", "uri", "path", "host"].contains(&text) || named.is_some_and(is_name);
    }
    if pattern == "^url:http://[^/]" {
        let rest = text.strip_prefix("url:http://");
        return rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    }
    if pattern == r"^.*[0-9.]+\s*%\s*$" {
        let number = text.trim_end().strip_suffix('%').map(str::trim_end);
        return number.is_some_and(|it| it.ends_with(|c: char| c.is_ascii_digit() || c == '.'));
    }
    let units = pattern
        .strip_prefix(r"^\s*\+?[0-9._]+\s*(")
        .and_then(|rest| rest.strip_suffix(r")\s*$"))
        .expect("the pattern of a quantity");
    let text = text.trim().trim_start_matches('+');
    let number = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '_')));
    let (number, unit) = text.split_at(number.unwrap_or(text.len()));
    !number.is_empty() && units.split('|').any(|known| known == unit.trim())
}
