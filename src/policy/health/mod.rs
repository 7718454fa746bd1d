//! How a peer is found unfit: by the requests of clients (passive, outlier), or by checks of its own
//! (active).

pub mod active;
pub mod outlier;
pub mod passive;
mod success_rate;
