//! The data path of HTTP/1.1 over TCP, where most load is sent: threads that own all they touch.
//!
//! Each thread has an epoll instance, connections, a part of the plan and statistics of its own; no
//! lock, channel or task stands between its timer and its sockets, and a request allocates nothing.
//! A request costs one write and one read; one call waits for the next instant of the schedule and
//! for all sockets. What threads share (names of servers, rows, cookies) is touched only where it
//! is in use.

mod connection;
mod crew;
mod deadlines;
mod exchange;
mod idle;
mod response;
mod schedule;
mod shared;
mod worker;

pub(super) use crew::run;
pub(super) use shared::{Shared, carries};
