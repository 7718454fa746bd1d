//! Which upstreams there are, and which locations pass requests to them.

use super::tree::Directive;
use crate::import::{Draft, ImportError, Origin};

/// A `location` or `server` with a pass directive, and the blocks around it.
#[derive(Clone, Debug)]
pub(super) struct Site<'a> {
    /// From `http` down to the block itself.
    pub(super) chain: Vec<&'a Directive>,
    /// The pass directive.
    pub(super) pass: &'a Directive,
    /// The name of an upstream, or an address.
    pub(super) target: &'a str,
}

impl<'a> Site<'a> {
    /// The nearest directive named `name`, by NGINX's inheritance: a block's own replaces those
    /// around it.
    pub(super) fn find(&self, name: &str) -> Option<&'a Directive> {
        let within = |block: &&'a Directive| block.children().iter().rev().find(|d| d.name == name);
        self.chain.iter().rev().find_map(within)
    }

    /// The nearest block that has directives named `name`, and all of them.
    pub(super) fn all(&self, name: &str) -> Vec<&'a Directive> {
        let within = |block: &&'a Directive| {
            let found: Vec<_> = block.children().iter().filter(|d| d.name == name).collect();
            (!found.is_empty()).then_some(found)
        };
        self.chain.iter().rev().find_map(within).unwrap_or_default()
    }

    /// The `server` block around it.
    pub(super) fn server(&self) -> Option<&'a Directive> {
        self.chain.iter().copied().find(|block| block.name == "server")
    }
}

/// What requests are passed to.
pub(super) enum Target<'a> {
    /// An `upstream` block.
    Block(&'a Directive),
    /// A server named in the pass directive itself.
    Address {
        /// As written, without the scheme and the path.
        address: &'a str,
        /// Where.
        origin: &'a Origin,
    },
}

impl Target<'_> {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Block(block) => block.args.first().map_or("", String::as_str),
            Self::Address { address, .. } => address,
        }
    }

    pub(super) const fn origin(&self) -> &Origin {
        match self {
            Self::Block(block) => &block.origin,
            Self::Address { origin, .. } => origin,
        }
    }
}

/// All upstreams and sites.
pub(super) struct Sites<'a> {
    pub(super) upstreams: Vec<&'a Directive>,
    pub(super) sites: Vec<Site<'a>>,
}

impl<'a> Sites<'a> {
    pub(super) fn find(root: &'a [Directive], draft: &mut Draft) -> Self {
        let mut sites = Self { upstreams: Vec::new(), sites: Vec::new() };
        for directive in root {
            match directive.name.as_str() {
                "http" => sites.walk(directive, &mut vec![directive], draft),
                // A part that others include, such as a file of conf.d.
                "upstream" => sites.upstreams.push(directive),
                "server" => sites.walk(directive, &mut vec![directive], draft),
                "stream" | "mail" => draft.leave(
                    &directive.origin,
                    format!("block {}", directive.name),
                    "lab balances requests, not connections",
                ),
                _ => {}
            }
        }
        sites
    }

    fn walk(&mut self, block: &'a Directive, chain: &mut Vec<&'a Directive>, draft: &mut Draft) {
        for directive in block.children() {
            match directive.name.as_str() {
                "upstream" => self.upstreams.push(directive),
                "server" | "location" | "if" | "limit_except" if directive.block.is_some() => {
                    chain.push(directive);
                    self.walk(directive, chain, draft);
                    chain.pop();
                }
                "proxy_pass" | "grpc_pass" => self.pass(directive, chain, draft),
                "fastcgi_pass" | "uwsgi_pass" | "scgi_pass" | "memcached_pass" => draft.leave(
                    &directive.origin,
                    directive.text(),
                    "lab's backends speak HTTP; only proxy_pass and grpc_pass are followed",
                ),
                "split_clients" => draft.leave(
                    &directive.origin,
                    directive.text(),
                    "a scenario has one group of backends; choose with --upstream",
                ),
                _ => {}
            }
        }
    }

    fn pass(&mut self, pass: &'a Directive, chain: &[&'a Directive], draft: &mut Draft) {
        let Some(url) = pass.args.first() else { return };
        let target = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let target = if target.starts_with("unix:") {
            target
        } else {
            target.split('/').next().unwrap_or("")
        };
        if target.contains('$') || target.is_empty() {
            let why = "where requests go is decided by a variable; choose with --upstream";
            return draft.leave(&pass.origin, pass.text(), why);
        }
        self.sites.push(Site { chain: chain.to_vec(), pass, target });
    }

    /// The names that `--upstream` takes: blocks, then addresses.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        let blocks = self.upstreams.iter().filter_map(|block| block.args.first());
        let mut names: Vec<&'a str> = blocks.map(String::as_str).collect();
        for site in &self.sites {
            if !names.contains(&site.target) {
                names.push(site.target);
            }
        }
        names.into_iter()
    }

    /// The target that is asked for, or the first that a site passes requests to, or the first
    /// upstream.
    pub(super) fn choose(
        &self,
        wanted: Option<&str>,
        start: &Origin,
    ) -> Result<Target<'a>, ImportError> {
        let block = |name: &str| {
            let named = |block: &&&Directive| block.args.first().is_some_and(|arg| arg == name);
            self.upstreams.iter().find(named).map(|block| Target::Block(block))
        };
        let site = |site: &Site<'a>| {
            block(site.target)
                .unwrap_or(Target::Address { address: site.target, origin: &site.pass.origin })
        };
        if let Some(name) = wanted {
            let found = self.sites.iter().find(|site| site.target == name).map(site);
            return found.or_else(|| block(name)).ok_or_else(|| {
                let names: Vec<&str> = self.names().collect();
                let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                start.error(format!("there is no upstream `{name}`; there are: {known}"))
            });
        }
        // An upstream block is what people mean to balance, so it goes before a plain address.
        let balanced = self.sites.iter().find(|site| block(site.target).is_some());
        let first = balanced.map(site).or_else(|| {
            let block = self.upstreams.first().map(|block| Target::Block(block));
            block.or_else(|| self.sites.first().map(site))
        });
        first.ok_or_else(|| {
            start.error("there is no `upstream` block and no `proxy_pass`, so nothing is balanced")
        })
    }
}
