//! Softmax and cross-entropy in one, over rows of logits.

use crate::Level;
use crate::functions::exp_of_negative;
use crate::kernel::kernel;
use crate::lanes::Lanes;
use crate::softmax::largest;
use crate::team::each_part;

/// Rows of a piece of work.
const ROWS: usize = 64;

/// For each row `log(sum(exp(logits)))` times the sum of its targets, less the targets times the logits: the cross-entropy with targets
/// that are probabilities times the row's weight. `logits` and `targets` are `[rows, classes]`.
///
/// # Panics
/// When slices are not as long.
pub fn losses(classes: usize, logits: &[f32], targets: &[f32], losses: &mut [f32]) {
    assert_eq!([logits.len(), targets.len()], [losses.len() * classes; 2], "every row has its classes");
    let level = Level::current();
    each_rows(losses, 1, |from, losses| {
        for (row, loss) in losses.iter_mut().enumerate() {
            let place = (from + row) * classes;
            let (logits, targets) = (&logits[place..place + classes], &targets[place..place + classes]);
            *loss = row_loss(level, logits, targets);
        }
    });
}

/// The gradient of the logits, when each row's loss counts `scale` times: `(softmax(logits) * sum(targets) - targets) * scale`.
///
/// # Panics
/// When slices are not as long.
pub fn gradient(classes: usize, logits: &[f32], targets: &[f32], scale: f32, dlogits: &mut [f32]) {
    assert_eq!([logits.len(), targets.len()], [dlogits.len(); 2], "every row has its classes");
    let level = Level::current();
    each_rows(dlogits, classes, |from, dlogits| {
        let (logits, targets) = (&logits[from..from + dlogits.len()], &targets[from..from + dlogits.len()]);
        for ((logits, targets), to) in
            logits.chunks_exact(classes).zip(targets.chunks_exact(classes)).zip(dlogits.chunks_exact_mut(classes))
        {
            row_gradient(level, logits, targets, scale, to);
        }
    });
}

/// Calls `work` with some rows at once and where they begin.
fn each_rows(to: &mut [f32], width: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    let (piece, pays) = (ROWS * width, to.len() >= 1 << 13);
    each_part(to, piece, pays, |number, part| work(number * piece, part));
}

kernel! {
    fn row_loss<V>(logits: &[f32], targets: &[f32]) -> f32 {
        let [most, sum] = most_and_sum::<V>(logits);
        let whole = logits.len() / V::N * V::N;
        let (mut along, mut total) = (V::splat(0.0), V::splat(0.0));
        for (logits, targets) in logits[..whole].chunks_exact(V::N).zip(targets[..whole].chunks_exact(V::N)) {
            let targets = V::load(targets);
            along = targets.mul_add(V::load(logits).sub(V::splat(most)), along);
            total = total.add(targets);
        }
        let rest = V::load_part(&targets[whole..], 0.0);
        along = rest.mul_add(V::load_part(&logits[whole..], most).sub(V::splat(most)), along);
        total.add(rest).sum() * sum.ln() - along.sum()
    }
}

kernel! {
    fn row_gradient<V>(logits: &[f32], targets: &[f32], scale: f32, to: &mut [f32]) {
        let [most, sum] = most_and_sum::<V>(logits);
        let whole = logits.len() / V::N * V::N;
        let mut total = V::load_part(&targets[whole..], 0.0);
        for part in targets[..whole].chunks_exact(V::N) {
            total = total.add(V::load(part));
        }
        let scales = [V::splat(most), V::splat(total.sum() / sum), V::splat(scale)];
        for ((logits, targets), to) in
            logits[..whole].chunks_exact(V::N).zip(targets[..whole].chunks_exact(V::N)).zip(to[..whole].chunks_exact_mut(V::N))
        {
            gradient_of(V::load(logits), V::load(targets), scales).store(to);
        }
        gradient_of(V::load_part(&logits[whole..], 0.0), V::load_part(&targets[whole..], 0.0), scales).store_part(&mut to[whole..]);
    }
}

/// `(exp(logits - most) * share - targets) * scale`. As a closure that is called twice it stayed a call, and so did every instruction in it:
/// 128 rows of 250 classes, losses and gradient, took 868 us in place of 82 with AVX2.
#[inline(always)]
fn gradient_of<V: Lanes>(logits: V, targets: V, [most, share, scale]: [V; 3]) -> V {
    exp_of_negative(logits.sub(most)).mul(share).sub(targets).mul(scale)
}

/// The largest logit, and the sum of exponentials of distances from it.
#[inline(always)]
fn most_and_sum<V: Lanes>(logits: &[f32]) -> [f32; 2] {
    let most = largest::<V>(logits);
    let whole = logits.len() / V::N * V::N;
    let mut sum = exp_of_negative(V::load_part(&logits[whole..], f32::NEG_INFINITY).sub(V::splat(most)));
    for part in logits[..whole].chunks_exact(V::N) {
        sum = sum.add(exp_of_negative(V::load(part).sub(V::splat(most))));
    }
    [most, sum.sum()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;
    use crate::with;

    #[test]
    fn losses_and_gradients_are_those_of_double_precision() {
        for (rows, classes, size) in [(3, 10, 1.0), (70, 3, 5.0), (2, 1000, 1.0), (1, 1, 1.0), (5, 17, 1e4), (0, 4, 1.0), (900, 10, 2.0)] {
            let logits: Vec<f32> = noise(rows * classes, 1).iter().map(|value| value * size).collect();
            let targets: Vec<f32> = noise(rows * classes, 2).iter().map(|value| value.abs() / 9.0).collect();
            for level in Level::available() {
                let (mut found, mut dlogits) = (vec![0.0; rows], vec![0.0; rows * classes]);
                with(level, || {
                    losses(classes, &logits, &targets, &mut found);
                    gradient(classes, &logits, &targets, 0.5, &mut dlogits);
                });
                for row in 0..rows {
                    let (logits, targets) = (&logits[row * classes..][..classes], &targets[row * classes..][..classes]);
                    let most = logits.iter().fold(f64::NEG_INFINITY, |most, logit| most.max(f64::from(*logit)));
                    let sum: f64 = logits.iter().map(|logit| (f64::from(*logit) - most).exp()).sum();
                    let total: f64 = targets.iter().map(|target| f64::from(*target)).sum();
                    let along: f64 = targets.iter().zip(logits).map(|(t, l)| f64::from(*t) * (f64::from(*l) - most)).sum();
                    let wanted = total * sum.ln() - along;
                    assert!(
                        (f64::from(found[row]) - wanted).abs() < 2e-6 * (1.0 + wanted),
                        "{classes} {level:?}: {} is not {wanted}",
                        found[row]
                    );
                    for class in 0..classes {
                        let share = (f64::from(logits[class]) - most).exp() / sum;
                        let wanted = 0.5 * (share * total - f64::from(targets[class]));
                        let found = f64::from(dlogits[row * classes + class]);
                        assert!((found - wanted).abs() < 1e-6 * (1.0 + total), "{classes} {level:?}: {found} is not {wanted}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_number_is_seen() {
        for level in Level::available() {
            for place in 0..19 {
                let mut logits = [0.5; 19];
                logits[place] = f32::NAN;
                let mut found = [0.0];
                with(level, || losses(19, &logits, &[0.1; 19], &mut found));
                assert!(found[0].is_nan(), "{level:?} {place}");
            }
        }
    }
}
