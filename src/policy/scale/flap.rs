//! What a flap is: for records of runs and for rules tried on recordings alike.

use super::decision::Direction;

/// A load that has changed by this share of itself has moved.
pub const MOVED: f64 = 0.1;

/// Tells the flaps among changes of size: one that takes back the direction of the change before it,
/// though the load has not moved that way by [`MOVED`] since.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flaps {
    /// The change before, and the load at that time.
    last: Option<(Direction, f64)>,
}

impl Flaps {
    /// Whether the next change is a flap: its `direction`, and the load when it was decided, in any
    /// unit. Changes are told in their order.
    pub fn is_flap(&mut self, direction: Direction, load: f64) -> bool {
        let before = self.last.replace((direction, load));
        let Some((last, then)) = before.filter(|(last, _)| *last != direction) else {
            return false;
        };
        match last {
            Direction::Out => load >= then || load > then * (1.0 - MOVED),
            Direction::In => load <= then || load < then * (1.0 + MOVED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reversal_is_a_flap_unless_the_load_moved_that_way() {
        use Direction::{In, Out};
        let flaps = |changes: &[(Direction, f64)]| -> Vec<bool> {
            let mut flaps = Flaps::default();
            changes.iter().map(|(direction, load)| flaps.is_flap(*direction, *load)).collect()
        };
        assert_eq!(flaps(&[(Out, 100.0), (In, 100.0), (Out, 100.0)]), [false, true, true]);
        assert_eq!(flaps(&[(Out, 100.0), (In, 90.0), (Out, 100.0)]), [false, false, false]);
        assert_eq!(flaps(&[(Out, 100.0), (In, 91.0), (Out, 100.0)]), [false, true, true]);
        // It is the change before that counts, of either direction.
        assert_eq!(flaps(&[(Out, 100.0), (Out, 300.0), (In, 200.0)]), [false, false, false]);
        assert_eq!(flaps(&[(In, 0.0), (Out, 0.0)]), [false, true]);
    }
}
