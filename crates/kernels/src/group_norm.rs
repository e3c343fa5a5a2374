//! Group normalisation (Wu, He: "Group normalization", ECCV 2018) of `[batch, channels, pixels]`. With as many groups as channels it is
//! instance normalisation (Ulyanov, Vedaldi, Lempitsky: "Instance normalization", 2016), with one group layer normalisation of an image.

use crate::Level;
use crate::batch_norm::{Gate, gated_line, gated_sums, moments, scaled};
use crate::scratch::scratch;
use crate::shared::Shared;
use crate::team::each;

/// Sides of the tensor.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Shape {
    /// Images.
    pub batch: usize,
    /// Channels, each with a weight and a bias.
    pub channels: usize,
    /// Pixels of a map.
    pub pixels: usize,
    /// Of channels, each with statistics of its own in each image.
    pub groups: usize,
    /// What is added to the variance before its root is taken.
    pub epsilon: f32,
}

/// What the backward pass needs, `[batch, groups]`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Statistics {
    /// The mean.
    pub mean: Vec<f32>,
    /// One over the root of variance and epsilon.
    pub inverse: Vec<f32>,
}

/// Work below this many numbers is not worth a second thread.
const SERIAL: usize = 1 << 15;

impl Shape {
    fn len(&self) -> usize {
        self.batch * self.channels * self.pixels
    }

    /// Channels of a group.
    fn share(&self) -> usize {
        assert!(self.groups > 0 && self.channels.is_multiple_of(self.groups), "groups share channels evenly: {self:?}");
        self.channels / self.groups
    }

    /// Calls `work` for each group of each image.
    fn for_each_group(&self, work: impl Fn(usize) + Sync) {
        each(self.batch * self.groups, self.len() >= SERIAL, work);
    }

    /// Maps of a group: the channel and where the map lies.
    fn maps(&self, group: usize) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> + Clone + use<> {
        let (share, groups, pixels) = (self.share(), self.groups, self.pixels);
        (0..share).map(move |number| {
            let map = group * share + number;
            (group % groups * share + number, map * pixels..(map + 1) * pixels)
        })
    }
}

/// `y = (x - mean) / sqrt(variance + epsilon) * weight + bias` by the statistics of each group of each image. Distances are taken from a
/// group's first number, so that a large mean does not drown the variance.
///
/// # Panics
/// When slices are not as long as the shape says, or channels do not go into the groups.
pub fn forward(shape: &Shape, x: &[f32], [weight, bias]: [&[f32]; 2], y: &mut [f32]) -> Statistics {
    assert_eq!([x.len(), y.len()], [shape.len(); 2], "tensors are as long as {shape:?} says");
    assert_eq!([weight.len(), bias.len()], [shape.channels; 2], "one number a channel");
    let (level, all) = (Level::current(), shape.batch * shape.groups);
    let count = (shape.share() * shape.pixels).max(1) as f64;
    let mut found = Statistics { mean: vec![0.0; all], inverse: vec![0.0; all] };
    let (means, inverses, y) = (Shared::new(&mut found.mean), Shared::new(&mut found.inverse), Shared::new(y));
    shape.for_each_group(|group| {
        let origin = shape.maps(group).next().and_then(|(_, map)| x[map].first().copied()).unwrap_or(0.0);
        let (mut sum, mut squares) = (0.0, 0.0);
        for (_, map) in shape.maps(group) {
            let [first, second] = moments(level, &x[map], origin);
            sum += f64::from(first);
            squares += f64::from(second);
        }
        let shift = sum / count;
        let variance = squares / count - shift * shift;
        // Written so that what is no number stays none.
        let variance = if variance < 0.0 { 0.0 } else { variance };
        let mean = (f64::from(origin) + shift) as f32;
        let inverse = (1.0 / (variance + f64::from(shape.epsilon)).sqrt()) as f32;
        for (channel, map) in shape.maps(group) {
            let scale = weight[channel] * inverse;
            // SAFETY: groups share no map.
            let to = unsafe { y.part(map.clone()) };
            scaled(level, &x[map], scale, bias[channel] - mean * scale, f32::NEG_INFINITY, to);
        }
        // SAFETY: each group has its own place.
        unsafe {
            means.part(group..group + 1)[0] = mean;
            inverses.part(group..group + 1)[0] = inverse;
        }
    });
    found
}

