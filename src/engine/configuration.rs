//! An engine's configuration as files, and the addresses that it names.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Where things are in one round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wiring {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// The address of each backend of the scenario, in order.
    pub backends: Vec<SocketAddr>,
    /// Where the engine gives its statistics and takes orders by HTTP, if it does.
    pub admin: SocketAddr,
    /// A folder of its own: its configuration, process id, sockets and logs.
    pub folder: PathBuf,
}

impl Wiring {
    /// An example for people, as `lab config` prints it: clients on port 8080, backends from port
    /// 9001 on.
    #[must_use]
    pub fn example(backends: usize) -> Self {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            listen: at(8080),
            backends: (0..backends).map(|place| at(9001 + place as u16)).collect(),
            admin: at(8081),
            folder: PathBuf::from("/tmp/lab"),
        }
    }
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// Its name in the folder of the engine.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// All files of an engine; the first is the one it is started with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// In the order in which people read them.
    pub files: Vec<ConfigFile>,
}
