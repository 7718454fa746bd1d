//! How a peer is found unfit: by the requests of clients (passive), or by checks of its own (active).

pub mod active;
pub mod passive;
