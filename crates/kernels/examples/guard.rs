//! One kernel at a time over numbers that never change, for `proof/guard.py`, which holds what a kernel costs against what it cost before.
//!
//! ```text
//! guard list              the kernels' names, one a line
//! guard count KERNEL plain|avx2    runs it once inside of `kernel_under_guard`, whose instructions Callgrind counts
//! guard time KERNEL       seconds of the fastest call with AVX2 and with AVX-512, which take turns; nothing without AVX-512
//! ```
//! All of it happens on one thread.
#![expect(clippy::print_stdout, reason = "this is a program to talk to")]

use cupola_kernels::attention::{self, Options, Sight, Tensor};
use cupola_kernels::conv2d::{self, Shape};
use cupola_kernels::matmul::{Matrix, matmul};
use cupola_kernels::optimizer::{Move, Rule, Slices};
use cupola_kernels::recurrent::{self, Direction, Gradients, Lstm, Sequence, Weights};
use cupola_kernels::{Level, cross_entropy, layer_norm, with};
use std::time::Instant;

/// A kernel with the numbers that it works on.
type Call = Box<dyn FnMut()>;

/// A name, and what makes the call with its data.
type Named = (&'static str, fn() -> Call);

/// Sides are small, for Callgrind takes fifty times as long; each way of a convolution is met once.
const KERNELS: &[Named] = &[
    ("product_small", || product([32, 64, 64])),
    ("product_large", || product([256, 256, 512])),
    ("winograd_forward", || convolution(Pass::Forward, square([64, 64], 16, 1))),
    ("columns_forward", || convolution(Pass::Forward, square([64, 64], 8, 2))),
    ("depthwise_forward", || convolution(Pass::Forward, Shape { groups: 96, ..square([96, 96], 28, 1) })),
    ("planes_weight_gradient", || convolution(Pass::WeightGradient, square([16, 32], 32, 2))),
    ("attention", attention),
    ("lstm", lstm),
    ("layer_norm", normalisation),
    ("cross_entropy", losses),
    ("adam", adam),
];

fn main() {
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global().expect("no pool was made before");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["list"] => KERNELS.iter().for_each(|(name, _)| println!("{name}")),
        ["count", name, level] => count(&mut kernel(name), if level == "plain" { Level::Plain } else { Level::Avx2 }),
        ["time", name] if Level::Avx512.is_available() => println!("{:?}", times(&mut kernel(name), [Level::Avx2, Level::Avx512])),
        ["time", _] => {}
        _ => panic!("list, count KERNEL LEVEL or time KERNEL, not {arguments:?}"),
    }
}

fn kernel(name: &str) -> Call {
    KERNELS.iter().find(|(known, _)| *known == name).expect("`guard list` has it").1()
}

/// Callgrind counts from where this function is entered until it returns.
#[inline(never)]
fn kernel_under_guard(call: &mut Call) {
    call();
}

/// The first call finds out what the processor has and gets its memory, and does not count.
fn count(call: &mut Call, level: Level) {
    with(level, || {
        call();
        kernel_under_guard(call);
    });
}

/// Seconds of the fastest call at each level. A busy machine slows some calls, never the fastest of many.
fn times(call: &mut Call, levels: [Level; 2]) -> [f64; 2] {
    let mut best = [f64::INFINITY; 2];
    let began = Instant::now();
    let mut turns = 0;
    while turns < 20 || began.elapsed().as_secs_f64() < 1.0 {
        for (level, best) in levels.into_iter().zip(&mut best) {
            let start = Instant::now();
            with(level, &mut *call);
            *best = best.min(start.elapsed().as_secs_f64());
        }
        turns += 1;
    }
    best
}

