//! What a kernel may do with some numbers.

/// A register of `f32`.
///
/// Its methods are compiled into instructions of their level only when they are inlined into a function of that level, which
/// [`kernel!`](crate::kernel::kernel) declares and calls on processors that have them. Nothing else may call them.
pub(crate) trait Lanes: Copy + Send + Sync {
    /// How many numbers.
    const N: usize;
    /// Rows of a product's block, two registers wide: sums, two registers of one operand and one of the other fill the register file, which
    /// has 16 places with AVX2 and 32 with AVX-512.
    const ROWS: usize = 6;

    /// Whether there is an instruction behind [`Lanes::prefetch_far`].
    const FETCHES: bool = false;

    /// The same number everywhere.
    fn splat(value: f32) -> Self;
    /// The first `N` of a slice.
    fn load(from: &[f32]) -> Self;
    /// Writes into the first `N` of a slice.
    fn store(self, to: &mut [f32]);
    /// `N` numbers at an address.
    ///
    /// # Safety
    /// All of them must be readable.
    unsafe fn load_at(from: *const f32) -> Self;
    /// Writes `N` numbers at an address.
    ///
    /// # Safety
    /// All of them must be writable, by nobody else at the same time.
    unsafe fn store_at(self, to: *mut f32);

    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// The larger one; `other` where one is no number.
    fn max(self, other: Self) -> Self;
    /// The smaller one; `other` where one is no number.
    fn min(self, other: Self) -> Self;
    /// The square root, rounded correctly.
    fn sqrt(self) -> Self;
    /// 1 / x within a unit of the last place, for sizes between 1e-37 and 1e37; beyond those with an error of 1e-37 at most.
    #[inline(always)]
    fn reciprocal(self) -> Self {
        Self::splat(1.0).div(self)
    }
    /// `self * factor + addend`; rounded once, but at [`Level::Plain`](crate::Level::Plain) twice.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// Without its sign.
    fn abs(self) -> Self;
    /// The size of the one, the sign of the other.
    fn copysign(self, sign: Self) -> Self;
    /// The nearest whole number, ties to even.
    fn round(self) -> Self;
    /// 2 to the power of whole numbers in -126..=127.
    fn exp2_whole(self) -> Self;
    /// Times 2 to the power of the whole number n for which `power` is 1.5 * 2^23 + n: n is added to the exponent, so the result must have one.
    fn times_power(self, power: Self) -> Self;
    /// `then` where `self > limit`, `or` elsewhere, where one is no number among them.
    fn select_greater(self, limit: Self, then: Self, or: Self) -> Self;
    /// `then` where `self == other`, `or` elsewhere, where one is no number among them.
    fn select_equal(self, other: Self, then: Self, or: Self) -> Self;
    /// The sum of all, halves added to halves.
    fn sum(self) -> f32;
    /// The largest of all; no promise when one is no number.
    fn largest(self) -> f32;

    /// Exchanges rows and columns of a block: `to[j * to_stride + i] = from[i * stride + j]` for i and j below `N`.
    ///
    /// # Safety
    /// All of the one must be readable, all of the other writable.
    #[inline(always)]
    unsafe fn transpose(from: *const f32, stride: usize, to: *mut f32, to_stride: usize) {
        for i in 0..Self::N {
            for j in 0..Self::N {
                // SAFETY: the caller's promise.
                unsafe { *to.add(j * to_stride + i) = *from.add(i * stride + j) };
            }
        }
    }

    /// Tells the processor that the number at an address will be read soon. Any address will do, for nothing is read.
    #[inline(always)]
    fn prefetch(_at: *const f32) {}

    /// The same for a number that is to wait in the second-level cache.
    #[inline(always)]
    fn prefetch_far(_at: *const f32) {}

    /// Some numbers at an address, which are at most `N`, and zeros behind them.
    ///
    /// # Safety
    /// All of them must be readable.
    #[inline(always)]
    unsafe fn load_some(from: *const f32, many: usize) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            match many == Self::N {
                true => Self::load_at(from),
                false => Self::load_part(std::slice::from_raw_parts(from, many), 0.0),
            }
        }
    }

    /// Writes some numbers, which are at most `N`, at an address.
    ///
    /// # Safety
    /// All of them must be writable, by nobody else at the same time.
    #[inline(always)]
    unsafe fn store_some(self, to: *mut f32, many: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            match many == Self::N {
                true => self.store_at(to),
                false => self.store_part(std::slice::from_raw_parts_mut(to, many)),
            }
        }
    }

    /// Numbers at an address whose bits are set, the lowest bit for the first; zeros elsewhere.
    ///
    /// # Safety
    /// Those numbers must be readable; nothing is asked of the others.
    #[inline(always)]
    unsafe fn load_bits(from: *const f32, bits: u32) -> Self {
        let mut whole = [0.0; 16];
        for place in 0..Self::N {
            if bits >> place & 1 == 1 {
                // SAFETY: the caller's promise.
                whole[place] = unsafe { *from.wrapping_add(place) };
            }
        }
        Self::load(&whole)
    }

    /// Writes numbers whose bits are set, the lowest bit for the first, at an address.
    ///
    /// # Safety
    /// Those numbers must be writable, by nobody else at the same time; nothing is asked of the others.
    #[inline(always)]
    unsafe fn store_bits(self, to: *mut f32, bits: u32) {
        let mut whole = [0.0; 16];
        self.store(&mut whole);
        for place in 0..Self::N {
            if bits >> place & 1 == 1 {
                // SAFETY: the caller's promise.
                unsafe { *to.wrapping_add(place) = whole[place] };
            }
        }
    }

    /// Numbers at even places of two registers, one behind the other, and those at odd places.
    fn parted(self, next: Self) -> [Self; 2];

    /// The first numbers of two registers, the second ones, and so on: the way back from `parted`.
    fn woven(self, other: Self) -> [Self; 2];

    /// As many as a slice has, which is at most `N`; `filler` behind them.
    #[inline(always)]
    fn load_part(from: &[f32], filler: f32) -> Self {
        let mut whole = [filler; 16];
        whole[..from.len()].copy_from_slice(from);
        Self::load(&whole)
    }

    /// Writes as many as a slice has room for, which is at most `N`.
    #[inline(always)]
    fn store_part(self, to: &mut [f32]) {
        let mut whole = [0.0; 16];
        self.store(&mut whole);
        let len = to.len();
        to.copy_from_slice(&whole[..len]);
    }
}
