//! `lab explain` as text.

use super::number::{count, latency, signed};
use super::table::{Paint, lay_out};
use crate::compare::Verdict;
use crate::compare::breakdown::Part;
use crate::compare::explanation::{Decision, Example, Explanation, Saw, Split};

/// More servers than this are told by the chosen one and the extremes.
const SERVERS: usize = 6;

/// One check and why it came out so.
#[must_use]
pub fn render(explanation: &Explanation, paint: Paint) -> String {
    let verdict = match explanation.verdict {
        Verdict::Held => paint.good("held"),
        Verdict::Failed => paint.bad("FAILED"),
        Verdict::Undecided => paint.warning("undecided"),
    };
    let world = explanation.world.map_or(String::new(), |world| format!("{world}: "));
    let mut text = format!(
        "{verdict}  {}  ({world}{})\n",
        paint.bold(&explanation.check),
        explanation.measured
    );
    if !explanation.decided_by.is_empty() {
        text.push_str(&format!("  {}\n", explanation.decided_by));
    }
    if let Some(split) = &explanation.split {
        text.push_str(&render_split(split, paint));
    }
    for note in &explanation.notes {
        text.push_str(&format!("  {note}\n"));
    }
    for example in &explanation.examples {
        text.push_str(&render_example(example, paint));
    }
    text
}

fn render_split(split: &Split, paint: Paint) -> String {
    let [beside, deciding] = &split.groups;
    let mut table = vec![
        ["mean per request", beside, deciding, "longer by", "share"].map(str::to_owned).to_vec(),
    ];
    let difference = |ns: f64| {
        let sign = if ns < 0.0 { "−" } else { "+" };
        if ns == 0.0 { "0".to_owned() } else { format!("{sign}{}", latency(ns.abs())) }
    };
    for it in split.parts.iter().filter(|it| it.beside_ns != 0.0 || it.deciding_ns != 0.0) {
        table.push(vec![
            it.part.name().to_owned(),
            latency(it.beside_ns),
            latency(it.deciding_ns),
            difference(it.deciding_ns - it.beside_ns),
            format!("{}%", signed(it.share_of_excess * 100.0, 1, "").trim_start_matches('+')),
        ]);
    }
    let [one, other] = split.together_ns;
    table.push(vec![
        "together".to_owned(),
        latency(one),
        latency(other),
        difference(other - one),
        String::new(),
    ]);
    let mut text = format!("\n{}", lay_out(&table, paint));
    if let Some(sampled) = split.sampled {
        text.push_str(&format!("  means of a sample of {} requests\n", count(sampled)));
    }
    if let Some(words) = split.in_words() {
        text.push_str(&format!("  {words}\n"));
    }
    text
}

fn render_example(example: &Example, paint: Paint) -> String {
    let title = format!("{} request {}", example.world, example.id);
    let mut text = format!(
        "\n  {}  due at {:.4}s, {} after {}\n",
        paint.bold(&title),
        example.due_ns as f64 / 1e9,
        example.ended,
        latency(example.latency_ns as f64)
    );
    let parts = Part::ALL.into_iter().zip(example.parts).filter(|(_, ns)| *ns > 0);
    let parts: Vec<String> =
        parts.map(|(part, ns)| format!("{} {}", part.name(), latency(ns as f64))).collect();
    text.push_str(&format!("    {}\n", parts.join(" + ")));
    for decision in &example.decisions {
        text.push_str(&render_decision(decision, paint));
    }
    text
}

fn render_decision(decision: &Decision, paint: Paint) -> String {
    let at = decision.at_ns as f64 / 1e9;
    let took = latency((decision.until_ns - decision.at_ns) as f64);
    let mut text = if decision.server.is_empty() {
        format!("    {at:10.4}s  {}\n", decision.outcome)
    } else {
        format!(
            "    {at:10.4}s  → {}, {}: {} after {took}\n",
            decision.server, decision.because, decision.outcome
        )
    };
    if !decision.saw.is_empty() {
        let saw = paint.dim(&format!("saw {}", state(&decision.saw, &decision.server)));
        text.push_str(&format!("                 {saw}\n"));
    }
    if let Some(reason) = &decision.reason {
        text.push_str(&format!("                 {}\n", paint.dim(&format!("chose by {reason}"))));
    }
    text
}

fn state(saw: &[Saw], chosen: &str) -> String {
    let one = |it: &Saw| {
        let state = if it.state.is_empty() { String::new() } else { format!(" ({})", it.state) };
        format!("{} {}{state}", it.server, it.in_flight)
    };
    if saw.len() <= SERVERS {
        return format!("in flight {}", saw.iter().map(one).collect::<Vec<_>>().join(", "));
    }
    let up = || saw.iter().filter(|it| it.state.is_empty());
    let least = up().min_by_key(|it| it.in_flight);
    let most = up().max_by_key(|it| it.in_flight);
    let mut told: Vec<String> = saw.iter().filter(|it| it.server == chosen).map(one).collect();
    told.extend(least.map(|it| format!("least {}", one(it))));
    told.extend(most.map(|it| format!("most {}", one(it))));
    let out = saw.len() - up().count();
    format!("in flight {}; {} of {} servers up", told.join(", "), saw.len() - out, saw.len())
}
