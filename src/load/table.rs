//! The result as a person reads it in a terminal or a ticket.

use std::fmt;

use super::run::Outcome;
use crate::record::RequestError;
use crate::record::histogram::Histogram;
use crate::units::{Bytes, Ratio, Span};

/// Beyond this the latency from the due instant holds too much of the generator's own lateness.
const LATE: Span = Span::from_millis(1);
const QUANTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p75", 0.75), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999)];
/// Cells of the longest bar of the distribution.
const CELLS: usize = 40;
/// Columns of the name of a class, a stage or a server.
const NAME: usize = 24;

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts(f)?;
        writeln!(f)?;
        self.latencies(f)?;
        self.distribution(f)?;
        self.groups(f)?;
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
        if tally.warm_up > 0 {
            writeln!(f, "  warm-up  {:>10}   left out of everything here", tally.warm_up)?;
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
        )?;
        self.cost(f)
    }

    /// What the generator itself took.
    fn cost(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.report;
        let cores = |nanos: u64| nanos as f64 / report.wall_ns.max(1) as f64;
        write!(f, "own CPU    {:>10.2}   of a core", cores(report.cpu_ns))?;
        if report.spun_ns > 0 {
            write!(f, ", {:.2} of it spinning for exact instants", cores(report.spun_ns))?;
        }
        writeln!(f)
    }

    fn latencies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<16}", "latency")?;
        QUANTILES.iter().try_for_each(|(name, _)| write!(f, "{name:>9}"))?;
        writeln!(f, "{:>9}{:>9}", "max", "mean")?;
        latency(f, "from due", &self.tally.latency)?;
        latency(f, "from sent", &self.tally.latency_sent)?;
        latency(f, "schedule error", &self.tally.schedule_error)
    }

    /// Bars over bounds of 1, 2 and 5 times a power of ten, from the quickest to the slowest.
    fn distribution(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let latency = &self.tally.latency;
        let rows = rows(latency);
        let most = rows.iter().map(|(_, count)| *count).max().unwrap_or(0);
        if most == 0 {
            return Ok(());
        }
        writeln!(f, "\n{:<16}{:>11}{:>9}", "from due", "requests", "share")?;
        for (bound, count) in rows {
            let cells = (count as f64 / most as f64 * CELLS as f64).round() as usize;
            // What is there at all is seen.
            let bar = "█".repeat(cells.max(usize::from(count > 0)));
            let (bound, part) = (bounded(bound), share(count, latency.count()).to_string());
            writeln!(f, "  ≤ {bound:<12}{count:>11}{part:>9}  {bar}")?;
        }
        Ok(())
    }

    fn groups(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, groups) in [("request", &self.tally.classes), ("stage", &self.tally.stages)] {
            if groups.is_empty() {
                continue;
            }
            write!(f, "\n{what:<NAME$}{:>10}{:>9}", "requests", "failed")?;
            writeln!(f, "{:>9}{:>9}{:>9}{:>9}", "p50", "p90", "p99", "max")?;
            for group in groups {
                let failed = share(group.failed, group.requests).to_string();
                write!(f, "{:<NAME$}{:>10}{failed:>9}", cut(&group.name), group.requests)?;
                for quantile in [0.5, 0.9, 0.99, 1.0] {
                    write!(f, "{:>9}", short(group.latency.quantile(quantile)))?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }

    fn failures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statuses = self.tally.statuses.iter().map(|(status, n)| (status.to_string(), *n));
        let errors = RequestError::ALL.into_iter().zip(self.tally.errors);
        let errors = errors
            .filter(|&(error, count)| error != RequestError::None && count > 0)
            .map(|(error, count)| (error.words().to_owned(), count));
        let all: Vec<(String, u64)> = statuses.chain(errors).collect();
        if all.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n{:<NAME$}{:>10}{:>9}", "status", "requests", "share")?;
        all.iter().try_for_each(|(name, count)| self.counted(f, name, *count))
    }

    fn spread(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tally.servers.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n{:<NAME$}{:>10}{:>9}", "server", "requests", "share")?;
        let mut servers: Vec<_> = self.servers.iter().zip(&self.tally.servers).collect();
        servers.sort();
        servers.into_iter().try_for_each(|(name, count)| self.counted(f, name, *count))
    }

    fn counted(&self, f: &mut fmt::Formatter<'_>, name: &str, count: u64) -> fmt::Result {
        let part = share(count, self.tally.requests).to_string();
        writeln!(f, "{:<NAME$}{count:>10}{part:>9}", cut(name))
    }

    fn remarks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.report.partial {
            writeln!(f, "\ninterrupted: this is what was measured until then")?;
        }
        if self.report.resent > 0 {
            let count = self.report.resent;
            writeln!(f, "\n{count} sent again on a new connection: the kept one was closed")?;
        }
        let refused: u64 = self.tally.statuses.range(400..500).map(|(_, count)| count).sum();
        if refused > 0 {
            let part = share(refused, self.tally.requests);
            writeln!(
                f,
                "\n{refused} answers ({part}) have a status of 4xx, which counts as good here"
            )?;
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
        write!(f, "{:>9}", short(histogram.quantile(quantile)))?;
    }
    writeln!(f, "{:>9}{:>9}", short(histogram.max()), short(histogram.mean() as u64))
}

