//! What several generators counted that sent a plan together, put together exactly.

use super::report::{Connections, LoadReport};
use super::run::Outcome;
use super::tally::Tally;
use crate::units::Span;

impl Outcome {
    /// The outcome of all `parts`, whose tallies are relative to their common zero (see
    /// [`Tally::relative_to`]); `empty` is the tally of the plan before anything was sent. Counts and
    /// histograms are those of one generator that had sent it all.
    #[must_use]
    pub fn merged(parts: &[Self], empty: Tally) -> Self {
        let mut tally = empty;
        let mut servers: Vec<String> = Vec::new();
        let mut connections = Connections { opened: 0, resent: 0 };
        let (mut cpu, mut partial) = (Span::ZERO, false);
        for part in parts {
            let place = |name: &String| {
                servers.iter().position(|known| known == name).unwrap_or_else(|| {
                    servers.push(name.clone());
                    servers.len() - 1
                })
            };
            let places: Vec<usize> = part.servers.iter().map(place).collect();
            tally.merge(&part.tally, &places);
            connections.opened += part.report.connections_opened;
            connections.resent += part.report.resent;
            cpu += Span(part.report.cpu_ns);
            partial |= part.report.partial;
        }
        let real_time = !parts.is_empty() && parts.iter().all(|part| part.report.real_time);
        let reports = || parts.iter().map(|part| &part.report);
        let report = LoadReport {
            real_time,
            busiest_thread_cpu_ns: reports().map(|r| r.busiest_thread_cpu_ns).max().unwrap_or(0),
            spun_ns: reports().map(|report| report.spun_ns).sum(),
            waited_for_core_ns: reports().map(|report| report.waited_for_core_ns).sum(),
            most_connections: reports().map(|report| report.most_connections).sum(),
            unopened: reports().map(|report| report.unopened).sum(),
            grid_ns: reports().map(|report| report.grid_ns).max().unwrap_or(0),
            ..LoadReport::new(&tally, connections, cpu, partial)
        };
        Self { report, tally, servers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RequestRow;

    /// What a generator counted whose server answered requests after so many ns each.
    fn part(server: &[&str], latencies: &[(u64, u32)]) -> Outcome {
        let mut tally = Tally::default();
        for &(latency, upstream) in latencies {
            tally.requests += 1;
            tally.outcome(&RequestRow {
                finished_ns: latency,
                upstream,
                status: 200,
                attempts: 1,
                ..RequestRow::BLANK
            });
        }
        let report = LoadReport { connections_opened: 2, cpu_ns: 5, ..LoadReport::default() };
        let servers = server.iter().map(|&name| name.to_owned()).collect();
        Outcome { report, tally, servers }
    }

    #[test]
    fn the_whole_is_as_if_one_had_counted_it_and_servers_meet_by_name() {
        let a = part(&["x", "y"], &[(1000, 0), (2_000_000, 1), (3_000_000, 1)]);
        let b = part(&["y", "x"], &[(5_555_555, 0), (7, 1)]);
        let whole = Outcome::merged(&[a, b], Tally::default());
        let alone =
            part(&["x", "y"], &[(1000, 0), (2_000_000, 1), (3_000_000, 1), (5_555_555, 1), (7, 0)]);
        assert_eq!(whole.tally.latency, alone.tally.latency);
        assert_eq!(whole.tally.servers, alone.tally.servers);
        assert_eq!((whole.servers, whole.report.requests), (alone.servers, 5));
        assert_eq!((whole.report.connections_opened, whole.report.cpu_ns), (4, 10));
    }
}
