//! Some numbers at once. What a kernel may do with them is the same at every level; only how many there are differs.

#[cfg(target_arch = "aarch64")]
mod arm;
mod plain;
mod register;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
pub(crate) use arm::Neon;
pub(crate) use plain::Plain;
pub(crate) use register::Lanes;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};
