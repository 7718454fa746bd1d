//! The TOML of a scenario as a tree in which every value knows its place, so that a problem found
//! late still points at what was written. Overrides (`--set key=value`) are grafted onto it.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Origin, Place, Problems, suggestion};

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A value as TOML has them.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Integer(i128),
    Float(f64),
    Boolean(bool),
    Datetime,
    Array(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key of a table and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// Where the key itself is written.
    pub(crate) place: Place,
    pub(crate) node: Node,
}

impl Value {
    /// The kind, with an article.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number with a fraction",
            Self::Boolean(_) => "a boolean",
            Self::Datetime => "a date",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

impl Node {
    /// The value as TOML on one line; `None` for dates, which no key takes.
    pub(crate) fn to_toml(&self) -> Option<String> {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        Some(match &self.value {
            Value::Text(text) => quoted(text),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => format!("{number:?}"),
            Value::Boolean(value) => value.to_string(),
            Value::Datetime => return None,
            Value::Array(items) => {
                let items: Option<Vec<String>> = items.iter().map(Self::to_toml).collect();
                format!("[{}]", items?.join(", "))
            }
            Value::Table(entries) => {
                let pair = |entry: &Entry| {
                    Some(format!("{} = {}", quoted(&entry.key), entry.node.to_toml()?))
                };
                let pairs: Option<Vec<String>> = entries.iter().map(pair).collect();
                format!("{{ {} }}", pairs?.join(", "))
            }
        })
    }

    /// The value of `key`, if this is a table that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Table(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }
}

/// Parses a whole file; `None` if it is not TOML, with every syntax error reported.
pub(crate) fn parse(text: &str, problems: &mut Problems) -> Option<Node> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        // What is missing takes no room, but stands somewhere.
        let span = span.start..span.end.max(span.start + 1);
        let place = Place { key: String::new(), origin: Origin::File, span };
        problems.report(&place, format!("not valid TOML: {}", error.message()));
    }
    let value = table_value(table.into_inner(), "", Origin::File);
    errors.is_empty().then_some(Node { place: Place::default(), value })
}

fn node(value: Spanned<DeValue<'_>>, key: &str, origin: Origin) -> Node {
    let place = Place { key: key.to_owned(), origin, span: value.span() };
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(integer) => i128::from_str_radix(integer.as_str(), integer.radix())
            .map_or(Value::Float(f64::INFINITY), Value::Integer),
        DeValue::Float(float) => Value::Float(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(boolean) => Value::Boolean(boolean),
        DeValue::Datetime(_) => Value::Datetime,
        DeValue::Array(items) => Value::Array(
            items
                .into_iter()
                .enumerate()
                .map(|(i, item)| node(item, &format!("{key}[{i}]"), origin))
                .collect(),
        ),
        DeValue::Table(table) => table_value(table, key, origin),
    };
    Node { place, value }
}

fn table_value(table: DeTable<'_>, path: &str, origin: Origin) -> Value {
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(key, value)| {
            let path = join(path, key.get_ref());
            let place = Place { key: path.clone(), origin, span: key.span() };
            Entry { key: key.into_inner().into_owned(), place, node: node(value, &path, origin) }
        })
        .collect();
    entries.sort_by_key(|entry| entry.place.span.start);
    Value::Table(entries)
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Sets the value at the override's key. A list of tables takes an index (`backend[0].weight`) or
/// the name of one of them (`backend.b1.weight`).
pub(crate) fn graft(
    root: &mut Node,
    number: usize,
    key: &str,
    text: &str,
    problems: &mut Problems,
) {
    let place = Place { key: key.to_owned(), origin: Origin::Override(number), span: 0..0 };
    let normal = key.replace('[', ".").replace(']', "");
    let steps: Vec<&str> = normal.split('.').map(str::trim).collect();
    if steps.iter().any(|step| step.is_empty()) {
        let help = "write a path of keys like `balancer.retry.tries=2`";
        return problems.report_with(&place, "not a key", help);
    }
    let new = override_node(text, &place);
    if let Err((message, help)) = set(root, &steps, new, &place) {
        problems.report_with(&place, message, help);
    }
}

/// The value of an override: TOML if it is TOML, else a string, so that `random` and `5s` need
/// no quotes.
fn override_node(text: &str, place: &Place) -> Node {
    let Ok(value) = DeValue::parse(text) else {
        return Node { place: place.clone(), value: Value::Text(text.trim().to_owned()) };
    };
    node(value, &place.key, place.origin)
}

fn set(node: &mut Node, steps: &[&str], new: Node, place: &Place) -> Result<(), (String, String)> {
    let Some((step, rest)) = steps.split_first() else {
        let key = std::mem::take(&mut node.place.key);
        *node = new;
        node.place.key = key;
        return Ok(());
    };
    let path = node.place.key.clone();
    match &mut node.value {
        Value::Table(entries) => {
            set(&mut table_entry(entries, step, &path, place).node, rest, new, place)
        }
        Value::Array(items) => set(array_item(items, step)?, rest, new, place),
        other => {
            let message = format!("`{path}` is {}, which has no `{step}`", other.kind());
            Err((message, format!("set `{path}` itself")))
        }
    }
}

/// The entry of `key`, made if it is missing: whether it is a valid key is for the reader to say.
fn table_entry<'a>(
    entries: &'a mut Vec<Entry>,
    key: &str,
    path: &str,
    place: &Place,
) -> &'a mut Entry {
    let at = entries.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
        let place = Place { key: join(path, key), ..place.clone() };
        let node = Node { place: place.clone(), value: Value::Table(Vec::new()) };
        entries.push(Entry { key: key.to_owned(), place, node });
        entries.len() - 1
    });
    &mut entries[at]
}

fn array_item<'a>(items: &'a mut [Node], step: &str) -> Result<&'a mut Node, (String, String)> {
    let named = |item: &Node| match item.get("name").map(|entry| &entry.node.value) {
        Some(Value::Text(name)) => Some(name.clone()),
        _ => None,
    };
    let names: Vec<String> = items.iter().filter_map(named).collect();
    let count = items.len();
    let at = match step.parse::<usize>() {
        Ok(index) => (index < count).then_some(index),
        Err(_) => items.iter().position(|item| named(item).as_deref() == Some(step)),
    };
    match at {
        Some(at) => Ok(&mut items[at]),
        None => {
            let help = suggestion(step, names.iter().map(String::as_str), "names here");
            Err((format!("there is no `{step}` here ({count} in the list, counted from 0)"), help))
        }
    }
}

/// A table written on one line as `word,key=value,key=value`, where the word stands under `tag`.
pub(crate) fn inline_table(tag: &str, text: &str) -> Node {
    let entry = |key: &str, value: &str| {
        let place = Place { key: key.to_owned(), ..Place::default() };
        let node = override_node(value, &place);
        Entry { key: key.to_owned(), place, node }
    };
    let mut parts = text.split(',').map(str::trim);
    let word = parts.next().filter(|word| !word.is_empty());
    let mut entries: Vec<Entry> = word.map(|word| entry(tag, word)).into_iter().collect();
    entries.extend(parts.map(|part| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        entry(key.trim(), value)
    }));
    Node { place: Place::default(), value: Value::Table(entries) }
}
