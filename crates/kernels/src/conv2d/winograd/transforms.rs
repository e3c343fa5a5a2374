//! The five transforms, each along one side; a tile takes them along its columns, then along its rows.
//!
//! With the points 0, ±a, ±b, ∞ and a b = 1 the products of a polynomial algorithm (Toom, Cook; see Lavin and Gray) are: inputs by the rows of
//! x(x²-a²)(x²-b²) without one factor each, kernels by powers of the points over the derivative there, outputs by powers of the points.

use super::{Kernels, PLACES};
use crate::kernel::kernel;
use crate::lanes::Lanes;
use crate::matmul::Packed;
use crate::shared::Shared;

/// The points: a = 1/√2, b = √2.
const A: f32 = std::f32::consts::FRAC_1_SQRT_2;
const B: f32 = std::f32::consts::SQRT_2;
const AA: f32 = 0.5;
const BB: f32 = 2.0;
const AAA: f32 = AA * A;
const BBB: f32 = BB * B;
/// The derivative of x(x²-a²)(x²-b²) at ±a and ±b; at 0 it is 1.
const AT_A: f32 = -1.5;
const AT_B: f32 = 6.0;

/// `from * factor + to`.
#[inline(always)]
fn plus<V: Lanes>(to: V, from: V, factor: f32) -> V {
    from.mul_add(V::splat(factor), to)
}

#[inline(always)]
fn times<V: Lanes>(from: V, factor: f32) -> V {
    from.mul(V::splat(factor))
}

/// From a line of `N` numbers to 6 places. A function handed on as a value would stay a call, at twice the time.
pub(super) trait Transform<const N: usize> {
    fn of<V: Lanes>(line: [V; N]) -> [V; 6];
}

/// Inputs: 6 pixels to 6 places.
pub(super) struct Input;
/// The transpose of [`output`]: gradients of 4 pixels to 6 places.
pub(super) struct OutputGradient;

impl Transform<6> for Input {
    #[inline(always)]
    fn of<V: Lanes>(line: [V; 6]) -> [V; 6] {
        input(line)
    }
}

impl Transform<4> for OutputGradient {
    #[inline(always)]
    fn of<V: Lanes>(line: [V; 4]) -> [V; 6] {
        output_gradient(line)
    }
}

#[inline(always)]
fn input<V: Lanes>(d: [V; 6]) -> [V; 6] {
    let (even, odd) = (plus(d[4], d[2], -BB), plus(times(d[3], A), d[1], -B));
    let (even_b, odd_b) = (plus(d[4], d[2], -AA), plus(times(d[3], B), d[1], -A));
    [
        plus(d[0].add(d[4]), d[2], -(AA + BB)),
        even.add(odd),
        even.sub(odd),
        even_b.add(odd_b),
        even_b.sub(odd_b),
        plus(d[1].add(d[5]), d[3], -(AA + BB)),
    ]
}

/// Outputs: 6 places to 4 pixels.
#[inline(always)]
pub(super) fn output<V: Lanes>(m: [V; 6]) -> [V; 4] {
    let (even, odd) = (m[1].add(m[2]), m[1].sub(m[2]));
    let (even_b, odd_b) = (m[3].add(m[4]), m[3].sub(m[4]));
    [m[0].add(even).add(even_b), plus(times(odd, A), odd_b, B), plus(times(even, AA), even_b, BB), plus(plus(m[5], odd, AAA), odd_b, BBB)]
}

#[inline(always)]
fn output_gradient<V: Lanes>(y: [V; 4]) -> [V; 6] {
    let (even, odd) = (plus(y[0], y[2], AA), plus(times(y[1], A), y[3], AAA));
    let (even_b, odd_b) = (plus(y[0], y[2], BB), plus(times(y[1], B), y[3], BBB));
    [y[0], even.add(odd), even.sub(odd), even_b.add(odd_b), even_b.sub(odd_b), y[3]]
}

/// Kernels: 3 taps to 6 places.
#[inline(always)]
fn kernel_places<V: Lanes>(g: [V; 3]) -> [V; 6] {
    let (even, odd) = (times(plus(g[0], g[2], AA), 1.0 / AT_A), times(g[1], A / AT_A));
    let (even_b, odd_b) = (times(plus(g[0], g[2], BB), 1.0 / AT_B), times(g[1], B / AT_B));
    [g[0], even.add(odd), even.sub(odd), even_b.add(odd_b), even_b.sub(odd_b), g[2]]
}

/// The transpose of [`kernel_places`]: gradients at 6 places to 3 taps.
#[inline(always)]
fn kernel_gradient<V: Lanes>(u: [V; 6]) -> [V; 3] {
    let (even, odd) = (times(u[1].add(u[2]), 1.0 / AT_A), times(u[1].sub(u[2]), A / AT_A));
    let (even_b, odd_b) = (times(u[3].add(u[4]), 1.0 / AT_B), times(u[3].sub(u[4]), B / AT_B));
    [u[0].add(even).add(even_b), odd.add(odd_b), plus(plus(u[5], even, AA), even_b, BB)]
}

