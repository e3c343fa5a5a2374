//! The innermost block: up to 32 x 32 sums over tiles that lie anywhere.
//!
//! A tile of `a` is sixteen rows of 32 numbers in a row; a tile of `b` is sixteen pairs of rows for sixteen columns, the two numbers of a
//! pair beside each other (Intel 64 and IA-32 Architectures Software Developer's Manual, TDPBF16PS). The depth is a list of places, one for
//! each step of 32, so a convolution hands over the places of its taps and nothing is copied for each of them.

use super::unit::Unit;

/// Numbers of a step along the depth.
pub(crate) const STEP: usize = 32;
/// Rows, and columns, of a tile.
pub(crate) const SIDE: usize = 16;

/// Where a step lies behind the first tiles of `a` and of `b`, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Place {
    pub a: usize,
    pub b: usize,
}

/// Operands of a block: the first tiles and how many bytes lie between rows of a tile. The second tile of `a` is sixteen rows further down, the
/// second of `b` 64 bytes further right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiles<'a> {
    pub a: *const u16,
    pub a_stride: usize,
    pub b: *const u16,
    pub b_stride: usize,
    pub places: &'a [Place],
}

/// `c` = the sums, or `c` + the sums, for `down` x `across` tiles of 16 x 16 numbers; rows of `c` lie `stride` numbers apart.
///
/// # Safety
/// All tiles must be readable, all of `c` writable by nobody else; the unit must be there and entered ([`Unit::enter`]) on this thread.
pub(crate) unsafe fn block(unit: Unit, [down, across]: [usize; 2], tiles: Tiles<'_>, adds: bool, c: *mut f32, stride: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        match unit {
            #[cfg(target_arch = "x86_64")]
            Unit::Tile => amx::block([down, across], tiles, adds, c, stride),
            _ => {
                for (i, j) in (0..down).flat_map(|i| (0..across).map(move |j| (i, j))) {
                    let a = tiles.a.wrapping_byte_add(i * SIDE * tiles.a_stride);
                    let one = Tiles { a, b: tiles.b.wrapping_byte_add(j * 64), ..tiles };
                    let c = c.add(i * SIDE * stride + j * SIDE);
                    match unit {
                        #[cfg(target_arch = "x86_64")]
                        Unit::Dot => dot(one, adds, c, stride),
                        _ => plain(one, adds, c, stride),
                    }
                }
            }
        }
    }
}

/// [`block`] for any number of rows and columns up to 32, of which no others are written.
///
/// # Safety
/// As [`block`], but tiles must be readable beyond those rows and columns as well, to whole tiles.
pub(crate) unsafe fn write(unit: Unit, [rows, columns]: [usize; 2], tiles: Tiles<'_>, adds: bool, c: *mut f32, stride: usize) {
    let sides = [rows.div_ceil(SIDE), columns.div_ceil(SIDE)];
    // SAFETY: the caller's promise; the whole tiles of what is cut off go into memory of our own.
    unsafe {
        if rows.is_multiple_of(SIDE) && columns.is_multiple_of(SIDE) {
            return block(unit, sides, tiles, adds, c, stride);
        }
        let mut whole = [0.0f32; 4 * SIDE * SIDE];
        block(unit, sides, tiles, false, whole.as_mut_ptr(), 2 * SIDE);
        for row in 0..rows {
            let to = std::slice::from_raw_parts_mut(c.add(row * stride), columns);
            let from = &whole[2 * row * SIDE..][..columns];
            match adds {
                true => to.iter_mut().zip(from).for_each(|(to, sum)| *to += sum),
                false => to.copy_from_slice(from),
            }
        }
    }
}

/// The twin that the others are held against.
///
/// # Safety
/// As [`block`].
unsafe fn plain(tiles: Tiles<'_>, adds: bool, c: *mut f32, stride: usize) {
    let number = |half: u16| f32::from_bits(u32::from(half) << 16);
    for row in 0..SIDE {
        // SAFETY: the caller's promise.
        let to = unsafe { std::slice::from_raw_parts_mut(c.add(row * stride), SIDE) };
        if !adds {
            to.fill(0.0);
        }
        for place in tiles.places {
            for pair in 0..SIDE {
                // SAFETY: the caller's promise.
                let (a, b) = unsafe {
                    let a = tiles.a.byte_add(place.a + row * tiles.a_stride).add(2 * pair);
                    let b = tiles.b.byte_add(place.b + pair * tiles.b_stride);
                    (std::slice::from_raw_parts(a, 2), std::slice::from_raw_parts(b, STEP))
                };
                let [first, second] = [number(a[0]), number(a[1])];
                for (sum, b) in to.iter_mut().zip(b.chunks_exact(2)) {
                    *sum += first * number(b[0]) + second * number(b[1]);
                }
            }
        }
    }
}

