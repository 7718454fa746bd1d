//! How well a number of the model is to be known: `p99 ± 1%`.

use super::check::Measure;
use crate::units::{Quantity, Ratio};

/// A measure and half the width of its 95 % interval, as a share of its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Precision {
    /// A latency quantile or the mean.
    pub measure: Measure,
    /// Above 0, at most 1.
    pub within: f64,
}

/// `2%` is `p99 ± 2%`.
impl std::str::FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = ["±", "+/-", "+-"].iter().find_map(|sign| text.split_once(sign));
        let (measure, within) = match parts {
            Some((measure, within)) => (measure.trim().parse()?, within),
            None => (Measure::Quantile(0.99), text),
        };
        let latency = matches!(measure, Measure::Mean)
            || matches!(measure, Measure::Quantile(order) if order < 1.0);
        if !latency {
            return Err("only a latency can be asked for: mean, p50, p99, …".to_owned());
        }
        let within = Ratio::parse(within).map_err(|error| error.to_string())?.0;
        if !(1e-4..=1.0).contains(&within) {
            return Err("it must be from 0.01% to 100%".to_owned());
        }
        Ok(Self { measure, within })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_alone_is_of_the_99th_percentile() {
        let read = |text: &str| text.parse::<Precision>().unwrap();
        assert_eq!(read("2%"), Precision { measure: Measure::Quantile(0.99), within: 0.02 });
        assert_eq!(read("p50 ± 1%"), Precision { measure: Measure::Quantile(0.5), within: 0.01 });
        assert_eq!(read("mean +- 0.5%").measure, Measure::Mean);
        for wrong in ["", "p99", "max ± 1%", "errors ± 1%", "p99 ± 0%", "p99 ± 1ms", "p99 ± 200%"]
        {
            assert!(wrong.parse::<Precision>().is_err(), "{wrong}");
        }
    }
}
