//! A dense layer that answers: few rows times many weights, which are read once, where they lie.

use crate::Level;
use crate::end::{ALL, End, finish_maps};
use crate::matmul::{self, FEW, Matrix, Packed, Start, serial_packed};
use crate::pieces::{SERIAL_FLOPS, in_pieces, ranges};
use crate::scratch::scratch;
use crate::shared::Shared;
use crate::team::each_of;
use crate::turned::turn;
use std::ops::Range;

/// With more rows than these, a copy of the weights in panels costs little beside the products.
const MANY: usize = 64;
/// Outputs that a thread computes at once: some blocks of rows at least, and no more than what leaves their products in the first-level cache.
const OUTPUTS: [usize; 2] = [12, 96];
/// Equal shares of outputs within these bounds.
const SHARES: usize = 8;

/// `y = min(max(x * transpose(weight) + bias, low), high)` of `x` `[rows, in]`, `weight` `[out, in]` and `bias` `[out]`; `range` is `[low, high]`.
///
/// # Panics
/// When sizes do not fit.
pub fn forward(x: &[f32], rows: usize, weight: &[f32], bias: Option<&[f32]>, range: [f32; 2], y: &mut [f32]) {
    if rows == 0 {
        return assert_eq!([x.len(), y.len()], [0; 2], "no row has no numbers");
    }
    let (level, depth, out) = (Level::current(), x.len() / rows, y.len() / rows);
    let (x, weight) = (Matrix::new(x, rows, depth), Matrix::new(weight, out, depth));
    assert_eq!(y.len(), rows * out, "every row has its outputs");
    assert!(bias.is_none_or(|bias| bias.len() == out), "one bias an output");
    if rows <= FEW || rows > MANY {
        matmul::matmul(x, weight.transposed(), bias, y);
        if range != ALL {
            in_pieces(y, |_, y| finish_maps(level, End::new(None, None, None, range), y.len(), y));
        }
        return;
    }
    // The other way round, outputs are the rows: what goes into panels is `x`.
    let end = End::new(None, bias, None, range);
    Packed::lend(level, x.transposed(), |packed| {
        let y = Shared::new(y);
        let work = |outputs: &Range<usize>| {
            scratch(outputs.len() * rows, |products| {
                let end = end.part(outputs.clone(), 0..0);
                serial_packed(weight.rows(outputs.clone()), packed, Start::Zero, products, rows, end);
                turn(level, products, [outputs.len(), rows], y, outputs.start, out);
            });
        };
        let share = out.div_ceil(SHARES).clamp(OUTPUTS[0], OUTPUTS[1]);
        each_of(&ranges(out, share), 2 * (rows * out * depth) as u64 >= SERIAL_FLOPS, work);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;
    use crate::with;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_size_is_right((rows, depth, out) in (0..80usize, 1..300usize, 1..250usize), is_cut: bool) {
            let (x, weight, bias) = (noise(rows * depth, 1), noise(out * depth, 2), noise(out, 3));
            let range = if is_cut { [0.0, 2.0] } else { ALL };
            for level in Level::available() {
                with(level, || {
                    let mut y = vec![f32::NAN; rows * out];
                    forward(&x, rows, &weight, Some(&bias), range, &mut y);
                    for (place, found) in y.iter().enumerate() {
                        let (row, output) = (&x[place / out * depth..][..depth], place % out);
                        let products = row.iter().zip(&weight[output * depth..]).map(|(x, weight)| f64::from(*x) * f64::from(*weight));
                        let sum = products.sum::<f64>() + f64::from(bias[output]);
                        let wanted = sum.clamp(f64::from(range[0]), f64::from(range[1]));
                        assert!((f64::from(*found) - wanted).abs() < 1e-5 * (depth as f64).sqrt(), "{rows}x{depth}x{out} at {level:?}: {found} for {wanted}");
                    }
                });
            }
        }
    }
}
