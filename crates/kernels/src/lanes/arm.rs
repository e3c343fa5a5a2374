//! NEON.

use super::Lanes;
use std::arch::aarch64::*;

/// NEON, two registers at once: four numbers are too few to hide what an instruction takes.
#[derive(Clone, Copy)]
pub(crate) struct Neon(float32x4_t, float32x4_t);

macro_rules! two {
    ($($name:ident $intrinsic:ident),*) => {
        $(#[inline(always)]
        fn $name(self, other: Self) -> Self {
            // SAFETY: every 64-bit ARM processor that Rust's targets name has NEON.
            unsafe { Neon($intrinsic(self.0, other.0), $intrinsic(self.1, other.1)) }
        })*
    };
}

impl Neon {
    #[inline(always)]
    fn each(self, of: impl Fn(float32x4_t) -> float32x4_t) -> Self {
        Neon(of(self.0), of(self.1))
    }
}

impl Lanes for Neon {
    const N: usize = 8;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: as in `two`.
        unsafe { Neon(vdupq_n_f32(value), vdupq_n_f32(value)) }
    }
    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        // SAFETY: the slice is as long.
        unsafe { Self::load_at(from[..8].as_ptr()) }
    }
    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        // SAFETY: the slice is as long.
        unsafe { self.store_at(to[..8].as_mut_ptr()) }
    }
    #[inline(always)]
    unsafe fn load_at(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Neon(vld1q_f32(from), vld1q_f32(from.add(4))) }
    }
    #[inline(always)]
    unsafe fn store_at(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe {
            vst1q_f32(to, self.0);
            vst1q_f32(to.add(4), self.1);
        }
    }
    two!(add vaddq_f32, sub vsubq_f32, mul vmulq_f32, div vdivq_f32);
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.select_greater(other, self, other)
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        other.select_greater(self, self, other)
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: as in `two`.
        unsafe { Neon(vfmaq_f32(addend.0, self.0, factor.0), vfmaq_f32(addend.1, self.1, factor.1)) }
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        // SAFETY: as in `two`.
        self.each(|half| unsafe { vsqrtq_f32(half) })
    }
    #[inline(always)]
    fn parted(self, next: Self) -> [Self; 2] {
        // SAFETY: as in `two`.
        unsafe {
            [Neon(vuzp1q_f32(self.0, self.1), vuzp1q_f32(next.0, next.1)), Neon(vuzp2q_f32(self.0, self.1), vuzp2q_f32(next.0, next.1))]
        }
    }
    #[inline(always)]
    fn woven(self, other: Self) -> [Self; 2] {
        // SAFETY: as in `two`.
        unsafe {
            [Neon(vzip1q_f32(self.0, other.0), vzip2q_f32(self.0, other.0)), Neon(vzip1q_f32(self.1, other.1), vzip2q_f32(self.1, other.1))]
        }
    }
    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: as in `two`.
        self.each(|half| unsafe { vabsq_f32(half) })
    }
    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        // SAFETY: as in `two`.
        unsafe {
            let mask = vdupq_n_u32(0x8000_0000);
            Neon(vbslq_f32(mask, sign.0, self.0), vbslq_f32(mask, sign.1, self.1))
        }
    }
    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: as in `two`.
        self.each(|half| unsafe { vrndnq_f32(half) })
    }
    #[inline(always)]
    fn exp2_whole(self) -> Self {
        // SAFETY: as in `two`.
        self.each(|half| unsafe { vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(vcvtnq_s32_f32(half), vdupq_n_s32(127)))) })
    }
    #[inline(always)]
    fn times_power(self, power: Self) -> Self {
        // SAFETY: as in `two`.
        let moved = |value, power| unsafe {
            vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(value), vshlq_n_s32::<23>(vreinterpretq_s32_f32(power))))
        };
        Neon(moved(self.0, power.0), moved(self.1, power.1))
    }
    #[inline(always)]
    fn select_greater(self, limit: Self, then: Self, or: Self) -> Self {
        // SAFETY: as in `two`.
        unsafe { Neon(vbslq_f32(vcgtq_f32(self.0, limit.0), then.0, or.0), vbslq_f32(vcgtq_f32(self.1, limit.1), then.1, or.1)) }
    }
    #[inline(always)]
    fn select_equal(self, other: Self, then: Self, or: Self) -> Self {
        // SAFETY: as in `two`.
        unsafe { Neon(vbslq_f32(vceqq_f32(self.0, other.0), then.0, or.0), vbslq_f32(vceqq_f32(self.1, other.1), then.1, or.1)) }
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: as in `two`.
        unsafe { vaddvq_f32(vaddq_f32(self.0, self.1)) }
    }
    #[inline(always)]
    fn largest(self) -> f32 {
        // SAFETY: as in `two`.
        unsafe { vmaxvq_f32(vmaxq_f32(self.0, self.1)) }
    }
}
