//! Which proxies there are, which frontend leads to them, and what it says.

use std::net::SocketAddr;

use super::section::{Line, Section, Sections, last};
use super::server::socket_address;
use super::value::number;
use crate::import::toml_text::quoted;
use crate::import::{Draft, ImportError, Origin};

/// The proxies with servers: `backend` and `listen`.
pub(super) fn proxies(sections: &Sections) -> Vec<&Section> {
    let proxies = sections.0.iter().filter(|section| match section.kind.as_str() {
        "backend" => true,
        "listen" => has_servers(section),
        _ => false,
    });
    proxies.collect()
}

fn has_servers(section: &Section) -> bool {
    section.lines.iter().any(|line| matches!(line.word(0), "server" | "server-template"))
}

/// The proxy that is asked for; without a name the one that the first frontend leads to, or the
/// first `listen` or `backend` with servers.
pub(super) fn choose<'a>(
    sections: &'a Sections,
    wanted: Option<&str>,
    start: &Origin,
) -> Result<&'a Section, ImportError> {
    let proxies = proxies(sections);
    if let Some(name) = wanted {
        let names: Vec<&str> = proxies.iter().map(|section| section.name.as_str()).collect();
        let found = proxies.iter().find(|section| section.name == name).copied();
        return found.ok_or_else(|| {
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            start.error(format!("there is no backend `{name}`; there are: {known}"))
        });
    }
    let named = |name: &str| proxies.iter().find(|section| section.name == name).copied();
    let frontends = || sections.0.iter().filter(|section| section.kind == "frontend");
    let led = |word: &str| {
        let lines = frontends().flat_map(|frontend| sections.lines(frontend));
        lines.filter(|line| line.word(0) == word).find_map(|line| named(line.word(1)))
    };
    let found = led("default_backend")
        .or_else(|| led("use_backend"))
        .or_else(|| proxies.iter().copied().find(|section| has_servers(section)));
    found.or_else(|| proxies.first().copied()).ok_or_else(|| {
        start.error("there is no `backend` and no `listen` with servers, so nothing is balanced")
    })
}

/// The lines of the frontends that lead to `proxy`; its own for a `listen`.
pub(super) fn leading<'a>(sections: &'a Sections, proxy: &'a Section) -> Vec<&'a Line> {
    if proxy.kind == "listen" {
        return sections.lines(proxy);
    }
    let leads = |lines: &[&Line]| {
        lines.iter().any(|line| {
            matches!(line.word(0), "default_backend" | "use_backend") && line.word(1) == proxy.name
        })
    };
    let frontends = sections.0.iter().filter(|section| section.kind == "frontend");
    frontends
        .map(|frontend| sections.lines(frontend))
        .filter(|lines| leads(lines))
        .flatten()
        .collect()
}

/// Listeners, limits of clients, and routing.
pub(super) fn settings(lines: &[&Line], draft: &mut Draft) -> Result<(), ImportError> {
    listen(lines, draft);
    if let Some(line) = last(lines, &["maxconn"]) {
        let count = number(line.word(1), u64::from(u32::MAX), &line.origin)?.max(1);
        draft.set("balancer.client", "connections", count.to_string(), line.origin.to_string());
    }
    if last(lines, &["option", "forwardfor"]).is_none() {
        draft.set("balancer.forward", "x_forwarded", "false", "no option forwardfor");
    }
    for line in lines.iter().filter(|line| line.word(0) == "use_backend") {
        let why = "a scenario has one group of backends; choose with --upstream";
        draft.leave(&line.origin, line.text(), why);
    }
    Ok(())
}

fn listen(lines: &[&Line], draft: &mut Draft) {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    let mut from = String::new();
    for line in lines.iter().filter(|line| line.word(0) == "bind") {
        let guarded = line.words.iter().any(|word| word == "ssl" || word == "accept-proxy");
        if guarded {
            let why =
                "certificates and trusted networks belong to the host; the listener is left out";
            draft.leave(&line.origin, line.text(), why);
            continue;
        }
        for word in line.word(1).split(',') {
            match socket_address(word) {
                Some(address) if !addresses.contains(&address) => {
                    addresses.push(address);
                    from = line.origin.to_string();
                }
                Some(_) => {}
                None => {
                    draft.leave(&line.origin, line.text(), "a scenario listens on IP:PORT only")
                }
            }
        }
    }
    if !addresses.is_empty() {
        let list: Vec<String> = addresses
            .iter()
            .map(|address| format!("{{ address = {} }}", quoted(&address.to_string())))
            .collect();
        let comment = format!("{from}; `lab run` chooses its own");
        draft.set("balancer", "listen", format!("[{}]", list.join(", ")), comment);
    }
}
