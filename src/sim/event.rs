//! What can be due in the model.

/// Something due at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// What the flight in this slot waits for, unless the flight has been given another plan
    /// since: then the number is old and the event is void.
    Flight {
        /// Slot of the flight.
        slot: u32,
        /// Number of the plan.
        plan: u32,
    },
    /// A processor-sharing station's next departure, unless its plan is old.
    Departure {
        /// Index of the backend.
        backend: u32,
        /// Number of the plan.
        plan: u32,
    },
    /// A fault begins (`true`) or ends: by its index.
    Fault(u32, bool),
    /// A view's upstream wants to be woken.
    Wake(u32),
    /// The answer to a health check is known.
    Probe {
        /// The view that asked.
        view: u32,
        /// The backend.
        backend: u32,
        /// Whether an answer came, to be drawn; otherwise the check has failed.
        answered: bool,
    },
    /// A client's connection is free again.
    ConnectionFree {
        /// The view it leads to.
        view: u32,
        /// Requests it has carried.
        carried: u32,
    },
    /// A user of a closed loop has thought.
    User(u32),
    /// A second of the timeline is over.
    Second,
}
