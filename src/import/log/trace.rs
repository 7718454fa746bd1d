//! A log as a trace: sorted arrivals, demands, and the classes that are kept apart.

use std::fmt::Write as _;

use super::{Log, Request, path};
use crate::units::{Nanos, Purpose, Seed, Span};

const SECOND: u64 = 1_000_000_000;
/// Methods that a class of a scenario may have.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A class of requests.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Class {
    /// Its name, as a scenario allows it.
    pub name: String,
    /// The method of its requests.
    pub method: String,
    /// Their paths, with `{id}` for what differs.
    pub template: String,
    /// One of them, as it was asked for.
    pub example: String,
    /// How many there are.
    pub count: u64,
}

/// A row of the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceRow {
    /// Since the first arrival.
    pub at: Nanos,
    /// The upstream's time, where the log says it.
    pub demand: Option<Span>,
    /// An index into the classes.
    pub class: u16,
}

/// What a scenario's `arrival = { process = "trace" }` reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// In order of arrival.
    pub rows: Vec<TraceRow>,
    /// The classes; the one named `other` is last if there is one.
    pub classes: Vec<Class>,
    /// When the first request arrived, since 1970 in UTC.
    pub first: Nanos,
}

impl Log {
    /// The trace, with the `classes` most frequent kinds kept apart and all others in one. An
    /// arrival is the end of a request less the time that it took, where the log says it. Where
    /// stamps are whole seconds, ends are spread within theirs: uniform draws of `seed`, in the
    /// order of the lines.
    #[must_use]
    pub fn trace(&self, classes: usize, seed: u64) -> Trace {
        let (classes, of_kind) = self.classes(classes.min(usize::from(u16::MAX) - 1));
        let within = self.within_their_second(Seed::new(seed, 0));
        let arrivals = self.requests.iter().zip(&within).map(|(request, within)| {
            let known = request.at.0.saturating_add(*within);
            let took = if request.is_start { 0 } else { request.took.unwrap_or_default().0 };
            (Nanos(known.saturating_sub(took)), request)
        });
        let mut arrivals: Vec<(Nanos, &Request)> = arrivals.collect();
        arrivals.sort_by_key(|(at, _)| *at);
        let first = arrivals.first().map_or(Nanos::ZERO, |(at, _)| *at);
        let rows = arrivals.iter().map(|(at, request)| TraceRow {
            at: Nanos(at.0 - first.0),
            demand: request.service,
            class: of_kind[request.kind as usize],
        });
        Trace { rows: rows.collect(), classes, first }
    }

    /// How far into its second each stamp is moved.
    fn within_their_second(&self, seed: Seed) -> Vec<u64> {
        let mut within = vec![0; self.requests.len()];
        if !self.whole_seconds() {
            return within;
        }
        let mut from = 0;
        for same in self.requests.chunk_by(|one, other| one.at == other.at) {
            let places = &mut within[from..from + same.len()];
            for (index, place) in (from as u64..).zip(places.iter_mut()) {
                *place = seed.draw(Purpose::LogSecond, index, 0).below(SECOND);
            }
            places.sort_unstable();
            from += same.len();
        }
        within
    }

    /// The classes, and for each kind the place of its class.
    fn classes(&self, most: usize) -> (Vec<Class>, Vec<u16>) {
        let mut order: Vec<usize> = (0..self.kinds.len()).collect();
        order.sort_by(|a, b| {
            let (a, b) = (&self.kinds[*a], &self.kinds[*b]);
            let name = |kind: &super::Kind| (kind.template.clone(), kind.method.clone());
            b.count.cmp(&a.count).then_with(|| name(a).cmp(&name(b)))
        });
        let mut classes: Vec<Class> = Vec::new();
        let mut of_kind = vec![0; self.kinds.len()];
        for place in order {
            let kind = &self.kinds[place];
            let usable = METHODS.contains(&kind.method.as_str()) && kind.template != "*";
            let kept = classes.len() - usize::from(has_other(&classes));
            let class = if usable && kept < most {
                let name = free_name(&classes, path::name(&kind.method, &kind.template));
                insert(&mut classes, class(kind, name), &mut of_kind)
            } else {
                if !has_other(&classes) {
                    let mut other = class(kind, "other".to_owned());
                    other.count = 0;
                    if !usable {
                        (other.method, other.example) = ("GET".to_owned(), "/".to_owned());
                    }
                    classes.push(other);
                }
                let last = classes.len() - 1;
                classes[last].count += kind.count;
                last
            };
            of_kind[place] = u16::try_from(class).unwrap_or(u16::MAX);
        }
        (classes, of_kind)
    }
}

fn has_other(classes: &[Class]) -> bool {
    classes.last().is_some_and(|class| class.name == "other")
}

/// Puts a class before `other`, which stays last, and gives its place.
fn insert(classes: &mut Vec<Class>, class: Class, of_kind: &mut [u16]) -> usize {
    if !has_other(classes) {
        classes.push(class);
        return classes.len() - 1;
    }
    let place = classes.len() - 1;
    classes.insert(place, class);
    for known in of_kind.iter_mut().filter(|known| usize::from(**known) == place) {
        *known += 1;
    }
    place
}

fn class(kind: &super::Kind, name: String) -> Class {
    let (method, template) = (kind.method.clone(), kind.template.clone());
    Class { name, method, template, example: kind.example.clone(), count: kind.count }
}

/// `wanted`, or the same with a number; `other` means what is left.
fn free_name(classes: &[Class], wanted: String) -> String {
    let taken = |name: &str| name == "other" || classes.iter().any(|class| class.name == name);
    if !taken(&wanted) {
        return wanted;
    }
    let numbered = (2_u32..).map(|number| format!("{wanted}-{number}"));
    numbered.into_iter().find(|name| !taken(name)).unwrap_or(wanted)
}

impl Trace {
    /// The trace as CSV, as `traffic.arrival` reads it.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut text = String::with_capacity(32 * (self.rows.len() + 1));
        text.push_str("at_ns,demand_ns,class\n");
        for row in &self.rows {
            let _ = write!(text, "{},", row.at.0);
            if let Some(demand) = row.demand {
                let _ = write!(text, "{}", demand.0);
            }
            let class = &self.classes[usize::from(row.class)].name;
            let _ = writeln!(text, ",{class}");
        }
        text
    }

    /// From the first arrival to the last.
    #[must_use]
    pub fn length(&self) -> Span {
        self.rows.last().map_or(Span::ZERO, |row| Span(row.at.0))
    }
}
