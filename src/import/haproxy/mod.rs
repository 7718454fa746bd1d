//! `haproxy.cfg`: a backend, and the frontend that leads to it.

mod balance;
mod frontend;
mod proxy;
mod section;
mod server;
mod unread;
mod value;
mod words;

use std::sync::Arc;

use super::{Draft, ImportError, Origin, SourceFile, Surroundings};
use section::{Line, Sections, last};
use server::Params;

/// The draft of a scenario from `file`. `upstream` names the `backend` or `listen` to take; without
/// it the one that the first frontend leads to is taken.
///
/// # Errors
/// With file and line: what HAProxy could not read either, a backend that is not there, and one
/// from which no scenario follows because none of its servers would serve.
pub fn draft(
    file: &SourceFile,
    around: &dyn Surroundings,
    upstream: Option<&str>,
) -> Result<Draft, ImportError> {
    let mut draft = Draft::new("haproxy", &file.name);
    let sections = Sections::read(file, around, &mut draft)?;
    let start = Origin::new(&Arc::from(file.name.as_str()), 1);
    let proxy = frontend::choose(&sections, upstream, &start)?;
    draft.upstream.clone_from(&proxy.name);
    let names = frontend::proxies(&sections).into_iter().map(|section| section.name.clone());
    draft.others = names.filter(|name| *name != proxy.name).collect();
    let lines = sections.lines(proxy);
    let leading = frontend::leading(&sections, proxy);
    threads(&sections, &mut draft)?;
    note_mode(&lines, &mut draft);
    balance::balance(&lines, &mut draft)?;
    let servers = servers(&lines, &mut draft)?;
    draft.check_backends(&proxy.origin)?;
    draft.drop_slow_start();
    // Failed requests do not take a server out.
    draft.set("balancer", "max_fails", "0", "only checks take servers out");
    let both: Vec<&Line> = leading.iter().chain(&lines).copied().collect();
    proxy::timeouts(&both, &proxy.origin, &mut draft)?;
    proxy::retries(&lines, &mut draft)?;
    proxy::health(&lines, &servers, &mut draft)?;
    proxy::queue(&lines, &servers, &mut draft)?;
    proxy::affinity(&lines, &servers, &mut draft);
    proxy::connections(&lines, &servers, &mut draft);
    proxy::note_rest(&lines, &mut draft);
    unread::note(&both, &mut draft);
    frontend::settings(&leading, &mut draft)?;
    draft.not_taken.sort_by(|a, b| a.origin.cmp(&b.origin));
    Ok(draft)
}

/// `nbthread`: threads share what they know.
fn threads(sections: &Sections, draft: &mut Draft) -> Result<(), ImportError> {
    let globals = sections.0.iter().filter(|section| section.kind == "global");
    let lines: Vec<&Line> = globals.flat_map(|section| &section.lines).collect();
    if let Some(line) = last(&lines, &["nbthread"]) {
        let count = value::number(line.word(1), 1_000, &line.origin)?.max(1);
        draft.set("balancer", "workers", count.to_string(), line.origin.to_string());
    } else {
        let comment = "PLACEHOLDER: no nbthread, so HAProxy starts one thread for each processor";
        draft.set("balancer", "workers", "1", comment);
    }
    Ok(())
}

fn note_mode(lines: &[&Line], draft: &mut Draft) {
    // Without `mode`, HAProxy passes on connections.
    let mode = last(lines, &["mode"]);
    if let Some(line) = mode.filter(|line| line.word(1) != "http") {
        draft.leave(&line.origin, line.text(), "lab balances requests, not connections");
    }
}

/// Adds the servers, each with the `default-server` lines above it.
fn servers(lines: &[&Line], draft: &mut Draft) -> Result<Vec<Params>, ImportError> {
    let mut defaults = Params::default();
    let mut servers = Vec::new();
    for line in lines {
        match line.word(0) {
            "default-server" => defaults.read(line, 1, draft)?,
            "server" | "server-template" => {
                servers.extend(server::servers(line, &defaults, draft)?)
            }
            _ => {}
        }
    }
    Ok(servers)
}
