//! Near: prefetches memory that is wanted soon.
//!
//! What a record or an observation costs is mostly waiting for memory. So a look-up goes in two steps: as soon as it
//! knows the address it prefetches it, and it loads from there only after other look-ups have done the same. Loading at
//! once would wait for each in turn. Where a processor has no prefetch this does nothing, and it never changes a
//! result.

#![expect(unsafe_code, reason = "there is no safe way to ask for memory, and grouping takes half the time with it")]

/// Bytes of a cache line, which is what memory comes in.
const LINE_BYTES: usize = 64;

/// Prefetches a value into the cache: asks for all its cache lines and waits for none.
#[inline]
pub fn near<T: ?Sized>(value: &T) {
    let start = std::ptr::from_ref(value).cast::<i8>();
    for at in (0..size_of_val(value)).step_by(LINE_BYTES) {
        ask(start.wrapping_add(at));
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn ask(at: *const i8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch reads and writes nothing and cannot fault, whatever the address; every x86_64 has it.
    unsafe { _mm_prefetch(at, _MM_HINT_T0) };
}

#[cfg(target_arch = "aarch64")]
#[inline]
fn ask(at: *const i8) {
    // SAFETY: a prefetch reads and writes nothing and cannot fault, whatever the address; every aarch64 has it.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{}]", in(reg) at, options(nostack, preserves_flags, readonly));
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline]
fn ask(_: *const i8) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_brought_near_stays_as_it_is() {
        let (nothing, large) = ((), [7_u64; 100]);
        near(&nothing);
        near(&large);
        near(&large[99]);
        near(&large[..]);
        near(&large[..0]);
        assert!(large.iter().all(|number| *number == 7));
    }
}
