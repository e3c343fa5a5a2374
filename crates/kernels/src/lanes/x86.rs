//! AVX2 and AVX-512. The intrinsics differ in names and types only.

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
        const FETCHES: bool = true;

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
        #[inline(always)]
        fn prefetch_far(at: *const f32) {
            // SAFETY: as above.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast::<i8>()) }
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
    fn select_equal(self, other: Self, then: Self, or: Self) -> Self {
        // SAFETY: as in `splat`.
        Avx2(unsafe { _mm256_blendv_ps(or.0, then.0, _mm256_cmp_ps::<_CMP_EQ_OQ>(self.0, other.0)) })
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
    fn select_equal(self, other: Self, then: Self, or: Self) -> Self {
        // SAFETY: as in `splat`.
        Avx512(unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(self.0, other.0), or.0, then.0) })
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
