//! Runs of the model with every row kept, and scenarios in a few lines.

use lab::record::{AttemptOutcome, AttemptRow, EventKind, EventRow, RequestRow, Sink, TimelineRow};
use lab::scenario::Scenario;
use lab::sim::{Options, Ran, run};

/// Every row of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub(crate) requests: Vec<RequestRow>,
    pub(crate) attempts: Vec<AttemptRow>,
    pub(crate) timeline: Vec<TimelineRow>,
    pub(crate) events: Vec<EventRow>,
}

impl Sink for Rows {
    fn request(&mut self, row: &RequestRow) {
        self.requests.push(*row);
    }
    fn attempt(&mut self, row: &AttemptRow) {
        self.attempts.push(*row);
    }
    fn timeline(&mut self, row: &TimelineRow) {
        self.timeline.push(*row);
    }
    fn event(&mut self, row: &EventRow) {
        self.events.push(row.clone());
    }
}

#[allow(dead_code, reason = "each test file uses its part")]
impl Rows {
    /// Requests in order of their id.
    pub(crate) fn sorted(mut self) -> Self {
        self.requests.sort_by_key(|row| row.id);
        self
    }

    /// How many requests ended with this status.
    pub(crate) fn with_status(&self, status: u16) -> usize {
        self.requests.iter().filter(|row| row.status == status).count()
    }

    /// How many attempts ended so.
    pub(crate) fn ended(&self, outcome: AttemptOutcome) -> usize {
        self.attempts.iter().filter(|row| row.outcome == outcome).count()
    }

    /// When events of this kind happened, in milliseconds.
    pub(crate) fn times_of(&self, kind: EventKind) -> Vec<u64> {
        let events = self.events.iter().filter(|event| event.kind == kind);
        events.map(|event| event.at_ns / 1_000_000).collect()
    }

    /// Attempts that began at this peer in these milliseconds.
    pub(crate) fn begun(&self, upstream: u32, milliseconds: std::ops::Range<u64>) -> usize {
        let began = |row: &AttemptRow| milliseconds.contains(&(row.start_ns / 1_000_000));
        self.attempts.iter().filter(|row| row.upstream == upstream && began(row)).count()
    }
}

/// Reads a scenario, whose lines about the format and the seed are the same everywhere.
pub(crate) fn scenario(text: &str) -> Scenario {
    let text = format!("schema_version = 1\n{text}");
    lab::scenario::parse(&text, "test.toml").unwrap_or_else(|problems| panic!("{problems}"))
}

/// Runs replication 0 without costs.
#[allow(dead_code, reason = "each test file uses its part")]
pub(crate) fn rows(scenario: &Scenario) -> (Rows, Ran) {
    let mut rows = Rows::default();
    let ran = run(scenario, 0, &Options::default(), &mut rows);
    (rows.sorted(), ran)
}
