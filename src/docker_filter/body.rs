//! What the body of a request may ask for. What is not known to be harmless is refused: a new key of
//! Docker's API is closed until somebody has thought about it.

use serde_json::{Map, Value};

use super::{GROUP_LABEL, Policy};

/// Keys of a new container that can have any value.
const FREE: &[&str] =
    &["Cmd", "Env", "ExposedPorts", "Healthcheck", "Hostname", "StopSignal", "StopTimeout"];
/// Keys of its `HostConfig` that can have any value: they limit it, or say when it goes.
const FREE_HOST: &[&str] = &[
    "AutoRemove",
    "CapDrop",
    "CpuPeriod",
    "CpuQuota",
    "Memory",
    "MemorySwap",
    "NanoCpus",
    "PidsLimit",
    "ReadonlyRootfs",
];

type Object = Map<String, Value>;

/// Holds a body that makes a container against `policy`, and writes it anew: what Docker reads is
/// what was checked, even where a key was written twice.
///
/// # Errors
/// A sentence.
pub fn create(policy: &Policy, body: &[u8]) -> Result<Vec<u8>, String> {
    let body = object(body)?;
    for (key, value) in body.iter().filter(|(_, value)| !value.is_null()) {
        match key.as_str() {
            free if FREE.contains(&free) => {}
            "Image" => one_of("image", value, &policy.images)?,
            "Labels" => {}
            "HostConfig" => host_config(policy, value)?,
            "NetworkingConfig" => networking(policy, value)?,
            other => return Err(format!("{other} is not for an autoscaler to set")),
        }
    }
    let group = body.get("Labels").and_then(|labels| labels.get(GROUP_LABEL));
    if group.and_then(Value::as_str) != Some(&policy.group) {
        return Err(format!("the label {GROUP_LABEL} is not {}", policy.group));
    }
    if !body.contains_key("Image") {
        return Err("it names no image".to_owned());
    }
    let mode = body.get("HostConfig").and_then(|host| host.get("NetworkMode"));
    if mode.is_none_or(Value::is_null) {
        return Err("it names no network".to_owned());
    }
    Ok(Value::Object(body).to_string().into_bytes())
}

/// Holds a body that joins a container to a network; the container, and the body written anew.
///
/// # Errors
/// A sentence.
pub fn connect(body: &[u8]) -> Result<(String, Vec<u8>), String> {
    let body = object(body)?;
    if let Some(key) = body.keys().find(|key| !["Container", "EndpointConfig"].contains(&&***key)) {
        return Err(format!("{key} is not for an autoscaler to set"));
    }
    let container = body.get("Container").and_then(Value::as_str).unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if container.is_empty() || container.starts_with('.') || !container.bytes().all(plain) {
        return Err("it names no container".to_owned());
    }
    let container = container.to_owned();
    // Where it is to be known under another's name or address.
    let settings = body.get("EndpointConfig").and_then(Value::as_object);
    if let Some((key, _)) = settings.into_iter().flatten().find(|(_, value)| !value.is_null()) {
        return Err(format!("EndpointConfig.{key} is not for an autoscaler to set"));
    }
    let body = serde_json::json!({ "Container": container });
    Ok((container, body.to_string().into_bytes()))
}

fn object(body: &[u8]) -> Result<Object, String> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("the body is no JSON object".to_owned()),
        Err(error) => Err(format!("the body is no JSON: {error}")),
    }
}

fn host_config(policy: &Policy, value: &Value) -> Result<(), String> {
    let host = value.as_object().ok_or("HostConfig is no object")?;
    for (key, value) in host.iter().filter(|(_, value)| !value.is_null()) {
        match key.as_str() {
            free if FREE_HOST.contains(&free) => {}
            "NetworkMode" => one_of("network", value, &policy.networks)?,
            "SecurityOpt" => {
                let known = |option: &Value| option.as_str() == Some("no-new-privileges");
                if !value.as_array().is_some_and(|options| options.iter().all(known)) {
                    return Err("SecurityOpt may only be no-new-privileges".to_owned());
                }
            }
            other => return Err(format!("HostConfig.{other} is not for an autoscaler to set")),
        }
    }
    Ok(())
}

