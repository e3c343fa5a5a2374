//! The reference: what every processor has.

use super::Lanes;

/// Eight numbers in the hands of the compiler.
#[derive(Clone, Copy)]
pub(crate) struct Plain([f32; 8]);

impl Plain {
    #[inline(always)]
    fn map(self, of: impl Fn(f32) -> f32) -> Self {
        Plain(self.0.map(of))
    }

    #[inline(always)]
    fn zip(self, other: Self, of: impl Fn(f32, f32) -> f32) -> Self {
        Plain(std::array::from_fn(|i| of(self.0[i], other.0[i])))
    }
}

impl Lanes for Plain {
    const N: usize = 8;
    /// Where registers are four numbers wide and sixteen, as in SSE2, eight of them: with more, sums would not stay in them.
    const ROWS: usize = 2;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Plain([value; 8])
    }
    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        Plain(from[..8].try_into().expect("eight are eight"))
    }
    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        to[..8].copy_from_slice(&self.0);
    }
    #[inline(always)]
    unsafe fn load_at(from: *const f32) -> Self {
        // SAFETY: the caller promises that eight numbers are readable; an array of them needs no other alignment.
        Plain(unsafe { from.cast::<[f32; 8]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store_at(self, to: *mut f32) {
        // SAFETY: the caller promises that eight numbers are writable.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.map(f32::sqrt)
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        self.mul(factor).add(addend)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        self.map(f32::abs)
    }
    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        self.zip(sign, f32::copysign)
    }
    #[inline(always)]
    fn round(self) -> Self {
        self.map(f32::round_ties_even)
    }
    #[inline(always)]
    fn exp2_whole(self) -> Self {
        self.map(|power| f32::from_bits((((power as i32) + 127) << 23) as u32))
    }
    #[inline(always)]
    fn times_power(self, power: Self) -> Self {
        self.zip(power, |value, power| f32::from_bits(value.to_bits().wrapping_add(power.to_bits() << 23)))
    }
    #[inline(always)]
    fn select_greater(self, limit: Self, then: Self, or: Self) -> Self {
        Plain(std::array::from_fn(|i| if self.0[i] > limit.0[i] { then.0[i] } else { or.0[i] }))
    }
    #[inline(always)]
    fn select_equal(self, other: Self, then: Self, or: Self) -> Self {
        Plain(std::array::from_fn(|i| if self.0[i] == other.0[i] { then.0[i] } else { or.0[i] }))
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        let v = self.0;
        let [a, b, c, d] = [v[0] + v[4], v[1] + v[5], v[2] + v[6], v[3] + v[7]];
        (a + c) + (b + d)
    }
    #[inline(always)]
    fn largest(self) -> f32 {
        self.0.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }
    #[inline(always)]
    fn parted(self, next: Self) -> [Self; 2] {
        let (a, b) = (self.0, next.0);
        [Plain([a[0], a[2], a[4], a[6], b[0], b[2], b[4], b[6]]), Plain([a[1], a[3], a[5], a[7], b[1], b[3], b[5], b[7]])]
    }
    #[inline(always)]
    fn woven(self, other: Self) -> [Self; 2] {
        let (a, b) = (self.0, other.0);
        [Plain([a[0], b[0], a[1], b[1], a[2], b[2], a[3], b[3]]), Plain([a[4], b[4], a[5], b[5], a[6], b[6], a[7], b[7]])]
    }
}
