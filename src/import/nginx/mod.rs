//! `nginx.conf`: an upstream, and the settings of a location that passes requests to it.

mod balance;
mod location;
pub(super) use location::graphic_path;
mod sites;
mod token;
mod tree;
mod unread;
mod upstream;
mod value;

use std::sync::Arc;

use super::{Draft, ImportError, Origin, SourceFile, Surroundings};
use sites::{Sites, Target};
use tree::Directive;

/// The draft of a scenario from `file`. `upstream` names the `upstream` block to take, or the
/// address behind a `proxy_pass`; without it the first that a server passes requests to is taken.
///
/// # Errors
/// With file and line: what NGINX could not read either, an upstream that is not there, and one
/// from which no scenario follows because none of its servers would serve.
pub fn draft(
    file: &SourceFile,
    around: &dyn Surroundings,
    upstream: Option<&str>,
) -> Result<Draft, ImportError> {
    let mut draft = Draft::new("nginx", &file.name);
    let root = tree::read(file, around, &mut draft)?;
    let start = Origin::new(&Arc::from(file.name.as_str()), 1);
    let sites = Sites::find(&root, &mut draft);
    let target = sites.choose(upstream, &start)?;
    draft.upstream = target.name().to_owned();
    draft.others =
        sites.names().filter(|name| *name != draft.upstream).map(str::to_owned).collect();
    workers(&root, &mut draft)?;
    match &target {
        Target::Block(block) => upstream::block(block, &mut draft)?,
        Target::Address { address, origin } => upstream::single(address, origin, &mut draft),
    }
    location::settings(&sites, &target, &mut draft)?;
    draft.check_backends(target.origin())?;
    draft.drop_slow_start();
    draft.not_taken.sort_by(|a, b| a.origin.cmp(&b.origin));
    Ok(draft)
}

/// `worker_processes`: the number of views of the upstream.
fn workers(root: &[Directive], draft: &mut Draft) -> Result<(), ImportError> {
    let Some(found) = root.iter().rev().find(|directive| directive.name == "worker_processes")
    else {
        return Ok(());
    };
    let word = found.one()?;
    if word == "auto" {
        draft.leave(
            &found.origin,
            "worker_processes auto",
            "the number of processors there is not known here; 1 is assumed",
        );
        return Ok(());
    }
    let count = value::number(word, 1_000, found)?;
    draft.set("balancer", "workers", count.max(1).to_string(), found.origin.to_string());
    Ok(())
}
