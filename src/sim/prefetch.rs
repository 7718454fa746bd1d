//! Asking the processor to fetch what will be read soon.
//!
//! Among thousands of servers and requests each look at another one waits for the memory, some hundred
//! instructions long, unless it was asked for before. Nothing here changes what happens.

/// Fetches the cache line in which `value` begins, if there is a value, and goes on at once. It changes
/// nothing but the time that a later look takes.
#[inline(always)]
pub(super) fn line_of<T>(value: Option<&T>) {
    let Some(value) = value else { return };
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is in every processor of this kind; it reads nothing and cannot fail.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
