//! What a unit makes of its sum, and how much its sum was to blame.

use crate::Level;
use crate::functions::{erf, exp, sigmoid, tanh};
use crate::kernel::kernel;
use crate::lanes::Lanes;
use crate::pieces::in_pieces;

/// A function of each number alone.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Activation {
    /// max(x, 0)
    Relu,
    /// x, and `slope` x below 0
    LeakyRelu {
        /// Below 0.
        slope: f32,
    },
    /// `outer` tanh(`inner` x)
    Tanh {
        /// Before the function.
        inner: f32,
        /// Behind it.
        outer: f32,
    },
    /// 1 / (1 + exp(-x))
    Sigmoid,
    /// x times the normal distribution function of x
    Gelu,
    /// x / (1 + exp(-x))
    Silu,
}

/// `y = f(x)`.
///
/// # Panics
/// When the slices differ in length.
pub fn forward(activation: Activation, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "one number out for each in");
    let level = Level::current();
    in_pieces(y, |from, y| {
        let x = &x[from..from + y.len()];
        match activation {
            Activation::Relu => apply(level, x, y, Leaky(0.0)),
            Activation::LeakyRelu { slope } => apply(level, x, y, Leaky(slope)),
            Activation::Tanh { inner, outer } => apply(level, x, y, Tanh { inner, outer }),
            Activation::Sigmoid => apply(level, x, y, Sigmoid),
            Activation::Gelu => apply(level, x, y, Gelu),
            Activation::Silu => apply(level, x, y, Silu),
        }
    });
}

/// `dx = f'(x) dy`.
///
/// # Panics
/// When the slices differ in length.
pub fn backward(activation: Activation, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    assert_eq!([x.len(), dy.len()], [dx.len(); 2], "one gradient for each number");
    let level = Level::current();
    in_pieces(dx, |from, dx| {
        let (x, dy) = (&x[from..from + dx.len()], &dy[from..from + dx.len()]);
        match activation {
            Activation::Relu => blame(level, x, dy, dx, Leaky(0.0)),
            Activation::LeakyRelu { slope } => blame(level, x, dy, dx, Leaky(slope)),
            Activation::Tanh { inner, outer } => blame(level, x, dy, dx, Tanh { inner, outer }),
            Activation::Sigmoid => blame(level, x, dy, dx, Sigmoid),
            Activation::Gelu => blame(level, x, dy, dx, Gelu),
            Activation::Silu => blame(level, x, dy, dx, Silu),
        }
    });
}

/// A function and its slope.
trait Function: Copy {
    fn value<V: Lanes>(self, x: V) -> V;
    fn slope<V: Lanes>(self, x: V) -> V;
}

kernel! {
    fn apply<V, F: Function>(x: &[f32], y: &mut [f32], function: F) {
        let whole = x.len() / V::N * V::N;
        for (x, y) in x[..whole].chunks_exact(V::N).zip(y[..whole].chunks_exact_mut(V::N)) {
            function.value(V::load(x)).store(y);
        }
        function.value(V::load_part(&x[whole..], 0.0)).store_part(&mut y[whole..]);
    }
}

kernel! {
    fn blame<V, F: Function>(x: &[f32], dy: &[f32], dx: &mut [f32], function: F) {
        let whole = x.len() / V::N * V::N;
        for ((x, dy), dx) in x[..whole].chunks_exact(V::N).zip(dy[..whole].chunks_exact(V::N)).zip(dx[..whole].chunks_exact_mut(V::N)) {
            function.slope(V::load(x)).mul(V::load(dy)).store(dx);
        }
        function.slope(V::load_part(&x[whole..], 0.0)).mul(V::load_part(&dy[whole..], 0.0)).store_part(&mut dx[whole..]);
    }
}

#[derive(Clone, Copy)]
struct Leaky(f32);

impl Function for Leaky {
    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        // What is no number is not greater, so it goes on as what it is.
        x.select_greater(V::splat(0.0), x, x.mul(V::splat(self.0)))
    }
    #[inline(always)]
    fn slope<V: Lanes>(self, x: V) -> V {
        x.select_greater(V::splat(0.0), V::splat(1.0), V::splat(self.0))
    }
}

#[derive(Clone, Copy)]
struct Tanh {
    inner: f32,
    outer: f32,
}

impl Function for Tanh {
    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        tanh(x.mul(V::splat(self.inner))).mul(V::splat(self.outer))
    }
    #[inline(always)]
    fn slope<V: Lanes>(self, x: V) -> V {
        let value = tanh(x.mul(V::splat(self.inner)));
        V::splat(1.0).sub(value.mul(value)).mul(V::splat(self.inner * self.outer))
    }
}

#[derive(Clone, Copy)]
struct Sigmoid;

impl Function for Sigmoid {
    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        sigmoid(x)
    }
    #[inline(always)]
    fn slope<V: Lanes>(self, x: V) -> V {
        let value = sigmoid(x);
        value.mul(V::splat(1.0).sub(value))
    }
}

