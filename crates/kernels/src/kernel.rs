//! One body, compiled for every level.

/// Declares a kernel: a function whose body is generic over [`Lanes`](crate::lanes::Lanes), compiled once for each level. The declared
/// function takes the level first.
///
/// ```ignore
/// kernel! {
///     /// Adds `b` to `a`.
///     pub(crate) fn add<V>(a: &mut [f32], b: &[f32]) { ... V::load(...) ... }
/// }
/// add(Level::current(), &mut a, &b);
/// ```
/// Functions that the body calls must be `#[inline(always)]` and generic over `V` as well: only what is inlined into the body is compiled
/// with the level's instructions. So a hot loop is a plain `for` over indices: a closure handed to a library function (`array::from_fn`) may
/// stay a call, which costs a convolution four fifths of its speed.
macro_rules! kernel {
    ($(#[$doc:meta])* $vis:vis fn $name:ident<$V:ident $(, $G:ident: $bound:path)*>($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? $body:block) => {
        $(#[$doc])*
        $vis fn $name<$($G: $bound),*>(level: $crate::Level, $($arg: $type),*) $(-> $out)? {
            #[inline(always)]
            fn body<$V: $crate::lanes::Lanes $(, $G: $bound)*>($($arg: $type),*) $(-> $out)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2<$($G: $bound),*>($($arg: $type),*) $(-> $out)? {
                body::<$crate::lanes::Avx2 $(, $G)*>($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512dq,avx512bw")]
            fn avx512<$($G: $bound),*>($($arg: $type),*) $(-> $out)? {
                body::<$crate::lanes::Avx512 $(, $G)*>($($arg),*)
            }

            match level {
                // SAFETY: levels come from `Level::current`, which gives only what this processor has.
                #[cfg(target_arch = "x86_64")]
                $crate::Level::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::Level::Avx512 => unsafe { avx512($($arg),*) },
                #[cfg(target_arch = "aarch64")]
                $crate::Level::Neon => body::<$crate::lanes::Neon $(, $G)*>($($arg),*),
                _ => body::<$crate::lanes::Plain $(, $G)*>($($arg),*),
            }
        }
    };
}
pub(crate) use kernel;
