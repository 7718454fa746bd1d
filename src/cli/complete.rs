//! What a shell offers at the tab key: beside the commands and flags, files of the kind an argument
//! takes, and the keys and words of scenarios for `--set`.

use std::ffi::OsStr;

use clap::{Arg, Command, ValueHint};
use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};
use serde_json::Value as Json;

use crate::scenario::schema;

/// `command` with what can be said of its values, told by their names in the help.
pub(super) fn hinted(command: Command) -> Command {
    command.mut_args(hint).mut_subcommands(hinted)
}

fn hint(arg: Arg) -> Arg {
    let scenario = || {
        PathCompleter::any().filter(|path| {
            path.is_dir() || path.extension().is_some_and(|extension| extension == "toml")
        })
    };
    let name = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let is_scenario = matches!(arg.get_id().as_str(), "scenario" | "config" | "files");
    match name.as_deref() {
        Some("SCENARIO") => arg.add(ArgValueCompleter::new(scenario())),
        Some("FILE") if is_scenario => arg.add(ArgValueCompleter::new(scenario())),
        Some("FILE" | "LOG") => arg.value_hint(ValueHint::FilePath),
        Some("FOLDER") => arg.value_hint(ValueHint::DirPath),
        Some("RUN") => arg.value_hint(ValueHint::DirPath),
        Some("KEY=VALUE") => arg.add(ArgValueCompleter::new(Keys)),
        _ => arg,
    }
}

/// `KEY=`, and behind it the words that the key takes.
struct Keys;

impl ValueCompleter for Keys {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let Some(current) = current.to_str() else { return Vec::new() };
        let schema = schema::schema();
        let mut keys = Vec::new();
        collect(&schema, "", &mut keys);
        let Some((key, begun)) = current.split_once('=') else {
            let fitting = keys.iter().filter(|(key, _)| key.starts_with(current));
            return fitting.map(|(key, about)| offer(format!("{key}="), about)).collect();
        };
        let of_key = keys.iter().find(|(name, _)| name == key);
        let words = of_key.map(|(_, about)| words(about)).unwrap_or_default();
        let fitting = words.into_iter().filter(|word| word.starts_with(begun));
        fitting.map(|word| CompletionCandidate::new(format!("{key}={word}"))).collect()
    }
}

fn offer(text: String, about: &Json) -> CompletionCandidate {
    let told = about.get("description").and_then(Json::as_str).unwrap_or_default();
    let first = told.split_once(". ").map_or(told, |(first, _)| first);
    CompletionCandidate::new(text).help(Some(first.to_owned().into()))
}

/// The keys of a schema that hold a value, and what it says of each. A list begins with its first
/// member; the forms of a table that has several are all offered.
fn collect<'a>(schema: &'a Json, path: &str, keys: &mut Vec<(String, &'a Json)>) {
    let forms = schema.get("oneOf").and_then(Json::as_array).into_iter().flatten();
    for form in std::iter::once(schema).chain(forms) {
        let Some(properties) = form.get("properties").and_then(Json::as_object) else { continue };
        for (name, about) in properties {
            let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let members = about.get("items").filter(|items| items["type"] == "object");
            match members {
                Some(members) => collect(members, &format!("{key}[0]"), keys),
                None if about["type"] == "object" => collect(about, &key, keys),
                None if keys.iter().any(|(known, _)| *known == key) => {}
                None => keys.push((key, about)),
            }
        }
    }
}

/// The words that a key takes, where they are a list.
fn words(about: &Json) -> Vec<String> {
    if about["type"] == "boolean" {
        return vec!["true".to_owned(), "false".to_owned()];
    }
    let forms = about.get("anyOf").and_then(Json::as_array).into_iter().flatten();
    let listed = std::iter::once(about).chain(forms).filter_map(|form| form["enum"].as_array());
    listed.flatten().filter_map(Json::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(current: &str) -> Vec<String> {
        let candidates = Keys.complete(OsStr::new(current));
        candidates.iter().map(|it| it.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn keys_of_scenarios_are_offered_and_then_their_words() {
        assert_eq!(offered("balancer.alg"), ["balancer.algorithm="]);
        assert_eq!(
            offered("balancer.algorithm=least"),
            ["balancer.algorithm=least_conn", "balancer.algorithm=least_request"]
        );
        assert!(offered("balancer.engine=").contains(&"balancer.engine=nginx".to_owned()));
        assert!(offered("backend[0].").contains(&"backend[0].weight=".to_owned()));
        assert_eq!(offered("nothing.like.it"), Vec::<String>::new());
        assert!(offered("").len() > 100);
    }
}
