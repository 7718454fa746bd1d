//! The points of a sweep: a grid, or a Latin hypercube over the ranges with a grid of the lists.
//!
//! A Latin hypercube of n points has one in each n-th of every range (McKay, Beckman and Conover,
//! Technometrics 21, 1979). Of several such designs the one is taken whose two nearest points are
//! farthest apart (maximin; Johnson, Moore and Ylvisaker, J. Statistical Planning and Inference 26,
//! 1990).

use serde::{Deserialize, Serialize};

use crate::scenario::sweep::{AxisRange, AxisValue, AxisValues, LOAD, SweepAxis, SweepFacts};
use crate::units::draw::Purpose;
use crate::units::{Ratio, Seed};

/// A sweep has at most so many points.
pub const MOST_POINTS: u64 = 1_000_000;

/// Designs that are tried for the largest distance of the two nearest points.
const CANDIDATES: u64 = 32;
/// Above so many points, whose distances are many and whose designs differ little, the first is
/// taken.
const MOST_COMPARED: usize = 500;

/// What a point gives to one key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// The key, with `.` before the places of lists.
    pub key: String,
    /// Its value as an override takes it.
    pub toml: String,
    /// The same for people.
    pub label: String,
    /// The number in it, if it begins with one.
    pub number: Option<f64>,
    /// What follows the number, such as `/s`.
    pub unit: String,
    /// Whether it is one of the values of a grid, and not drawn from a range.
    pub on_grid: bool,
}

impl Setting {
    fn new(axis: &SweepAxis, value: &AxisValue, on_grid: bool) -> Self {
        let number = AxisRange::number_and_unit(&value.label);
        Self {
            key: axis.key.replace('[', ".").replace(']', ""),
            toml: value.toml.clone(),
            label: value.label.clone(),
            number: number.map(|(number, _)| number),
            unit: number.map_or_else(String::new, |(_, unit)| unit.to_owned()),
            on_grid,
        }
    }
}

/// A point: a value for every axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Its place in the sweep, from 0.
    pub index: u32,
    /// In order of the axes.
    pub settings: Vec<Setting>,
}

impl Point {
    /// What it replaces in the scenario; the offered load aside, which is no key.
    #[must_use]
    pub fn overrides(&self) -> Vec<(String, String)> {
        let keys = self.settings.iter().filter(|setting| setting.key != LOAD);
        keys.map(|setting| (setting.key.clone(), setting.toml.clone())).collect()
    }

    /// The offered load as a share of what the servers can serve, if that is an axis.
    #[must_use]
    pub fn load(&self) -> Option<Ratio> {
        let setting = self.settings.iter().find(|setting| setting.key == LOAD)?;
        let divisor = if setting.unit == "%" { 100.0 } else { 1.0 };
        setting.number.map(|number| Ratio(number / divisor))
    }

    /// In words: `balancer.algorithm = least_conn, load = 0.8`.
    #[must_use]
    pub fn words(&self) -> String {
        let word = |setting: &Setting| format!("{} = {}", setting.key, setting.label);
        self.settings.iter().map(word).collect::<Vec<_>>().join(", ")
    }
}

/// Why there are no points.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DesignError {
    /// Too many.
    #[error("the sweep has {0} points, more than {MOST_POINTS}: sample the ranges (`samples`)")]
    TooMany(u64),
    /// A load that is none.
    #[error("`{0}` is no load: a share of what the servers can serve, such as 0.8 or 80%")]
    Load(String),
}

