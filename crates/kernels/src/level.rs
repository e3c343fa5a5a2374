//! Which instructions the processor has, found out when the program runs.

use crate::kernel::kernel;
use std::cell::Cell;

/// A set of instructions that kernels are compiled for, from the most common to the fastest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Level {
    /// What every processor of the target has; the reference that the others are held against.
    Plain,
    /// NEON, on 64-bit ARM.
    Neon,
    /// AVX2 and fused multiply-add, on x86-64: eight numbers at once.
    Avx2,
    /// AVX-512 (F, VL, DQ, BW), on x86-64: sixteen numbers at once.
    Avx512,
}

thread_local! {
    static CHOSEN: Cell<Option<Level>> = const { Cell::new(None) };
}

impl Level {
    /// The levels that this machine can run, the fastest last.
    ///
    /// ```
    /// assert!(cupola_kernels::Level::available().contains(&cupola_kernels::Level::Plain));
    /// ```
    pub fn available() -> Vec<Level> {
        [Level::Plain, Level::Neon, Level::Avx2, Level::Avx512].into_iter().filter(|level| level.is_available()).collect()
    }

    /// Whether this machine can run it.
    pub fn is_available(self) -> bool {
        match self {
            Level::Plain => true,
            #[cfg(target_arch = "aarch64")]
            Level::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => {
                Level::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw")
            }
            #[cfg(not(target_arch = "aarch64"))]
            Level::Neon => false,
            #[cfg(not(target_arch = "x86_64"))]
            Level::Avx2 | Level::Avx512 => false,
        }
    }

    /// The level at which kernels called on this thread run: the fastest, or what [`with`] says. Kernels read it where they are called and
    /// hand it to the threads that they use.
    pub fn current() -> Level {
        CHOSEN.get().unwrap_or_else(Level::best)
    }

    /// Numbers in a register.
    pub(crate) fn lanes(self) -> usize {
        lanes(self)
    }

    /// Rows of a product's block; see `Lanes::ROWS`.
    pub(crate) fn rows(self) -> usize {
        rows(self)
    }

    fn best() -> Level {
        // The detection keeps what it found, so this is a few loads.
        [Level::Avx512, Level::Avx2, Level::Neon].into_iter().find(|level| level.is_available()).unwrap_or(Level::Plain)
    }
}

kernel! {
    fn lanes<V>() -> usize {
        V::N
    }
}

kernel! {
    fn rows<V>() -> usize {
        V::ROWS
    }
}

/// Runs kernels that are called inside at a level of instructions, to hold levels against each other.
///
/// # Panics
/// When this machine cannot run it.
pub fn with<T>(level: Level, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<Level>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CHOSEN.set(self.0);
        }
    }
    assert!(level.is_available(), "this processor has no {level:?}");
    let _restore = Restore(CHOSEN.replace(Some(level)));
    work()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_holds_inside_and_ends_outside() {
        let outside = Level::current();
        let inside = with(Level::Plain, || {
            with(outside, || assert_eq!(Level::current(), outside));
            Level::current()
        });
        assert_eq!((inside, Level::current()), (Level::Plain, outside));
    }
}
