//! Free ports for the programs of the live world.
//!
//! They lie below the ephemeral range: a client that connects to a crashed backend's port must not
//! be given that very port as its own and end up talking to itself (a TCP self-connection), and no
//! other client may take it before the backend is back.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// Where the next search begins: two worlds that one process starts at the same time must not be
/// given the same ports, which are free until somebody listens.
static SEARCHED: AtomicU16 = AtomicU16::new(0);

/// Finds `count` ports on 127.0.0.1 that are free now, starting the search at a place that
/// depends on this process, so that runs side by side seldom meet, and behind the last search.
///
/// # Errors
/// When too few are free.
pub fn free(count: usize) -> io::Result<Vec<SocketAddr>> {
    let room = u16::try_from(count).unwrap_or(COUNT).saturating_mul(2).min(COUNT);
    let searched = SEARCHED.fetch_add(room, Ordering::Relaxed);
    let start = (std::process::id() as u16).wrapping_mul(97).wrapping_add(searched) % COUNT;
    // Held until all are found, so that none is found twice.
    let mut held = Vec::with_capacity(count);
    for step in 0..COUNT {
        if held.len() == count {
            break;
        }
        let port = FIRST + (start + step) % COUNT;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push(listener);
        }
    }
    if held.len() < count {
        let why = format!(
            "only {} of {count} ports between {FIRST} and {} are free",
            held.len(),
            FIRST + COUNT
        );
        return Err(io::Error::new(io::ErrorKind::AddrInUse, why));
    }
    held.iter().map(TcpListener::local_addr).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_can_be_bound() {
        let ports = free(5).unwrap();
        let mut unique = ports.clone();
        unique.dedup();
        assert_eq!(unique.len(), 5);
        for port in ports {
            TcpListener::bind(port).unwrap();
        }
    }
}
