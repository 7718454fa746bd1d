//! `lab new --from FILE`: a scenario from the configuration of a balancer, or from an autoscaler of
//! Kubernetes.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{NewError, write_new};
use crate::import::{self, ConfigKind, Draft, NotTaken, SourceFile, Surroundings, hpa};
use crate::scenario;

/// Arguments of `lab new --from`.
#[derive(Args, Debug)]
pub(super) struct FromArgs {
    /// Write a scenario from this configuration of NGINX or HAProxy, or from this manifest of a
    /// HorizontalPodAutoscaler
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Which upstream or backend to take; without it the first that requests are passed to
    #[arg(long, value_name = "NAME", requires = "from")]
    upstream: Option<String>,
    /// Whose configuration it is; without it that is seen from the text
    #[arg(long, value_name = "KIND", requires = "from")]
    kind: Option<Kind>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Kind {
    Nginx,
    Haproxy,
    Hpa,
}

impl FromArgs {
    pub(super) const fn is_given(&self) -> bool {
        self.from.is_some()
    }
}

/// Writes the scenario, under the name of its upstream if none is given, and gives what there is to
/// say about it.
pub(super) fn write(args: &FromArgs, name: Option<&str>, into: &Path) -> Result<String, NewError> {
    let path = args.from.clone().unwrap_or_default();
    let text = read(&path).map_err(|error| NewError::Read { path: path.clone(), error })?;
    let kind = match args.kind {
        Some(Kind::Nginx) => Some(ConfigKind::Nginx),
        Some(Kind::Haproxy) => Some(ConfigKind::Haproxy),
        Some(Kind::Hpa) => None,
        None => (!hpa::is_manifest(&text)).then(|| ConfigKind::of(&text)),
    };
    let file = SourceFile { name: path.display().to_string(), text };
    let Some(kind) = kind else { return write_autoscaler(name, &file, into) };
    let around = Disk { folder: path.parent().unwrap_or(Path::new("")).to_owned() };
    let draft = import::draft(kind, &file, &around, args.upstream.as_deref())?;
    let target = write_scenario(name, into, draft.file_name(), &draft.scenario())?;
    Ok(said(&target, &draft))
}

fn write_scenario(
    name: Option<&str>,
    into: &Path,
    default: String,
    text: &str,
) -> Result<PathBuf, NewError> {
    let name = name.map_or(default, str::to_owned);
    let target = into.join(if name.ends_with(".toml") { name } else { format!("{name}.toml") });
    scenario::parse(text, &target).map_err(NewError::Wrong)?;
    write_new(target.clone(), text)?;
    Ok(target)
}

fn write_autoscaler(
    name: Option<&str>,
    file: &SourceFile,
    into: &Path,
) -> Result<String, NewError> {
    let found = hpa::read(file)?;
    let target = write_scenario(name, into, found.group.clone(), &found.scenario())?;
    let (min, max) = (found.scale.min, found.scale.max);
    let what = format!(
        "wrote {}: the group {} with an autoscaler from {min} to {max}",
        target.display(),
        found.group
    );
    Ok(lines(what, &found.not_taken, &target))
}

fn said(target: &Path, draft: &Draft) -> String {
    let mut what = format!(
        "wrote {}: {} with {} backends as in upstream {}",
        target.display(),
        draft.engine,
        draft.backends.len(),
        draft.upstream
    );
    if !draft.others.is_empty() {
        what.push_str(&format!("\nothers, which --upstream takes: {}", draft.others.join(", ")));
    }
    lines(what, &draft.not_taken, target)
}

/// What was written, what was not taken over, and what is to be done next.
fn lines(what: String, not_taken: &[NotTaken], target: &Path) -> String {
    let mut lines = vec![what];
    if !not_taken.is_empty() {
        lines.push("not taken over:".to_owned());
        lines.extend(not_taken.iter().map(|note| format!("  {note}")));
    }
    let next = target.display();
    lines.push(format!(
        "replace what is marked PLACEHOLDER, then\n  lab check {next}\n  lab run {next}\n"
    ));
    lines.join("\n")
}

/// Configurations are mostly ASCII; what is no UTF-8 stands in comments and does no harm.
fn read(path: &Path) -> std::io::Result<String> {
    Ok(String::from_utf8_lossy(&std::fs::read(path)?).into_owned())
}

/// Files beside the configuration, to which NGINX's includes are relative.
struct Disk {
    folder: PathBuf,
}

impl Surroundings for Disk {
    fn include(&self, pattern: &str) -> Result<Vec<SourceFile>, String> {
        let mut files = Vec::new();
        for path in matching(&self.folder.join(pattern)).map_err(|error| error.to_string())? {
            let text = read(&path).map_err(|error| error.to_string())?;
            files.push(SourceFile { name: path.display().to_string(), text });
        }
        Ok(files)
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// The files that a pattern stands for, sorted, as glob(3) does; one without wild cards stands for
/// itself.
fn matching(pattern: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let part = part.as_os_str();
        let text = part.to_string_lossy();
        if !text.contains(['*', '?', '[']) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let mut next = Vec::new();
        for folder in found {
            let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
            // As for glob(3), a folder that cannot be read holds nothing.
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for entry in entries {
                let name = entry?.file_name();
                if import::glob_matches(&text, &name.to_string_lossy()) {
                    next.push(folder.join(name));
                }
            }
        }
        next.sort();
        found = next;
    }
    Ok(found)
}
