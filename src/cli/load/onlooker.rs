//! Who looks at a run while it lasts.

use std::ops::ControlFlow;

use super::arguments::LoadArgs;
use super::thresholds::Abort;
use super::validity::Before;
use super::view::View;
use crate::load::{Seen, Watch};
use crate::units::Span;

/// Looks at a run: shows it, counts descriptors, and may end it.
pub(super) struct Onlooker {
    view: Option<View>,
    pub(super) abort: Option<Abort>,
    pub(super) before: Before,
}

impl Onlooker {
    pub(super) fn new(arguments: &LoadArgs, length: Span, words: String) -> Self {
        let view = if arguments.quiet { None } else { View::new(length, words) };
        let abort = arguments.abort_on_fail.then(|| Abort::new(&arguments.thresholds()));
        Self { view, abort, before: Before::now() }
    }

    pub(super) fn clear(&self) {
        if let Some(view) = &self.view {
            view.clear();
        }
    }
}

impl Watch for Onlooker {
    fn look(&mut self, seen: &Seen<'_>) -> ControlFlow<()> {
        self.before.look();
        if let Some(view) = &mut self.view {
            view.show(seen);
        }
        match &mut self.abort {
            Some(abort) => abort.look(seen),
            None => ControlFlow::Continue(()),
        }
    }
}