/// By registers of inner products.
///
/// # Safety
/// As [`block`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn dot(tiles: Tiles<'_>, adds: bool, c: *mut f32, stride: usize) {
    use std::arch::x86_64::*;
    // SAFETY: the caller's promise; sixteen numbers and 32 halves are both 64 bytes.
    unsafe {
        let mut sums = [_mm512_setzero_ps(); SIDE];
        if adds {
            for row in 0..SIDE {
                sums[row] = _mm512_loadu_ps(c.add(row * stride));
            }
        }
        for place in tiles.places {
            let (a, b) = (tiles.a.byte_add(place.a), tiles.b.byte_add(place.b));
            for pair in 0..SIDE {
                let b: __m512bh = std::mem::transmute(_mm512_loadu_si512(b.byte_add(pair * tiles.b_stride).cast()));
                for row in 0..SIDE {
                    let a = a.byte_add(row * tiles.a_stride + 4 * pair).cast::<i32>().read_unaligned();
                    sums[row] = _mm512_dpbf16_ps(sums[row], std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(a)), b);
                }
            }
        }
        for row in 0..SIDE {
            _mm512_storeu_ps(c.add(row * stride), sums[row]);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod amx {
    use super::{SIDE, Tiles};
    use std::arch::asm;

    /// One loop over the places for so many tiles: tmm0 to tmm3 are sums, tmm4 and tmm5 of `a`, tmm6 and tmm7 of `b`.
    macro_rules! sums {
        ($tiles:expr, $adds:expr, $c:expr, $stride:expr; $([$sum:literal, $down:literal, $across:literal])*; second $down_two:expr; $($line:literal)*) => {{
            let Tiles { a, a_stride, b, b_stride, places } = $tiles;
            // The compiler never uses tiles, so they keep their sums from one block of assembly to the next.
            $(
                let place = $c.add($down * SIDE * $stride + $across * SIDE);
                match $adds {
                    true => asm!(concat!("tileloadd tmm", $sum, ", [{c} + {stride}]"), c = in(reg) place, stride = in(reg) 4 * $stride,
                        options(nostack, preserves_flags, readonly)),
                    false => asm!(concat!("tilezero tmm", $sum), options(nostack, preserves_flags, nomem)),
                }
            )*
            if !places.is_empty() {
                asm!(
                    "2:",
                    "mov {x}, [{place}]",
                    "mov {y}, [{place} + 8]",
                    "add {x}, {a}",
                    "add {y}, {b}",
                    "tileloadd tmm4, [{x} + {a_stride}]",
                    "tileloadd tmm6, [{y} + {b_stride}]",
                    $($line,)*
                    "add {place}, 16",
                    "dec {count}",
                    "jnz 2b",
                    x = out(reg) _, y = out(reg) _, a = in(reg) a, b = in(reg) b,
                    a_stride = in(reg) a_stride, b_stride = in(reg) b_stride, down = in(reg) $down_two,
                    place = inout(reg) places.as_ptr() => _, count = inout(reg) places.len() => _,
                    options(nostack, readonly),
                );
            }
            $(
                let place = $c.add($down * SIDE * $stride + $across * SIDE);
                asm!(concat!("tilestored [{c} + {stride}], tmm", $sum), c = in(reg) place, stride = in(reg) 4 * $stride,
                    options(nostack, preserves_flags));
            )*
        }};
    }

    /// # Safety
    /// As [`super::block`].
    pub(super) unsafe fn block(sides: [usize; 2], tiles: Tiles<'_>, adds: bool, c: *mut f32, stride: usize) {
        // From the first tile of `a` to the second.
        let down = SIDE * tiles.a_stride;
        // SAFETY: the caller's promise.
        unsafe {
            match sides {
                [1, 1] => sums!(tiles, adds, c, stride; [0, 0, 0]; second down;
                    "tdpbf16ps tmm0, tmm4, tmm6" "/* {down} */"),
                [1, 2] => sums!(tiles, adds, c, stride; [0, 0, 0] [1, 0, 1]; second down;
                    "tileloadd tmm7, [{y} + {b_stride} + 64]" "tdpbf16ps tmm0, tmm4, tmm6" "tdpbf16ps tmm1, tmm4, tmm7" "/* {down} */"),
                [2, 1] => sums!(tiles, adds, c, stride; [0, 0, 0] [2, 1, 0]; second down;
                    "add {x}, {down}" "tileloadd tmm5, [{x} + {a_stride}]" "tdpbf16ps tmm0, tmm4, tmm6" "tdpbf16ps tmm2, tmm5, tmm6"),
                [2, 2] => sums!(tiles, adds, c, stride; [0, 0, 0] [1, 0, 1] [2, 1, 0] [3, 1, 1]; second down;
                    "tileloadd tmm7, [{y} + {b_stride} + 64]" "tdpbf16ps tmm0, tmm4, tmm6" "add {x}, {down}"
                    "tileloadd tmm5, [{x} + {a_stride}]" "tdpbf16ps tmm1, tmm4, tmm7" "tdpbf16ps tmm2, tmm5, tmm6"
                    "tdpbf16ps tmm3, tmm5, tmm7"),
                _ => unreachable!("a block has one or two tiles a side"),
            }
        }
    }
}