fn networking(policy: &Policy, value: &Value) -> Result<(), String> {
    let config = value.as_object().ok_or("NetworkingConfig is no object")?;
    for (key, value) in config {
        if key != "EndpointsConfig" {
            return Err(format!("NetworkingConfig.{key} is not for an autoscaler to set"));
        }
        for network in value.as_object().into_iter().flat_map(Object::keys) {
            one_of("network", &Value::from(network.as_str()), &policy.networks)?;
        }
    }
    Ok(())
}

fn one_of(what: &str, value: &Value, allowed: &[String]) -> Result<(), String> {
    if value.as_str().is_some_and(|value| allowed.iter().any(|allowed| allowed == value)) {
        return Ok(());
    }
    Err(format!("the {what} {value} is not one of {}", allowed.join(", ")))
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

    fn fine() -> Value {
        serde_json::json!({
            "Image": "lab",
            "Cmd": ["backend"],
            "Labels": { "lab.group": "api" },
            "HostConfig": {
                "NetworkMode": "service", "Memory": 1, "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"], "Binds": null
            }
        })
    }

    fn refused(change: impl Fn(&mut Value)) -> String {
        let mut body = fine();
        change(&mut body);
        create(&policy(), body.to_string().as_bytes()).unwrap_err()
    }

    #[test]
    fn a_confined_container_of_the_group_may_be_made() {
        create(&policy(), fine().to_string().as_bytes()).unwrap();
    }

    #[test]
    fn one_that_reaches_for_the_host_may_not() {
        for (key, value) in [
            ("Privileged", serde_json::json!(true)),
            ("Binds", serde_json::json!(["/:/host"])),
            ("Mounts", serde_json::json!([{}])),
            ("PidMode", serde_json::json!("host")),
            ("NetworkMode", serde_json::json!("host")),
            ("NetworkMode", serde_json::json!("container:proxy")),
            ("CapAdd", serde_json::json!(["SYS_ADMIN"])),
            ("Devices", serde_json::json!([])),
            ("SecurityOpt", serde_json::json!(["seccomp=unconfined"])),
            ("VolumesFrom", serde_json::json!(["proxy"])),
            ("privileged", serde_json::json!(true)),
        ] {
            let why = refused(|body| body["HostConfig"][key] = value.clone());
            assert!(
                why.contains("HostConfig")
                    || why.contains("SecurityOpt")
                    || why.contains("network"),
                "{why}"
            );
        }
        for key in ["Entrypoint", "User", "Volumes", "hostconfig", "HostConfig "] {
            assert!(refused(|body| body[key] = serde_json::json!({})).starts_with(key), "{key}");
        }
    }

    #[test]
    fn one_of_another_image_group_or_network_may_not() {
        assert!(refused(|body| body["Image"] = "alpine".into()).contains("image"));
        assert!(refused(|body| body["Labels"]["lab.group"] = "db".into()).contains("lab.group"));
        assert!(
            refused(|body| body["HostConfig"]["NetworkMode"] = Value::Null).contains("network")
        );
        let edge = serde_json::json!({ "EndpointsConfig": { "edge": {} } });
        assert!(refused(|body| body["NetworkingConfig"] = edge.clone()).contains("edge"));
    }

    #[test]
    fn a_key_written_twice_means_once() {
        let text = fine().to_string().replacen(
            "\"HostConfig\"",
            "\"HostConfig\":{\"Privileged\":true},\"HostConfig\"",
            1,
        );
        let passed = String::from_utf8(create(&policy(), text.as_bytes()).unwrap()).unwrap();
        assert!(!passed.contains("Privileged"), "{passed}");
    }

    #[test]
    fn a_join_names_a_container_and_no_more() {
        let (container, body) = connect(br#"{"Container":"ab12","EndpointConfig":{}}"#).unwrap();
        assert_eq!((container.as_str(), body), ("ab12", br#"{"Container":"ab12"}"#.to_vec()));
        assert!(connect(br#"{"Container":"../x"}"#).is_err());
        assert!(connect(br#"{"Container":"a","EndpointConfig":{"Aliases":["proxy"]}}"#).is_err());
    }
}
