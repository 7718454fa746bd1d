//! The starts that Envoy's weighted scheduler may have had.

use lab::policy::balance::edf::Edf;

/// Deadlines that are as near are equal.
const ROUNDING: f64 = 1e-6;

/// Every start that Envoy may have had: after some picks, of which each server has had its whole
/// share and those that followed from its deadlines. Equal deadlines are served in any order.
pub(crate) fn starts(weights: &[f64]) -> Vec<Edf> {
    let total: f64 = weights.iter().sum();
    let mut starts = Vec::new();
    for picks in 0..=total as u64 {
        let whole = weights.iter().map(|weight| (picks as f64 * weight / total).floor() as u64);
        let whole: Vec<u64> = whole.collect();
        let left = picks - whole.iter().sum::<u64>();
        for had in shared_out(&whole, left) {
            let served = |server: usize| had[server] as f64 / weights[server];
            let due = |server: usize| (had[server] + 1) as f64 / weights[server];
            let latest = (0..weights.len()).map(served).fold(0.0, f64::max);
            let next = (0..weights.len()).map(due).fold(f64::INFINITY, f64::min);
            if latest > next + ROUNDING {
                continue;
            }
            let mut turns: Vec<(f64, usize)> = (0..weights.len())
                .flat_map(|server| (1..=had[server]).map(move |turn| (turn as f64, server)))
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

/// Every way to give so many more picks to servers that have had `whole`.
fn shared_out(whole: &[u64], more: u64) -> Vec<Vec<u64>> {
    let Some((first, rest)) = whole.split_first() else {
        return if more == 0 { vec![Vec::new()] } else { Vec::new() };
    };
    (0..=more)
        .flat_map(|own| {
            let had = first + own;
            shared_out(rest, more - own).into_iter().map(move |mut others| {
                others.insert(0, had);
                others
            })
        })
        .collect()
}

/// Whether `server` had the smallest deadline, but for rounding.
pub(crate) fn was_due(edf: &Edf, server: usize) -> bool {
    let first = edf.first(|_| true).and_then(|first| edf.deadline(first));
    edf.deadline(server).zip(first).is_some_and(|(deadline, first)| deadline <= first + ROUNDING)
}
