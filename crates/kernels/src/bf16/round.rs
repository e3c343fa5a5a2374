//! `f32` rounded to `bf16`, the nearest and ties to even, into tiles.

use super::tiles::{SIDE, STEP};
use super::unit::Unit;

/// Some lines of numbers, sixteen of 32 or 32 of sixteen at most: number (i, k) is `from[i * stride + k * step]`. What is not there counts as
/// zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines {
    pub from: *const f32,
    pub stride: usize,
    pub step: usize,
    pub rows: usize,
    pub columns: usize,
}

/// Rounds lines into a tile of `a`: a row for each, `stride` halves apart.
///
/// # Safety
/// All lines must be readable, all sixteen rows of 32 halves writable; the unit must be there.
pub(crate) unsafe fn rows(unit: Unit, lines: Lines, to: *mut u16, stride: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        match unit {
            #[cfg(target_arch = "x86_64")]
            Unit::Dot | Unit::Tile => native::rows(lines, to, stride),
            _ => plain(lines, |row, k| row * stride + k, to),
        }
    }
}

/// Rounds lines of a step (16 columns each, 32 lines at most) into a tile of `b`: a row for each pair of lines, `stride` halves apart.
///
/// # Safety
/// As [`rows`].
pub(crate) unsafe fn pairs(unit: Unit, lines: Lines, to: *mut u16, stride: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        match unit {
            #[cfg(target_arch = "x86_64")]
            Unit::Dot | Unit::Tile => native::pairs(lines, to, stride),
            _ => {
                for pair in 0..SIDE {
                    for (column, second) in (0..SIDE).flat_map(|column| [(column, 0), (column, 1)]) {
                        let row = 2 * pair + second;
                        let is_there = row < lines.rows && column < lines.columns;
                        let value = if is_there { half(*lines.from.add(row * lines.stride + column * lines.step)) } else { 0 };
                        *to.add(pair * stride + 2 * column + second) = value;
                    }
                }
            }
        }
    }
}

/// Rounds lines as [`rows`] does into a tile of `b`, whose columns they become.
///
/// # Safety
/// As [`rows`].
pub(crate) unsafe fn columns(unit: Unit, lines: Lines, to: *mut u16, stride: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        match unit {
            #[cfg(target_arch = "x86_64")]
            Unit::Dot | Unit::Tile => native::columns(lines, to, stride),
            _ => plain(lines, |column, k| k / 2 * stride + 2 * column + k % 2, to),
        }
    }
}

/// Rounds lines as [`pairs`] does into a tile of `a`, whose columns they become.
///
/// # Safety
/// As [`rows`].
pub(crate) unsafe fn turned(unit: Unit, lines: Lines, to: *mut u16, stride: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        match unit {
            #[cfg(target_arch = "x86_64")]
            Unit::Dot | Unit::Tile => native::turned(lines, to, stride),
            _ => {
                for (row, k) in (0..SIDE).flat_map(|row| (0..STEP).map(move |k| (row, k))) {
                    let is_there = k < lines.rows && row < lines.columns;
                    *to.add(row * stride + k) = if is_there { half(*lines.from.add(k * lines.stride + row * lines.step)) } else { 0 };
                }
            }
        }
    }
}

unsafe fn plain(lines: Lines, place: impl Fn(usize, usize) -> usize, to: *mut u16) {
    for (row, k) in (0..SIDE).flat_map(|row| (0..STEP).map(move |k| (row, k))) {
        let is_there = row < lines.rows && k < lines.columns;
        // SAFETY: the caller's promise.
        unsafe { *to.add(place(row, k)) = if is_there { half(*lines.from.add(row * lines.stride + k * lines.step)) } else { 0 } };
    }
}

/// The nearest `bf16`, ties to even; numbers below the smallest normal one become zero, as the instructions have it.
pub(crate) fn half(value: f32) -> u16 {
    let bits = value.to_bits();
    match value {
        _ if value.is_nan() => (bits >> 16) as u16 | 0x40,
        _ if value.abs() < f32::MIN_POSITIVE => (bits >> 16) as u16 & 0x8000,
        _ => ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16,
    }
}

#[cfg(target_arch = "x86_64")]
mod native {
    use super::{Lines, SIDE, STEP};
    use std::arch::x86_64::*;

