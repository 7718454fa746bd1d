//! What the host adds to each request, drawn from its calibration by the request's address.

use crate::record::{Cost, Costs};
use crate::units::draw::unit_open;
use crate::units::{Purpose, Seed, Span};

/// The calibrated costs of one replication.
#[derive(Clone, Debug)]
pub(super) struct Hops {
    seed: Seed,
    connection: Option<Cost>,
    hop: Option<Cost>,
    occupation: Option<Cost>,
}

impl Hops {
    /// Those of `costs`.
    pub(super) fn new(costs: &Costs, seed: Seed) -> Self {
        let some = |cost: Cost| (cost.quantiles_ns != [0; 21]).then_some(cost);
        Self {
            seed,
            connection: some(costs.connection),
            hop: some(costs.hop),
            occupation: some(costs.occupation),
        }
    }

    /// Whether anything at all costs anything.
    pub(super) const fn cost_anything(&self) -> bool {
        self.connection.is_some() || self.hop.is_some() || self.occupation.is_some()
    }

    /// Whether opening a connection costs anything.
    pub(super) const fn connections_cost(&self) -> bool {
        self.connection.is_some()
    }

    /// Opening the connection of request `id`.
    pub(super) fn connection(&self, id: u64) -> Span {
        match &self.connection {
            Some(cost) => cost.at(unit_open(self.seed.words(Purpose::HostCost, id)[0])),
            None => Span::ZERO,
        }
    }

    /// One of the four legs of attempt `number` (from 1) of request `id`: client to balancer to
    /// backend and back. The legs between client and balancer are those of the first attempt.
    #[inline]
    pub(super) fn leg(&self, id: u64, number: u16) -> Span {
        match &self.hop {
            Some(cost) => {
                let word = self.seed.draw(Purpose::HostCost, id, number).word();
                cost.at(unit_open(word)) / 4
            }
            None => Span::ZERO,
        }
    }

    /// One of the two legs of load probe `number`: a quarter of the hop, as that of a request.
    pub(super) fn probe_leg(&self, number: u64) -> Span {
        match &self.hop {
            Some(cost) => cost.at(unit_open(self.seed.words(Purpose::LoadProbe, number)[0])) / 4,
            None => Span::ZERO,
        }
    }

    /// By how much attempt `number` of request `id` holds its worker longer than asked.
    #[inline]
    pub(super) fn occupation(&self, id: u64, number: u16) -> Span {
        match &self.occupation {
            Some(cost) => {
                let mut draw = self.seed.draw(Purpose::HostCost, id, number);
                let _the_hop = draw.word();
                cost.at(draw.uniform())
            }
            None => Span::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(step: u64) -> Cost {
        let mut cost = Cost::default();
        (0..21).for_each(|place| cost.quantiles_ns[place] = step * place as u64);
        cost
    }

    #[test]
    fn without_calibration_nothing_costs_anything() {
        let hops = Hops::new(&Costs::default(), Seed::new(1, 0));
        assert!(!hops.connections_cost());
        assert_eq!([hops.connection(3), hops.leg(3, 1), hops.occupation(3, 1)], [Span::ZERO; 3]);
    }

    #[test]
    fn costs_follow_the_calibrated_quantiles() {
        let calibration = Costs { hop: ramp(400), occupation: ramp(1_000), ..Costs::default() };
        let hops = Hops::new(&calibration, Seed::new(1, 0));
        let mean =
            |cost: &dyn Fn(u64) -> Span| (0..4_000).map(|id| cost(id).0).sum::<u64>() / 4_000;
        let leg = mean(&|id| hops.leg(id, 1));
        assert!((980..1_020).contains(&leg), "{leg}");
        let occupation = mean(&|id| hops.occupation(id, 1));
        assert!((9_800..10_200).contains(&occupation), "{occupation}");
        assert_ne!(hops.leg(5, 1), hops.leg(5, 2), "a retry has its own draw");
    }
}
