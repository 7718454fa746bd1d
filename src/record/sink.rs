//! Where rows go: files, statistics, or nowhere.

use super::{AttemptRow, EventRow, RequestRow, TimelineRow};

/// Takes rows as they happen. The constants let a world leave out work for rows nobody wants.
pub trait Sink {
    /// Whether attempts are wanted.
    const ATTEMPTS: bool = true;
    /// Whether the timeline is wanted.
    const TIMELINE: bool = true;

    /// A request ended.
    fn request(&mut self, row: &RequestRow);
    /// An attempt ended.
    fn attempt(&mut self, _row: &AttemptRow) {}
    /// A second of an upstream ended.
    fn timeline(&mut self, _row: &TimelineRow) {}
    /// Something rare happened.
    fn event(&mut self, _row: &EventRow) {}
}

/// Takes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Discard;

impl Sink for Discard {
    const ATTEMPTS: bool = false;
    const TIMELINE: bool = false;
    fn request(&mut self, _row: &RequestRow) {}
}

/// Gives every row to both.
#[derive(Debug, Default)]
pub struct Both<A, B>(pub A, pub B);

impl<A: Sink, B: Sink> Sink for Both<A, B> {
    const ATTEMPTS: bool = A::ATTEMPTS || B::ATTEMPTS;
    const TIMELINE: bool = A::TIMELINE || B::TIMELINE;
    fn request(&mut self, row: &RequestRow) {
        self.0.request(row);
        self.1.request(row);
    }
    fn attempt(&mut self, row: &AttemptRow) {
        self.0.attempt(row);
        self.1.attempt(row);
    }
    fn timeline(&mut self, row: &TimelineRow) {
        self.0.timeline(row);
        self.1.timeline(row);
    }
    fn event(&mut self, row: &EventRow) {
        self.0.event(row);
        self.1.event(row);
    }
}
