//! `lab new --from`: what is written from configurations as people have them.

use std::collections::BTreeMap;

use lab::import::{ConfigKind, Draft, ImportError, SourceFile, draft, nginx};
use lab::scenario::parse;
use proptest::prelude::*;

const NGINX: &str = include_str!("nginx/nginx.conf");
const APP: &str = include_str!("nginx/conf.d/app.conf");
const HAPROXY: &str = include_str!("haproxy/haproxy.cfg");

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile { name: name.to_owned(), text: text.to_owned() }
}

fn read(name: &str, text: &str, upstream: Option<&str>) -> Result<Draft, ImportError> {
    let app = file("conf.d/app.conf", APP);
    let around = BTreeMap::from([("conf.d/*.conf".to_owned(), vec![app])]);
    draft(ConfigKind::of(text), &file(name, text), &around, upstream)
}

/// The text, after `lab check` would have passed it.
fn written(draft: &Draft) -> String {
    let text = draft.scenario();
    if let Err(wrong) = parse(&text, "t.toml") {
        panic!("{wrong}\n{text}");
    }
    text
}

#[test]
fn nginx_with_includes_and_several_upstreams() {
    let found = read("nginx.conf", NGINX, None).unwrap();
    assert_eq!((found.upstream.as_str(), found.others.join(" ").as_str()), ("app", "legacy"));
    insta::assert_snapshot!("nginx", written(&found));
    let legacy = read("nginx.conf", NGINX, Some("legacy")).unwrap();
    assert!(written(&legacy).contains("algorithm = \"ip_hash\""));
}

#[test]
fn haproxy_with_defaults_and_listen() {
    let found = read("haproxy.cfg", HAPROXY, None).unwrap();
    insta::assert_snapshot!("haproxy", written(&found));
    insta::assert_snapshot!(
        "haproxy_static",
        written(&read("haproxy.cfg", HAPROXY, Some("static")).unwrap())
    );
    let direct = written(&read("haproxy.cfg", HAPROXY, Some("direct")).unwrap());
    assert!(
        direct.contains("send_proxy_protocol = \"v2\"") && direct.contains("[::1]:9001"),
        "{direct}"
    );
}

#[test]
fn what_was_read_is_what_the_scenario_means() {
    let text = written(&read("nginx.conf", NGINX, None).unwrap());
    let scenario = parse(&text, "t.toml").unwrap();
    let peers = &scenario.balancer.upstream.peers;
    let weights: Vec<u32> = peers.iter().map(|peer| peer.weight).collect();
    assert_eq!(weights, [5, 5, 3, 1, 1]);
    assert_eq!((peers[0].max_fails, peers[1].max_fails), (3, 1));
    assert!(peers[3].backup && peers[4].down && peers[2].max_conns == 100);
    assert_eq!(scenario.balancer.workers, 4);
    assert_eq!(scenario.balancer.upstream.retry.tries, 2);
    assert_eq!(scenario.balancer.keepalive, 64);
}

