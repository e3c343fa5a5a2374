//! Some numbers at once. What a kernel may do with them is the same at every level; only how many there are differs.

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

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

/// Methods of both x86 levels. The intrinsics differ in names and types only.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Lanes;
    use std::arch::x86_64::*;

    /// AVX2 and FMA.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2(__m256);

    /// AVX-512.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512(__m512);

    /// Marks the first of eight numbers.
    #[inline(always)]
    fn first_eight(len: usize) -> __m256i {
        debug_assert!(len <= 8);
        // SAFETY: inlined into functions of this level only; see the trait.
        unsafe { _mm256_cmpgt_epi32(_mm256_set1_epi32(len as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)) }
    }

    /// Marks the first of sixteen numbers.
    #[inline(always)]
    fn first_sixteen(len: usize) -> u16 {
        debug_assert!(len <= 16);
        ((1u32 << len) - 1) as u16
    }

    /// Marks those of eight numbers whose bits are set.
    #[inline(always)]
    fn some_of_eight(bits: u32) -> __m256i {
        // SAFETY: inlined into functions of this level only; see the trait.
        unsafe {
            let each = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
            _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(bits as i32), each), each)
        }
    }

    macro_rules! methods {
        ($wrap:ident, $n:literal, $set:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $div:ident, $max:ident, $min:ident,
         $fma:ident) => {
            const N: usize = $n;

            #[inline(always)]
            fn splat(value: f32) -> Self {
                // SAFETY: inlined into functions of this level only; see the trait.
                $wrap(unsafe { $set(value) })
            }
            #[inline(always)]
            fn load(from: &[f32]) -> Self {
                // SAFETY: the slice is as long.
                unsafe { Self::load_at(from[..$n].as_ptr()) }
            }
            #[inline(always)]
            fn store(self, to: &mut [f32]) {
                // SAFETY: the slice is as long.
                unsafe { self.store_at(to[..$n].as_mut_ptr()) }
            }
            #[inline(always)]
            unsafe fn load_at(from: *const f32) -> Self {
                // SAFETY: the caller's promise; the load asks for no alignment.
                $wrap(unsafe { $load(from) })
            }
            #[inline(always)]
            unsafe fn store_at(self, to: *mut f32) {
                // SAFETY: the caller's promise; the store asks for no alignment.
                unsafe { $store(to, self.0) }
            }
            #[inline(always)]
            fn prefetch(at: *const f32) {
                // SAFETY: a hint, which faults at no address.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast::<i8>()) }
            }
            methods!(@two $wrap, add $add, sub $sub, mul $mul, div $div, max $max, min $min);
            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                // SAFETY: as in `splat`.
                $wrap(unsafe { $fma(self.0, factor.0, addend.0) })
            }
        };
        (@two $wrap:ident, $($name:ident $intrinsic:ident),*) => {
            $(#[inline(always)]
            fn $name(self, other: Self) -> Self {
                // SAFETY: as in `splat`.
                $wrap(unsafe { $intrinsic(self.0, other.0) })
            })*
        };
    }

    impl Lanes for Avx2 {
        methods!(
            Avx2,
            8,
            _mm256_set1_ps,
            _mm256_loadu_ps,
            _mm256_storeu_ps,
            _mm256_add_ps,
            _mm256_sub_ps,
            _mm256_mul_ps,
            _mm256_div_ps,
            _mm256_max_ps,
            _mm256_min_ps,
            _mm256_fmadd_ps
        );

        #[inline(always)]
        unsafe fn transpose(from: *const f32, stride: usize, to: *mut f32, to_stride: usize) {
            // SAFETY: the caller's promise; inlined as in `splat`.
            unsafe {
                let mut a = [_mm256_setzero_ps(); 8];
                let mut b = a;
                for i in 0..8 {
                    a[i] = _mm256_loadu_ps(from.add(i * stride));
                }
                for i in 0..4 {
                    b[2 * i] = _mm256_unpacklo_ps(a[2 * i], a[2 * i + 1]);
                    b[2 * i + 1] = _mm256_unpackhi_ps(a[2 * i], a[2 * i + 1]);
                }
                for i in 0..2 {
                    a[4 * i] = _mm256_shuffle_ps::<0x44>(b[4 * i], b[4 * i + 2]);
                    a[4 * i + 1] = _mm256_shuffle_ps::<0xee>(b[4 * i], b[4 * i + 2]);
                    a[4 * i + 2] = _mm256_shuffle_ps::<0x44>(b[4 * i + 1], b[4 * i + 3]);
                    a[4 * i + 3] = _mm256_shuffle_ps::<0xee>(b[4 * i + 1], b[4 * i + 3]);
                }
                for i in 0..4 {
                    _mm256_storeu_ps(to.add(i * to_stride), _mm256_permute2f128_ps::<0x20>(a[i], a[4 + i]));
                    _mm256_storeu_ps(to.add((4 + i) * to_stride), _mm256_permute2f128_ps::<0x31>(a[i], a[4 + i]));
                }
            }
        }
        #[inline(always)]
        fn load_part(from: &[f32], filler: f32) -> Self {
            // SAFETY: as in `splat`; only numbers of the slice are read.
            Avx2(unsafe {
                let mask = first_eight(from.len());
                let found = _mm256_maskload_ps(from.as_ptr(), mask);
                _mm256_blendv_ps(_mm256_set1_ps(filler), found, _mm256_castsi256_ps(mask))
            })
        }
        #[inline(always)]
        fn store_part(self, to: &mut [f32]) {
            // SAFETY: as in `splat`; only numbers of the slice are written.
            unsafe { _mm256_maskstore_ps(to.as_mut_ptr(), first_eight(to.len()), self.0) }
        }
        #[inline(always)]
        fn sqrt(self) -> Self {
            // SAFETY: as in `splat`.
            Avx2(unsafe { _mm256_sqrt_ps(self.0) })
        }
        #[inline(always)]
        unsafe fn load_bits(from: *const f32, bits: u32) -> Self {
            // SAFETY: the caller's promise; numbers that are not marked are not touched.
            Avx2(unsafe { _mm256_maskload_ps(from, some_of_eight(bits)) })
        }
        #[inline(always)]
        unsafe fn store_bits(self, to: *mut f32, bits: u32) {
            // SAFETY: the caller's promise; numbers that are not marked are not touched.
            unsafe { _mm256_maskstore_ps(to, some_of_eight(bits), self.0) }
        }
        #[inline(always)]
        fn parted(self, next: Self) -> [Self; 2] {
            // SAFETY: as in `splat`.
            unsafe {
                let even = _mm256_castps_pd(_mm256_shuffle_ps::<0x88>(self.0, next.0));
                let odd = _mm256_castps_pd(_mm256_shuffle_ps::<0xdd>(self.0, next.0));
                [Avx2(_mm256_castpd_ps(_mm256_permute4x64_pd::<0xd8>(even))), Avx2(_mm256_castpd_ps(_mm256_permute4x64_pd::<0xd8>(odd)))]
            }
        }
        #[inline(always)]
        fn woven(self, other: Self) -> [Self; 2] {
            // SAFETY: as in `splat`.
            unsafe {
                let (low, high) = (_mm256_unpacklo_ps(self.0, other.0), _mm256_unpackhi_ps(self.0, other.0));
                [Avx2(_mm256_permute2f128_ps::<0x20>(low, high)), Avx2(_mm256_permute2f128_ps::<0x31>(low, high))]
            }
        }
        #[inline(always)]
        fn abs(self) -> Self {
            // SAFETY: as in `splat`.
            Avx2(unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), self.0) })
        }
        #[inline(always)]
        fn copysign(self, sign: Self) -> Self {
            // SAFETY: as in `splat`.
            Avx2(unsafe { _mm256_or_ps(self.abs().0, _mm256_and_ps(_mm256_set1_ps(-0.0), sign.0)) })
        }
        #[inline(always)]
        fn round(self) -> Self {
            // SAFETY: as in `splat`.
            Avx2(unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0) })
        }
        #[inline(always)]
        fn exp2_whole(self) -> Self {
            // SAFETY: as in `splat`.
            Avx2(unsafe {
                let power = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(127));
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(power))
            })
        }
        #[inline(always)]
        fn times_power(self, power: Self) -> Self {
            // SAFETY: as in `splat`.
            Avx2(unsafe {
                let steps = _mm256_slli_epi32::<23>(_mm256_castps_si256(power.0));
                _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(self.0), steps))
            })
        }
        #[inline(always)]
        fn select_greater(self, limit: Self, then: Self, or: Self) -> Self {
            // SAFETY: as in `splat`.
            Avx2(unsafe { _mm256_blendv_ps(or.0, then.0, _mm256_cmp_ps::<_CMP_GT_OQ>(self.0, limit.0)) })
        }
        #[inline(always)]
        fn sum(self) -> f32 {
            // SAFETY: as in `splat`.
            unsafe {
                let half = _mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
                let quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));
                _mm_cvtss_f32(_mm_add_ss(quarter, _mm_shuffle_ps::<1>(quarter, quarter)))
            }
        }
        #[inline(always)]
        fn largest(self) -> f32 {
            // SAFETY: as in `splat`.
            unsafe {
                let half = _mm_max_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
                let quarter = _mm_max_ps(half, _mm_movehl_ps(half, half));
                _mm_cvtss_f32(_mm_max_ss(quarter, _mm_shuffle_ps::<1>(quarter, quarter)))
            }
        }
    }

    impl Lanes for Avx512 {
        methods!(
            Avx512,
            16,
            _mm512_set1_ps,
            _mm512_loadu_ps,
            _mm512_storeu_ps,
            _mm512_add_ps,
            _mm512_sub_ps,
            _mm512_mul_ps,
            _mm512_div_ps,
            _mm512_max_ps,
            _mm512_min_ps,
            _mm512_fmadd_ps
        );

        const ROWS: usize = 12;

        #[inline(always)]
        unsafe fn transpose(from: *const f32, stride: usize, to: *mut f32, to_stride: usize) {
            // SAFETY: the caller's promise; inlined as in `splat`.
            unsafe {
                let mut a = [_mm512_setzero_ps(); 16];
                let mut b = a;
                for i in 0..16 {
                    a[i] = _mm512_loadu_ps(from.add(i * stride));
                }
                for i in 0..8 {
                    b[2 * i] = _mm512_unpacklo_ps(a[2 * i], a[2 * i + 1]);
                    b[2 * i + 1] = _mm512_unpackhi_ps(a[2 * i], a[2 * i + 1]);
                }
                for i in 0..4 {
                    a[4 * i] = _mm512_shuffle_ps::<0x44>(b[4 * i], b[4 * i + 2]);
                    a[4 * i + 1] = _mm512_shuffle_ps::<0xee>(b[4 * i], b[4 * i + 2]);
                    a[4 * i + 2] = _mm512_shuffle_ps::<0x44>(b[4 * i + 1], b[4 * i + 3]);
                    a[4 * i + 3] = _mm512_shuffle_ps::<0xee>(b[4 * i + 1], b[4 * i + 3]);
                }
                for i in 0..4 {
                    b[i] = _mm512_shuffle_f32x4::<0x88>(a[i], a[4 + i]);
                    b[4 + i] = _mm512_shuffle_f32x4::<0xdd>(a[i], a[4 + i]);
                    b[8 + i] = _mm512_shuffle_f32x4::<0x88>(a[8 + i], a[12 + i]);
                    b[12 + i] = _mm512_shuffle_f32x4::<0xdd>(a[8 + i], a[12 + i]);
                }
                for i in 0..8 {
                    _mm512_storeu_ps(to.add(i * to_stride), _mm512_shuffle_f32x4::<0x88>(b[i], b[8 + i]));
                    _mm512_storeu_ps(to.add((8 + i) * to_stride), _mm512_shuffle_f32x4::<0xdd>(b[i], b[8 + i]));
                }
            }
        }
        #[inline(always)]
        fn load_part(from: &[f32], filler: f32) -> Self {
            // SAFETY: as in `splat`; only numbers of the slice are read.
            Avx512(unsafe { _mm512_mask_loadu_ps(_mm512_set1_ps(filler), first_sixteen(from.len()), from.as_ptr()) })
        }
        #[inline(always)]
        fn store_part(self, to: &mut [f32]) {
            // SAFETY: as in `splat`; only numbers of the slice are written.
            unsafe { _mm512_mask_storeu_ps(to.as_mut_ptr(), first_sixteen(to.len()), self.0) }
        }
        #[inline(always)]
        fn sqrt(self) -> Self {
            // SAFETY: as in `splat`.
            Avx512(unsafe { _mm512_sqrt_ps(self.0) })
        }
        #[inline(always)]
        fn reciprocal(self) -> Self {
            // A division takes 16 cycles. Newton's step makes 28 bits of the estimate's 14.
            // SAFETY: as in `splat`.
            Avx512(unsafe {
                let estimate = _mm512_rcp14_ps(self.0);
                _mm512_fmadd_ps(estimate, _mm512_fnmadd_ps(self.0, estimate, _mm512_set1_ps(1.0)), estimate)
            })
        }
        #[inline(always)]
        unsafe fn load_bits(from: *const f32, bits: u32) -> Self {
            // SAFETY: the caller's promise; numbers that are not marked are not touched.
            Avx512(unsafe { _mm512_maskz_loadu_ps(bits as u16, from) })
        }
        #[inline(always)]
        unsafe fn store_bits(self, to: *mut f32, bits: u32) {
            // SAFETY: the caller's promise; numbers that are not marked are not touched.
            unsafe { _mm512_mask_storeu_ps(to, bits as u16, self.0) }
        }
        #[inline(always)]
        fn parted(self, next: Self) -> [Self; 2] {
            // SAFETY: as in `splat`.
            unsafe {
                let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
                let odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
                [Avx512(_mm512_permutex2var_ps(self.0, even, next.0)), Avx512(_mm512_permutex2var_ps(self.0, odd, next.0))]
            }
        }
        #[inline(always)]
        fn woven(self, other: Self) -> [Self; 2] {
            // SAFETY: as in `splat`.
            unsafe {
                let first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
                let second = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
                [Avx512(_mm512_permutex2var_ps(self.0, first, other.0)), Avx512(_mm512_permutex2var_ps(self.0, second, other.0))]
            }
        }
        #[inline(always)]
        fn abs(self) -> Self {
            // SAFETY: as in `splat`.
            Avx512(unsafe { _mm512_abs_ps(self.0) })
        }
        #[inline(always)]
        fn copysign(self, sign: Self) -> Self {
            // SAFETY: as in `splat`.
            Avx512(unsafe { _mm512_or_ps(self.abs().0, _mm512_and_ps(_mm512_set1_ps(-0.0), sign.0)) })
        }
        #[inline(always)]
        fn round(self) -> Self {
            // SAFETY: as in `splat`.
            Avx512(unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0) })
        }
        #[inline(always)]
        fn exp2_whole(self) -> Self {
            // SAFETY: as in `splat`.
            Avx512(unsafe {
                let power = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
                _mm512_castsi512_ps(_mm512_slli_epi32::<23>(power))
            })
        }
        #[inline(always)]
        fn times_power(self, power: Self) -> Self {
            // SAFETY: as in `splat`.
            Avx512(unsafe {
                let steps = _mm512_slli_epi32::<23>(_mm512_castps_si512(power.0));
                _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(self.0), steps))
            })
        }
        #[inline(always)]
        fn select_greater(self, limit: Self, then: Self, or: Self) -> Self {
            // SAFETY: as in `splat`.
            Avx512(unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, limit.0), or.0, then.0) })
        }
        #[inline(always)]
        fn sum(self) -> f32 {
            // SAFETY: as in `splat`.
            let half = unsafe { _mm256_add_ps(_mm512_castps512_ps256(self.0), _mm512_extractf32x8_ps::<1>(self.0)) };
            Avx2(half).sum()
        }
        #[inline(always)]
        fn largest(self) -> f32 {
            // SAFETY: as in `splat`.
            let half = unsafe { _mm256_max_ps(_mm512_castps512_ps256(self.0), _mm512_extractf32x8_ps::<1>(self.0)) };
            Avx2(half).largest()
        }
    }
}

#[cfg(target_arch = "aarch64")]
pub(crate) use arm::Neon;

#[cfg(target_arch = "aarch64")]
mod arm {
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
                [
                    Neon(vzip1q_f32(self.0, other.0), vzip2q_f32(self.0, other.0)),
                    Neon(vzip1q_f32(self.1, other.1), vzip2q_f32(self.1, other.1)),
                ]
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
}
