//! Starts, disturbs, watches and stops the programs of the live world.
