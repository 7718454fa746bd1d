//! The rates of the autoscaler against those of Prometheus: the same series, asked of `promtool`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use lab::policy::scale::Series;
use lab::units::{Nanos, Purpose, Seed, Span};

const SERIES: u64 = 60;
/// Time between samples.
const SCRAPE: u64 = 15;

/// One question, and our answer.
struct Case {
    expr: String,
    at: f64,
    ours: Option<f64>,
}

/// Counters with resets, gaps and ends, and gauges; asked at odd times, over windows of any width.
fn cases() -> (String, Vec<Case>) {
    let mut input = String::new();
    let mut cases = Vec::new();
    for number in 0..SERIES {
        let mut draw = Seed::new(20, 0).draw(Purpose::Resample, number, 0);
        let mut series = Series::new(Span::from_secs(3600));
        let mut counter = draw.below(40) as f64 / 8.0;
        let mut words = Vec::new();
        for place in 0..4 + draw.below(30) {
            let at = Nanos::ZERO + Span::from_secs(SCRAPE * place);
            match draw.below(12) {
                0 => words.push("_".to_owned()),
                1 => {
                    words.push("stale".to_owned());
                    series.end(at);
                }
                step => {
                    counter += draw.below(400) as f64 / 16.0;
                    if step == 2 {
                        counter = draw.below(30) as f64 / 4.0;
                    }
                    words.push(counter.to_string());
                    series.push(at, counter);
                }
            }
        }
        let words = words.join(" ");
        writeln!(input, "  - series: s{number}\n    values: '{words}'").unwrap();
        for _ in 0..12 {
            let at = draw.below(500_000);
            let now = Nanos::ZERO + Span::from_millis(at);
            let window = 10 + draw.below(200);
            let span = Span::from_secs(window);
            let ours = [
                (format!("rate(s{number}[{window}s])"), series.rate(now, span)),
                (format!("avg_over_time(s{number}[{window}s])"), series.avg_over_time(now, span)),
                (format!("s{number}"), series.last(now)),
            ];
            let at = at as f64 / 1000.0;
            cases.extend(ours.map(|(expr, ours)| Case { expr, at, ours: ours.map(|u| u.value) }));
        }
    }
    (input, cases)
}

/// Asks for nothing everywhere, so that `promtool` complains of everything with what it got.
#[test]
fn rates_and_means_are_those_of_prometheus() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (input, cases) = cases();
    let mut test = format!(
        "rule_files: []\nevaluation_interval: 15s\ntests:\n- interval: {SCRAPE}s\n  input_series:\n\
         {input}  promql_expr_test:\n"
    );
    for Case { expr, at, .. } in &cases {
        let at = (at * 1000.0).round();
        // A sample that no series has: nothing that is got equals it.
        writeln!(
            test,
            "  - expr: {expr}\n    eval_time: {at}ms\n    exp_samples: [{{labels: none, value: 0}}]"
        )
        .unwrap();
    }
    let file = folder.join("promql_series.yml");
    std::fs::write(&file, test).unwrap();
    let output = Command::new("promtool").args(["test", "rules"]).arg(&file).output();
    let output = output.expect("promtool is needed (Debian's package prometheus)");
    let said = String::from_utf8(output.stderr).unwrap();
    let got: Vec<Option<f64>> = said
        .lines()
        .filter_map(|line| line.trim().strip_prefix("got:"))
        .map(|got| got.split_whitespace().last().and_then(|number| number.parse().ok()))
        .collect();
    assert_eq!(got.len(), cases.len(), "{said}");
    let mut answered = 0;
    for (Case { expr, at, ours }, theirs) in cases.iter().zip(got) {
        let same = match (ours, theirs) {
            (Some(ours), Some(theirs)) => (ours - theirs).abs() <= 1e-12 * theirs.abs().max(1.0),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        };
        assert!(same, "{expr} at {at} s: {ours:?}, but Prometheus has {theirs:?}");
        answered += usize::from(theirs.is_some());
    }
    assert!(answered > cases.len() / 3, "{answered} of {} have a value", cases.len());
}
