//! Plain quantities that every other folder speaks in: time, rates, sizes, and draws.

pub mod draw;
pub mod quantity;
pub mod time;
pub mod world;

pub use draw::{Draw, Purpose, Seed};
pub use quantity::{Bytes, Quantity, QuantityError, Rate, Ratio};
pub use time::{Nanos, Span};
pub use world::World;
