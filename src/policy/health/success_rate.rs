//! Success rates over whole intervals, and the bound below which one is an outlier.

use crate::policy::peer::PeerId;

/// The requests of a peer in the present interval and in the last full one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    present: (u32, u32),
    last: (u32, u32),
}

/// A success rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate {
    pub(super) peer: PeerId,
    /// Percent of the requests that succeeded.
    pub(super) percent: f64,
    /// Requests.
    pub(super) volume: u32,
}

impl Window {
    pub(super) const fn add(&mut self, success: bool) {
        self.present.0 += 1;
        self.present.1 += success as u32;
    }

    /// The present interval ends.
    pub(super) fn turn(&mut self) {
        self.last = std::mem::take(&mut self.present);
    }

    /// The rate of the last full interval; `None` without requests.
    pub(super) fn last(&self, peer: PeerId) -> Option<Rate> {
        let (volume, successes) = self.last;
        let percent = 100.0 * f64::from(successes) / f64::from(volume.max(1));
        (volume > 0).then_some(Rate { peer, percent, volume })
    }
}

/// Mean − `factor` × standard deviation of the population (`successRateEjectionThreshold`).
pub(super) fn threshold(percents: &[f64], factor: f64) -> f64 {
    let count = percents.len().max(1) as f64;
    let mean = percents.iter().sum::<f64>() / count;
    let variance = percents.iter().map(|rate| (rate - mean) * (rate - mean)).sum::<f64>() / count;
    mean - factor * libm::sqrt(variance)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in Envoy's own documentation of the statistic.
    #[test]
    fn the_threshold_is_so_many_deviations_below_the_mean() {
        let bound = threshold(&[100.0, 100.0, 100.0, 100.0, 50.0], 1.9);
        assert!((bound - 52.0).abs() < 1e-9, "{bound}");
    }

    #[test]
    fn a_rate_is_that_of_the_last_full_interval() {
        let mut window = Window::default();
        assert_eq!(window.last(PeerId(1)), None);
        (0..4).for_each(|n| window.add(n != 0));
        assert_eq!(window.last(PeerId(1)), None);
        window.turn();
        window.add(false);
        let rate = Rate { peer: PeerId(1), percent: 75.0, volume: 4 };
        assert_eq!(window.last(PeerId(1)), Some(rate));
    }
}
