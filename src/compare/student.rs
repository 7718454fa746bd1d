//! Student's t distribution.

/// The value that a t-distributed variable with `degrees` degrees of freedom (positive; need not
/// be whole, as Welch and Satterthwaite's are not) stays below with probability `p` (0 to 1).
///
/// Inverts the distribution function by bisection: slower than an asymptotic formula such as
/// Hill's (CACM algorithm 396), and exact for every number of degrees.
#[must_use]
pub fn quantile(p: f64, degrees: f64) -> f64 {
    if p.is_nan() || degrees.is_nan() || degrees <= 0.0 {
        return f64::NAN;
    }
    if p < 0.5 {
        return -quantile(1.0 - p, degrees);
    }
    if p >= 1.0 {
        return f64::INFINITY;
    }
    let (mut low, mut high) = (0.0, 1.0);
    while distribution(high, degrees) < p {
        high *= 2.0;
    }
    for _ in 0..100 {
        let middle = (low + high) / 2.0;
        if distribution(middle, degrees) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

/// P(T <= t) for `t >= 0`: 1 - I_x(n/2, 1/2) / 2 with x = n / (n + t²) (Abramowitz and Stegun
/// 26.7.1 and 26.5.27; DLMF 8.17).
fn distribution(t: f64, degrees: f64) -> f64 {
    1.0 - incomplete_beta(
        degrees / 2.0,
        0.5,
        degrees / (degrees + t * t),
        t * t / (degrees + t * t),
    ) / 2.0
}

/// The regularised incomplete beta function I_x(a, b), where `y` is `1 - x` without cancellation.
fn incomplete_beta(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if y <= 0.0 {
        return 1.0;
    }
    let log_front = libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b)
        + a * libm::log(x)
        + b * libm::log(y);
    let front = libm::exp(log_front);
    // The fraction converges fast on one side of the mean; symmetry (DLMF 8.17.4) gives the other.
    if x < (a + 1.0) / (a + b + 2.0) {
        front * beta_fraction(a, b, x) / a
    } else {
        1.0 - front * beta_fraction(b, a, y) / b
    }
}

/// The continued fraction of DLMF 8.17.22, evaluated by Lentz's method (Numerical Recipes, 6.4).
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guard = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut result = d;
    for m in 1..500 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            d = 1.0 / guard(1.0 + term * d);
            c = guard(1.0 + term / c);
            change = c * d;
            result *= change;
        }
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2, and the closed forms for one
    /// and two degrees.
    #[test]
    fn the_quantiles_are_those_of_the_tables() {
        for (p, degrees, table) in [
            (0.975, 1.0, 12.706),
            (0.975, 2.0, 4.303),
            (0.975, 3.0, 3.182),
            (0.975, 5.0, 2.571),
            (0.975, 10.0, 2.228),
            (0.975, 19.0, 2.093),
            (0.975, 30.0, 2.042),
            (0.975, 100.0, 1.984),
            (0.995, 9.0, 3.250),
            (0.95, 4.0, 2.132),
            (0.90, 60.0, 1.296),
        ] {
            let found = quantile(p, degrees);
            assert!((found - table).abs() < 6e-4, "t({p}, {degrees}) = {found}, table {table}");
        }
        let cauchy = quantile(0.999, 1.0);
        let exact = 1.0 / (std::f64::consts::PI * 0.001).tan();
        assert!((cauchy / exact - 1.0).abs() < 1e-9, "{cauchy} {exact}");
        assert!((quantile(0.975, 1e7) - 1.959_964).abs() < 1e-5, "the normal limit");
    }

    #[test]
    fn it_is_symmetric_and_takes_any_input() {
        assert_eq!(quantile(0.1, 7.0), -quantile(0.9, 7.0));
        assert!(quantile(0.5, 3.0).abs() < 1e-12);
        assert!(quantile(0.5, 0.0).is_nan() && quantile(f64::NAN, 3.0).is_nan());
        assert_eq!(quantile(1.0, 3.0), f64::INFINITY);
    }
}
