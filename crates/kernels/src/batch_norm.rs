//! Batch normalisation (Ioffe, Szegedy: "Batch normalization", ICML 2015) of `[batch, channels, pixels]`, with a ReLU behind it on demand.

use crate::Level;
use crate::kernel::kernel;
use crate::lanes::Lanes;
use crate::shared::Shared;
use crate::team::each;

/// Sides of the tensor, and what stands behind the normalisation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Images.
    pub batch: usize,
    /// Channels, each with statistics of its own.
    pub channels: usize,
    /// Pixels of a map.
    pub pixels: usize,
    /// Whether max(y, 0) follows.
    pub relu: bool,
}

/// Statistics of a batch, one number a channel.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Statistics {
    /// The mean.
    pub mean: Vec<f32>,
    /// The mean squared distance from it (biased).
    pub variance: Vec<f32>,
}

/// Work below this many numbers is not worth a second thread.
const SERIAL: usize = 1 << 15;

impl Shape {
    fn len(&self) -> usize {
        self.batch * self.channels * self.pixels
    }

    /// Calls `work` for each channel.
    fn for_each_channel(&self, work: impl Fn(usize) + Sync) {
        each(self.channels, self.len() >= SERIAL, work);
    }

    /// Where a channel's maps begin.
    fn maps(&self, channel: usize) -> impl Iterator<Item = std::ops::Range<usize>> + Clone + use<> {
        let Shape { batch, channels, pixels, .. } = *self;
        (0..batch).map(move |image| (image * channels + channel) * pixels..(image * channels + channel + 1) * pixels)
    }
}

/// Statistics of each channel. Distances are taken from a channel's first number, so that a large mean does not drown the variance.
///
/// # Panics
/// When `x` is not as long as the shape says.
pub fn statistics(shape: &Shape, x: &[f32]) -> Statistics {
    assert_eq!(x.len(), shape.len(), "the tensor is as long as {shape:?} says");
    let level = Level::current();
    let mut found = Statistics { mean: vec![0.0; shape.channels], variance: vec![0.0; shape.channels] };
    let (mean, variance) = (Shared::new(&mut found.mean), Shared::new(&mut found.variance));
    let count = (shape.batch * shape.pixels) as f64;
    shape.for_each_channel(|channel| {
        let origin = shape.maps(channel).next().and_then(|map| x[map].first().copied()).unwrap_or(0.0);
        let (mut sum, mut squares) = (0.0, 0.0);
        for map in shape.maps(channel) {
            let [first, second] = moments(level, &x[map], origin);
            sum += f64::from(first);
            squares += f64::from(second);
        }
        let shift = if count > 0.0 { sum / count } else { 0.0 };
        let spread = if count > 0.0 { (squares / count - shift * shift).max(0.0) } else { 0.0 };
        // `max` hides what is no number, which a guard must see.
        let spread = if squares.is_nan() { f64::NAN } else { spread };
        // SAFETY: each channel has its own place.
        unsafe {
            mean.part(channel..channel + 1)[0] = (f64::from(origin) + shift) as f32;
            variance.part(channel..channel + 1)[0] = spread as f32;
        }
    });
    found
}

/// `y = (x - mean) / sqrt(variance + epsilon) * gamma + beta`, by the batch's statistics or by running ones.
///
/// # Panics
/// When slices are not as long as the shape says.
pub fn normalise(shape: &Shape, x: &[f32], statistics: &Statistics, [gamma, beta]: [&[f32]; 2], epsilon: f32, y: &mut [f32]) {
    assert_eq!([x.len(), y.len()], [shape.len(); 2], "tensors are as long as {shape:?} says");
    assert_eq!([gamma.len(), beta.len(), statistics.mean.len(), statistics.variance.len()], [shape.channels; 4], "one number a channel");
    let level = Level::current();
    let y = Shared::new(y);
    shape.for_each_channel(|channel| {
        let scale = gamma[channel] / (statistics.variance[channel] + epsilon).sqrt();
        let shift = beta[channel] - statistics.mean[channel] * scale;
        for map in shape.maps(channel) {
            // SAFETY: channels share no map.
            let to = unsafe { y.part(map.clone()) };
            let least = if shape.relu { 0.0 } else { f32::NEG_INFINITY };
            scaled(level, &x[map], scale, shift, least, to);
        }
    });
}

