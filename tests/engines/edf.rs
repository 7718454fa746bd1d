//! Whether picks are those of Envoy's weighted scheduler, which starts after a random number of
//! picks. Rounding noise of that start orders equal deadlines: picks fit if there is a start from
//! which each had the smallest deadline, or one within 1e-6 of it.

use std::collections::HashMap;

use lab::policy::balance::edf::Edf;

/// What a client did.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Done {
    /// A request went to this server; whether requests in flight lower its weight.
    Start { id: u64, server: usize, counts: bool },
    /// A request ended.
    Finish { id: u64 },
}

/// Every start that Envoy may have had: after `picks` picks, of which each server has had its
/// whole share or one more.
pub(crate) fn starts(weights: &[f64]) -> Vec<Edf> {
    let total: f64 = weights.iter().sum();
    let mut starts = Vec::new();
    for picks in 0..=total as u64 {
        for more in 0..1_u32 << weights.len() {
            let had = |server: usize| {
                (picks as f64 * weights[server] / total).floor() as u64
                    + u64::from(more >> server & 1)
            };
            if (0..weights.len()).map(had).sum::<u64>() != picks {
                continue;
            }
            let mut turns: Vec<(f64, usize)> = (0..weights.len())
                .flat_map(|server| (1..=had(server)).map(move |turn| (turn as f64, server)))
                .map(|(turn, server)| (turn / weights[server], server))
                .collect();
            turns.sort_by(|one, other| one.0.total_cmp(&other.0));
            let mut edf = Edf::start(weights, 0);
            turns.iter().for_each(|(_, server)| edf.serve(*server, weights[*server]));
            starts.push(edf);
        }
    }
    starts
}

/// Whether `server` had the smallest deadline, but for rounding.
pub(crate) fn was_due(edf: &Edf, server: usize) -> bool {
    let first = edf.first(|_| true).and_then(|first| edf.deadline(first));
    edf.deadline(server).zip(first).is_some_and(|(deadline, first)| deadline <= first + 1e-6)
}

/// Whether all of this fits one start of hosts with these weights.
pub(crate) fn fits(weights: &[f64], done: &[Done]) -> bool {
    starts(weights).into_iter().any(|edf| first_misfit(edf, weights, done).is_none())
}

/// The first that does not fit this start.
pub(crate) fn first_misfit(mut edf: Edf, weights: &[f64], done: &[Done]) -> Option<usize> {
    let mut active = vec![0.0; weights.len()];
    let mut open = HashMap::new();
    done.iter().position(|done| match *done {
        Done::Start { server, .. } if server >= weights.len() => true,
        Done::Start { id, server, counts } => {
            let due = was_due(&edf, server);
            let load = if counts { active[server] + 1.0 } else { 1.0 };
            edf.serve(server, weights[server] / load);
            active[server] += 1.0;
            open.insert(id, server);
            !due
        }
        Done::Finish { id } => {
            if let Some(server) = open.remove(&id) {
                active[server] -= 1.0;
            }
            false
        }
    })
}