    /// Sixteen numbers at most, `step` apart, zeros behind them.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load(from: *const f32, many: usize, step: usize) -> __m512 {
        // SAFETY: the caller's promise; what the mask leaves out is not read.
        unsafe {
            match (many >= SIDE, step) {
                (true, 1) => _mm512_loadu_ps(from),
                (false, 1) => _mm512_maskz_loadu_ps(((1u32 << many) - 1) as u16, from),
                _ => {
                    let places = _mm512_mullo_epi32(
                        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                        _mm512_set1_epi32(step as i32),
                    );
                    let mask = ((1u32 << many.min(SIDE)) - 1) as u16;
                    _mm512_mask_i32gather_ps::<4>(_mm512_setzero_ps(), mask, places, from)
                }
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn both(first: __m512, second: __m512) -> __m512i {
        // SAFETY: both are 64 bytes.
        unsafe { std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(second, first)) }
    }

    /// A row of 32 numbers, in order.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn line(lines: Lines, row: usize) -> __m512i {
        if row >= lines.rows {
            return _mm512_setzero_si512();
        }
        // SAFETY: the caller's promise.
        unsafe {
            let from = lines.from.add(row * lines.stride);
            let second = lines.columns.saturating_sub(SIDE);
            let first = load(from, lines.columns, lines.step);
            let rest = if second > 0 { load(from.add(SIDE * lines.step), second, lines.step) } else { _mm512_setzero_ps() };
            both(first, rest)
        }
    }

    /// Two rows of sixteen numbers, woven.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn woven(lines: Lines, pair: usize, order: __m512i) -> __m512i {
        let row = |row: usize| match row < lines.rows {
            // SAFETY: the caller's promise.
            true => unsafe { load(lines.from.add(row * lines.stride), lines.columns, lines.step) },
            false => _mm512_setzero_ps(),
        };
        _mm512_permutexvar_epi16(order, both(row(2 * pair), row(2 * pair + 1)))
    }

    /// The order that weaves: 0, 16, 1, 17, ..
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn order() -> __m512i {
        let mut order = [0u16; STEP];
        for place in 0..STEP {
            order[place] = (place / 2 + SIDE * (place % 2)) as u16;
        }
        // SAFETY: both are 64 bytes.
        unsafe { std::mem::transmute(order) }
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) unsafe fn rows(lines: Lines, to: *mut u16, stride: usize) {
        for row in 0..SIDE {
            // SAFETY: the caller's promise.
            unsafe { _mm512_storeu_si512(to.add(row * stride).cast(), line(lines, row)) };
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) unsafe fn pairs(lines: Lines, to: *mut u16, stride: usize) {
        let order = order();
        for pair in 0..SIDE {
            // SAFETY: the caller's promise.
            unsafe { _mm512_storeu_si512(to.add(pair * stride).cast(), woven(lines, pair, order)) };
        }
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) unsafe fn columns(lines: Lines, to: *mut u16, stride: usize) {
        let mut found = [_mm512_setzero_si512(); SIDE];
        for row in 0..SIDE {
            // SAFETY: the caller's promise.
            found[row] = unsafe { line(lines, row) };
        }
        // SAFETY: as above.
        unsafe { store_turned(found, to, stride) };
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) unsafe fn turned(lines: Lines, to: *mut u16, stride: usize) {
        let order = order();
        let mut found = [_mm512_setzero_si512(); SIDE];
        for pair in 0..SIDE {
            // SAFETY: the caller's promise.
            found[pair] = unsafe { woven(lines, pair, order) };
        }
        // SAFETY: as above.
        unsafe { store_turned(found, to, stride) };
    }

    /// Exchanges rows and columns of sixteen registers of pairs and writes them: in blocks of four pairs, then of whole quarters.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn store_turned(rows: [__m512i; SIDE], to: *mut u16, stride: usize) {
        let mut halves = [_mm512_setzero_si512(); SIDE];
        for i in 0..8 {
            halves[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
            halves[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
        }
        let mut fours = [_mm512_setzero_si512(); SIDE];
        for i in 0..4 {
            let [a, b, c, d] = [halves[4 * i], halves[4 * i + 1], halves[4 * i + 2], halves[4 * i + 3]];
            fours[4 * i] = _mm512_unpacklo_epi64(a, c);
            fours[4 * i + 1] = _mm512_unpackhi_epi64(a, c);
            fours[4 * i + 2] = _mm512_unpacklo_epi64(b, d);
            fours[4 * i + 3] = _mm512_unpackhi_epi64(b, d);
        }
        // fours[4 i + j] holds, in its quarter q, column 4 q + j of rows 4 i to 4 i + 3.
        for j in 0..4 {
            let [a, b, c, d] = [fours[j], fours[4 + j], fours[8 + j], fours[12 + j]];
            let [low, high] = [_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(c, d, 0x88)];
            let [low_odd, high_odd] = [_mm512_shuffle_i32x4(a, b, 0xdd), _mm512_shuffle_i32x4(c, d, 0xdd)];
            let columns = [
                _mm512_shuffle_i32x4(low, high, 0x88),
                _mm512_shuffle_i32x4(low_odd, high_odd, 0x88),
                _mm512_shuffle_i32x4(low, high, 0xdd),
                _mm512_shuffle_i32x4(low_odd, high_odd, 0xdd),
            ];
            for quarter in 0..4 {
                // SAFETY: the caller's promise.
                unsafe { _mm512_storeu_si512(to.add((4 * quarter + j) * stride).cast(), columns[quarter]) };
            }
        }
    }
}
