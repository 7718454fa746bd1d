//! Medians with their range, a line for each tool.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::tools::{Figures, Load, Tool};

/// All that was measured.
#[derive(Default)]
pub(crate) struct Results {
    /// By load, then tool in the order of its first run.
    runs: BTreeMap<Load, Vec<(Tool, Vec<Figures>)>>,
}

/// A column: its head, its digits, and its figure.
type Column = (&'static str, usize, fn(&Figures) -> Option<f64>);

const CLOSED: [Column; 2] = [
    ("requests per CPU-second", 0, |figures| Some(figures.per_cpu_second)),
    ("requests per second", 0, |figures| Some(figures.per_second)),
];
const OPEN: [Column; 4] = [
    ("late p50 µs", 0, |figures| figures.lateness.map(|late| late.p50)),
    ("late p99 µs", 0, |figures| figures.lateness.map(|late| late.p99)),
    ("arrived /s", 0, |figures| figures.lateness.map(|late| late.rate)),
    ("requests per CPU-second", 0, |figures| Some(figures.per_cpu_second)),
];

impl Results {
    pub(crate) fn add(&mut self, load: Load, tool: Tool, figures: Figures) {
        let of_load = self.runs.entry(load).or_default();
        match of_load.iter_mut().find(|(known, _)| *known == tool) {
            Some((_, runs)) => runs.push(figures),
            None => of_load.push((tool, vec![figures])),
        }
    }

    pub(crate) fn print(&self, load: Load) {
        let Some(tools) = self.runs.get(&load) else { return };
        println!("\n{load}");
        let columns: &[Column] = if load == Load::Closed { &CLOSED } else { &OPEN };
        print!("  {:14}", "");
        columns.iter().for_each(|(name, ..)| print!("{name:>28}"));
        println!();
        let mut tools: Vec<_> = tools.iter().collect();
        tools.sort_by_key(|(tool, _)| *tool);
        let base = tools.iter().find(|(tool, _)| tool.name() == "wrk").map(|(_, runs)| runs);
        for (tool, runs) in &tools {
            print!("  {:14}", tool.name());
            for (_, digits, figure) in columns {
                let values: Vec<f64> = runs.iter().filter_map(figure).collect();
                print!("{:>28}", spread(&values, *digits));
            }
            match base.filter(|_| tool.name() != "wrk") {
                // Runs of the same round.
                Some(base) => {
                    let pairs = runs.iter().zip(base);
                    let ratios: Vec<f64> =
                        pairs.map(|(own, wrk)| own.per_cpu_second / wrk.per_cpu_second).collect();
                    println!("   {} × wrk", spread(&ratios, 2));
                }
                None => println!(),
            }
        }
    }

    pub(crate) fn to_json(&self) -> String {
        let of_tool = |(tool, runs): &(Tool, Vec<Figures>)| {
            let runs: Vec<Value> = runs.iter().map(|run| run.to_json()).collect();
            json!({ "tool": tool.name(), "runs": runs })
        };
        let loads = self.runs.iter().map(|(load, tools)| {
            let tools: Vec<Value> = tools.iter().map(of_tool).collect();
            json!({ "load": load.to_string(), "tools": tools })
        });
        let all: Vec<Value> = loads.collect();
        format!("{:#}\n", json!({ "schema_version": 1, "loads": all }))
    }
}

impl Figures {
    fn to_json(self) -> Value {
        json!({
            "requests": self.requests,
            "cpu_seconds": self.cpu_seconds,
            "requests_per_cpu_second": self.per_cpu_second,
            "requests_per_second": self.per_second,
            "late_p50_us": self.lateness.map(|late| late.p50),
            "late_p99_us": self.lateness.map(|late| late.p99),
            "arrived_per_second": self.lateness.map(|late| late.rate),
        })
    }
}

fn spread(values: &[f64], digits: usize) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let [low, .., high] = sorted[..] else {
        return sorted.first().map_or("-".to_owned(), |only| format!("{only:.digits$}"));
    };
    let (half, odd) = (sorted.len() / 2, sorted.len() % 2 == 1);
    let median = if odd { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) };
    format!("{median:.digits$} [{low:.digits$} to {high:.digits$}]")
}