/// Noise, the same each time.
fn noise(len: usize) -> Vec<f32> {
    (0..len as u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
}

fn product([rows, columns, depth]: [usize; 3]) -> Call {
    let (a, b, mut c) = (noise(rows * depth), noise(depth * columns), vec![0.0; rows * columns]);
    Box::new(move || matmul(Matrix::new(&a, rows, depth), Matrix::new(&b, depth, columns), None, &mut c))
}

/// Two images of a side, 3x3 kernels, zeros of one pixel around.
fn square([channels, filters]: [usize; 2], side: usize, stride: usize) -> Shape {
    Shape {
        batch: 2,
        channels,
        height: side,
        width: side,
        filters,
        kernel: [3; 2],
        stride: [stride; 2],
        padding: [1; 2],
        dilation: [1; 2],
        groups: 1,
    }
}

enum Pass {
    Forward,
    WeightGradient,
}

fn convolution(pass: Pass, shape: Shape) -> Call {
    let [x, mut w, mut y] = shape.lens().map(noise);
    match pass {
        Pass::Forward => Box::new(move || conv2d::forward(&shape, &x, &w, None, &mut y)),
        Pass::WeightGradient => Box::new(move || conv2d::weight_gradient(&shape, &x, &y, &mut w)),
    }
}

/// Forwards and backwards over the slices of one projection, each place seeing those before it.
fn attention() -> Call {
    let shape = attention::Shape { batch: 1, heads: 4, queries: 96, keys: 96, dim: 32 };
    let projection = noise(96 * 3 * 4 * 32);
    let (mut y, mut gradients, dy) = (noise(projection.len() / 3), projection.clone(), noise(projection.len() / 3));
    let mut logarithms = vec![0.0; shape.rows()];
    Box::new(move || {
        let places = [0, 1, 2].map(|part| shape.of_projection(96, part, 3));
        let tensors = places.map(|strides| Tensor { values: &projection, strides });
        let strides = shape.of_projection(96, 0, 1);
        let options = Options { scale: shape.scale(), sight: Sight::Past { offset: 0 }, mask: None, dropout: None };
        attention::forward(&shape, &options, tensors, &mut y, &strides, &mut logarithms);
        let outputs = [&y, &dy].map(|values| Tensor { values, strides });
        attention::backward(&shape, &options, tensors, outputs, &logarithms, attention::Gradients::Joined(&mut gradients), places);
    })
}

/// Forwards and backwards.
fn lstm() -> Call {
    let [batch, time, inputs, hidden] = [8, 12, 48, 64];
    let lens = [batch * time * inputs, batch * hidden, batch * hidden, 4 * hidden * inputs, 4 * hidden * hidden, 4 * hidden, 4 * hidden];
    let [x, state, second, input, hidden_weight, input_bias, hidden_bias] = lens.map(noise);
    let (mut to, mut last) = (lens.map(noise), [state.clone(), second.clone()]);
    let (mut y, dy) = (noise(batch * time * hidden), noise(batch * time * hidden));
    Box::new(move || {
        let sequence = Sequence { batch, time, inputs, hidden, direction: Direction::Forwards, lengths: None, is_rounded: false };
        let weights = Weights { input: &input, hidden: &hidden_weight, input_bias: &input_bias, hidden_bias: &hidden_bias };
        let [last_state, last_second] = &mut last;
        let saved = recurrent::forward(Lstm, &sequence, &x, &weights, [&state, &second], &mut y, [last_state, last_second]);
        let [x, dstate, dsecond, input, hidden, input_bias, hidden_bias] = &mut to;
        let to = Gradients { x, states: [dstate, dsecond], input, hidden, input_bias, hidden_bias };
        recurrent::backward(Lstm, &sequence, saved, &weights, [&state, &second], &dy, [&state, &second], to);
    })
}

/// Forwards and backwards.
fn normalisation() -> Call {
    let shape = layer_norm::Shape { rows: 128, width: 384, centred: true, epsilon: 1e-5 };
    let len = shape.rows * shape.width;
    let [x, dy, mut y, mut dx] = [len; 4].map(noise);
    let [weight, bias, mut dweight, mut dbias] = [shape.width; 4].map(noise);
    Box::new(move || {
        let found = layer_norm::forward(&shape, &x, &weight, Some(&bias), &mut y);
        layer_norm::backward(&shape, &x, &found, &weight, &dy, None, &mut dx, &mut dweight, Some(&mut dbias));
    })
}

/// Losses and their gradient.
fn losses() -> Call {
    let (rows, classes) = (128, 250);
    let [logits, targets, mut gradient] = [rows * classes; 3].map(noise);
    let mut losses = vec![0.0; rows];
    Box::new(move || {
        cross_entropy::losses(classes, &logits, &targets, &mut losses);
        cross_entropy::gradient(classes, &logits, &targets, 1.0, &mut gradient);
    })
}

fn adam() -> Call {
    let rule = Rule::Adam { betas: [0.9, 0.999], eps: 1e-8, is_decoupled: true };
    let [mut weights, gradients] = [100_000; 2].map(noise);
    let [mut first, mut second] = [100_000; 2].map(|len| vec![0.0; len]);
    Box::new(move || {
        let slices = Slices { weights: &mut weights, gradients: &gradients, first: &mut first, second: &mut second };
        rule.step(Move { rate: 1e-3, decay: 0.01, count: 5.0 }, slices);
    })
}