/// Gradients of `x`, `gamma` and `beta`, from that of `y` under the batch's own statistics.
///
/// # Panics
/// When slices are not as long as the shape says.
pub fn backward(
    shape: &Shape,
    x: &[f32],
    statistics: &Statistics,
    [gamma, beta]: [&[f32]; 2],
    epsilon: f32,
    dy: &[f32],
    dx: &mut [f32],
    [dgamma, dbeta]: [&mut [f32]; 2],
) {
    assert_eq!([x.len(), dy.len(), dx.len()], [shape.len(); 3], "tensors are as long as {shape:?} says");
    assert_eq!([gamma.len(), beta.len(), dgamma.len(), dbeta.len()], [shape.channels; 4], "one number a channel");
    let level = Level::current();
    let (dx, dgamma, dbeta) = (Shared::new(dx), Shared::new(dgamma), Shared::new(dbeta));
    let count = (shape.batch * shape.pixels).max(1) as f64;
    shape.for_each_channel(|channel| {
        let (mean, inverse) = (statistics.mean[channel], 1.0 / (statistics.variance[channel] + epsilon).sqrt());
        let gate = match shape.relu {
            true => Gate { scale: gamma[channel] * inverse, shift: beta[channel] - mean * gamma[channel] * inverse },
            false => Gate::OPEN,
        };
        let (mut sum, mut along) = (0.0, 0.0);
        for map in shape.maps(channel) {
            let [first, second] = gated_sums(level, &x[map.clone()], &dy[map], mean, gate);
            sum += f64::from(first);
            along += f64::from(second);
        }
        let along = along * f64::from(inverse);
        let scale = gamma[channel] * inverse;
        // dx = scale (dy - mean(dy) - xhat mean(dy xhat)), a line in dy and x.
        let slope = -f64::from(scale) * along / count * f64::from(inverse);
        let shift = -f64::from(scale) * sum / count - slope * f64::from(mean);
        for map in shape.maps(channel) {
            // SAFETY: channels share no map.
            let to = unsafe { dx.part(map.clone()) };
            gated_line(level, &x[map.clone()], &dy[map], [scale, slope as f32, shift as f32], gate, to);
        }
        // SAFETY: each channel has its own place.
        unsafe {
            dgamma.part(channel..channel + 1)[0] = along as f32;
            dbeta.part(channel..channel + 1)[0] = sum as f32;
        }
    });
}

/// Says where gradients pass: where `x scale + shift` is above 0.
#[derive(Clone, Copy)]
pub(crate) struct Gate {
    scale: f32,
    shift: f32,
}

impl Gate {
    /// Where all pass.
    pub(crate) const OPEN: Gate = Gate { scale: 0.0, shift: 1.0 };

    #[inline(always)]
    fn pass<V: Lanes>(self, x: V, dy: V) -> V {
        x.mul_add(V::splat(self.scale), V::splat(self.shift)).select_greater(V::splat(0.0), dy, V::splat(0.0))
    }
}

kernel! {
    /// Sums of distances from `origin` and of their squares.
    pub(crate) fn moments<V>(x: &[f32], origin: f32) -> [f32; 2] {
        let start = V::splat(origin);
        let (mut sums, mut squares) = ([V::splat(0.0); 2], [V::splat(0.0); 2]);
        let mut pairs = x.chunks_exact(2 * V::N);
        for pair in &mut pairs {
            for (half, (sum, square)) in pair.chunks_exact(V::N).zip(sums.iter_mut().zip(&mut squares)) {
                let distance = V::load(half).sub(start);
                *sum = sum.add(distance);
                *square = distance.mul_add(distance, *square);
            }
        }
        for part in pairs.remainder().chunks(V::N) {
            let distance = V::load_part(part, origin).sub(start);
            sums[0] = sums[0].add(distance);
            squares[0] = distance.mul_add(distance, squares[0]);
        }
        [sums[0].add(sums[1]).sum(), squares[0].add(squares[1]).sum()]
    }
}

kernel! {
    /// `max(x scale + shift, least)`.
    pub(crate) fn scaled<V>(x: &[f32], scale: f32, shift: f32, least: f32, y: &mut [f32]) {
        let (scale, shift, least) = (V::splat(scale), V::splat(shift), V::splat(least));
        let whole = x.len() / V::N * V::N;
        for (x, y) in x[..whole].chunks_exact(V::N).zip(y[..whole].chunks_exact_mut(V::N)) {
            least.max(V::load(x).mul_add(scale, shift)).store(y);
        }
        least.max(V::load_part(&x[whole..], 0.0).mul_add(scale, shift)).store_part(&mut y[whole..]);
    }
}

kernel! {
    /// Sums of gradients that pass, and of them times the distance from the mean.
    pub(crate) fn gated_sums<V>(x: &[f32], dy: &[f32], mean: f32, gate: Gate) -> [f32; 2] {
        let middle = V::splat(mean);
        let (mut sum, mut along) = (V::splat(0.0), V::splat(0.0));
        let whole = x.len() / V::N * V::N;
        for (x, dy) in x[..whole].chunks_exact(V::N).zip(dy[..whole].chunks_exact(V::N)) {
            let x = V::load(x);
            let dy = gate.pass(x, V::load(dy));
            sum = sum.add(dy);
            along = dy.mul_add(x.sub(middle), along);
        }
        let x_rest = V::load_part(&x[whole..], mean);
        let dy_rest = gate.pass(x_rest, V::load_part(&dy[whole..], 0.0));
        [sum.add(dy_rest).sum(), dy_rest.mul_add(x_rest.sub(middle), along).sum()]
    }
}

