//! A list of URLs: the kinds of requests of a run, and the servers they go to.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::forms::method;
use crate::load::{Target, TargetError};

/// One URL with its method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ask {
    /// `None`: the run's.
    pub(super) method: Option<String>,
    pub(super) url: String,
}

impl Ask {
    pub(super) fn url(url: &str) -> Self {
        Self { method: None, url: url.to_owned() }
    }
}

/// Reads a file of URLs: one a line, with a method in front where it is not the run's; empty lines
/// and what follows a `#` at the beginning of a line count for nothing. `-` is stdin.
pub(super) fn read(path: &Path) -> Result<Vec<Ask>, String> {
    let shown = path.display();
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(|error| format!("cannot read the URLs in `{shown}`: {error}"))?;
    let asks = parse(&text).map_err(|(line, why)| format!("`{shown}`, line {line}: {why}"))?;
    if asks.is_empty() { Err(format!("`{shown}` holds no URL")) } else { Ok(asks) }
}

fn parse(text: &str) -> Result<Vec<Ask>, (usize, String)> {
    let lines = text.lines().map(str::trim).zip(1..);
    let lines = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|(line, number)| match line.split_once(char::is_whitespace) {
            None => Ok(Ask::url(line)),
            Some((word, url)) => Ok(Ask {
                method: Some(method(word).map_err(|why| (number, format!("`{word}`: {why}")))?),
                url: url.trim().to_owned(),
            }),
        })
        .collect()
}

/// The servers of a list, and for each of its URLs the server, the path and a name that tells it
/// from the others.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) targets: Vec<Target>,
    pub(super) kinds: Vec<Kind>,
}

#[derive(Debug)]
pub(super) struct Kind {
    pub(super) name: String,
    pub(super) target: usize,
    pub(super) path: String,
}

/// Looks the servers up.
pub(super) fn places(asks: &[Ask]) -> Result<Places, TargetError> {
    let mut targets: Vec<Target> = Vec::new();
    let mut kinds = Vec::new();
    for ask in asks {
        let (target, path) = Target::with_path(&ask.url)?;
        let known = targets.iter().position(|other| *other == target);
        let place = known.unwrap_or_else(|| {
            targets.push(target);
            targets.len() - 1
        });
        kinds.push(Kind { name: String::new(), target: place, path });
    }
    let several = targets.len() > 1;
    for (kind, ask) in kinds.iter_mut().zip(asks) {
        let place = if several { ask.url.as_str() } else { kind.path.as_str() };
        kind.name = match &ask.method {
            Some(method) => format!("{method} {place}"),
            None => place.to_owned(),
        };
    }
    tell_apart(&mut kinds);
    Ok(Places { targets, kinds })
}

/// The same URL twice is two kinds.
fn tell_apart(kinds: &mut [Kind]) {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for kind in kinds {
        let times = seen.entry(kind.name.clone()).or_default();
        *times += 1;
        if *times > 1 {
            kind.name = format!("{} ({times})", kind.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_methods_and_remarks() {
        let asks = parse("# mine\nhttp://a/\n\nPOST  http://a/x\n").unwrap();
        assert_eq!(asks[0], Ask::url("http://a/"));
        assert_eq!((asks[1].method.as_deref(), asks[1].url.as_str()), (Some("POST"), "http://a/x"));
        let (line, why) = parse("http://a/\nhttp://a/ /x\n").unwrap_err();
        assert_eq!(line, 2);
        assert!(why.contains("capitals"), "{why}");
    }

    #[test]
    fn urls_of_one_server_share_it_and_paths_stay_as_written() {
        let list =
            ["http://127.0.0.1:81/a/", "http://127.0.0.1:81/b?c=d", "http://127.0.0.1:81/a/"];
        let asks: Vec<Ask> = list.iter().map(|url| Ask::url(url)).collect();
        let found = places(&asks).unwrap();
        assert_eq!(found.targets.len(), 1);
        let kinds: Vec<_> =
            found.kinds.iter().map(|kind| (kind.path.as_str(), kind.name.as_str())).collect();
        assert_eq!(kinds, [("/a/", "/a/"), ("/b?c=d", "/b?c=d"), ("/a/", "/a/ (2)")]);
        let other = [Ask::url("http://127.0.0.1:81"), Ask::url("https://127.0.0.1:81/")];
        let found = places(&other).unwrap();
        assert_eq!((found.targets.len(), found.kinds[0].path.as_str()), (2, "/"));
        assert_eq!(found.kinds[1].name, "https://127.0.0.1:81/");
    }
}