/// Every point of a sweep, in an order that depends on nothing else.
///
/// # Errors
/// When there are more than [`MOST_POINTS`], or the axis `load` has a value that is none.
pub fn points(facts: &SweepFacts) -> Result<Vec<Point>, DesignError> {
    let sampled = |axis: &&SweepAxis| match &axis.values {
        AxisValues::Range(range) if facts.samples.is_some() => Some(range.clone()),
        _ => None,
    };
    let ranges: Vec<AxisRange> = facts.axes.iter().filter_map(|axis| sampled(&axis)).collect();
    let lists: Vec<Vec<AxisValue>> = facts
        .axes
        .iter()
        .filter(|axis| sampled(axis).is_none())
        .map(|axis| match &axis.values {
            AxisValues::List(values) => values.clone(),
            AxisValues::Range(range) => range.grid(),
        })
        .collect();
    let samples = if ranges.is_empty() { 1 } else { facts.samples.unwrap_or(1) };
    let combinations = lists.iter().map(|list| list.len() as u64).product::<u64>();
    let count = u64::from(samples).saturating_mul(combinations);
    if count > MOST_POINTS {
        return Err(DesignError::TooMany(count));
    }
    let drawn = hypercube(samples as usize, ranges.len(), facts.seed);
    let mut points = Vec::with_capacity(count as usize);
    for places in &drawn {
        for combination in 0..combinations {
            let mut places = places.iter().zip(&ranges);
            let mut left = combination;
            let mut below = combinations;
            let mut list = lists.iter();
            let settings = facts.axes.iter().map(|axis| {
                if sampled(&axis).is_some() {
                    let (place, range) = places.next().expect("a place for each range");
                    Setting::new(axis, &range.value(range.at(*place)), false)
                } else {
                    // The last list turns fastest.
                    let values = list.next().expect("a list for each other axis");
                    below /= values.len() as u64;
                    let value = &values[(left / below) as usize];
                    left %= below;
                    Setting::new(axis, value, true)
                }
            });
            let settings: Vec<Setting> = settings.collect();
            points.push(Point { index: points.len() as u32, settings });
        }
    }
    points.iter().try_for_each(check_load)?;
    Ok(points)
}

fn check_load(point: &Point) -> Result<(), DesignError> {
    let Some(setting) = point.settings.iter().find(|setting| setting.key == LOAD) else {
        return Ok(());
    };
    let unit = matches!(&*setting.unit, "" | "%");
    match setting.number {
        Some(number) if number > 0.0 && unit => Ok(()),
        _ => Err(DesignError::Load(setting.label.clone())),
    }
}

/// `samples` points in (0, 1) by `axes`.
fn hypercube(samples: usize, axes: usize, seed: u64) -> Vec<Vec<f64>> {
    if axes == 0 {
        return vec![Vec::new()];
    }
    let candidates = if samples > MOST_COMPARED { 1 } else { CANDIDATES };
    let designs = (0..candidates).map(|candidate| latin(samples, axes, seed, candidate));
    let mut best = (f64::NEG_INFINITY, Vec::new());
    for design in designs {
        let distance = if candidates == 1 { 0.0 } else { nearest(&design) };
        if distance > best.0 {
            best = (distance, design);
        }
    }
    best.1
}

fn latin(samples: usize, axes: usize, seed: u64, candidate: u64) -> Vec<Vec<f64>> {
    let seed = Seed::new(seed, 0);
    let mut design = vec![Vec::with_capacity(axes); samples];
    for axis in 0..axes as u64 {
        let mut draw = seed.draw(Purpose::Sweep, candidate << 32 | axis, 0);
        let mut order: Vec<usize> = (0..samples).collect();
        for last in (1..samples).rev() {
            order.swap(last, draw.below(last as u64 + 1) as usize);
        }
        for (point, stratum) in design.iter_mut().zip(order) {
            point.push((stratum as f64 + draw.uniform()) / samples as f64);
        }
    }
    design
}