/// Gradients of `x`, of the weight and of the bias. Sums over images are added in their order.
///
/// # Panics
/// When slices are not as long as the shape says, or channels do not go into the groups.
pub fn backward(
    shape: &Shape,
    x: &[f32],
    statistics: &Statistics,
    weight: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    [dweight, dbias]: [&mut [f32]; 2],
) {
    let Shape { batch, channels, groups, pixels, .. } = *shape;
    assert_eq!([x.len(), dy.len(), dx.len()], [shape.len(); 3], "tensors are as long as {shape:?} says");
    assert_eq!([weight.len(), dweight.len(), dbias.len()], [channels; 3], "one number a channel");
    assert_eq!([statistics.mean.len(), statistics.inverse.len()], [batch * groups; 2], "statistics of each group");
    let (level, share) = (Level::current(), shape.share());
    let count = (share * pixels).max(1) as f64;
    let dx = Shared::new(dx);
    scratch(2 * batch * channels, |sums| {
        let parts = Shared::new(sums);
        shape.for_each_group(|group| {
            let (mean, inverse) = (statistics.mean[group], statistics.inverse[group]);
            // SAFETY: groups share no map.
            let sums = unsafe { parts.part(2 * group * share..2 * (group + 1) * share) };
            let (mut sum, mut along) = (0.0, 0.0);
            for (place, (channel, map)) in sums.chunks_exact_mut(2).zip(shape.maps(group)) {
                let [first, second] = gated_sums(level, &x[map.clone()], &dy[map], mean, Gate::OPEN);
                place.copy_from_slice(&[first, second * inverse]);
                sum += f64::from(weight[channel]) * f64::from(first);
                along += f64::from(weight[channel]) * f64::from(second * inverse);
            }
            // dx = inverse (dy weight - mean(dy weight) - xhat mean(dy weight xhat)), a line in dy and x.
            let slope = -f64::from(inverse) * along / count * f64::from(inverse);
            let shift = -f64::from(inverse) * sum / count - slope * f64::from(mean);
            for (channel, map) in shape.maps(group) {
                // SAFETY: as above.
                let to = unsafe { dx.part(map.clone()) };
                gated_line(level, &x[map.clone()], &dy[map], [weight[channel] * inverse, slope as f32, shift as f32], Gate::OPEN, to);
            }
        });
        dweight.fill(0.0);
        dbias.fill(0.0);
        for image in sums.chunks_exact(2 * channels.max(1)) {
            for (channel, pair) in image.chunks_exact(2).enumerate() {
                dbias[channel] += pair[0];
                dweight[channel] += pair[1];
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{noise, noise_around};
    use crate::with;
    use proptest::prelude::*;

    fn exact(shape: &Shape, x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; x.len()];
        let count = (shape.share() * shape.pixels) as f64;
        for group in 0..shape.batch * shape.groups {
            let all = || shape.maps(group).flat_map(|(channel, map)| map.map(move |i| (channel, i)));
            let mean = all().map(|(_, i)| x[i]).sum::<f64>() / count;
            let variance = all().map(|(_, i)| (x[i] - mean).powi(2)).sum::<f64>() / count;
            all().for_each(|(channel, i)| {
                y[i] = (x[i] - mean) / (variance + f64::from(shape.epsilon)).sqrt() * weight[channel] + bias[channel]
            });
        }
        y
    }

    /// Holds outputs against `f64`, gradients against finite differences of it.
    fn check(shape: Shape, middle: f32) {
        let (x, dy) = (noise_around(shape.len(), 1, middle), noise(shape.len(), 2));
        let (weight, bias) = (noise_around(shape.channels, 3, 1.5), noise(shape.channels, 4));
        let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<f64>>();
        let all = [wide(&x), wide(&weight), wide(&bias)];
        let slope = |which: usize, place: usize| {
            let loss = |by: f64| {
                let mut all = all.clone();
                all[which][place] += by;
                exact(&shape, &all[0], &all[1], &all[2]).iter().zip(&dy).map(|(y, dy)| y * f64::from(*dy)).sum::<f64>()
            };
            (loss(1e-5) - loss(-1e-5)) / 2e-5
        };
        let slopes = [0, 1, 2].map(|which| (0..all[which].len()).map(|place| slope(which, place)).collect::<Vec<f64>>());
        for level in Level::available() {
            let (mut y, mut dx) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
            let (mut dweight, mut dbias) = (vec![f32::NAN; shape.channels], vec![f32::NAN; shape.channels]);
            with(level, || {
                let found = forward(&shape, &x, [&weight, &bias], &mut y);
                backward(&shape, &x, &found, &weight, &dy, &mut dx, [&mut dweight, &mut dbias]);
            });
            let allowed = 3e-5 + f64::from(middle) * 2e-6;
            let wanted = exact(&shape, &all[0], &all[1], &all[2]);
            for (name, found, wanted) in
                [("y", y, &wanted), ("dx", dx, &slopes[0]), ("dweight", dweight, &slopes[1]), ("dbias", dbias, &slopes[2])]
            {
                for (place, (found, wanted)) in found.iter().zip(wanted).enumerate() {
                    let near = (f64::from(*found) - wanted).abs() <= allowed * (1.0 + wanted.abs());
                    assert!(near, "{shape:?} {level:?} {name} {place}: {found} is not {wanted}");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_groups_are_right(batch in 0..4usize, groups in 1..4usize, share in 1..4usize, pixels in 1..20usize) {
            check(Shape { batch, channels: groups * share, pixels, groups, epsilon: 1e-2 }, 0.2);
        }
    }

    #[test]
    fn large_means_are_right() {
        check(Shape { batch: 2, channels: 4, pixels: 33, groups: 2, epsilon: 1e-5 }, 1000.0);
    }

    #[test]
    fn threads_change_no_bit_and_what_is_no_number_is_seen() {
        let shape = Shape { batch: 3, channels: 8, pixels: 2001, groups: 4, epsilon: 1e-5 };
        let (x, weight) = (noise(shape.len(), 1), noise_around(8, 2, 1.0));
        let all = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (mut y, mut dx, mut dweight, mut dbias) = (x.clone(), x.clone(), weight.clone(), weight.clone());
            pool.install(|| {
                let found = forward(&shape, &x, [&weight, &weight], &mut y);
                backward(&shape, &x, &found, &weight, &y, &mut dx, [&mut dweight, &mut dbias]);
            });
            (y, dx, dweight, dbias)
        };
        assert_eq!(all(1), all(2));
        let mut y = [0.0; 3];
        let shape = Shape { batch: 1, channels: 1, pixels: 3, groups: 1, epsilon: 1e-5 };
        let found = forward(&shape, &[1.0, f32::NAN, 2.0], [&[1.0], &[0.0]], &mut y);
        assert!(found.mean[0].is_nan() && found.inverse[0].is_nan() && y.iter().all(|y| y.is_nan()));
    }
}
