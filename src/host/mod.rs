//! What the programs of the real world need from the host: its clock, its timers, its accounting,
//! and the ties between a process and the one that started it. The only folder that reads a clock.

pub mod anybody;
pub mod call;
pub mod child;
pub mod clock;
pub mod date;
pub mod fitness;
pub mod interrupt;
pub mod poll;
pub mod priority;
pub mod terminal;
pub mod timer;
pub mod usage;
