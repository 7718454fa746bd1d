//! A progress bar on stderr while a run works; nothing where nobody looks.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::live::Watcher;
use crate::units::Span;

/// The bar of one run.
pub(super) struct Bar {
    bar: ProgressBar,
    talk: bool,
}

impl Bar {
    /// A bar over `length`; `quiet` hides it.
    pub(super) fn new(length: Span, quiet: bool) -> Self {
        let seen = !quiet && std::io::stderr().is_terminal();
        let target = if seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(length.0 / 1_000_000), target);
        let style =
            ProgressStyle::with_template("{msg:24} {wide_bar:.blue} {percent:>3}%  {eta} left")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        Self { bar, talk: !quiet && !seen }
    }

    /// Takes the bar away, so that the results stand alone.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Watcher for Bar {
    fn phase(&self, what: &str) {
        self.bar.set_message(what.to_owned());
        // In a log, a line per phase is what one wants to find later.
        if self.talk {
            eprintln!("lab: {what}");
        }
    }

    fn passed(&self, time: Span) {
        self.bar.set_position(time.0 / 1_000_000);
    }
}
