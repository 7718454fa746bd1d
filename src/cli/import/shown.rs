//! What a log says, for people and for programs.

use std::fmt::Write as _;

use super::Found;
use crate::import::fit::ServiceFit;

/// A report for people.
pub(super) fn text(found: &Found, wrote: &[String]) -> String {
    let (log, trace) = (&found.log, &found.trace);
    let mut text =
        format!("{} requests in {} (format {})\n", log.requests(), trace.length(), found.format);
    notes(&mut text, found);
    let _ = writeln!(text, "\n{:<30} {:>9} {:>7}  path", "class", "requests", "share");
    for class in &trace.classes {
        let share = 100.0 * class.count as f64 / log.requests() as f64;
        let path = if class.name == "other" { "all others" } else { class.template.as_str() };
        let _ = writeln!(text, "{:<30} {:>9} {share:>6.1}%  {path}", class.name, class.count);
    }
    if let Some(fit) = &found.arrival {
        let _ = writeln!(text, "\n{}", fit.sentence());
    }
    match &found.service {
        Some(fit) => laws(&mut text, fit),
        None => text.push_str("\nThe log has too few upstream times for a law of service times.\n"),
    }
    for line in wrote {
        let _ = writeln!(text, "\n{line}");
    }
    text
}

fn notes(text: &mut String, found: &Found) {
    let log = &found.log;
    let all = log.requests();
    if log.whole_seconds() {
        text.push_str(
            "WARNING: its times are whole seconds. Arrivals are spread within their second by a draw, so \
             gaps are not\n  those of the log; log $msec, or milliseconds otherwise, to have them.\n",
        );
    }
    if log.with_arrival() < all {
        let _ = writeln!(
            text,
            "WARNING: the end stands for the arrival where nothing says how long a request took: {} of them.",
            all - log.with_arrival()
        );
    }
    if log.with_service() < all {
        let _ = writeln!(
            text,
            "Requests without an upstream time, to which a backend's law will give theirs: {}.",
            all - log.with_service()
        );
    }
    if log.without_request > 0 {
        let _ = writeln!(
            text,
            "Lines that record no request, and are left out: {}.",
            log.without_request
        );
    }
    if log.bad > 0 {
        let _ = writeln!(text, "{} of {} lines could not be read:", log.bad, log.lines);
        for bad in &log.first_bad {
            let _ = writeln!(text, "  line {}: {}", bad.line, bad.text);
        }
    }
}

fn laws(text: &mut String, fit: &ServiceFit) {
    let ms = |seconds: f64| format!("{:.3}ms", seconds * 1e3);
    let [p50, p90, p99] = fit.quantiles_s.map(ms);
    let _ = writeln!(
        text,
        "\nService times: {}, mean {}, variation {:.2}, p50 {p50}, p90 {p90}, p99 {p99}, recorded to {}",
        fit.count,
        ms(fit.mean_s),
        fit.variation,
        ms(fit.resolution_s)
    );
    let least = fit.best().aic;
    let _ = writeln!(
        text,
        "{:<9} {:>6} {:>8} {:>8} {:>8} {:>12}  law",
        "", "KS", "p50", "p90", "p99", "AIC - best"
    );
    for law in &fit.laws {
        let [p50, p90, p99] = law.quantile_errors.map(|error| format!("{:+.1}%", error * 100.0));
        let verdict = if law.fits { "fits" } else { "" };
        let _ = writeln!(
            text,
            "{verdict:<9} {:>6.3} {p50:>8} {p90:>8} {p99:>8} {:>12.1}  {}",
            law.distance,
            law.aic - least,
            law.toml
        );
    }
    if !fit.best().fits {
        text.push_str(
            "WARNING: no law fits. Play the trace itself (-o), whose demands are the log's own.\n",
        );
    }
}

/// The same for programs.
pub(super) fn json(found: &Found) -> String {
    let (log, trace) = (&found.log, &found.trace);
    let value = serde_json::json!({
        "format": found.format,
        "lines": log.lines,
        "bad_lines": log.bad,
        "first_bad_lines": log.first_bad,
        "lines_without_request": log.without_request,
        "requests": log.requests(),
        "requests_with_arrival": log.with_arrival(),
        "requests_with_service_time": log.with_service(),
        "whole_seconds": log.whole_seconds(),
        "first_arrival_unix_ns": trace.first.0,
        "length_ns": trace.length().0,
        "classes": trace.classes,
        "arrivals": found.arrival,
        "service_times": found.service,
    });
    serde_json::to_string_pretty(&value).unwrap_or_default() + "\n"
}
