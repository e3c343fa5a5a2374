//! What a unit makes of its sum, and how much its sum was to blame.

use crate::Level;
use crate::functions::{erf, exp, exp_less_one, exp_of_negative, log_one_more, sigmoid, tanh};
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
    /// The same as [`Activation::Gelu`] but for at most 5e-4: x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
    GeluTanh,
    /// min(max(x, 0), 6)
    Relu6,
    /// x, and `size` (exp(x) - 1) below 0
    Elu {
        /// What it falls to.
        size: f32,
    },
    /// log(1 + exp(x)), and x above 20
    Softplus,
    /// min(max(x + 3, 0), 6) / 6
    HardSigmoid,
    /// x min(max(x + 3, 0), 6) / 6
    HardSwish,
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
            Activation::GeluTanh => apply(level, x, y, GeluTanh),
            Activation::Relu6 => apply(level, x, y, Relu6),
            Activation::Elu { size } => apply(level, x, y, Elu(size)),
            Activation::Softplus => apply(level, x, y, Softplus),
            Activation::HardSigmoid => apply(level, x, y, HardSigmoid),
            Activation::HardSwish => apply(level, x, y, HardSwish),
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
            Activation::GeluTanh => blame(level, x, dy, dx, GeluTanh),
            Activation::Relu6 => blame(level, x, dy, dx, Relu6),
            Activation::Elu { size } => blame(level, x, dy, dx, Elu(size)),
            Activation::Softplus => blame(level, x, dy, dx, Softplus),
            Activation::HardSigmoid => blame(level, x, dy, dx, HardSigmoid),
            Activation::HardSwish => blame(level, x, dy, dx, HardSwish),
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
        let density = exp_of_negative(x.mul(x).mul(V::splat(-0.5))).mul(V::splat(DENSITY));
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

#[derive(Clone, Copy)]
struct GeluTanh;

impl GeluTanh {
    /// How much of x is left; it is a sigmoid, for (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u)).
    #[inline(always)]
    fn share<V: Lanes>(x: V) -> V {
        sigmoid(x.mul(x).mul_add(V::splat(GeluTanh::CUBIC), V::splat(GeluTanh::LINEAR)).mul(x))
    }

    /// 2 sqrt(2 / pi)
    const LINEAR: f32 = 1.595_769;
    /// 2 sqrt(2 / pi) 0.044715
    const CUBIC: f32 = 0.071_354_814;
}

impl Function for GeluTanh {
    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        x.mul(GeluTanh::share(x))
    }
    #[inline(always)]
    fn slope<V: Lanes>(self, x: V) -> V {
        let share = GeluTanh::share(x);
        // Far out the square overflows, where the product has long been 0.
        let square = V::splat(100.0).min(x.mul(x));
        let inner = square.mul_add(V::splat(3.0 * GeluTanh::CUBIC), V::splat(GeluTanh::LINEAR));
        let size = V::splat(10.0).min(V::splat(-10.0).max(x));
        size.mul(inner).mul(V::splat(1.0).sub(share)).mul_add(share, share)
    }
}

#[derive(Clone, Copy)]
struct Relu6;

impl Function for Relu6 {
    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        V::splat(6.0).min(V::splat(0.0).max(x))
    }
    #[inline(always)]
    fn slope<V: Lanes>(self, x: V) -> V {
        between(x, 0.0, 6.0, V::splat(1.0))
    }
}

/// `inside` between two limits, 0 at them and beyond.
#[inline(always)]
fn between<V: Lanes>(x: V, low: f32, high: f32, inside: V) -> V {
    let zero = V::splat(0.0);
    x.select_greater(V::splat(low), V::splat(high).select_greater(x, inside, zero), zero)
}

#[derive(Clone, Copy)]
struct Elu(f32);

impl Function for Elu {
    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        x.select_greater(V::splat(0.0), x, exp_less_one(x).mul(V::splat(self.0)))
    }
    #[inline(always)]
    fn slope<V: Lanes>(self, x: V) -> V {
        x.select_greater(V::splat(0.0), V::splat(1.0), exp(x).mul(V::splat(self.0)))
    }
}

#[derive(Clone, Copy)]
struct Softplus;

impl Function for Softplus {
    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        // log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)).
        let tail = log_one_more(exp(V::splat(0.0).sub(x.abs())));
        x.select_greater(V::splat(20.0), x, V::splat(0.0).max(x).add(tail))
    }
    #[inline(always)]
    fn slope<V: Lanes>(self, x: V) -> V {
        x.select_greater(V::splat(20.0), V::splat(1.0), sigmoid(x))
    }
}