/// Upper bounds, and how many values are up to each and above the one before; without the empty
/// ones at both ends.
fn rows(latency: &Histogram) -> Vec<(u64, u64)> {
    let steps = (0..12).flat_map(|power| [1, 2, 5].map(|step| step * 10u64.pow(power)));
    let mut below = 0;
    let mut rows = Vec::new();
    for bound in steps {
        let up_to = latency.count_at_or_below(bound);
        if up_to > 0 && below < latency.count() {
            rows.push((bound, up_to - below));
        }
        below = up_to;
    }
    rows
}

/// A bound as it is: it has one digit.
fn bounded(nanos: u64) -> String {
    Span(nanos).to_string()
}

/// A long name keeps its end, where names of one system differ.
fn cut(name: &str) -> String {
    let long = name.chars().count();
    if long < NAME {
        return name.to_owned();
    }
    format!("…{}", name.chars().skip(long + 2 - NAME).collect::<String>())
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

#[cfg(test)]
mod tests {
    use super::super::report::{Connections, LoadReport};
    use super::super::tally::Tally;
    use super::*;
    use crate::record::RequestRow;
    use crate::traffic::{ClassConfig, ClientConfig, Source, TrafficConfig};
    use crate::units::{Nanos, Ratio};

    #[test]
    fn the_report_is_as_recorded() {
        let class = |name: &str| ClassConfig {
            name: name.to_owned(),
            path: String::new(),
            method: "GET".to_owned(),
            share: Ratio(0.5),
            body: Bytes(0),
        };
        let think = crate::traffic::Law::Constant(Span::ZERO);
        let client = ClientConfig {
            connections: 0,
            requests_per_connection: 0,
            timeout: Span::from_secs(1),
            in_flight_cap: 0,
        };
        let traffic = TrafficConfig {
            source: Source::Closed { users: 1, think },
            classes: vec![class("/"), class("/a/path/that/is/longer/than/its/column")],
            keys: None,
            client,
        };
        let mut tally = Tally::new(&traffic, Nanos(5));
        tally.due(Nanos::ZERO, Nanos::ZERO, Nanos::ZERO);
        for i in 0..1000u64 {
            let due = 1_000_000 * (i + 1);
            tally.due(Nanos::ZERO, Nanos(due), Nanos(due + 2000));
            tally.began(Nanos(due));
            let finished = due + 400_000 + i * i * 20;
            tally.ended(Nanos(due), Nanos(finished));
            let fails = i % 100 == 7;
            tally.outcome(&RequestRow {
                scheduled_ns: due,
                sent_ns: due + 2000,
                finished_ns: finished,
                class: (i % 3 == 0).into(),
                upstream: (i % 4 == 0).into(),
                attempts: 1,
                status: if fails { 0 } else { 200 + 204 * u16::from(i % 50 == 1) },
                error: if fails { RequestError::Timeout } else { RequestError::None },
                bytes: 612,
                ..RequestRow::BLANK
            });
        }
        let connections = Connections { opened: 20, resent: 1 };
        let mut report = LoadReport::new(&tally, connections, Span::from_millis(40), false);
        report.spun_ns = 10_000_000;
        let servers = vec!["10.0.0.7:80".to_owned(), "10.0.0.8:80".to_owned()];
        insta::assert_snapshot!("report", Outcome { report, tally, servers }.to_string());
    }
}
