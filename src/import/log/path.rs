//! Paths as classes: what differs between requests of the same kind becomes `{id}`.

use crate::import::nginx::graphic_path;

/// `/orders/1234/items?page=2` as `/orders/{id}/items`: numbers, hexadecimal words of eight letters
/// or more, and UUIDs are names of single things. Query and fragment are left out, and so are
/// scheme and host of a whole URL.
pub(super) fn template(path: &str) -> String {
    let path = without_host(path).split(['?', '#']).next().unwrap_or_default();
    let segments = path.split('/').map(|segment| if is_id(segment) { "{id}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

/// A path that was asked for, as a scenario can ask for it again.
pub(super) fn example(path: &str) -> String {
    let path = graphic_path(without_host(path));
    if path.starts_with('/') { path.chars().take(2_000).collect() } else { "/".to_owned() }
}

fn without_host(path: &str) -> &str {
    match path.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            rest.find('/').map_or("/", |slash| &rest[slash..])
        }
        _ => path,
    }
}

fn is_id(segment: &str) -> bool {
    let all = |allowed: fn(&u8) -> bool| segment.bytes().all(|byte| allowed(&byte));
    let digit = segment.bytes().any(|byte| byte.is_ascii_digit());
    let number = !segment.is_empty() && all(u8::is_ascii_digit);
    // A digit is asked for, so that words such as `facade` with eight letters stay words.
    let hex = segment.len() >= 8 && digit && all(u8::is_ascii_hexdigit);
    number || hex || is_uuid(segment)
}

fn is_uuid(segment: &str) -> bool {
    let lengths = segment.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12])
        && segment.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// A name for a class as scenarios allow it: `post-orders-id-items`.
pub(super) fn name(method: &str, template: &str) -> String {
    let mut name = String::new();
    if !matches!(method, "GET" | "") {
        name = method.to_ascii_lowercase();
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for word in template.split(|c: char| !allowed(c)).filter(|word| !word.is_empty()) {
        if !name.is_empty() {
            name.push('-');
        }
        name.extend(word.chars().take(30));
        if name.len() > 50 {
            break;
        }
    }
    if name.is_empty() { "root".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_single_things_are_left_out() {
        for (path, expected) in [
            ("/orders/1234/items?page=2", "/orders/{id}/items"),
            ("/o/123e4567-e89b-12d3-a456-426614174000", "/o/{id}"),
            ("/blob/deadbeef01", "/blob/{id}"),
            ("/effaced/deadbeef", "/effaced/deadbeef"),
            ("http://h.example:80/a/7#x", "/a/{id}"),
            ("http://h.example", "/"),
            ("/v1/", "/v1/"),
            ("/", "/"),
            ("*", "*"),
        ] {
            assert_eq!(template(path), expected);
        }
    }

    #[test]
    fn classes_have_names_that_scenarios_allow() {
        assert_eq!(name("GET", "/"), "root");
        assert_eq!(name("POST", "/orders/{id}/items.json"), "post-orders-id-items-json");
        assert_eq!(name("GET", "/ä/ü"), "root");
    }
}
