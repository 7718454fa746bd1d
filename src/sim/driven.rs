//! Service times that were measured in a live run, to drive the model by them.

use crate::units::Span;

/// Measured service times by (request, attempt).
#[derive(Clone, Debug, Default)]
pub struct ServiceTimes {
    sorted: Vec<(u64, u16, Span)>,
}

impl ServiceTimes {
    /// The service time of attempt `number` (from 1) of request `id`, if it was measured.
    #[must_use]
    pub fn get(&self, id: u64, number: u16) -> Option<Span> {
        let place =
            self.sorted.binary_search_by_key(&(id, number), |(id, number, _)| (*id, *number));
        place.ok().map(|place| self.sorted[place].2)
    }

    /// How many were measured.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether none was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }
}

/// From (id, attempt number, service time); of several for the same attempt one is kept.
impl FromIterator<(u64, u16, Span)> for ServiceTimes {
    fn from_iter<I: IntoIterator<Item = (u64, u16, Span)>>(times: I) -> Self {
        let mut sorted: Vec<_> = times.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup_by_key(|(id, number, _)| (*id, *number));
        Self { sorted }
    }
}
