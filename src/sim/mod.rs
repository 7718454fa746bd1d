//! The model: a deterministic discrete-event simulation of the whole system.