#[derive(Clone, Copy)]
struct Gelu;

impl Gelu {
    /// The normal distribution function.
    #[inline(always)]
    fn share<V: Lanes>(x: V) -> V {
        erf(x.mul(V::splat(std::f32::consts::FRAC_1_SQRT_2))).mul_add(V::splat(0.5), V::splat(0.5))
    }
}

impl Function for Gelu {
    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        x.mul(Gelu::share(x))
    }
    #[inline(always)]
    fn slope<V: Lanes>(self, x: V) -> V {
        const DENSITY: f32 = 0.398_942_3; // 1 / sqrt(2 pi)
        let density = exp(x.mul(x).mul(V::splat(-0.5))).mul(V::splat(DENSITY));
        x.mul_add(density, Gelu::share(x))
    }
}

#[derive(Clone, Copy)]
struct Silu;

impl Function for Silu {
    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        x.mul(sigmoid(x))
    }
    #[inline(always)]
    fn slope<V: Lanes>(self, x: V) -> V {
        let share = sigmoid(x);
        x.mul(V::splat(1.0).sub(share)).mul_add(share, share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::with;

    /// Values and slopes of `f64`. The error function is a series, exact to 1e-8 up to 4 and all but 1 beyond.
    fn exact(activation: Activation, x: f64) -> [f64; 2] {
        let sigmoid = 1.0 / (1.0 + (-x).exp());
        match activation {
            Activation::Relu => [x.max(0.0), if x > 0.0 { 1.0 } else { 0.0 }],
            Activation::LeakyRelu { slope } if x <= 0.0 => [x * f64::from(slope), f64::from(slope)],
            Activation::LeakyRelu { .. } => [x, 1.0],
            Activation::Tanh { inner, outer } => {
                let (inner, outer) = (f64::from(inner), f64::from(outer));
                let value = (inner * x).tanh();
                [outer * value, outer * inner * (1.0 - value * value)]
            }
            Activation::Sigmoid => [sigmoid, sigmoid * (1.0 - sigmoid)],
            Activation::Silu => [x * sigmoid, sigmoid + x * sigmoid * (1.0 - sigmoid)],
            Activation::Gelu => {
                let share = 0.5 * (1.0 + erf_exact(x / 2f64.sqrt()));
                [x * share, share + x * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()]
            }
        }
    }

    fn erf_exact(x: f64) -> f64 {
        if x.abs() > 4.0 {
            return x.signum();
        }
        let mut term = x;
        let mut sum = x;
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    const ALL: [Activation; 7] = [
        Activation::Relu,
        Activation::LeakyRelu { slope: 0.01 },
        Activation::Tanh { inner: 1.0, outer: 1.0 },
        Activation::Tanh { inner: 2.0 / 3.0, outer: 1.7159 },
        Activation::Sigmoid,
        Activation::Gelu,
        Activation::Silu,
    ];

    #[test]
    fn values_and_slopes_are_those_of_double_precision() {
        let xs: Vec<f32> = (-4001..=4001).map(|i| i as f32 * 0.005).chain([1e-6, -1e-20, 100.0, -100.0, 1e4, -1e4]).collect();
        for level in Level::available() {
            for activation in ALL {
                let (mut y, mut dx) = (vec![0.0; xs.len()], vec![0.0; xs.len()]);
                with(level, || {
                    forward(activation, &xs, &mut y);
                    backward(activation, &xs, &vec![1.0; xs.len()], &mut dx);
                });
                for ((&x, y), dx) in xs.iter().zip(y).zip(dx) {
                    let [value, slope] = exact(activation, f64::from(x));
                    // Gelu's tail is as exact as the error function, absolutely.
                    let near = |found: f32, wanted: f64| {
                        (f64::from(found) - wanted).abs() <= 5e-7 * wanted.abs() + 4e-7 * f64::from(x.abs()).clamp(0.3, 20.0)
                    };
                    assert!(near(y, value) && near(dx, slope), "{activation:?} at {level:?}, {x}: {y} {dx} are not {value} {slope}");
                }
            }
        }
    }

    #[test]
    fn small_numbers_keep_their_relative_precision() {
        for level in Level::available() {
            let x: Vec<f32> = (0..200).map(|i| 1e-8 * 1.2f32.powi(i / 2)).collect();
            let mut y = vec![0.0; x.len()];
            with(level, || forward(Activation::Tanh { inner: 1.0, outer: 1.0 }, &x, &mut y));
            for (x, y) in x.iter().zip(y) {
                let wanted = f64::from(*x).tanh();
                assert!((f64::from(y) / wanted - 1.0).abs() < 4e-7, "{level:?} {x}: {y} is not {wanted}");
            }
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        for level in Level::available() {
            for activation in ALL {
                let mut y = [0.0; 11];
                with(level, || forward(activation, &[f32::NAN; 11], &mut y));
                assert!(y.iter().all(|y| y.is_nan()), "{activation:?} at {level:?}: {y:?}");
            }
        }
    }
}