/// Channels whose kernels are transformed together, beside each other in a panel: written one by one, each would be a walk through all places,
/// whose matrices lie far apart (512 channels to 512 filters: 45 ms against 9 ms).
pub(super) const TOGETHER: usize = 8;

kernel! {
    /// Kernels of a panel of filters, from `first` on, into the panels of products: at each place, `step` from the one before, a [`Packed`] of
    /// channels x filters. `local` has room for [`TOGETHER`] rows of a panel at each place.
    pub(super) fn kernel_panels<V>(kernels: Kernels<'_>, first: usize, to: Shared<'_>, step: usize, local: &mut [f32]) {
        let Kernels { depth, filters, .. } = kernels;
        let panel = Packed::step(V::N, filters, first);
        assert!(local.len() >= PLACES * TOGETHER * panel, "there is room for all places");
        for channel in (0..depth).step_by(TOGETHER) {
            let some = TOGETHER.min(depth - channel);
            for row in 0..some {
                for half in (0..panel).step_by(V::N) {
                    let places = kernels_of::<V>(kernels, channel + row, first + half);
                    for i in 0..6 {
                        for j in 0..6 {
                            places[i][j].store(&mut local[((i * 6 + j) * TOGETHER + row) * panel + half..]);
                        }
                    }
                }
            }
            let start = Packed::place(V::N, [depth, filters], channel, first);
            for place in 0..PLACES {
                let start = place * step + start;
                // SAFETY: every panel of filters has places of its own.
                let to = unsafe { to.part(start..start + some * panel) };
                to.copy_from_slice(&local[place * TOGETHER * panel..][..some * panel]);
            }
        }
    }
}

/// The places of a register of filters, from `first` on, for one channel; 0 behind the last filter.
#[inline(always)]
fn kernels_of<V: Lanes>(kernels: Kernels<'_>, channel: usize, first: usize) -> [[V; 6]; 6] {
    let Kernels { weight, filters, steps, is_turned, .. } = kernels;
    let some = V::N.min(filters.saturating_sub(first));
    let from = &weight[(channel * steps[0] + first * steps[1]).min(weight.len())..];
    let mut taps = [0.0; 16 * 16];
    let whole = if some == V::N && from.len() >= (V::N - 1) * steps[1] + V::N { V::N.min(9) } else { 0 };
    if whole > 0 {
        // SAFETY: the block is readable, as just seen, and there is room for 16 x 16 numbers.
        unsafe { V::transpose(from.as_ptr(), steps[1], taps.as_mut_ptr(), V::N) };
    }
    for tap in whole..9 {
        for filter in 0..some {
            taps[tap * V::N + filter] = from[filter * steps[1] + tap];
        }
    }
    let mut rows = [[V::splat(0.0); 3]; 3];
    for tap in 0..9 {
        let place = if is_turned { 8 - tap } else { tap };
        rows[place / 3][place % 3] = V::load(&taps[tap * V::N..]);
    }
    let mut places = [[V::splat(0.0); 3]; 6];
    for j in 0..3 {
        let found = kernel_places([rows[0][j], rows[1][j], rows[2][j]]);
        for i in 0..6 {
            places[i][j] = found[i];
        }
    }
    let mut all = [[V::splat(0.0); 6]; 6];
    for i in 0..6 {
        all[i] = kernel_places(places[i]);
    }
    all
}

kernel! {
    /// Gradients of the kernels of one channel, from those at the places: `places` `[36, channels, filters]`, matrices lying `step` apart.
    pub(super) fn kernel_gradients<V>(places: &[f32], step: usize, channels: usize, channel: usize, filters: usize, to: Shared<'_>) {
        let wide = filters.next_multiple_of(V::N);
        assert!(places.len() >= PLACES * step && step >= channels * wide && channel < channels, "every place has a matrix");
        for first in (0..filters).step_by(V::N) {
            let mut rows = [[V::splat(0.0); 6]; 3];
            for j in 0..6 {
                let mut line = [V::splat(0.0); 6];
                for i in 0..6 {
                    line[i] = V::load(&places[(i * 6 + j) * step + channel * wide + first..]);
                }
                let found = kernel_gradient(line);
                for i in 0..3 {
                    rows[i][j] = found[i];
                }
            }
            let mut taps = [0.0; 16 * 16];
            for i in 0..3 {
                let found = kernel_gradient(rows[i]);
                for j in 0..3 {
                    found[j].store(&mut taps[(i * 3 + j) * V::N..]);
                }
            }
            for filter in 0..V::N.min(filters - first) {
                let start = ((first + filter) * channels + channel) * 9;
                // SAFETY: every channel has kernels of its own.
                let kernel = unsafe { to.part(start..start + 9) };
                for tap in 0..9 {
                    kernel[tap] = taps[tap * V::N + filter];
                }
            }
        }
    }
}
