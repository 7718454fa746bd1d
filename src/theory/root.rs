//! Where a falling function crosses a level: how a distribution is turned into its quantiles.

/// The `x` at which the falling `function` passes `level`, from `start` (positive) upwards in
/// doublings and then by bisection to the last bits. `None` if it is never that low below 2^60
/// times the start, or where the start is not positive.
pub(super) fn falling(function: impl Fn(f64) -> f64, level: f64, start: f64) -> Option<f64> {
    if !(start > 0.0 && start.is_finite()) {
        return None;
    }
    let high = std::iter::successors(Some(start), |x| Some(x * 2.0))
        .take(60)
        .find(|x| function(*x) <= level)?;
    Some(bisect(|x| function(x) <= level, 0.0, high))
}

/// The border between `low`, where `above` does not hold, and `high`, where it does.
pub(super) fn bisect(above: impl Fn(f64) -> bool, mut low: f64, mut high: f64) -> f64 {
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if above(middle) { high = middle } else { low = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crossing_is_found_to_the_last_bits() {
        let x = falling(|x| libm::exp(-x), 0.01, 1e-6).unwrap();
        assert!((x - libm::log(100.0)).abs() < 1e-14);
        assert_eq!(falling(|_| 1.0, 0.5, 1.0), None);
        assert_eq!(falling(|x| 1.0 - x, 0.5, f64::NAN), None);
    }
}
