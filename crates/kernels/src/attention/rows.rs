//! What is done with each row of a head: copies, exponentials, gradients of scores.

use super::Head;
use crate::dropout::Coin;
use crate::functions::exp_of_negative;
use crate::kernel::kernel;
use crate::lanes::Lanes;
use crate::shared::Shared;

/// Rows of scores of a block of queries.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    /// From a row to the next.
    pub(super) pitch: usize,
    /// How many.
    pub(super) count: usize,
    /// How many keys there are to see.
    pub(super) keys: usize,
    /// Row i sees keys up to i + past.
    pub(super) past: usize,
    /// What is added to scores, and from a row of it to the next.
    pub(super) mask: Option<(&'a [f32], usize)>,
    pub(super) coin: Option<Coin>,
    /// Of the first score, for the coin.
    pub(super) place: usize,
    /// From a row to the next, for the coin: an even number.
    pub(super) places: usize,
}

impl Rows<'_> {
    /// How many keys a row sees.
    #[inline(always)]
    pub(super) fn seen(&self, row: usize) -> usize {
        self.keys.min(row + self.past + 1)
    }

    /// Adds the mask to what a row sees, and makes what lies behind it, to the end of its register, minus infinity.
    #[inline(always)]
    fn close<V: Lanes>(&self, row: usize, scores: &mut [f32]) {
        let seen = self.seen(row);
        if let Some((mask, stride)) = self.mask {
            let mask = &mask[row * stride..][..seen];
            let whole = seen / V::N * V::N;
            for i in (0..whole).step_by(V::N) {
                V::load(&scores[i..]).add(V::load(&mask[i..])).store(&mut scores[i..]);
            }
            V::load_part(&scores[whole..seen], 0.0).add(V::load_part(&mask[whole..], 0.0)).store_part(&mut scores[whole..seen]);
        }
        for score in &mut scores[seen..seen.next_multiple_of(V::N)] {
            *score = f32::NEG_INFINITY;
        }
    }
}

kernel! {
    /// Exponentials of scores less the largest of their row, some of them dropped; the logarithms of their sums and one over the sums.
    /// Zeros go on to what the last row sees.
    pub(super) fn weigh<V>(rows: Rows<'_>, scores: &mut [f32], logarithms: &mut [f32], shares: &mut [f32]) {
        let end = rows.seen(rows.count - 1);
        for row in 0..rows.count {
            let line = &mut scores[row * rows.pitch..][..rows.pitch];
            rows.close::<V>(row, line);
            let seen = rows.seen(row).next_multiple_of(V::N);
            let mut most = V::splat(f32::NEG_INFINITY);
            for i in (0..seen).step_by(V::N) {
                most = most.max(V::load(&line[i..]));
            }
            let most = most.largest();
            // Where there is nothing but minus infinity, nothing is taken from it.
            let most = if most == f32::NEG_INFINITY { 0.0 } else { most };
            let shift = V::splat(most);
            let mut sum = V::splat(0.0);
            match rows.coin {
                None => {
                    for i in (0..seen).step_by(V::N) {
                        let value = exp_of_negative(V::load(&line[i..]).sub(shift));
                        sum = sum.add(value);
                        value.store(&mut line[i..]);
                    }
                }
                Some(coin) => {
                    let place = rows.place + row * rows.places;
                    for i in (0..seen).step_by(V::N) {
                        let value = exp_of_negative(V::load(&line[i..]).sub(shift));
                        sum = sum.add(value);
                        value.mul(coin.toss::<V>(place + i)).store(&mut line[i..]);
                    }
                }
            }
            if seen < end {
                line[seen..end].fill(0.0);
            }
            let sum = sum.sum();
            let is_blind = sum == 0.0;
            logarithms[row] = if is_blind { f32::INFINITY } else { most + sum.ln() };
            shares[row] = if is_blind { 0.0 } else { 1.0 / sum };
        }
    }
}

kernel! {
    /// Probabilities, some dropped, in place of scores; gradients of scores in place of those of probabilities. `along` is what each row of
    /// the output and its gradient have in common. Zeros go on to what the last row sees.
    pub(super) fn blame<V>(rows: Rows<'_>, scores: &mut [f32], slopes: &mut [f32], logarithms: &[f32], along: &[f32]) {
        let end = rows.seen(rows.count - 1);
        for row in 0..rows.count {
            let line = &mut scores[row * rows.pitch..][..rows.pitch];
            let slopes = &mut slopes[row * rows.pitch..][..rows.pitch];
            rows.close::<V>(row, line);
            let seen = rows.seen(row).next_multiple_of(V::N);
            let (shift, along) = (V::splat(logarithms[row]), V::splat(along[row]));
            match rows.coin {
                None => {
                    for i in (0..seen).step_by(V::N) {
                        let share = exp_of_negative(V::load(&line[i..]).sub(shift));
                        share.store(&mut line[i..]);
                        V::load(&slopes[i..]).sub(along).mul(share).store(&mut slopes[i..]);
                    }
                }
                Some(coin) => {
                    let place = rows.place + row * rows.places;
                    for i in (0..seen).step_by(V::N) {
                        let share = exp_of_negative(V::load(&line[i..]).sub(shift));
                        let factor = coin.toss::<V>(place + i);
                        share.mul(factor).store(&mut line[i..]);
                        V::load(&slopes[i..]).mul(factor).sub(along).mul(share).store(&mut slopes[i..]);
                    }
                }
            }
            if seen < end {
                line[seen..end].fill(0.0);
                slopes[seen..end].fill(0.0);
            }
        }
    }
}

