//! The configuration of the proxy.

use std::path::Path;

use lab::scenario::parse_balancer;

/// Reads a configuration; what is wrong with it can be shown, and what is right has a peer for
/// each address.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match parse_balancer(text, Path::new("fuzz.toml"), &[]) {
        Ok(file) => assert_eq!(file.balancer.upstream.peers.len(), file.addresses.len()),
        Err(diagnostics) => assert!(diagnostics.to_string().contains("fuzz.toml")),
    }
}