#[derive(Clone, Copy)]
struct HardSigmoid;

impl HardSigmoid {
    #[inline(always)]
    fn share<V: Lanes>(x: V) -> V {
        V::splat(6.0).min(V::splat(0.0).max(x.add(V::splat(3.0)))).mul(V::splat(1.0 / 6.0))
    }
}

impl Function for HardSigmoid {
    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        HardSigmoid::share(x)
    }
    #[inline(always)]
    fn slope<V: Lanes>(self, x: V) -> V {
        between(x, -3.0, 3.0, V::splat(1.0 / 6.0))
    }
}

#[derive(Clone, Copy)]
struct HardSwish;

impl Function for HardSwish {
    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        x.mul(HardSigmoid::share(x))
    }
    #[inline(always)]
    fn slope<V: Lanes>(self, x: V) -> V {
        let inside = between(x, -3.0, 3.0, x.mul_add(V::splat(1.0 / 3.0), V::splat(0.5)));
        V::splat(3.0).select_greater(x, inside, V::splat(1.0))
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
            Activation::GeluTanh => {
                let root = (2.0 / std::f64::consts::PI).sqrt();
                let value = (root * (x + 0.044715 * x.powi(3))).tanh();
                let slope = root * (1.0 + 3.0 * 0.044715 * x * x) * (1.0 - value * value);
                [0.5 * x * (1.0 + value), 0.5 * (1.0 + value) + 0.5 * x * slope]
            }
            Activation::Relu6 => [x.clamp(0.0, 6.0), if x > 0.0 && x < 6.0 { 1.0 } else { 0.0 }],
            Activation::Elu { size } if x <= 0.0 => [f64::from(size) * x.exp_m1(), f64::from(size) * x.exp()],
            Activation::Elu { .. } => [x, 1.0],
            Activation::Softplus if x > 20.0 => [x, 1.0],
            Activation::Softplus => [x.exp().ln_1p(), sigmoid],
            Activation::HardSigmoid => [(x + 3.0).clamp(0.0, 6.0) / 6.0, if x > -3.0 && x < 3.0 { 1.0 / 6.0 } else { 0.0 }],
            Activation::HardSwish => {
                let slope = if x <= -3.0 { 0.0 } else { x / 3.0 + 0.5 };
                [x * (x + 3.0).clamp(0.0, 6.0) / 6.0, if x >= 3.0 { 1.0 } else { slope }]
            }
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

    const ALL: [Activation; 14] = [
        Activation::Relu,
        Activation::LeakyRelu { slope: 0.01 },
        Activation::Tanh { inner: 1.0, outer: 1.0 },
        Activation::Tanh { inner: 2.0 / 3.0, outer: 1.7159 },
        Activation::Sigmoid,
        Activation::Gelu,
        Activation::Silu,
        Activation::GeluTanh,
        Activation::Relu6,
        Activation::Elu { size: 1.0 },
        Activation::Elu { size: 0.5 },
        Activation::Softplus,
        Activation::HardSigmoid,
        Activation::HardSwish,
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
            let x: Vec<f32> = (0..200).map(|i| -1e-8 * 1.2f32.powi(i / 2)).collect();
            for activation in [Activation::Tanh { inner: 1.0, outer: 1.0 }, Activation::Elu { size: 1.0 }] {
                let mut y = vec![0.0; x.len()];
                with(level, || forward(activation, &x, &mut y));
                for (x, y) in x.iter().zip(y) {
                    let [wanted, _] = exact(activation, f64::from(*x));
                    assert!((f64::from(y) / wanted - 1.0).abs() < 5e-7, "{activation:?} {level:?} {x}: {y} is not {wanted}");
                }
            }
            // Softplus falls as the exponential does.
            let x: Vec<f32> = (0..160).map(|i| i as f32 * -0.5).collect();
            let mut y = vec![0.0; x.len()];
            with(level, || forward(Activation::Softplus, &x, &mut y));
            for (x, y) in x.iter().zip(y) {
                let [wanted, _] = exact(Activation::Softplus, f64::from(*x));
                assert!((f64::from(y) / wanted - 1.0).abs() < 1e-6, "{level:?} {x}: {y} is not {wanted}");
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
