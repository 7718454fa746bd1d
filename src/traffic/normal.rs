//! The inverse of the standard normal distribution function.
//!
//! Algorithm AS 241, routine PPND16 (M. J. Wichura, "The percentage points of the normal
//! distribution", Applied Statistics 37, 1988, pp. 477-484): one rational function in the middle
//! and two in the tails, relative error about 1e-16.

use super::logarithm::ln;

/// Half-width of the middle region around the median.
const MIDDLE: f64 = 0.425;
/// Where the far tail begins, as `sqrt(-ln(tail probability))`.
const FAR: f64 = 5.0;

const MIDDLE_OVER: [f64; 8] = [
    3.387_132_872_796_366_5,
    133.141_667_891_784_38,
    1_971.590_950_306_551_3,
    13_731.693_765_509_46,
    45_921.953_931_549_87,
    67_265.770_927_008_7,
    33_430.575_583_588_13,
    2_509.080_928_730_122_7,
];
const MIDDLE_UNDER: [f64; 8] = [
    1.0,
    42.313_330_701_600_91,
    687.187_007_492_057_9,
    5_394.196_021_424_751,
    21_213.794_301_586_597,
    39_307.895_800_092_71,
    28_729.085_735_721_943,
    5_226.495_278_852_854,
];
const NEAR_OVER: [f64; 8] = [
    1.423_437_110_749_683_5,
    4.630_337_846_156_546,
    5.769_497_221_460_691,
    3.647_848_324_763_204_5,
    1.270_458_252_452_368_4,
    0.241_780_725_177_450_6,
    0.022_723_844_989_269_184,
    0.000_774_545_014_278_341_4,
];
const NEAR_UNDER: [f64; 8] = [
    1.0,
    2.053_191_626_637_759,
    1.676_384_830_183_803_8,
    0.689_767_334_985_1,
    0.148_103_976_427_480_08,
    0.015_198_666_563_616_457,
    0.000_547_593_808_499_534_5,
    1.050_750_071_644_416_9e-9,
];
const FAR_OVER: [f64; 8] = [
    6.657_904_643_501_103,
    5.463_784_911_164_114,
    1.784_826_539_917_291_3,
    0.296_560_571_828_504_87,
    0.026_532_189_526_576_124,
    0.001_242_660_947_388_078_4,
    2.711_555_568_743_487_6e-5,
    2.010_334_399_292_288_1e-7,
];
const FAR_UNDER: [f64; 8] = [
    1.0,
    0.599_832_206_555_888,
    0.136_929_880_922_735_8,
    0.014_875_361_290_850_615,
    0.000_786_869_131_145_613_3,
    1.846_318_317_510_054_8e-5,
    1.421_511_758_316_446e-7,
    2.044_263_103_389_939_7e-15,
];

/// The standard normal quantile of `below`, where `above = 1 - below` is handed in too, so that
/// the upper tail keeps its precision. Both are clamped to at least the smallest normal number.
#[must_use]
pub fn quantile(below: f64, above: f64) -> f64 {
    let from_median = below - 0.5;
    if from_median.abs() <= MIDDLE {
        let r = MIDDLE * MIDDLE - from_median * from_median;
        return from_median * ratio(&MIDDLE_OVER, &MIDDLE_UNDER, r);
    }
    let tail = below.min(above).max(f64::MIN_POSITIVE);
    let depth = (-ln(tail)).sqrt();
    let distance = if depth <= FAR {
        ratio(&NEAR_OVER, &NEAR_UNDER, depth - 1.6)
    } else {
        ratio(&FAR_OVER, &FAR_UNDER, depth - FAR)
    };
    if from_median < 0.0 { -distance } else { distance }
}

fn ratio(over: &[f64; 8], under: &[f64; 8], x: f64) -> f64 {
    horner(over, x) / horner(under, x)
}

fn horner(coefficients: &[f64; 8], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distribution function by the complementary error function of libm, an independent route.
    fn below(z: f64) -> f64 {
        0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
    }

    #[test]
    fn published_values_are_met() {
        // Wichura's own test values, and Abramowitz & Stegun table 26.5.
        for (u, z) in [
            (0.25, -0.674_489_750_196_081_7),
            (0.001, -3.090_232_306_167_813_5),
            (1e-20, -9.262_340_089_798_408),
            (0.975, 1.959_963_984_540_054),
            (0.5, 0.0),
        ] {
            let got = quantile(u, 1.0 - u);
            assert!((got - z).abs() <= 1e-15 * f64::max(1.0, z.abs()) * 4.0, "{u}: {got} {z}");
        }
    }

    #[test]
    fn it_inverts_the_distribution_function() {
        for step in -800..=800 {
            let z = f64::from(step) / 100.0;
            let got = quantile(below(z), below(-z));
            assert!((got - z).abs() < 2e-14 * f64::max(1.0, z.abs()), "{z}: {got}");
        }
    }

    #[test]
    fn the_ends_are_finite_and_opposite() {
        assert!(quantile(0.0, 1.0).is_finite());
        assert_eq!(quantile(0.0, 1.0), -quantile(1.0, 0.0));
    }
}
