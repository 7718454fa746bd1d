//! The live view of `lab load` on a terminal: rate, percentiles over the last seconds, errors, what
//! is in flight, the spread over servers, and the time left.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::host::terminal;
use crate::load::{Seen, Tally};
use crate::record::{Histogram, RequestError};
use crate::report::Paint;
use crate::report::number::{count, latency, percent};
use crate::units::Span;

/// What the figures of the moment are over.
const WINDOW: Span = Span::from_secs(5);
/// Cells of a bar.
const CELLS: usize = 24;
/// Servers that have a line.
const SERVERS: usize = 8;

/// The view, if anybody can see it.
pub(super) struct View {
    bar: ProgressBar,
    length: Span,
    planned: String,
    past: VecDeque<Past>,
    paint: Paint,
}

/// What had been counted at some time.
struct Past {
    at: Span,
    ended: u64,
    failed: u64,
    servers: Vec<u64>,
    latency: Histogram,
}

impl View {
    /// A view on stderr; `None` where that is no terminal. `planned` says what is asked for.
    pub(super) fn new(length: Span, planned: String) -> Option<Self> {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if !std::io::stderr().is_terminal() || dumb {
            return None;
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(
            ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let paint = if plain { Paint::Plain } else { Paint::Ansi };
        Some(Self { bar, length, planned, past: VecDeque::new(), paint })
    }

    /// Shows how it goes.
    pub(super) fn show(&mut self, seen: &Seen<'_>) {
        let now = Past::of(seen);
        while self.past.len() > 1 && self.past[1].at + WINDOW <= now.at {
            self.past.pop_front();
        }
        let before = self.past.front();
        let text = render(seen, before, &now, self.length, &self.planned, self.paint);
        // Lines that the terminal broke would not be taken away again.
        let text = match terminal::columns_of_stderr() {
            Some(width) => {
                let lines: Vec<String> = text.lines().map(|line| cut(line, width)).collect();
                lines.join("\n")
            }
            None => text,
        };
        self.bar.set_message(text);
        self.past.push_back(now);
    }

    /// Takes it away, so that the results stand alone.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Past {
    fn of(seen: &Seen<'_>) -> Self {
        Self {
            at: seen.at,
            ended: ended(seen.tally),
            failed: seen.tally.failed,
            servers: seen.tally.servers.clone(),
            latency: seen.tally.latency.clone(),
        }
    }
}

fn ended(tally: &Tally) -> u64 {
    tally.errors.iter().sum()
}

fn render(
    seen: &Seen<'_>,
    before: Option<&Past>,
    now: &Past,
    length: Span,
    planned: &str,
    paint: Paint,
) -> String {
    let tally = seen.tally;
    let (since, first) = before.map_or((Span::ZERO, None), |past| (past.at, Some(past)));
    let seconds = Span(now.at.0.saturating_sub(since.0)).as_secs_f64().max(1e-3);
    let of = |get: fn(&Past) -> u64| get(now).saturating_sub(first.map_or(0, get));
    let (ended, failed) = (of(|past| past.ended), of(|past| past.failed));
    let recent = first.map_or_else(|| now.latency.clone(), |past| now.latency.since(&past.latency));
    let mut text = String::new();
    let done = (now.at.as_secs_f64() / length.as_secs_f64().max(1e-9)).clamp(0.0, 1.0);
    let left = Span(length.0.saturating_sub(now.at.0));
    let state = if left == Span::ZERO {
        "waiting for the last answers".to_owned()
    } else {
        format!("{} left", clock(left))
    };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{} of {}  {}  {state}", clock(now.at), clock(length), bar(done));
    let _ = writeln!(
        text,
        "{}   {}  ({planned})   in flight {}",
        paint.dim("rate   "),
        paint.bold(&format!("{:.0}/s", ended as f64 / seconds)),
        count(tally.in_flight()),
    );
    let quantile = |q: f64| latency(recent.quantile(q) as f64);
    let _ = writeln!(
        text,
        "{}   p50 {}  p90 {}  p99 {}  max {}   {}",
        paint.dim("latency"),
        quantile(0.5),
        quantile(0.9),
        paint.bold(&quantile(0.99)),
        quantile(1.0),
        paint.dim(&format!("last {:.0} s", seconds.max(1.0))),
    );
    let share = percent(failed as f64 / ended.max(1) as f64);
    let errors = format!("{share} now, {} in all of {}", count(tally.failed), count(now.ended));
    let errors = if failed > 0 { paint.bad(&errors) } else { errors };
    let _ = write!(text, "{}   {errors}{}", paint.dim("failed "), reasons(tally));
    spread(&mut text, seen, first, now, paint);
    text
}

/// What failed, by its reason.
fn reasons(tally: &Tally) -> String {
    let errors = RequestError::ALL.into_iter().zip(tally.errors);
    let errors = errors.filter(|(error, count)| *error != RequestError::None && *count > 0);
    let errors = errors.map(|(error, n)| format!("{} {}", count(n), error.words()));
    let statuses = tally.statuses.range(500..);
    let statuses = statuses.map(|(status, n)| format!("{} with {status}", count(*n)));
    let all: Vec<String> = errors.chain(statuses).collect();
    if all.is_empty() { String::new() } else { format!(": {}", all.join(", ")) }
}

/// A line as far as a terminal of `width` columns has room for it. What colours it takes no room.
fn cut(line: &str, width: usize) -> String {
    let mut cut = String::new();
    let (mut room, mut escaped) = (width, false);
    for c in line.chars() {
        escaped |= c == '\x1b';
        if escaped {
            escaped = !c.is_ascii_alphabetic();
        } else if room == 0 {
            continue;
        } else {
            room -= 1;
        }
        cut.push(c);
    }
    cut
}

/// A line per server, the busiest first.
fn spread(text: &mut String, seen: &Seen<'_>, first: Option<&Past>, now: &Past, paint: Paint) {
    let older = |place: usize| first.and_then(|past| past.servers.get(place)).copied().unwrap_or(0);
    let recent = now.servers.iter().enumerate().map(|(place, n)| (place, n - older(place).min(*n)));
    let mut servers: Vec<(usize, u64)> = recent.collect();
    let all: u64 = servers.iter().map(|(_, n)| n).sum();
    // A fixed order, or lines would jump about.
    servers.sort_by(|a, b| seen.servers.get(a.0).cmp(&seen.servers.get(b.0)));
    for (place, n) in servers.iter().take(SERVERS) {
        let share = *n as f64 / all.max(1) as f64;
        let name = seen.servers.get(*place).map_or("?", String::as_str);
        let _ = write!(
            text,
            "\n{:<20} {}  {}",
            paint.dim(&format!("{name:<20}")),
            bar(share),
            percent(share)
        );
    }
    if servers.len() > SERVERS {
        let _ = write!(text, "\n… and {} more servers", servers.len() - SERVERS);
    }
}

/// A bar of which `share` is filled, to an eighth of a cell.
fn bar(share: f64) -> String {
    const PARTS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (share.clamp(0.0, 1.0) * (CELLS * 8) as f64).round() as usize;
    let mut bar = "█".repeat(eighths / 8);
    if eighths / 8 < CELLS {
        bar.push(PARTS[eighths % 8]);
        bar.push_str(&" ".repeat(CELLS - eighths / 8 - 1));
    }
    format!("▕{bar}▏")
}

/// `1:05`.
fn clock(time: Span) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_shows_the_last_seconds_and_the_whole() {
        let names = ["b".to_owned(), "a".to_owned()];
        let mut tally = Tally::default();
        let fill = |tally: &mut Tally, n: u64, nanos: u64, failed: u64| {
            tally.errors[0] += n;
            tally.failed += failed;
            tally.latency.record_n(nanos, n);
            tally.servers = vec![
                tally.servers.first().unwrap_or(&0) + n / 4,
                tally.servers.get(1).unwrap_or(&0) + n - n / 4,
            ];
        };
        fill(&mut tally, 1000, 5_000_000, 3);
        let before = Past::of(&Seen { at: Span::from_secs(5), tally: &tally, servers: &names });
        fill(&mut tally, 400, 1_000_000, 0);
        let seen = Seen { at: Span::from_secs(10), tally: &tally, servers: &names };
        let now = Past::of(&seen);
        let text =
            render(&seen, Some(&before), &now, Span::from_secs(75), "80/s, poisson", Paint::Plain);
        let expected = "\
0:10 of 1:15  ▕███▎                    ▏  1:05 left
rate      80/s  (80/s, poisson)   in flight 0
latency   p50 1.000ms  p90 1.000ms  p99 1.000ms  max 1.000ms   last 5 s
failed    0.0% now, 3 in all of 1 400
a                    ▕██████████████████      ▏  75.0%
b                    ▕██████                  ▏  25.0%";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_failed_has_its_reason() {
        let mut tally = Tally::default();
        assert_eq!(reasons(&tally), "");
        tally.errors[RequestError::Connect as usize] = 1200;
        tally.statuses.extend([(200, 7), (404, 3), (503, 2)]);
        assert_eq!(reasons(&tally), ": 1 200 no connection, 2 with 503");
    }

    #[test]
    fn a_line_is_cut_to_the_terminal_and_keeps_its_colours() {
        assert_eq!(cut("rate  █ 9", 7), "rate  █");
        assert_eq!(cut("\x1b[1mrate\x1b[0m 900", 2), "\x1b[1mra\x1b[0m");
        assert_eq!(cut("rate", 4), "rate");
    }

    #[test]
    fn a_bar_is_always_as_wide() {
        for eighth in 0..=200 {
            assert_eq!(bar(f64::from(eighth) / 190.0).chars().count(), CELLS + 2);
        }
    }
}
