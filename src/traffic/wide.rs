//! Whether the processor has wider vectors than every processor of its kind.
//!
//! What makes many draws at a time is compiled twice: for any processor, and for one with AVX2, which
//! holds four numbers in a register instead of two, and BMI2, whose multiplication leaves more
//! registers free. Both do the same additions and multiplications in the same order, and nothing is
//! fused (`fma` is not among the features, and Rust fuses nothing by itself), so the bits are the same.

/// Whether the functions compiled for `avx2,bmi2` may be called. The answer is looked up once; then
/// it is a load and a comparison.
#[inline]
pub(super) fn is_at_hand() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2")
}
