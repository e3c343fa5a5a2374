//! What products of matrices and convolutions compute in.

use super::on_host;
use burn::tensor::Device;
use cupola_kernels::bf16::conv2d::ROUNDED;
use cupola_kernels::conv2d::{EXACT, Passes};
use std::cell::Cell;

/// What the factors of products are rounded to; sums, and all that is kept, are `f32` in either case.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Precision {
    /// Not at all.
    #[default]
    F32,
    /// `bf16`, in dense layers, convolutions and recurrences on the processor, forwards and backwards: automatic mixed precision (Micikevicius et al., 2018),
    /// which needs no scaling of the loss, for `bf16` has the range of `f32`.
    Bf16,
}

thread_local! {
    static CURRENT: Cell<Precision> = const { Cell::new(Precision::F32) };
}

impl Precision {
    /// Runs work in which operations called on this thread compute so. They keep it for their way backwards.
    pub(crate) fn within<T>(self, work: impl FnOnce() -> T) -> T {
        struct Restore(Precision);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.set(self.0);
            }
        }
        let _restore = Restore(CURRENT.replace(self));
        work()
    }

    /// What operations called here compute in.
    pub(super) fn current() -> Precision {
        CURRENT.get()
    }

    /// Passes of a convolution that compute so.
    pub(super) fn passes(self) -> &'static Passes {
        match self {
            Precision::F32 => &EXACT,
            Precision::Bf16 => &ROUNDED,
        }
    }

    /// Whether it is there on a device.
    pub(crate) fn runs_on(self, device: &Device) -> bool {
        self == Precision::F32 || on_host(device)
    }

    /// Whether this processor has instructions for it; it computes the same without them, but slower than `f32`.
    pub fn is_fast(self) -> bool {
        self == Precision::F32 || cupola_kernels::bf16::is_fast()
    }
}
