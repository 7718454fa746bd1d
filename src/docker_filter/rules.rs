//! Which requests of Docker's API are let through, and in what form.

use super::{GROUP_LABEL, Policy};

/// What a request asks for, of what is allowed at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Passed on as written here.
    Plain(String),
    /// Passed on as written in `path`, if the container belongs to the group.
    Owned {
        /// The container's id or name.
        container: String,
        /// Path and query.
        path: String,
    },
    /// Passed on with a checked body that makes a container.
    Create(String),
    /// Passed on with a checked body that joins a container of the group to a network.
    Connect(String),
}

/// Reads a request; the error says why it is refused.
///
/// # Errors
/// A sentence.
pub fn read(policy: &Policy, method: &str, target: &str) -> Result<Request, String> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if !path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte)) {
        return Err("the path has characters that no allowed path has".to_owned());
    }
    let parts: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    if parts.iter().any(|part| part.is_empty() || part.starts_with('.')) {
        return Err("the path is not in its plain form".to_owned());
    }
    let (version, parts) = match parts.split_first() {
        Some((first, rest)) if is_version(first) => (format!("/{first}"), rest),
        _ => (String::new(), &parts[..]),
    };
    let owned = |container: &str, rest: &str, keys: &[&str]| {
        let query = kept(query, keys);
        Ok(Request::Owned {
            container: container.to_owned(),
            path: format!("{version}/containers/{container}{rest}{query}"),
        })
    };
    match (method, parts) {
        ("GET" | "HEAD", ["_ping"]) | ("GET", ["version"]) => {
            Ok(Request::Plain(format!("{version}/{}", parts[0])))
        }
        ("GET", ["containers", "json"]) => {
            let all = if kept(query, &["all"]).is_empty() { "" } else { "all=true&" };
            let filter = group_filter(&policy.group);
            Ok(Request::Plain(format!("{version}/containers/json?{all}filters={filter}")))
        }
        ("GET", ["containers", id, "json"]) => owned(id, "/json", &[]),
        ("POST", ["containers", "create"]) => {
            let query = kept(query, &["name"]);
            Ok(Request::Create(format!("{version}/containers/create{query}")))
        }
        ("POST", ["containers", id, "start"]) => owned(id, "/start", &[]),
        ("POST", ["containers", id, "stop"]) => owned(id, "/stop", &["t"]),
        ("DELETE", ["containers", id]) => owned(id, "", &["force", "v"]),
        ("POST", ["networks", network, "connect"]) => {
            if policy.networks.iter().any(|allowed| allowed == network) {
                return Ok(Request::Connect(format!("{version}/networks/{network}/connect")));
            }
            Err(format!("the network {network} is not one of {}", policy.networks.join(", ")))
        }
        _ => Err(format!("{method} {path} is nothing that an autoscaler needs")),
    }
}

/// `v1.41` and its like.
fn is_version(part: &str) -> bool {
    let numbers = part.strip_prefix('v').unwrap_or_default();
    !numbers.is_empty() && numbers.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// The parameters of `query` that `keys` names, whose values are plain words; written anew.
fn kept(query: &str, keys: &[&str]) -> String {
    let plain = |value: &str| {
        !value.is_empty()
            && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    let parameters = query.split('&').filter_map(|parameter| parameter.split_once('='));
    let kept: Vec<String> = parameters
        .filter(|(key, value)| keys.contains(key) && plain(value))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) }
}

/// `{"label":["lab.group=NAME"]}`, as a query has it.
fn group_filter(group: &str) -> String {
    let filter = serde_json::json!({ "label": [format!("{GROUP_LABEL}={group}")] }).to_string();
    let encoded = filter.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    });
    encoded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy {
            group: "api".to_owned(),
            images: vec!["lab".to_owned()],
            networks: vec!["service".to_owned()],
        }
    }

    fn path(method: &str, target: &str) -> Option<String> {
        match read(&policy(), method, target).ok()? {
            Request::Plain(path)
            | Request::Create(path)
            | Request::Connect(path)
            | Request::Owned { path, .. } => Some(path),
        }
    }

    #[test]
    fn a_list_is_that_of_the_group_whatever_was_asked() {
        let all = path("GET", "/v1.41/containers/json?all=1&filters=%7B%7D").unwrap();
        let group = "%7B%22label%22%3A%5B%22lab.group%3Dapi%22%5D%7D";
        assert_eq!(all, format!("/v1.41/containers/json?all=true&filters={group}"));
    }

    #[test]
    fn what_a_fleet_does_passes() {
        assert_eq!(path("GET", "/version").unwrap(), "/version");
        assert_eq!(
            path("POST", "/v1.41/containers/create?name=api-5&platform=x/y").unwrap(),
            "/v1.41/containers/create?name=api-5"
        );
        let stop = read(&policy(), "POST", "/v1.41/containers/ab12/stop?t=30&signal=KILL").unwrap();
        let path = "/v1.41/containers/ab12/stop?t=30".to_owned();
        assert_eq!(stop, Request::Owned { container: "ab12".to_owned(), path });
        assert!(read(&policy(), "POST", "/networks/service/connect").is_ok());
    }

    #[test]
    fn nothing_else_does() {
        for (method, target) in [
            ("POST", "/v1.41/containers/ab/exec"),
            ("POST", "/v1.41/exec/ab/start"),
            ("POST", "/v1.41/containers/ab/update"),
            ("POST", "/v1.41/containers/ab/attach"),
            ("GET", "/v1.41/containers/ab/archive?path=/"),
            ("PUT", "/v1.41/containers/ab/archive"),
            ("POST", "/v1.41/images/create"),
            ("POST", "/v1.41/build"),
            ("POST", "/v1.41/volumes/create"),
            ("POST", "/v1.41/networks/edge/connect"),
            ("POST", "/v1.41/swarm/init"),
            ("GET", "/v1.41/info"),
            ("GET", "/v1.41/events"),
            ("GET", "/v1.41/containers/../info"),
            ("GET", "/v1.41/containers/%2e%2e/json"),
            ("GET", "/v1.41//containers/json"),
            ("GET", "//version"),
            ("DELETE", "/v1.41/containers/json/../x"),
            ("CONNECT", "version"),
        ] {
            assert!(read(&policy(), method, target).is_err(), "{method} {target}");
        }
    }
}
