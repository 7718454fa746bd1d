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
    /// The load probe in this slot has reached its backend, or its answer the balancer.
    LoadProbe(u32),
    /// The autoscaler looks at its instances.
    Scrape,
    /// The autoscaler decides.
    Poll,
    /// An instance is ready, if it is still the one in its slot.
    InstanceReady {
        /// Slot of the scaled group.
        slot: u32,
        /// Which of those that were in it.
        instance: u32,
    },
    /// Whether an instance that drains has finished must be seen.
    InstanceLeaves {
        /// Slot of the scaled group.
        slot: u32,
        /// Which of those that were in it.
        instance: u32,
    },
    /// The attempt of the flight in this slot is late, if the slot still holds the request.
    Hedge {
        /// Slot of the flight.
        slot: u32,
        /// What is left of the id of the request ([`brief`]).
        brief: u32,
    },
}

/// Enough of an id to tell the requests apart that use one slot after the other.
pub(super) const fn brief(id: u64) -> u32 {
    (id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32
}

/// Bits of the packed form below the kind: one number of 28 bits and one of 32.
const FIRST_BITS: u32 = 28;
const KIND_SHIFT: u32 = FIRST_BITS + 32;

/// An event in one word, as the queue holds it: moving events about is most of its work. Slots,
/// views and backends have 28 bits, which is more than fits into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packed(u64);

impl Packed {
    /// Where no event is.
    pub(super) const NONE: Self = Self::new(15, 0, 0);

    #[inline]
    const fn new(kind: u64, first: u32, second: u32) -> Self {
        debug_assert!(first >> FIRST_BITS == 0, "an index of an event is out of range");
        Self((kind << KIND_SHIFT) | ((first as u64) << 32) | second as u64)
    }

    /// Slot and plan of a flight's event, which nearly all events are.
    #[inline(always)]
    pub(super) const fn flight(self) -> Option<(u32, u32)> {
        match self.0 >> KIND_SHIFT {
            0 => Some(((self.0 >> 32) as u32, self.0 as u32)),
            _ => None,
        }
    }
}

impl From<Event> for Packed {
    #[inline]
    fn from(event: Event) -> Self {
        match event {
            Event::Flight { slot, plan } => Self::new(0, slot, plan),
            Event::Departure { backend, plan } => Self::new(1, backend, plan),
            Event::Fault(number, begins) => Self::new(2, begins as u32, number),
            Event::Wake(view) => Self::new(3, view, 0),
            Event::Probe { view, backend, answered: false } => Self::new(4, view, backend),
            Event::Probe { view, backend, answered: true } => Self::new(5, view, backend),
            Event::ConnectionFree { view, carried } => Self::new(6, view, carried),
            Event::User(user) => Self::new(7, 0, user),
            Event::Second => Self::new(8, 0, 0),
            Event::LoadProbe(slot) => Self::new(9, slot, 0),
            Event::Hedge { slot, brief } => Self::new(10, slot, brief),
            Event::Scrape => Self::new(11, 0, 0),
            Event::Poll => Self::new(12, 0, 0),
            Event::InstanceReady { slot, instance } => Self::new(13, slot, instance),
            Event::InstanceLeaves { slot, instance } => Self::new(14, slot, instance),
        }
    }
}

impl From<Packed> for Event {
    #[inline]
    fn from(packed: Packed) -> Self {
        let first = (packed.0 >> 32) as u32 & ((1 << FIRST_BITS) - 1);
        let second = packed.0 as u32;
        match packed.0 >> KIND_SHIFT {
            0 => Self::Flight { slot: first, plan: second },
            1 => Self::Departure { backend: first, plan: second },
            2 => Self::Fault(second, first == 1),
            3 => Self::Wake(first),
            4 => Self::Probe { view: first, backend: second, answered: false },
            5 => Self::Probe { view: first, backend: second, answered: true },
            6 => Self::ConnectionFree { view: first, carried: second },
            7 => Self::User(second),
            8 => Self::Second,
            9 => Self::LoadProbe(first),
            10 => Self::Hedge { slot: first, brief: second },
            11 => Self::Scrape,
            12 => Self::Poll,
            13 => Self::InstanceReady { slot: first, instance: second },
            _ => Self::InstanceLeaves { slot: first, instance: second },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_loses_nothing() {
        let events = [
            Event::Flight { slot: (1 << 28) - 1, plan: u32::MAX },
            Event::Departure { backend: 3, plan: 9 },
            Event::Fault(7, true),
            Event::Fault(7, false),
            Event::Wake(12),
            Event::Probe { view: 1, backend: 2, answered: false },
            Event::Probe { view: 1, backend: 2, answered: true },
            Event::ConnectionFree { view: 4, carried: u32::MAX },
            Event::User(u32::MAX),
            Event::Second,
            Event::LoadProbe(77),
            Event::Hedge { slot: 5, brief: u32::MAX },
            Event::Scrape,
            Event::Poll,
            Event::InstanceReady { slot: 9_999, instance: u32::MAX },
            Event::InstanceLeaves { slot: 9_999, instance: 7 },
        ];
        assert_eq!(events.map(|event| Event::from(Packed::from(event))), events);
    }
}
