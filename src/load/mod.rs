//! The load generator: the plan against the clock.
