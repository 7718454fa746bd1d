//! Whether picks are those of Envoy's weighted scheduler, which starts after a random number of
//! picks. Rounding noise of that start orders equal deadlines: picks fit if there is a start from
//! which each had the smallest deadline, or one within 1e-6 of it.

use std::collections::HashMap;

use lab::policy::balance::edf::Edf;

use super::edf_starts::{starts, was_due};

/// What a client did.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Done {
    /// A request went to this server; whether requests in flight lower its weight.
    Start { id: u64, server: usize, counts: bool },
    /// A request ended.
    Finish { id: u64 },
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