/// Squared distance of the two nearest points.
fn nearest(design: &[Vec<f64>]) -> f64 {
    let mut least = f64::INFINITY;
    for (place, one) in design.iter().enumerate() {
        for other in &design[..place] {
            let distance = one.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum();
            least = least.min(distance);
        }
    }
    least
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::scenario::sweep::{Measure, Scale};

    pub(in crate::sweep) fn list(key: &str, labels: &[&str]) -> SweepAxis {
        let value =
            |label: &&str| AxisValue { toml: format!("\"{label}\""), label: (*label).to_owned() };
        let values = AxisValues::List(labels.iter().map(value).collect());
        SweepAxis { key: key.to_owned(), values }
    }

    fn range(key: &str, low: &str, high: &str) -> SweepAxis {
        let range = AxisRange::between(low, high, false, Scale::Linear, 3).unwrap();
        SweepAxis { key: key.to_owned(), values: AxisValues::Range(range) }
    }

    pub(in crate::sweep) fn facts(axes: Vec<SweepAxis>, samples: Option<u32>) -> SweepFacts {
        SweepFacts { axes, samples, seed: 1, measure: Measure::P99, compare: None }
    }

    #[test]
    fn a_grid_is_every_combination_once_and_the_last_axis_turns_fastest() {
        let axes = vec![list("a.b", &["x", "y"]), range("c[0].d", "1ms", "3ms")];
        let points = points(&facts(axes, None)).unwrap();
        let words: Vec<String> = points.iter().map(Point::words).collect();
        assert_eq!(words[0], "a.b = x, c.0.d = 1ms");
        assert_eq!(words[1], "a.b = x, c.0.d = 2ms");
        assert_eq!(words[5], "a.b = y, c.0.d = 3ms");
        assert_eq!(words.len(), 6);
        let indices: Vec<u32> = points.iter().map(|point| point.index).collect();
        assert_eq!(indices, [0, 1, 2, 3, 4, 5]);
        assert_eq!(points[1].overrides()[1], ("c.0.d".to_owned(), "\"2ms\"".to_owned()));
    }

    #[test]
    fn a_hypercube_has_one_point_in_each_stratum_and_every_list_at_each() {
        let axes =
            vec![range("a.b", "0", "1000"), list("p.q", &["x", "y"]), range("c.d", "0", "1")];
        let points = points(&facts(axes, Some(50))).unwrap();
        assert_eq!(points.len(), 100);
        for axis in [0, 2] {
            let high = if axis == 0 { 1000.0 } else { 1.0 };
            let mut strata: Vec<usize> = points
                .iter()
                .step_by(2)
                .map(|point| (point.settings[axis].number.unwrap() / high * 50.0) as usize)
                .collect();
            strata.sort_unstable();
            // Four digits may carry one over the edge of its stratum.
            let off = strata.iter().enumerate().filter(|(place, at)| place != *at).count();
            assert!(off <= 2, "{strata:?}");
        }
        assert_eq!(points[0].settings[0], points[1].settings[0]);
        assert_ne!(points[0].settings[1], points[1].settings[1]);
        assert!(!points[0].settings[0].on_grid && points[0].settings[1].on_grid);
    }

    #[test]
    fn the_chosen_design_is_the_one_whose_points_keep_apart() {
        let chosen = nearest(&hypercube(20, 2, 7));
        let others = (0..CANDIDATES).map(|candidate| nearest(&latin(20, 2, 7, candidate)));
        assert_eq!(others.fold(0.0, f64::max), chosen);
        assert_eq!(hypercube(20, 2, 7), hypercube(20, 2, 7));
        assert_ne!(hypercube(20, 2, 7), hypercube(20, 2, 8));
    }

    #[test]
    fn too_many_points_and_loads_that_are_none_are_refused() {
        let long = |key| {
            let range = AxisRange::between("0", "1", false, Scale::Linear, 1100).unwrap();
            SweepAxis { key: String::from(key), values: AxisValues::Range(range) }
        };
        let refused = points(&facts(vec![long("a.b"), long("c.d")], None));
        assert!(matches!(refused, Err(DesignError::TooMany(_))), "{refused:?}");
        let load = |label| points(&facts(vec![list("load", &[label])], None));
        assert_eq!(load("80%").unwrap()[0].load(), Some(Ratio(0.8)));
        assert!(load("80%").unwrap()[0].overrides().is_empty());
        assert_eq!(load("0.8").unwrap()[0].load(), Some(Ratio(0.8)));
        assert!(load("80/s").is_err() && load("high").is_err() && load("0").is_err());
    }
}
