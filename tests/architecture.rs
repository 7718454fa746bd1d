//! The house rules that no compiler checks: which folder may use which, no file left behind, no
//! file that hides what it holds, no clock in the pure half.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each folder of `src` and the folders it may use. The arrows point one way: reading down the
/// table, a folder uses only what stands above it.
const STOREYS: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("host", &["units"]),
    ("exposition", &["units", "host"]),
    ("http1", &["units"]),
    ("policy", &["units"]),
    ("traffic", &["units"]),
    ("scenario", &["units", "policy", "traffic"]),
    ("record", &["units", "policy"]),
    ("engine", &["units", "policy", "traffic", "scenario"]),
    ("import", &["units", "policy", "traffic", "scenario", "record"]),
    ("sim", &["units", "policy", "traffic", "scenario", "record"]),
    ("theory", &["units", "traffic"]),
    ("proxy", &["units", "host", "exposition", "http1", "policy", "scenario", "record"]),
    ("backend", &["units", "host", "exposition", "policy", "traffic", "scenario"]),
    ("load", &["units", "host", "traffic", "scenario", "record"]),
    ("autoscaler", &["units", "host", "exposition", "http1", "policy", "scenario", "record"]),
    ("monitor", &["units", "host", "exposition", "policy", "traffic", "scenario", "record"]),
    ("docker_filter", &["host"]),
    (
        "live",
        &[
            "units",
            "host",
            "exposition",
            "policy",
            "traffic",
            "scenario",
            "engine",
            "record",
            "monitor",
            "backend",
            "load",
            "docker_filter",
            "autoscaler",
        ],
    ),
    ("compare", &["units", "policy", "traffic", "scenario", "engine", "record"]),
    ("sweep", &["units", "scenario", "compare"]),
    ("report", &["units", "record", "engine", "compare", "scenario", "sweep"]),
    (
        "experiment",
        &[
            "units", "host", "policy", "traffic", "scenario", "engine", "record", "monitor",
            "theory", "sim", "live", "compare", "sweep",
        ],
    ),
    (
        "cli",
        &[
            "units",
            "host",
            "policy",
            "traffic",
            "scenario",
            "engine",
            "import",
            "record",
            "monitor",
            "theory",
            "sim",
            "proxy",
            "backend",
            "load",
            "docker_filter",
            "autoscaler",
            "live",
            "compare",
            "sweep",
            "report",
            "experiment",
        ],
    ),
];

/// Folders that must give the same bytes everywhere: no clock, no runtime, no files of results.
const PURE: &[&str] = &[
    "units", "http1", "policy", "traffic", "scenario", "engine", "import", "sim", "theory",
    "compare", "sweep",
];

/// What the pure half must not name, and why.
const IMPURE: &[(&str, &str)] = &[
    ("std::time::Instant", "reads a clock"),
    ("SystemTime", "reads a clock"),
    ("tokio::", "an async runtime"),
    ("hyper::", "an HTTP stack"),
    ("plotters::", "a chart library"),
    ("std::net::Tcp", "a socket"),
    ("thread_rng", "unseeded randomness"),
    ("HashMap<", "iteration order that differs from run to run: use BTreeMap or a vector"),
];

/// Names that hide what a file holds.
const HIDING: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc", "stuff"];

/// Source files by path relative to `src`, with comments removed.
type Tree = BTreeMap<String, String>;

#[test]
fn folders_use_only_what_stands_below_them() {
    assert_none(storey_violations(&tree()));
}

#[test]
fn the_pure_half_names_no_clock_runtime_or_socket() {
    assert_none(purity_violations(&tree()));
}

#[test]
fn every_file_is_reached_by_a_module() {
    assert_none(unreached_files(&tree()));
}

#[test]
fn no_file_name_hides_what_it_holds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in ["src", "tests", "benches"] {
        paths.extend(files(&root.join(folder)).iter().map(|path| path.display().to_string()));
    }
    assert_none(hiding_names(&paths));
}

