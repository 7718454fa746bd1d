//! The result as a person reads it in a terminal or a ticket.

use std::fmt;

use super::run::Outcome;
use crate::record::RequestError;
use crate::record::histogram::Histogram;
use crate::units::{Bytes, Ratio, Span};

/// Beyond this the latency from the due instant holds too much of the generator's own lateness.
const LATE: Span = Span::from_millis(1);
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts(f)?;
        writeln!(f)?;
        self.latencies(f)?;
        self.failures(f)?;
        self.spread(f)?;
        self.remarks(f)
    }
}

impl Outcome {
    fn counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tally, report) = (&self.tally, &self.report);
        let seconds = tally.measured().as_secs_f64().max(f64::MIN_POSITIVE);
        let rate = |count: u64| if count == 0 { 0.0 } else { count as f64 / seconds };
        writeln!(f, "requests   {:>10}   {:.1}/s", tally.requests, rate(tally.requests))?;
        let good = tally.requests - tally.failed;
        writeln!(f, "  good     {good:>10}   {:.1}/s", rate(good))?;
        writeln!(f, "  failed   {:>10}   {}", tally.failed, share(tally.failed, tally.requests))?;
        if tally.retried > 0 {
            let share = share(tally.retried, tally.requests);
            writeln!(f, "  retried  {:>10}   {share}", tally.retried)?;
        }
        writeln!(
            f,
            "body bytes {:>10}   {}/s",
            Bytes(tally.bytes).to_string(),
            Bytes(rate(tally.bytes) as u64)
        )?;
        writeln!(
            f,
            "in flight  {:>10.2}   most {}, {} connections opened",
            report.mean_in_flight, report.max_in_flight, report.connections_opened
        )
    }

    fn latencies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<16}", "latency")?;
        QUANTILES.iter().try_for_each(|(name, _)| write!(f, "{name:>11}"))?;
        writeln!(f, "{:>11}{:>11}", "max", "mean")?;
        latency(f, "from due", &self.tally.latency)?;
        latency(f, "from sent", &self.tally.latency_sent)?;
        latency(f, "schedule error", &self.tally.schedule_error)
    }

    fn failures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statuses = self.tally.statuses.iter().map(|(status, n)| (status.to_string(), *n));
        let errors = RequestError::ALL.into_iter().zip(self.tally.errors);
        let errors = errors
            .filter(|&(error, count)| error != RequestError::None && count > 0)
            .map(|(error, count)| (words(error).to_owned(), count));
        let all: Vec<(String, u64)> = statuses.chain(errors).collect();
        if all.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n{:<16}{:>11}{:>11}", "status", "requests", "share")?;
        all.iter().try_for_each(|(name, count)| self.counted(f, name, *count))
    }

    fn spread(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tally.servers.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n{:<16}{:>11}{:>11}", "server", "requests", "share")?;
        let mut servers: Vec<_> = self.servers.iter().zip(&self.tally.servers).collect();
        servers.sort();
        servers.into_iter().try_for_each(|(name, count)| self.counted(f, name, *count))
    }

    fn counted(&self, f: &mut fmt::Formatter<'_>, name: &str, count: u64) -> fmt::Result {
        writeln!(f, "{name:<16}{count:>11}{:>11}", share(count, self.tally.requests).to_string())
    }

    fn remarks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.report.partial {
            writeln!(f, "\ninterrupted: this is what was measured until then")?;
        }
        if self.report.resent > 0 {
            let count = self.report.resent;
            writeln!(f, "\n{count} sent again on a new connection: the kept one was closed")?;
        }
        if self.tally.failed > 0 {
            writeln!(
                f,
                "\nfailures without an answer count with at least the time-out as latency"
            )?;
        }
        if self.report.schedule_error_p99_ns > LATE.0 {
            let error = Span(self.report.schedule_error_p99_ns);
            writeln!(
                f,
                "\nwarning: 1% of the requests were sent {error} late or later; `from due` holds that too"
            )?;
        }
        Ok(())
    }
}

fn latency(f: &mut fmt::Formatter<'_>, name: &str, histogram: &Histogram) -> fmt::Result {
    write!(f, "  {name:<14}")?;
    for (_, quantile) in QUANTILES {
        write!(f, "{:>11}", short(histogram.quantile(quantile)))?;
    }
    writeln!(f, "{:>11}{:>11}", short(histogram.max()), short(histogram.mean() as u64))
}

/// Three significant digits or so: more is noise.
fn short(nanos: u64) -> String {
    match nanos {
        1_000_000_000.. => format!("{:.2}s", nanos as f64 / 1e9),
        100_000_000.. => format!("{:.0}ms", nanos as f64 / 1e6),
        10_000_000.. => format!("{:.1}ms", nanos as f64 / 1e6),
        1_000_000.. => format!("{:.2}ms", nanos as f64 / 1e6),
        _ => format!("{:.0}µs", nanos as f64 / 1e3),
    }
}

fn share(part: u64, whole: u64) -> Ratio {
    Ratio(part as f64 / whole.max(1) as f64)
}

const fn words(error: RequestError) -> &'static str {
    match error {
        RequestError::None => "none",
        RequestError::Timeout => "timed out",
        RequestError::Connect => "no connection",
        RequestError::Reset => "broke off",
        RequestError::Invalid => "not HTTP",
        RequestError::Dropped => "dropped (cap)",
        RequestError::Interrupted => "interrupted",
    }
}
