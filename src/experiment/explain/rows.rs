//! The requests that a check is about, with their attempts: as many as memory has room for.

use std::collections::BTreeMap;
use std::path::Path;

use crate::compare::breakdown::{Disturbed, breakdown};
use crate::compare::population::Population;
use crate::record::{AttemptRow, RecordError, RequestRow, read};
use crate::units::{Span, World};

/// Requests that are kept; of more every second is, then every fourth, ….
const KEPT: usize = 200_000;

/// Which requests decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deciding {
    SlowerThan(u64),
    Failed,
    Retried,
    /// Their last attempt at a server between these.
    At(u32, u32),
    All,
}

impl Deciding {
    fn takes(self, row: &RequestRow) -> bool {
        match self {
            Self::SlowerThan(ns) => row.latency_ns() > ns,
            Self::Failed => row.failed(),
            Self::Retried => row.attempts > 1,
            Self::At(first, last) => (first..=last).contains(&row.upstream),
            Self::All => true,
        }
    }

    /// The others, and those that decide.
    pub(super) fn groups(self) -> [String; 2] {
        match self {
            Self::SlowerThan(ns) => [format!("up to {}", Span(ns)), "slower".to_owned()],
            Self::Failed => ["answered", "failed"].map(str::to_owned),
            Self::Retried => ["one attempt", "retried"].map(str::to_owned),
            Self::At(..) => ["elsewhere", "there"].map(str::to_owned),
            Self::All => ["", "all"].map(str::to_owned),
        }
    }
}

/// What was read of the first replication of a world.
pub(super) struct Rows {
    world: World,
    population: Population,
    which: Deciding,
    /// Requests of the check.
    pub(super) requests: u64,
    /// Of them those that decide.
    pub(super) deciding: u64,
    /// The slowest of those that decide, the slowest first.
    pub(super) worst: Vec<RequestRow>,
    examples: usize,
    kept: BTreeMap<u64, RequestRow>,
    stride: u64,
    /// By id, in order of their beginning.
    attempts: BTreeMap<u64, Vec<AttemptRow>>,
}

impl Rows {
    pub(super) const fn new(
        world: World,
        population: Population,
        which: Deciding,
        examples: usize,
    ) -> Self {
        Self {
            world,
            population,
            which,
            requests: 0,
            deciding: 0,
            worst: Vec::new(),
            examples,
            kept: BTreeMap::new(),
            stride: 1,
            attempts: BTreeMap::new(),
        }
    }

    pub(super) fn request(&mut self, row: &RequestRow) {
        if row.world != self.world || row.replication != 0 || !self.population.contains(row) {
            return;
        }
        self.requests += 1;
        if self.which.takes(row) {
            self.deciding += 1;
            self.worst.push(*row);
            if self.worst.len() > 4 * self.examples + 16 {
                self.cut();
            }
        }
        if row.id.is_multiple_of(self.stride) {
            self.kept.insert(row.id, *row);
        }
        if self.kept.len() > KEPT {
            self.stride *= 2;
            let stride = self.stride;
            self.kept.retain(|id, _| id % stride == 0);
        }
    }

    /// Those that took longest, the earliest first of those alike.
    fn cut(&mut self) {
        self.worst.sort_by_key(|row| (std::cmp::Reverse(row.latency_ns()), row.id));
        self.worst.truncate(self.examples);
    }

    /// Reads the attempts of what is kept.
    pub(super) fn attempts(&mut self, folder: &Path) -> Result<(), RecordError> {
        self.cut();
        read::attempts(&folder.join("attempts.parquet"), |row| {
            if row.world != self.world || row.replication != 0 {
                return;
            }
            let wanted = self.kept.contains_key(&row.id)
                || self.worst.iter().any(|worst| worst.id == row.id);
            if wanted {
                self.attempts.entry(row.id).or_default().push(*row);
            }
        })?;
        for attempts in self.attempts.values_mut() {
            attempts.sort_by_key(|row| (row.start_ns, row.number));
        }
        Ok(())
    }

    pub(super) fn attempts_of(&self, id: u64) -> &[AttemptRow] {
        self.attempts.get(&id).map_or(&[], Vec::as_slice)
    }

    pub(super) fn kept(&self, id: u64) -> Option<&RequestRow> {
        self.kept.get(&id)
    }

    /// How many are kept, if not all.
    pub(super) fn sampled(&self) -> Option<u64> {
        (self.stride > 1).then_some(self.kept.len() as u64)
    }

    /// Sums of the parts of latency of those beside and those that decide, and their numbers.
    pub(super) fn sums(&self, disturbed: &[Disturbed]) -> ([[u128; 8]; 2], [u64; 2]) {
        let mut sums = [[0u128; 8]; 2];
        let mut counts = [0; 2];
        for row in self.kept.values() {
            let group = usize::from(self.which.takes(row));
            counts[group] += 1;
            let parts = breakdown(row, self.attempts_of(row.id), disturbed);
            for (sum, part) in sums[group].iter_mut().zip(parts) {
                *sum += u128::from(part);
            }
        }
        (sums, counts)
    }
}

/// Ids of the requests whose latencies are farthest apart.
pub(super) fn farthest(one: &Rows, other: &Rows, most: usize) -> Vec<u64> {
    let apart = |row: &RequestRow| {
        let other = other.kept(row.id)?;
        Some((row.latency_ns().abs_diff(other.latency_ns()), row.id))
    };
    let mut apart: Vec<(u64, u64)> = one.kept.values().filter_map(apart).collect();
    apart.sort_by_key(|(ns, id)| (std::cmp::Reverse(*ns), *id));
    apart.truncate(most);
    apart.into_iter().map(|(_, id)| id).collect()
}
