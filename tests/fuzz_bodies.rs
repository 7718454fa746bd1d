//! The bodies of the fuzz targets in `fuzz/`, over their seeds and over changes of them, so that
//! every test run holds what fuzzing holds; `fuzz/README.md` says how to run them for long.
#![cfg(feature = "live")]

#[path = "../fuzz/bodies/access_log.rs"]
mod access_log;
#[path = "../fuzz/bodies/chunked.rs"]
mod chunked;
#[path = "../fuzz/bodies/config.rs"]
mod config;
#[path = "../fuzz/bodies/draft.rs"]
mod draft;
#[path = "../fuzz/bodies/exposition.rs"]
mod exposition;
#[path = "../fuzz/bodies/haproxy_cfg.rs"]
mod haproxy_cfg;
#[path = "../fuzz/bodies/nginx_conf.rs"]
mod nginx_conf;
#[path = "../fuzz/bodies/pieces.rs"]
mod pieces;
#[path = "../fuzz/bodies/proxy_protocol.rs"]
mod proxy_protocol;
#[path = "../fuzz/bodies/request.rs"]
mod request;
#[path = "../fuzz/bodies/response.rs"]
mod response;
#[path = "../fuzz/bodies/scenario.rs"]
mod scenario;
#[path = "../fuzz/bodies/trace.rs"]
mod trace;

use std::fs;
use std::path::Path;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt, SeedableRng};

/// Bytes that parsers look at.
const TELLING: &[&[u8]] = &[
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b"0",
    b"-1",
    b"+",
    b"\"",
    b"[",
    b"]",
    b"=",
    b"#",
    b"\xff",
    b"18446744073709551616",
    b"Content-Length: 5\r\n",
    b"Host: t\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"{",
    b"}",
    b"'",
    b"\\",
    b"$",
];

/// Runs `body` over each seed of `target`, and over `changes` changes of each.
fn replay(target: &str, changes: u32, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut seeds: Vec<Vec<u8>> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| fs::read(entry.expect("an entry").path()).expect("a seed"))
        .collect();
    assert!(seeds.len() > 1, "{target} has seeds");
    seeds.sort();
    let mut draws = Xoshiro256PlusPlus::seed_from_u64(9);
    for seed in &seeds {
        body(seed);
        for _ in 0..changes {
            let mut changed = seed.clone();
            for _ in 0..draws.random_range(1..4) {
                change(&mut changed, &seeds, &mut draws);
            }
            body(&changed);
        }
    }
}

/// Cuts, repeats, inserts or joins at a place drawn.
fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], draws: &mut impl Rng) {
    let from = draws.random_range(0..=bytes.len());
    let to = draws.random_range(from..=bytes.len().min(from + 12));
    let put: Vec<u8> = match draws.random_range(0..5) {
        0 => Vec::new(),
        1 => vec![draws.random()],
        2 => bytes[from..to].repeat(2),
        3 => {
            let other = &seeds[draws.random_range(0..seeds.len())];
            other[draws.random_range(0..=other.len())..].to_vec()
        }
        _ => TELLING[draws.random_range(0..TELLING.len())].to_vec(),
    };
    bytes.splice(from..to, put);
    bytes.truncate(4096);
}

#[test]
fn requests() {
    replay("request", 5000, request::run);
}

#[test]
fn responses() {
    replay("response", 5000, response::run);
}

#[test]
fn chunks() {
    replay("chunked", 5000, chunked::run);
}

#[test]
fn proxy_headers() {
    replay("proxy_protocol", 5000, proxy_protocol::run);
}

#[test]
fn scenarios() {
    replay("scenario", 200, scenario::run);
}

#[test]
fn configurations() {
    replay("config", 300, config::run);
}

#[test]
fn traces() {
    replay("trace", 2000, trace::run);
}

#[test]
fn expositions() {
    replay("exposition", 5000, exposition::run);
}

#[test]
fn access_logs() {
    replay("access_log", 1000, access_log::run);
}

#[test]
fn configurations_of_nginx() {
    replay("nginx_conf", 1000, nginx_conf::run);
}

#[test]
fn configurations_of_haproxy() {
    replay("haproxy_cfg", 1000, haproxy_cfg::run);
}
