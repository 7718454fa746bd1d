//! The starts that Envoy's weighted scheduler may have had.

use lab::policy::balance::edf::Edf;

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