kernel! {
    /// `dy scale + x slope + shift`, where `dy` passes.
    pub(crate) fn gated_line<V>(x: &[f32], dy: &[f32], line: [f32; 3], gate: Gate, dx: &mut [f32]) {
        let [scale, slope, shift] = line.map(V::splat);
        let whole = x.len() / V::N * V::N;
        for ((x, dy), dx) in x[..whole].chunks_exact(V::N).zip(dy[..whole].chunks_exact(V::N)).zip(dx[..whole].chunks_exact_mut(V::N)) {
            let x = V::load(x);
            gate.pass(x, V::load(dy)).mul_add(scale, x.mul_add(slope, shift)).store(dx);
        }
        let x_rest = V::load_part(&x[whole..], 0.0);
        let dy_rest = gate.pass(x_rest, V::load_part(&dy[whole..], 0.0));
        dy_rest.mul_add(scale, x_rest.mul_add(slope, shift)).store_part(&mut dx[whole..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{noise, noise_around};
    use crate::with;

    /// Outputs and, by finite differences of `f64`, gradients of `sum(y dy)`.
    struct Exact {
        shape: Shape,
        gamma: Vec<f64>,
        beta: Vec<f64>,
        dy: Vec<f64>,
    }

    impl Exact {
        fn y(&self, x: &[f64]) -> Vec<f64> {
            let mut y = vec![0.0; x.len()];
            let count = (self.shape.batch * self.shape.pixels) as f64;
            for channel in 0..self.shape.channels {
                let all = || self.shape.maps(channel).flatten();
                let mean = all().map(|i| x[i]).sum::<f64>() / count;
                let variance = all().map(|i| (x[i] - mean).powi(2)).sum::<f64>() / count;
                for i in all() {
                    let value = (x[i] - mean) / (variance + 1e-5).sqrt() * self.gamma[channel] + self.beta[channel];
                    y[i] = if self.shape.relu { value.max(0.0) } else { value };
                }
            }
            y
        }

        fn loss(&self, x: &[f64]) -> f64 {
            self.y(x).iter().zip(&self.dy).map(|(y, dy)| y * dy).sum()
        }
    }

    #[test]
    fn outputs_and_gradients_are_those_of_double_precision() {
        for (batch, channels, pixels, relu, middle) in
            [(3, 2, 5, false, 0.0), (2, 3, 17, true, 0.0), (4, 1, 1, true, 0.5), (1, 2, 33, false, 1000.0), (5, 40, 1, true, 0.0)]
        {
            let shape = Shape { batch, channels, pixels, relu };
            let (x, dy) = (noise_around(shape.len(), 1, middle), noise(shape.len(), 2));
            let (gamma, beta) = (noise_around(channels, 3, 1.5), noise(channels, 4));
            let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<f64>>();
            let mut exact = Exact { shape, gamma: wide(&gamma), beta: wide(&beta), dy: wide(&dy) };
            let wide_x = wide(&x);
            for level in Level::available() {
                let (mut y, mut dx) = (vec![0.0; x.len()], vec![0.0; x.len()]);
                let (mut dgamma, mut dbeta) = (vec![0.0; channels], vec![0.0; channels]);
                with(level, || {
                    let found = statistics(&shape, &x);
                    normalise(&shape, &x, &found, [&gamma, &beta], 1e-5, &mut y);
                    backward(&shape, &x, &found, [&gamma, &beta], 1e-5, &dy, &mut dx, [&mut dgamma, &mut dbeta]);
                });
                // Numbers about 1000 have but three places behind the point.
                let allowed = 3e-5 + f64::from(middle) * 1e-6;
                let near = |what: &str, found: f32, wanted: f64| {
                    assert!(
                        (f64::from(found) - wanted).abs() < allowed * (1.0 + wanted.abs()),
                        "{shape:?} {level:?} {what}: {found} is not {wanted}"
                    );
                };
                y.iter().zip(exact.y(&wide_x)).for_each(|(found, wanted)| near("y", *found, wanted));
                let slope = |place: usize, exact: &Exact| {
                    let moved = |by: f64| {
                        let mut x = wide_x.clone();
                        x[place] += by;
                        exact.loss(&x)
                    };
                    (moved(1e-5) - moved(-1e-5)) / 2e-5
                };
                dx.iter().enumerate().for_each(|(place, found)| near("dx", *found, slope(place, &exact)));
                for channel in 0..channels {
                    let before = exact.loss(&wide_x);
                    exact.gamma[channel] += 1e-6;
                    near("dgamma", dgamma[channel], (exact.loss(&wide_x) - before) / 1e-6);
                    exact.gamma[channel] -= 1e-6;
                    exact.beta[channel] += 1e-6;
                    near("dbeta", dbeta[channel], (exact.loss(&wide_x) - before) / 1e-6);
                    exact.beta[channel] -= 1e-6;
                }
            }
        }
    }

    #[test]
    fn an_empty_batch_and_what_is_no_number_are_told() {
        let shape = Shape { batch: 0, channels: 2, pixels: 3, relu: false };
        assert_eq!(statistics(&shape, &[]), Statistics { mean: vec![0.0; 2], variance: vec![0.0; 2] });
        let shape = Shape { batch: 1, channels: 1, pixels: 3, relu: true };
        let found = statistics(&shape, &[1.0, f32::NAN, 2.0]);
        assert!(found.mean[0].is_nan() && found.variance[0].is_nan());
    }
}
