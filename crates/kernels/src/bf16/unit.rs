//! Which part of the processor multiplies `bf16`, found out when the program runs.

use crate::Level;
use std::sync::OnceLock;

/// What multiplies, from the slowest to the fastest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Unit {
    /// Numbers widened to `f32` and multiplied one by one: the reference, and what other processors have.
    Plain,
    /// AVX512_BF16: registers of sixteen inner products of two numbers each.
    Dot,
    /// AMX: tiles of sixteen rows of 64 bytes.
    Tile,
}

impl Unit {
    /// What this machine has, the fastest last.
    pub(crate) fn available() -> &'static [Unit] {
        static FOUND: OnceLock<Vec<Unit>> = OnceLock::new();
        FOUND.get_or_init(|| {
            let has_dot = has_dot();
            [(Unit::Plain, true), (Unit::Dot, has_dot), (Unit::Tile, has_dot && has_tiles())]
                .into_iter()
                .filter_map(|(unit, is_there)| is_there.then_some(unit))
                .collect()
        })
    }

    /// The fastest at the level of the calling thread.
    pub(crate) fn current() -> Unit {
        match Level::current() {
            Level::Avx512 => Unit::available().last().copied().unwrap_or(Unit::Plain),
            _ => Unit::Plain,
        }
    }

    /// Runs work that calls [`block`](super::tiles::block), on this thread alone: tiles are laid out before and given back after it.
    pub(crate) fn enter<T>(self, work: impl FnOnce() -> T) -> T {
        #[cfg(target_arch = "x86_64")]
        let _leave = (self == Unit::Tile).then(|| {
            struct Leave;
            impl Drop for Leave {
                fn drop(&mut self) {
                    // SAFETY: the unit is there, see below.
                    unsafe { std::arch::asm!("tilerelease", options(nostack, preserves_flags, nomem)) };
                }
            }
            let layout = Layout::new();
            // SAFETY: `Unit::Tile` is only made where the processor has tiles and the system lets us use them.
            unsafe { std::arch::asm!("ldtilecfg [{}]", in(reg) &layout, options(nostack, preserves_flags, readonly)) };
            Leave
        });
        work()
    }
}

/// How `ldtilecfg` wants it: all eight tiles with sixteen rows of 64 bytes.
#[cfg(target_arch = "x86_64")]
#[repr(C, align(64))]
struct Layout {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

#[cfg(target_arch = "x86_64")]
impl Layout {
    fn new() -> Layout {
        let mut layout = Layout { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        layout.row_bytes[..8].fill(64);
        layout.rows[..8].fill(16);
        layout
    }
}

#[cfg(target_arch = "x86_64")]
fn has_dot() -> bool {
    Level::Avx512.is_available() && is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_dot() -> bool {
    false
}

/// Whether the processor has tiles for `bf16` and Linux lets this process use them, which it has to be asked for.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn has_tiles() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
    const REQUEST: libc::c_long = 0x1023;
    const TILE_DATA: libc::c_long = 18;
    /// The registers of both the layout and the data are saved by the system when it switches threads.
    const SAVED: u64 = 0b11 << 17;
    if !is_x86_feature_detected!("xsave") || __cpuid(0).eax < 7 || __cpuid(1).ecx >> 27 & 1 == 0 {
        return false;
    }
    let features = __cpuid_count(7, 0).edx;
    // SAFETY: the processor has xsave, and the system uses it (bit 27 above).
    let saved = unsafe { _xgetbv(0) };
    let has = features >> 22 & 1 == 1 && features >> 24 & 1 == 1 && saved & SAVED == SAVED;
    // SAFETY: a system call with two numbers; it changes nothing but what this process may use.
    has && unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST, TILE_DATA) } == 0
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn has_tiles() -> bool {
    false
}