#[test]
fn errors_name_file_and_line() {
    for (text, expected) in [
        ("upstream a {\n server x weight=0;\n}", "c:2: a weight is at least 1"),
        ("upstream a {\n}", "c:1: `a` has no servers, so there is nothing to balance"),
        ("upstream a { server x backup; }", "c:1: every server of `a` is a backup"),
        ("events {}\n", "c:1: there is no `upstream` block and no `proxy_pass`"),
        ("upstream a {\n server x fail_timeout=1x; }", "c:2: `1x` is no time"),
        ("backend a\n server x", "c:2: it takes `server NAME ADDRESS`"),
        ("backend a\n server x :80 weight 300", "c:2: `300` is no whole number up to 256"),
        ("backend a\n balance best\n server x :80", "c:2: `best` is no rule of `balance`"),
        ("backend a\n timeout connect 1y\n server x :80", "c:2: `1y` is no time"),
        ("backend a\n server x :80 weight 0", "c:1: every server of `a` is out of service"),
        ("global\n", "c:1: there is no `backend` and no `listen` with servers"),
    ] {
        let error = read("c", text, None).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let error = read("nginx.conf", NGINX, Some("nope")).unwrap_err().to_string();
    assert_eq!(error, "nginx.conf:1: there is no upstream `nope`; there are: legacy, app");
}

/// What nobody reads is named, with its line; what changes nothing is not.
#[test]
fn unread_lines_are_named() {
    let text = "upstream a { server x; fair; }\nserver { location / {\n proxy_pass http://a;\n \
                proxy_buffering off;\n proxy_set_header Host $host; } }";
    let notes = |found: Draft| found.not_taken.iter().map(ToString::to_string).collect::<Vec<_>>();
    let found = notes(read("c", text, None).unwrap());
    assert!(found.iter().any(|note| note.starts_with("c:1: fair")), "{found:?}");
    assert!(found.iter().any(|note| note.starts_with("c:4: proxy_buffering off")), "{found:?}");
    assert!(!found.iter().any(|note| note.starts_with("c:5")), "{found:?}");
    let text = "backend a\n mode http\n log global\n load-server-state-from-file global\n option \
                abortonclose\n server x :80\n";
    let found = notes(read("c", text, None).unwrap());
    assert!(found.iter().any(|note| note.starts_with("c:4: load-server-state")), "{found:?}");
    assert!(found.iter().any(|note| note.starts_with("c:5: option abortonclose")), "{found:?}");
    assert!(!found.iter().any(|note| note.starts_with("c:3")), "{found:?}");
    let whole = "http { upstream a { zone a 64k; server 10.0.0.1:80; keepalive 2; } server { location / { \
                 proxy_pass http://a; proxy_http_version 1.1; proxy_set_header Connection \"\"; } } }";
    assert!(written(&read("c", whole, None).unwrap()).contains("# Nothing was left out"));
}

/// Settings that only together make no scenario.
#[test]
fn what_an_algorithm_does_not_have_is_left_out() {
    let text = "upstream a { hash $cookie_a(b; server 10.0.0.1:80 slow_start=3s; }";
    let found = read("c", text, None).unwrap();
    assert!(!written(&found).contains("slow_start ="), "{found:?}");
    assert!(found.not_taken.iter().any(|note| note.what == "slow start"), "{found:?}");
    let text = "backend a\n balance hash req.cook(x(y)\n server x 10.0.0.1:80\n";
    assert!(written(&read("c", text, None).unwrap()).contains("hash_key = \"uri\""));
}

#[test]
fn connections_are_kept_only_where_nginx_keeps_them() {
    let text = NGINX.replace("proxy_http_version 1.1;", "");
    let found = read("nginx.conf", &text, None).unwrap();
    assert!(
        found
            .not_taken
            .iter()
            .any(|note| note.why.contains("without proxy_http_version 1.1 NGINX"))
    );
    assert_eq!(parse(&written(&found), "t").unwrap().balancer.keepalive, 0);
}

proptest! {
    /// Whatever upstream is written comes back with the same servers.
    #[test]
    fn servers_come_back(
        servers in prop::collection::vec((1_u32..1000, 0_u32..100, 0_u32..9, any::<bool>()), 1..20),
        method in prop::sample::select(vec!["", "least_conn;", "random two;", "hash $uri consistent;"]),
    ) {
        let lines: String = servers.iter().enumerate().map(|(i, (weight, conns, fails, backup))| {
            let backup = if *backup && i > 0 && !method.starts_with("hash") { "backup" } else { "" };
            format!("server 10.0.0.{i}:80 weight={weight} 'max_conns={conns}' max_fails={fails} {backup};\n")
        }).collect();
        let text = format!("http {{ upstream u {{ {method} {lines} }} }}");
        let found = nginx::draft(&file("c", &text), &BTreeMap::new(), None).unwrap();
        let scenario = parse(&found.scenario(), "t").unwrap();
        let peers: Vec<_> = scenario.balancer.upstream.peers.iter()
            .map(|peer| (peer.weight, peer.max_conns, peer.max_fails)).collect();
        let expected: Vec<_> = servers.iter().map(|(w, c, f, _)| (*w, *c, *f)).collect();
        prop_assert_eq!(peers, expected);
    }

    /// No text makes the readers panic, and what they give is a right scenario.
    #[test]
    fn any_text_is_read_or_refused(words in prop::collection::vec(prop::sample::select(vec![
        "upstream", "a", "{", "}", ";", "server", "127.0.0.1:80", "weight=2", "backup", "\n", "\"", "'",
        "location", "proxy_pass", "http://a", "backend", "listen", "defaults", "global", "balance",
        "roundrobin", "check", "inter", "1s", "cookie", "\\", "$x", "#", "keepalive", "0", "hash", "zone",
        "proxy_read_timeout", "frontend", "default_backend", "timeout", "maxconn", "option", "httpchk",
    ]), 0..60)) {
        let text = words.join(" ");
        for kind in [ConfigKind::Nginx, ConfigKind::Haproxy] {
            if let Ok(found) = draft(kind, &file("c", &text), &BTreeMap::new(), None) {
                written(&found);
            }
        }
    }
}
