//! What two scenarios write differently.

use serde_json::Value as Json;

use super::Difference;
use super::patch::{self, Step, json, same};
use crate::scenario::tree::{Node, Value};

/// Something that is written differently.
#[derive(Clone, Debug)]
pub(super) enum Candidate {
    /// The value at a path.
    Value { path: Vec<Step>, a: Option<Node>, b: Option<Node> },
    /// A member of a list whose members have no name.
    Member { path: Vec<Step>, a: Option<Node>, b: Option<Node> },
}

/// Lists of tables in which the order counts, though their members have names.
const ORDERED: [&str; 1] = ["stage"];
/// Keys that say which form a table has: with another word the other keys mean something else.
const TAGS: [&str; 2] = ["law", "process"];
/// Sections that are only a place for keys: one that is not there is one with nothing in it.
const PLACES: [&str; 10] = [
    "scenario",
    "traffic",
    "balancer",
    "host",
    "client",
    "forward",
    "upstream",
    "retry",
    "threshold",
    "target",
];

/// Everything that `a` and `b` write differently, in the order of `a`, then of `b`.
pub(super) fn between(a: &Node, b: &Node) -> Vec<Candidate> {
    let mut found = Vec::new();
    walk(&mut Vec::new(), Some(a), Some(b), &mut found);
    found
}

fn walk(path: &mut Vec<Step>, a: Option<&Node>, b: Option<&Node>, found: &mut Vec<Candidate>) {
    if a.zip(b).is_some_and(|(a, b)| same(a, b)) {
        return;
    }
    let (in_a, in_b) = (a.map(|node| &node.value), b.map(|node| &node.value));
    match (in_a, in_b) {
        (Some(Value::Table(_)), Some(Value::Table(_))) if same_form(a, b) => {
            tables(path, a, b, found)
        }
        (Some(Value::Table(_)), None) | (None, Some(Value::Table(_))) if is_place(path) => {
            tables(path, a, b, found);
        }
        (Some(Value::Array(one)), Some(Value::Array(other)))
            if of_tables(one) && of_tables(other) =>
        {
            lists(path, one, other, found);
        }
        (Some(Value::Array(one)), None) if of_tables(one) => lists(path, one, &[], found),
        (None, Some(Value::Array(other))) if of_tables(other) => lists(path, &[], other, found),
        _ => found.push(Candidate::Value { path: path.clone(), a: a.cloned(), b: b.cloned() }),
    }
}

fn tables(path: &mut Vec<Step>, a: Option<&Node>, b: Option<&Node>, found: &mut Vec<Candidate>) {
    for key in union(keys(a), keys(b)) {
        let of =
            |node: Option<&Node>| node.and_then(|node| node.get(key)).map(|it| it.node.clone());
        path.push(Step::Key(key.to_owned()));
        walk(path, of(a).as_ref(), of(b).as_ref(), found);
        path.pop();
    }
}

fn lists(path: &mut Vec<Step>, a: &[Node], b: &[Node], found: &mut Vec<Candidate>) {
    let (Some(in_a), Some(in_b)) = (names(a), names(b)) else { return members(path, a, b, found) };
    let ordered = matches!(path.last(), Some(Step::Key(key)) if ORDERED.contains(&key.as_str()));
    if ordered && in_a != in_b {
        return members(path, a, b, found);
    }
    for name in union(in_a, in_b) {
        let of = |list: &[Node]| list.iter().find(|it| patch::name(it) == Some(name)).cloned();
        path.push(Step::Named(name.to_owned()));
        walk(path, of(a).as_ref(), of(b).as_ref(), found);
        path.pop();
    }
}

/// Members without names: those that are alike belong together, then those at the same place.
fn members(path: &[Step], a: &[Node], b: &[Node], found: &mut Vec<Candidate>) {
    let mut rest_b: Vec<&Node> = b.iter().collect();
    let mut rest_a = Vec::new();
    for member in a {
        match rest_b.iter().position(|other| same(member, other)) {
            Some(at) => drop(rest_b.remove(at)),
            None => rest_a.push(member),
        }
    }
    if rest_a.is_empty() && rest_b.is_empty() && a.len() == b.len() {
        // The same members in another order: one thing, which can be put back only as a whole.
        let list = |nodes: &[Node]| Node {
            place: Default::default(),
            value: Value::Array(nodes.to_vec()),
        };
        let (a, b) = (Some(list(a)), Some(list(b)));
        return found.push(Candidate::Value { path: path.to_vec(), a, b });
    }
    for number in 0..rest_a.len().max(rest_b.len()) {
        let a = rest_a.get(number).copied().cloned();
        let b = rest_b.get(number).copied().cloned();
        found.push(Candidate::Member { path: path.to_vec(), a, b });
    }
}

fn same_form(a: Option<&Node>, b: Option<&Node>) -> bool {
    TAGS.iter().all(|tag| {
        let word =
            |node: Option<&Node>| node.and_then(|node| node.get(tag)).map(|it| json(&it.node));
        word(a) == word(b)
    })
}

fn is_place(path: &[Step]) -> bool {
    matches!(path.last(), Some(Step::Key(key)) if PLACES.contains(&key.as_str()))
}

fn of_tables(list: &[Node]) -> bool {
    !list.is_empty() && list.iter().all(|node| matches!(node.value, Value::Table(_)))
}

fn keys(node: Option<&Node>) -> Vec<&str> {
    match node.map(|node| &node.value) {
        Some(Value::Table(entries)) => entries.iter().map(|entry| entry.key.as_str()).collect(),
        _ => Vec::new(),
    }
}

/// The names of all members; `None` if one has none, or two have the same.
fn names(list: &[Node]) -> Option<Vec<&str>> {
    let names: Vec<&str> = list.iter().map(patch::name).collect::<Option<_>>()?;
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    (sorted.len() == names.len()).then_some(names)
}

fn union<'a>(mut one: Vec<&'a str>, other: Vec<&'a str>) -> Vec<&'a str> {
    let new: Vec<&str> = other.into_iter().filter(|it| !one.contains(it)).collect();
    one.extend(new);
    one
}

impl Candidate {
    /// Its path, as a person writes it.
    pub(super) fn key(&self) -> String {
        let (Self::Value { path, .. } | Self::Member { path, .. }) = self;
        path.iter().map(Step::text).collect::<Vec<_>>().join(".")
    }

    /// Makes it in `tree`, which has it as the second scenario does, as it is in the first.
    pub(super) fn put_back(&self, tree: &mut Node) {
        match self {
            Self::Value { path, a, .. } => patch::set(tree, path, a.clone()),
            Self::Member { path, a, b } => patch::exchange(tree, path, b.as_ref(), a.as_ref()),
        }
    }

    /// As it is told, with the default out of the `schema`'s descriptions.
    pub(super) fn difference(&self, schema: &Json) -> Difference {
        let (Self::Value { path, a, b } | Self::Member { path, a, b }) = self;
        let [a, b] = [a, b].map(|node| node.as_ref().map(told));
        let one_sided = a.is_none() || b.is_none();
        let default = one_sided.then(|| patch::default_of(schema, path)).flatten();
        Difference { key: self.key(), a, b, default }
    }
}

/// A check is its condition; everything else is what it is.
fn told(node: &Node) -> Json {
    let value = json(node);
    match value.as_object() {
        Some(table) if table.len() == 1 && table.contains_key("that") => table["that"].clone(),
        _ => value,
    }
}
