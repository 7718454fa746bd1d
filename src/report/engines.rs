//! The report of several engines: a column for each, live and simulated.

use super::number::{count, difference, latency, percent, rate, signed, significant};
use super::parity::{self, PAGE};
use super::table::{Paint, lay_out, width};
use super::terminal;
use crate::compare::statistic::Unit;
use crate::compare::statistic::{Cell, FAILED_GOAL, LATENCY_GOAL, Nearness, SHARE_GOAL, Statistic};
use crate::compare::{EnginesResults, Verdict};

/// Everything that a run of several engines found out, as text.
#[must_use]
pub fn render(results: &EnginesResults, paint: Paint) -> String {
    let mut text = heading(results, paint);
    text.push_str(&parity::parity_box(&results.engines, paint));
    let gaps = results.engines.iter().map(|engine| (engine.label.as_str(), &engine.gaps[..]));
    text.push_str(&parity::gaps(gaps, paint));
    text.push_str(&statistics(results, paint));
    text.push_str(&apart(results, paint));
    text.push_str(&verdicts(results, paint));
    text
}

fn heading(results: &EnginesResults, paint: Paint) -> String {
    let partial = if results.partial {
        paint.bad("  PARTIAL: interrupted before its end")
    } else {
        String::new()
    };
    let title = format!("{}  seed {}  run {}", results.scenario, results.seed, results.run);
    let mut text = format!("{}{partial}\n", paint.bold(&title));
    for (number, order) in results.order.iter().enumerate() {
        text.push_str(&format!("  round {}: {}\n", number + 1, order.join(", ")));
    }
    if !results.order.is_empty() {
        text.push_str("  (orders drawn by the seed)\n");
    }
    text + "\n"
}

/// The widest tables that stay on the page: as many engines side by side as fit.
fn on_the_page(engines: usize, table: impl Fn(std::ops::Range<usize>) -> String) -> String {
    for tables in 1..=engines {
        let beside = engines.div_ceil(tables);
        let starts = (0..engines).step_by(beside);
        let shown: Vec<String> =
            starts.map(|from| table(from..engines.min(from + beside))).collect();
        let widest = shown.iter().flat_map(|it| it.lines()).map(width).max().unwrap_or(0);
        if widest <= PAGE || beside == 1 {
            return shown.join("\n");
        }
    }
    String::new()
}

fn statistics(results: &EnginesResults, paint: Paint) -> String {
    let mut text = on_the_page(results.engines.len(), |range| {
        let mut heading = vec![String::new(), String::new()];
        for engine in &results.engines[range.clone()] {
            heading.extend([engine.label.clone(), String::new()]);
        }
        let mut table = vec![heading];
        for statistic in &results.statistics {
            for (world, cell) in WORLDS {
                if statistic.cells.iter().all(|it| cell(statistic, it, paint).0.is_empty()) {
                    continue;
                }
                let name = if world == "sim" && statistic.cells.iter().any(|it| it.live.is_some()) {
                    String::new()
                } else {
                    statistic.name.clone()
                };
                let mut row = vec![name, world.to_owned()];
                for it in &statistic.cells[range.clone()] {
                    let (value, beside) = cell(statistic, it, paint);
                    row.extend([value, beside]);
                }
                table.push(row);
            }
        }
        lay_out(&table, paint)
    });
    text.push_str(&legend(results));
    text + "\n"
}

type Show = fn(&Statistic, &Cell, Paint) -> (String, String);

/// A row of each world: the value, and what stands beside it.
const WORLDS: [(&str, Show); 2] = [("live", live), ("sim", sim)];

fn live(statistic: &Statistic, cell: &Cell, _paint: Paint) -> (String, String) {
    let own = cell.repeatability.map(|own| format!("±{}", unsigned(statistic.unit, own)));
    (shown(statistic.unit, cell.live), own.unwrap_or_default())
}

fn sim(statistic: &Statistic, cell: &Cell, paint: Paint) -> (String, String) {
    let apart = cell.difference.map(|apart| {
        let mark = match cell.nearness {
            Some(Nearness::Goal) => paint.good("✓"),
            Some(Nearness::Repeatability) => paint.warning("≈"),
            Some(Nearness::Beyond) => paint.bad("✗"),
            None => " ".to_owned(),
        };
        format!("{}{mark}", between(statistic.unit, apart))
    });
    (shown(statistic.unit, cell.sim), apart.unwrap_or_default())
}

fn shown(unit: Unit, value: Option<f64>) -> String {
    let Some(value) = value else { return String::new() };
    match unit {
        Unit::Latency => latency(value),
        Unit::Rate => rate(value),
        Unit::Count if value.fract() == 0.0 => count(value as u64),
        Unit::Count => significant(value),
        Unit::Share => percent(value),
        Unit::Time if value == 0.0 => "none".to_owned(),
        Unit::Time => latency(value),
    }
}

