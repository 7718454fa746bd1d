//! Finding and replacing parts of a tree, and telling what they are.

use serde_json::{Map, Value as Json, json};

use crate::scenario::diagnostic::Place;
use crate::scenario::tree::{Entry, Node, Value};

/// A step into a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A key of a table.
    Key(String),
    /// The member of a list that has this name.
    Named(String),
}

impl Step {
    pub(super) fn text(&self) -> &str {
        let (Self::Key(text) | Self::Named(text)) = self;
        text
    }
}

/// The name of a table, if it has one.
pub(super) fn name(node: &Node) -> Option<&str> {
    match &node.get("name")?.node.value {
        Value::Text(name) => Some(name),
        _ => None,
    }
}

/// The node under a path of keys.
pub(super) fn find<'a>(node: &'a mut Node, path: &[&str]) -> Option<&'a mut Node> {
    let Some((key, rest)) = path.split_first() else { return Some(node) };
    let Value::Table(entries) = &mut node.value else { return None };
    find(&mut entries.iter_mut().find(|entry| entry.key == *key)?.node, rest)
}

/// Puts `new` at `path`, or removes what is there. Tables and lists on the way are made.
pub(super) fn set(node: &mut Node, path: &[Step], new: Option<Node>) {
    let Some((step, rest)) = path.split_first() else {
        if let Some(new) = new {
            *node = new;
        }
        return;
    };
    let (last, empty) = (rest.is_empty(), !matches!(rest.first(), Some(Step::Named(_))));
    match step {
        Step::Key(key) => {
            let Value::Table(entries) = &mut node.value else { return };
            match entries.iter().position(|entry| entry.key == *key) {
                Some(at) if last && new.is_none() => drop(entries.remove(at)),
                Some(at) => set(&mut entries[at].node, rest, new),
                None if new.is_none() => {}
                None => {
                    let place = Place { key: key.clone(), ..Place::default() };
                    let value =
                        if empty { Value::Table(Vec::new()) } else { Value::Array(Vec::new()) };
                    let mut made = Node { place: place.clone(), value };
                    set(&mut made, rest, new);
                    entries.push(Entry { key: key.clone(), place, node: made });
                }
            }
        }
        Step::Named(wanted) => {
            let Value::Array(items) = &mut node.value else { return };
            match (items.iter().position(|item| name(item) == Some(wanted)), new) {
                (Some(at), None) if last => drop(items.remove(at)),
                (Some(at), new) => set(&mut items[at], rest, new),
                // Only a whole member can be new.
                (None, Some(new)) if last => items.push(new),
                (None, _) => {}
            }
        }
    }
}

/// In the list at `path`: takes out the member like `old`, and puts `new` in its place.
pub(super) fn exchange(node: &mut Node, path: &[Step], old: Option<&Node>, new: Option<&Node>) {
    let Some((step, rest)) = path.split_first() else {
        let Value::Array(items) = &mut node.value else { return };
        let at = old.and_then(|old| items.iter().position(|item| same(item, old)));
        match (at, new) {
            (Some(at), Some(new)) => items[at] = new.clone(),
            (Some(at), None) => drop(items.remove(at)),
            (None, Some(new)) => items.push(new.clone()),
            (None, None) => {}
        }
        return;
    };
    match (step, &mut node.value) {
        (Step::Key(key), Value::Table(entries)) => {
            let at = entries.iter().position(|entry| entry.key == *key).unwrap_or_else(|| {
                let place = Place { key: key.clone(), ..Place::default() };
                let made = Node { place: place.clone(), value: Value::Array(Vec::new()) };
                entries.push(Entry { key: key.clone(), place, node: made });
                entries.len() - 1
            });
            exchange(&mut entries[at].node, rest, old, new);
        }
        (Step::Named(wanted), Value::Array(items)) => {
            if let Some(item) = items.iter_mut().find(|item| name(item) == Some(wanted)) {
                exchange(item, rest, old, new);
            }
        }
        _ => {}
    }
}

/// Whether two parts say the same; the order of a table's keys does not count.
pub(super) fn same(a: &Node, b: &Node) -> bool {
    json(a) == json(b)
}

/// A part as JSON.
pub(super) fn json(node: &Node) -> Json {
    match &node.value {
        Value::Text(text) => json!(text),
        Value::Integer(number) => i64::try_from(*number).map_or(Json::Null, |number| json!(number)),
        Value::Float(number) => json!(number),
        Value::Boolean(value) => json!(value),
        Value::Datetime => Json::Null,
        Value::Array(items) => items.iter().map(json).collect(),
        Value::Table(entries) => {
            let pair = |entry: &Entry| (entry.key.clone(), json(&entry.node));
            entries.iter().map(pair).collect::<Map<_, _>>().into()
        }
    }
}

/// What holds where a key is not written, as its description tells.
pub(super) fn default_of(schema: &Json, path: &[Step]) -> Option<String> {
    let mut here = schema;
    for step in path {
        here = match step {
            Step::Named(_) => here.get("items")?,
            Step::Key(key) => property(here, key)?,
        };
    }
    let (_, told) = here.get("description")?.as_str()?.rsplit_once("Default: ")?;
    let end = told.find(". ").unwrap_or(told.len());
    Some(told[..end].trim_end_matches('.').to_owned())
}

/// The schema of a key, of whichever form has it.
fn property<'a>(schema: &'a Json, key: &str) -> Option<&'a Json> {
    let forms = schema.get("oneOf").and_then(Json::as_array).into_iter().flatten();
    std::iter::once(schema).chain(forms).find_map(|form| form.get("properties")?.get(key))
}