#[test]
fn every_folder_has_a_storey() {
    let known: BTreeSet<&str> = STOREYS.iter().map(|(folder, _)| *folder).collect();
    let folders: BTreeSet<String> = tree()
        .keys()
        .filter_map(|path| path.split_once('/'))
        .map(|(folder, _)| folder.to_owned())
        .collect();
    let unknown: Vec<_> =
        folders.iter().filter(|folder| !known.contains(folder.as_str())).collect();
    assert!(unknown.is_empty(), "folders without a storey in tests/architecture.rs: {unknown:?}");
}

/// Each guard finds the violation it is there for.
#[test]
fn the_guards_can_fail() {
    let bad = |path: &str, text: &str| Tree::from([(path.to_owned(), strip_comments(text))]);
    assert_eq!(storey_violations(&bad("policy/peer.rs", "use crate::sim::World;")).len(), 1);
    assert_eq!(storey_violations(&bad("sim/world.rs", "let x = crate::live::run();")).len(), 1);
    assert_eq!(storey_violations(&bad("sim/world.rs", "// see crate::live::run")).len(), 0);
    assert_eq!(
        purity_violations(&bad("sim/world.rs", "let t = std::time::Instant::now();")).len(),
        1
    );
    assert_eq!(unreached_files(&bad("sim/forgotten.rs", "")).len(), 1);
    assert_eq!(hiding_names(&["src/sim/utils.rs".to_owned()]).len(), 1);
}

fn storey_violations(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for (path, text) in tree {
        let Some((folder, _)) = path.split_once('/') else { continue };
        let allowed =
            STOREYS.iter().find(|(name, _)| *name == folder).map_or(&[][..], |(_, uses)| uses);
        for used in used_folders(text) {
            let known = STOREYS.iter().any(|(name, _)| *name == used);
            if known && used != folder && !allowed.contains(&used.as_str()) {
                violations.push(format!("src/{path} uses crate::{used}, which {folder} may not"));
            }
        }
    }
    violations
}

fn used_folders(text: &str) -> BTreeSet<String> {
    text.match_indices("crate::")
        .map(|(at, found)| {
            text[at + found.len()..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        })
        .collect()
}

fn purity_violations(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for (path, text) in tree {
        let folder = path.split('/').next().unwrap_or_default();
        // What only a build with files or sockets compiles may use them.
        if !PURE.contains(&folder) || text.contains("#![cfg(feature") {
            continue;
        }
        for (word, why) in IMPURE {
            if text.contains(word) {
                violations.push(format!("src/{path} names `{word}`: {why}"));
            }
        }
    }
    violations
}

fn unreached_files(tree: &Tree) -> Vec<String> {
    let declares = |parent: &str, name: &str| {
        tree.get(parent).is_some_and(|text| {
            text.lines().any(|line| {
                let declared = line.trim().strip_suffix(&format!("mod {name};"));
                declared.is_some_and(|seen| seen.is_empty() || seen.starts_with("pub"))
            })
        })
    };
    let mut unreached = Vec::new();
    for path in tree.keys() {
        let path = path.strip_suffix(".rs").unwrap_or(path);
        if matches!(path, "lib" | "main") {
            continue;
        }
        let (parent, name) =
            path.rsplit_once('/').map_or(("", path), |(parent, name)| (parent, name));
        let (parent, name) = if name == "mod" {
            parent.rsplit_once('/').map_or(("", parent), |(above, folder)| (above, folder))
        } else {
            (parent, name)
        };
        let reached = if parent.is_empty() {
            declares("lib.rs", name) || declares("main.rs", name)
        } else {
            declares(&format!("{parent}/mod.rs"), name) || declares(&format!("{parent}.rs"), name)
        };
        if !reached {
            unreached.push(format!("src/{path}.rs is declared by no module"));
        }
    }
    unreached
}

fn hiding_names(paths: &[String]) -> Vec<String> {
    paths
        .iter()
        .filter(|path| {
            path.split('/').any(|part| HIDING.contains(&part.strip_suffix(".rs").unwrap_or(part)))
        })
        .cloned()
        .collect()
}

fn assert_none(violations: Vec<String>) {
    assert!(violations.is_empty(), "\n  {}\n", violations.join("\n  "));
}

fn tree() -> Tree {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    files(&root)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            (name, strip_comments(&fs::read_to_string(&path).unwrap()))
        })
        .collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn strip_comments(text: &str) -> String {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}