kernel! {
    /// Copies rows, scaled, `pitch` apart, zeros behind each.
    pub(super) fn copy<V>(head: Head<'_>, rows: usize, dim: usize, scale: f32, to: &mut [f32], pitch: usize) {
        let (whole, scale) = (dim / V::N * V::N, V::splat(scale));
        for row in 0..rows {
            let from = &head.values[row * head.stride..][..dim];
            let to = &mut to[row * pitch..][..pitch];
            for i in (0..whole).step_by(V::N) {
                V::load(&from[i..]).mul(scale).store(&mut to[i..]);
            }
            if whole < pitch {
                let value = V::load_part(&from[whole..], 0.0).mul(scale);
                let end = pitch.min(whole + V::N);
                value.store_part(&mut to[whole..end]);
            }
        }
    }
}

kernel! {
    /// Copies rows as columns into panels `[panels, dim, 2 registers]`, zeros behind the last.
    pub(super) fn turn<V>(head: Head<'_>, rows: usize, dim: usize, to: &mut [f32]) {
        for (number, panel) in to.chunks_exact_mut((2 * V::N * dim).max(1)).enumerate() {
            for half in 0..2 {
                let first = (2 * number + half) * V::N;
                let count = rows.saturating_sub(first).min(V::N);
                let mut done = 0;
                if count == V::N {
                    while done + V::N <= dim {
                        let from = &head.values[first * head.stride + done..];
                        assert!(from.len() >= (V::N - 1) * head.stride + V::N, "a block lies inside");
                        let to = &mut panel[done * 2 * V::N + half * V::N..];
                        assert!(to.len() >= (2 * V::N - 1) * V::N, "a panel has room for a block");
                        // SAFETY: asserted above.
                        unsafe { V::transpose(from.as_ptr(), head.stride, to.as_mut_ptr(), 2 * V::N) };
                        done += V::N;
                    }
                }
                for k in done..dim {
                    let line = &mut panel[k * 2 * V::N + half * V::N..][..V::N];
                    for i in 0..count {
                        line[i] = head.values[(first + i) * head.stride + k];
                    }
                    line[count..].fill(0.0);
                }
            }
        }
    }
}

kernel! {
    /// The inner product of each row of a head with a row that lies `pitch` apart.
    pub(super) fn row_products<V>(head: Head<'_>, others: &[f32], pitch: usize, sides: [usize; 2], to: &mut [f32]) {
        let [rows, dim] = sides;
        let whole = dim / V::N * V::N;
        for row in 0..rows {
            let one = &head.values[row * head.stride..][..dim];
            let other = &others[row * pitch..][..dim];
            let mut sum = V::load_part(&one[whole..], 0.0).mul(V::load_part(&other[whole..], 0.0));
            for i in (0..whole).step_by(V::N) {
                sum = V::load(&one[i..]).mul_add(V::load(&other[i..]), sum);
            }
            to[row] = sum.sum();
        }
    }
}

kernel! {
    /// Writes rows, each times its share and the scale, `stride` apart from `place` on; nobody else may write there.
    pub(super) fn finish<V>(
        from: &[f32], pitch: usize, sides: [usize; 2], shares: Option<&mut [f32]>, scale: f32, to: Shared<'_>, place: usize, stride: usize
    ) {
        let [rows, dim] = sides;
        let whole = dim / V::N * V::N;
        for row in 0..rows {
            let from = &from[row * pitch..][..dim];
            // SAFETY: the rows of heads lie apart, as was made sure of at the door.
            let to = unsafe { to.part(place + row * stride..place + row * stride + dim) };
            let scale = V::splat(shares.as_ref().map_or(scale, |shares| shares[row] * scale));
            for i in (0..whole).step_by(V::N) {
                V::load(&from[i..]).mul(scale).store(&mut to[i..]);
            }
            V::load_part(&from[whole..], 0.0).mul(scale).store_part(&mut to[whole..]);
        }
    }
}