fn between(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Latency | Unit::Rate => difference(value),
        Unit::Count if value.fract() == 0.0 => signed(value, 0, ""),
        Unit::Count => signed(value, 1, ""),
        Unit::Share => signed(value * 100.0, 1, "pt"),
        Unit::Time if value == 0.0 => "0".to_owned(),
        Unit::Time => format!("{}{}", if value < 0.0 { "−" } else { "+" }, brief(value.abs())),
    }
}

/// A span with two or three digits.
fn brief(nanos: f64) -> String {
    let (value, unit) = match nanos {
        n if n >= 1e9 => (n / 1e9, "s"),
        n if n >= 1e6 => (n / 1e6, "ms"),
        n => (n / 1e3, "µs"),
    };
    let decimals = usize::from(value < 10.0);
    format!("{value:.decimals$}{unit}")
}

fn unsigned(unit: Unit, value: f64) -> String {
    between(unit, value).trim_start_matches(['+', '−']).to_owned()
}

fn legend(results: &EnginesResults) -> String {
    let cells = || results.statistics.iter().flat_map(|it| &it.cells);
    let mut text = String::new();
    if cells().any(|cell| cell.repeatability.is_some()) {
        text.push_str("  live ±: the largest difference between two rounds of the same engine\n");
    }
    if cells().any(|cell| cell.nearness.is_some()) {
        text.push_str(&format!(
            "  sim: from live; ✓ within {} (p50, p90, p99), {} point (share), {} (failed requests)\n  \
             \u{20}    ≈ not, but within what the live rounds differ by; ✗ neither\n",
            percent(LATENCY_GOAL),
            SHARE_GOAL * 100.0,
            FAILED_GOAL
        ));
    }
    text
}

/// Each engine against the first.
fn apart(results: &EnginesResults, paint: Paint) -> String {
    let Some((first, others)) = results.engines.split_first().filter(|(_, it)| !it.is_empty())
    else {
        return String::new();
    };
    let live = results.apart.iter().flat_map(|row| &row.engines).any(|it| it.live.is_some());
    let mut text = format!("{}\n", paint.bold("where the engines differ"));
    text.push_str(&on_the_page(others.len(), |range| {
        let mut heading = vec![String::new()];
        for engine in &others[range.clone()] {
            let pair = format!("{} − {}", engine.label, first.label);
            if live {
                heading.push(format!("{pair}: live"));
            }
            heading.push(if live { "sim".to_owned() } else { pair });
        }
        let mut table = vec![heading];
        for row in &results.apart {
            let show = |value: Option<f64>| {
                value.map_or_else(|| "–".to_owned(), |value| between(row.unit, value))
            };
            let mut line = vec![row.name.clone()];
            for against in &row.engines[range.clone()] {
                let beyond = against.beyond == Some(true);
                let mark = if beyond { paint.warning("*") } else { " ".to_owned() };
                if live {
                    line.push(format!("{}{mark}", show(against.live)));
                }
                line.push(show(against.sim));
            }
            table.push(line);
        }
        lay_out(&table, paint)
    }));
    text.push_str(if results.order.len() > 1 {
        "  * more than either engine differs from itself between rounds; sim: the rules alone\n\n"
    } else if results.order.is_empty() {
        "  sim: the rules alone\n\n"
    } else {
        "  one round does not tell what is chance: --rounds 3; sim: the rules alone\n\n"
    });
    text
}

/// Checks, warnings and validity of each engine.
fn verdicts(results: &EnginesResults, paint: Paint) -> String {
    let mut text = String::new();
    for engine in &results.engines {
        let checks = &engine.results.checks;
        let held = checks.iter().filter(|check| check.verdict == Verdict::Held).count();
        let mut said = Vec::new();
        if !checks.is_empty() {
            said.push(format!("{held} of {} checks held", checks.len()));
        }
        let validity = engine.results.validity.as_ref();
        if let Some(valid) = validity.filter(|validity| validity.valid()) {
            let conditions = format!("(all {} conditions held)", valid.items.len());
            said.push(format!("{} {conditions}", paint.good("valid measurement")));
        }
        if !said.is_empty() {
            text.push_str(&format!("{}: {}\n", paint.bold(&engine.label), said.join("; ")));
        }
        let open: Vec<_> =
            checks.iter().filter(|check| check.verdict != Verdict::Held).cloned().collect();
        text.push_str(&terminal::check_lines(&open, paint));
        text.push_str(&terminal::warning_lines(&engine.results, paint));
        if validity.is_some_and(|validity| !validity.valid()) {
            let label = paint.bold(&engine.label);
            text.push_str(&format!("{label}: {}", terminal::validity(&engine.results, paint)));
        }
    }
    text
}
