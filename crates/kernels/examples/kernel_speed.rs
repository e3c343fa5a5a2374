//! How fast kernels are on this machine: billions of operations a second, and the share of what its multiply-add units could do.
//!
//! ```text
//! RAYON_NUM_THREADS=1 cargo run --release -p cupola-kernels --example kernel_speed [group [row]]
//! groups: answer, bf16, conv, depthwise, matmul, recurrent, optimizer, attention, norm, rows, pool
//! ```
#![expect(clippy::print_stdout, reason = "this is a program to look at")]

use cupola_kernels::activation::{self, Activation};
use cupola_kernels::attention::{self, Options, Sight, Tensor};
use cupola_kernels::conv2d::{self, Shape};
use cupola_kernels::dropout::{self, Dropout};
use cupola_kernels::matmul::{Matrix, matmul};
use cupola_kernels::optimizer::{self, Move, Rule, Slices};
use cupola_kernels::pool2d::{self, Pooling};
use cupola_kernels::recurrent::{self, Cell, Direction, Gradients, Gru, Lstm, Rnn, Sequence, Weights};
use cupola_kernels::softmax::{self, Softmax};
use cupola_kernels::{Level, bf16, embedding, group_norm, layer_norm};
use std::hint::black_box;
use std::time::Instant;

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let peak = peak() * rayon::current_num_threads() as f64;
    println!("{:?}, {} threads, {peak:.0} billion operations a second at most", Level::current(), rayon::current_num_threads());
    if "matmul".starts_with(&wanted) {
        for sizes in [
            [1024, 384, 128],
            [1024, 128, 512],
            [128, 512, 784],
            [128, 10, 256],
            [64, 120, 400],
            [256; 3],
            [512; 3],
            [1024; 3],
            [1024, 1536, 384],
            [1, 1000, 2048],
        ] {
            products(sizes, peak);
        }
    }
    if "bf16".starts_with(&wanted) {
        for sizes in [[1024, 384, 128], [1024, 128, 512], [1024, 1536, 384], [256; 3], [512; 3], [1024; 3], [8, 4096, 4096]] {
            halves(sizes, peak);
        }
        for row in CONVOLUTIONS {
            convolutions(row, peak, true);
        }
    }
    if "recurrent".starts_with(&wanted) {
        recurrences();
    }
    if "optimizer".starts_with(&wanted) {
        optimizers();
    }
    if "attention".starts_with(&wanted) {
        for (sides, sight) in [
            ([8, 4, 128, 32], Sight::Past { offset: 0 }),
            ([8, 6, 128, 64], Sight::All),
            ([8, 6, 128, 64], Sight::Past { offset: 0 }),
            ([4, 6, 512, 64], Sight::All),
            ([4, 6, 512, 64], Sight::Past { offset: 0 }),
            ([2, 6, 1024, 64], Sight::All),
            ([2, 6, 1024, 64], Sight::Past { offset: 0 }),
        ] {
            attentions(sides, sight, peak);
        }
    }
    if "norm".starts_with(&wanted) {
        for [rows, width] in [[1024, 128], [1024, 384], [4096, 768]] {
            norms(rows, width);
        }
    }
    if "rows".starts_with(&wanted) {
        for [rows, width] in [[1024, 65], [4096, 128], [1024, 1000], [512, 30_522]] {
            rows_of(rows, width);
        }
        activations(1024 * 1536);
        embeddings(30_522, 384, 1024);
    }
    if "pool".starts_with(&wanted) {
        for row in POOLS {
            pools(row);
        }
    }
    if "conv".starts_with(&wanted) {
        for row in CONVOLUTIONS {
            convolutions(row, peak, false);
        }
    }
    if "answer".starts_with(&wanted) {
        for row in ANSWERS {
            answers(row, peak);
        }
    }
    if "depthwise".starts_with(&wanted) {
        for row in DEPTHWISE {
            convolutions(row, peak, false);
        }
    }
}

fn recurrences() {
    for [hidden, inputs, time, batch] in [[128, 128, 64, 32], [256, 256, 128, 16], [64, 64, 32, 64], [128, 28, 28, 64]] {
        let s = Sequence { batch, time, inputs, hidden, direction: Direction::Forwards, lengths: None, is_rounded: false };
        recurrence("lstm", Lstm, 4, &s);
        recurrence("gru", Gru, 3, &s);
        recurrence("rnn", Rnn::Tanh, 1, &s);
    }
}

fn recurrence(name: &str, cell: impl Cell, gates: usize, s: &Sequence<'_>) {
    let &Sequence { batch, time, inputs, hidden, .. } = s;
    let noise = |len: usize| (0..len).map(|place| (place % 97) as f32 / 970.0 - 0.05).collect::<Vec<f32>>();
    let second = if name == "lstm" { batch * hidden } else { 0 };
    let lens =
        [batch * time * inputs, batch * hidden, second, gates * hidden * inputs, gates * hidden * hidden, gates * hidden, gates * hidden];
    let [x, state, second, w_input, w_hidden, b_input, b_hidden] = lens.map(noise);
    let mut to = lens.map(noise);
    let (mut y, dy, mut last) = (noise(batch * time * hidden), noise(batch * time * hidden), [state.clone(), second.clone()]);
    let weights = Weights { input: &w_input, hidden: &w_hidden, input_bias: &b_input, hidden_bias: &b_hidden };
    let mut run = |both: bool| {
        let [last_state, last_second] = &mut last;
        let saved = recurrent::forward(cell, s, &x, &weights, [&state, &second], &mut y, [last_state, last_second]);
        if both {
            let [x, dstate, dsecond, input, hidden, input_bias, hidden_bias] = &mut to;
            let to = Gradients { x, states: [dstate, dsecond], input, hidden, input_bias, hidden_bias };
            recurrent::backward(cell, s, saved, &weights, [&state, &second], &dy, [&state, &second], to);
        }
    };
    let (forward, both) = (fastest(|| run(false)), fastest(|| run(true)));
    println!("{name} h{hidden} in{inputs} s{time} b{batch}: forward {:.2} ms, both {:.2} ms", forward * 1e3, both * 1e3);
}

fn optimizers() {
    let adam = Rule::Adam { betas: [0.9, 0.999], eps: 1e-8, is_decoupled: true };
    let sgd = Rule::Sgd { momentum: 0.9, nesterov: false };
    for (name, rule) in [("adamw", adam), ("sgd", sgd), ("lion", Rule::Lion { betas: [0.9, 0.99] })] {
        for len in [10_000, 1_000_000, 10_000_000] {
            let (mut weights, gradients) = (vec![0.5; len], vec![0.25; len]);
            let [mut first, mut second] = rule.states().map(|has| vec![0.0; if has { len } else { 0 }]);
            let by = Move { rate: 1e-3, decay: 0.01, count: 5.0 };
            let seconds = fastest(|| {
                let slices = Slices { weights: &mut weights, gradients: &gradients, first: &mut first, second: &mut second };
                rule.step(by, slices);
            });
            let norm = fastest(|| assert!(optimizer::norm(&gradients) > 0.0));
            println!("{name} of {len}: {:.1} us, norm {:.1} us", seconds * 1e6, norm * 1e6);
        }
    }
}

/// Name, batch, channels, side, filters, kernel, stride, padding, groups.
type Row = (&'static str, usize, usize, usize, usize, usize, usize, usize, usize);

const CONVOLUTIONS: &[Row] = &[
    ("lenet conv1", 64, 1, 28, 6, 5, 1, 2, 1),
    ("lenet conv2", 64, 6, 14, 16, 5, 1, 0, 1),
    ("resnet8 stem", 32, 3, 32, 16, 3, 1, 1, 1),
    ("resnet8 16", 32, 16, 32, 16, 3, 1, 1, 1),
    ("resnet8 32 s2", 32, 16, 32, 32, 3, 2, 1, 1),
    ("resnet8 64", 32, 64, 8, 64, 3, 1, 1, 1),
    ("64 of 32x32", 32, 64, 32, 64, 3, 1, 1, 1),
    ("512 of 4x4", 32, 512, 4, 512, 3, 1, 1, 1),
    ("128 of 4x4", 32, 128, 4, 128, 3, 1, 1, 1),
    ("64 of 8x8", 32, 64, 8, 64, 3, 1, 1, 1),
    ("256 of 2x2", 32, 256, 2, 256, 3, 1, 1, 1),
    ("512 of 1x1", 32, 512, 1, 512, 3, 1, 1, 1),
    ("128 of 4x4 s2", 32, 128, 4, 256, 3, 2, 1, 1),
    ("256 of 14 s2", 8, 256, 14, 256, 3, 2, 1, 1),
    ("resnet50 stem", 4, 3, 224, 64, 7, 2, 3, 1),
    ("resnet50 1x1", 4, 64, 56, 256, 1, 1, 0, 1),
    ("1x1 256 to 64", 4, 256, 56, 64, 1, 1, 0, 1),
    ("1x1 1024 to 256", 4, 1024, 14, 256, 1, 1, 0, 1),
    ("1x1 512 to 2048", 4, 512, 7, 2048, 1, 1, 0, 1),
    ("3x3 s2 128", 4, 128, 56, 128, 3, 2, 1, 1),
    ("vgg 128 of 112", 2, 128, 112, 128, 3, 1, 1, 1),
    ("vgg 64 of 224", 2, 64, 224, 64, 3, 1, 1, 1),
    ("vgg 256 of 56", 2, 256, 56, 256, 3, 1, 1, 1),
    ("vgg 512 of 28", 8, 512, 28, 512, 3, 1, 1, 1),
    ("vgg 512 of 14", 8, 512, 14, 512, 3, 1, 1, 1),
    ("depthwise 96", 8, 96, 56, 96, 3, 1, 1, 96),
];

/// The first ten are MobileNetV2's.
const DEPTHWISE: &[Row] = &[
    ("32 of 112", 8, 32, 112, 32, 3, 1, 1, 32),
    ("96 of 112 s2", 8, 96, 112, 96, 3, 2, 1, 96),
    ("144 of 56", 8, 144, 56, 144, 3, 1, 1, 144),
    ("144 of 56 s2", 8, 144, 56, 144, 3, 2, 1, 144),
    ("192 of 28", 8, 192, 28, 192, 3, 1, 1, 192),
    ("192 of 28 s2", 8, 192, 28, 192, 3, 2, 1, 192),
    ("384 of 14", 8, 384, 14, 384, 3, 1, 1, 384),
    ("576 of 14", 8, 576, 14, 576, 3, 1, 1, 576),
    ("576 of 14 s2", 8, 576, 14, 576, 3, 2, 1, 576),
    ("960 of 7", 8, 960, 7, 960, 3, 1, 1, 960),
    ("64 of 56 k5", 8, 64, 56, 64, 5, 1, 2, 64),
    ("64 of 56 k5 s2", 8, 64, 56, 64, 5, 2, 2, 64),
    ("96 of 56 k7", 8, 96, 56, 96, 7, 1, 3, 96),
    ("768 of 7 k7", 8, 768, 7, 768, 7, 1, 3, 768),
];

/// Name, what becomes of windows, maps, side, kernel, stride, padding. The first is ResNet-50's.
const POOLS: &[(&str, Pooling, usize, usize, usize, usize, usize)] = &[
    ("max 3x3 s2 of 112", Pooling::Max, 8 * 64, 112, 3, 2, 1),
    ("max 2x2 s2 of 112", Pooling::Max, 8 * 64, 112, 2, 2, 0),
    ("max 2x2 s2 of 28", Pooling::Max, 64 * 6, 28, 2, 2, 0),
    ("max 2x2 s2 of 14", Pooling::Max, 8 * 512, 14, 2, 2, 0),
    ("max 3x3 s1 of 28", Pooling::Max, 8 * 192, 28, 3, 1, 1),
    ("mean 2x2 s2 of 112", Pooling::Average, 8 * 64, 112, 2, 2, 0),
    ("mean 3x3 s2 of 112", Pooling::Average, 8 * 64, 112, 3, 2, 1),
    ("mean 3x3 s1 of 28", Pooling::Average, 8 * 192, 28, 3, 1, 1),
    ("mean 7x7 of 7", Pooling::Average, 8 * 2048, 7, 7, 7, 0),
];

fn pools(&(name, pooling, maps, side, kernel, stride, padding): &(&str, Pooling, usize, usize, usize, usize, usize)) {
    let shape = pool2d::Shape { maps, height: side, width: side, kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 2] };
    let outputs: usize = shape.output().iter().product();
    let (x, dy) = (noise(maps * side * side), noise(maps * outputs));
    let (mut y, mut dx) = (dy.clone(), x.clone());
    let answering = fastest(|| pool2d::forward(&shape, pooling, &x, &mut y));
    let mut winners = vec![0; y.len()];
    let (forward, backward) = match pooling {
        Pooling::Average => (answering, fastest(|| pool2d::backward_average(&shape, &dy, &mut dx))),
        Pooling::Max => (
            fastest(|| pool2d::forward_max(&shape, &x, &mut y, &mut winners)),
            fastest(|| pool2d::backward_max(&shape, &winners, &dy, &mut dx)),
        ),
    };
    let [answering, forward, backward] = [answering, forward, backward].map(|seconds| seconds * 1e6);
    println!("pool {name:18} x {maps:5}   answering {answering:6.0} us, forward {forward:6.0} us, backward {backward:6.0} us");
}

/// Seconds of the fastest of some calls.
fn fastest(mut call: impl FnMut()) -> f64 {
    let began = Instant::now();
    let mut best = f64::INFINITY;
    let mut calls = 0;
    while calls < 3 || (began.elapsed().as_secs_f64() < 0.4 && calls < 1000) {
        let start = Instant::now();
        call();
        best = best.min(start.elapsed().as_secs_f64());
        calls += 1;
    }
    best
}

/// Products of numbers rounded to `bf16`; the share is of what `f32` could reach at most.
fn halves([rows, columns, depth]: [usize; 3], peak: f64) {
    let (a, b, mut c) = (vec![0.5; rows * depth], vec![0.25; depth * columns], vec![0.0; rows * columns]);
    let flops = 2.0 * (rows * columns * depth) as f64;
    let plain = fastest(|| bf16::matmul(Matrix::new(&a, rows, depth), Matrix::new(&b, depth, columns), None, &mut c));
    let turned = fastest(|| bf16::matmul(Matrix::new(&a, rows, depth), Matrix::new(&b, columns, depth).transposed(), None, &mut c));
    let first = fastest(|| bf16::matmul(Matrix::new(&a, depth, rows).transposed(), Matrix::new(&b, depth, columns), None, &mut c));
    let share = |seconds: f64| format!("{:7.1} us {:4.0} %", seconds * 1e6, flops / seconds / 1e9 / peak * 100.0);
    println!("bf16 {rows:4} x {columns:4} x {depth:4}   a b {}   a b' {}   a' b {}", share(plain), share(turned), share(first));
}

fn products([rows, columns, depth]: [usize; 3], peak: f64) {
    let (a, b, mut c) = (vec![0.5; rows * depth], vec![0.25; depth * columns], vec![0.0; rows * columns]);
    let flops = 2.0 * (rows * columns * depth) as f64;
    let plain = fastest(|| matmul(Matrix::new(&a, rows, depth), Matrix::new(&b, depth, columns), None, &mut c));
    let turned = fastest(|| matmul(Matrix::new(&a, rows, depth), Matrix::new(&b, columns, depth).transposed(), None, &mut c));
    let first = fastest(|| matmul(Matrix::new(&a, depth, rows).transposed(), Matrix::new(&b, depth, columns), None, &mut c));
    let share = |seconds: f64| format!("{:7.1} us {:3.0} %", seconds * 1e6, flops / seconds / 1e9 / peak * 100.0);
    println!("matmul {rows:4} x {columns:4} x {depth:4}   a b {}   a b' {}   a' b {}", share(plain), share(turned), share(first));
}

/// Convolutions of single images that are made ready once, with a norm and an activation at their end.
const ANSWERS: &[Row] = &[
    ("resnet50 stem", 1, 3, 224, 64, 7, 2, 3, 1),
    ("resnet50 1x1 64-64", 1, 64, 56, 64, 1, 1, 0, 1),
    ("resnet50 1x1 64-256", 1, 64, 56, 256, 1, 1, 0, 1),
    ("resnet50 1x1 256-64", 1, 256, 56, 64, 1, 1, 0, 1),
    ("resnet50 3x3 64", 1, 64, 56, 64, 3, 1, 1, 1),
    ("resnet50 1x1 512-128", 1, 512, 28, 128, 1, 1, 0, 1),
    ("resnet50 1x1 128-512", 1, 128, 28, 512, 1, 1, 0, 1),
    ("resnet50 3x3 128 s2", 1, 128, 56, 128, 3, 2, 1, 1),
    ("resnet50 3x3 128", 1, 128, 28, 128, 3, 1, 1, 1),
    ("resnet50 1x1 256-512 s2", 1, 256, 56, 512, 1, 2, 0, 1),
    ("resnet50 1x1 1024-256", 1, 1024, 14, 256, 1, 1, 0, 1),
    ("resnet50 1x1 256-1024", 1, 256, 14, 1024, 1, 1, 0, 1),
    ("resnet50 3x3 256", 1, 256, 14, 256, 3, 1, 1, 1),
    ("resnet50 1x1 2048-512", 1, 2048, 7, 512, 1, 1, 0, 1),
    ("resnet50 1x1 512-2048", 1, 512, 7, 2048, 1, 1, 0, 1),
    ("resnet50 3x3 512", 1, 512, 7, 512, 3, 1, 1, 1),
    ("mobilenet 1x1 16-96", 1, 16, 112, 96, 1, 1, 0, 1),
    ("mobilenet 1x1 96-24", 1, 96, 56, 24, 1, 1, 0, 1),
    ("mobilenet 1x1 144-32", 1, 144, 28, 32, 1, 1, 0, 1),
    ("mobilenet 1x1 64-384", 1, 64, 14, 384, 1, 1, 0, 1),
    ("mobilenet 1x1 384-64", 1, 384, 14, 64, 1, 1, 0, 1),
    ("mobilenet 1x1 960-160", 1, 960, 7, 160, 1, 1, 0, 1),
    ("mobilenet 1x1 320-1280", 1, 320, 7, 1280, 1, 1, 0, 1),
    ("mobilenet 3x3 96 s2", 1, 96, 112, 96, 3, 2, 1, 96),
    ("mobilenet 3x3 384", 1, 384, 14, 384, 3, 1, 1, 384),
    ("resnet18 3x3 64", 1, 64, 8, 64, 3, 1, 1, 1),
    ("resnet18 3x3 128", 1, 128, 4, 128, 3, 1, 1, 1),
    ("resnet18 3x3 256", 1, 256, 2, 256, 3, 1, 1, 1),
    ("resnet18 3x3 512", 1, 512, 1, 512, 3, 1, 1, 1),
];

fn answers(row: &Row, peak: f64) {
    let (shape, name) = (shape_of(row), row.0);
    if std::env::args().nth(2).is_some_and(|wanted| !name.starts_with(&wanted)) {
        return;
    }
    let [x, w, mut y] = shape.lens().map(|len| vec![0.5f32; len]);
    let numbers = || Some(vec![0.5; shape.filters]);
    let prepared = conv2d::Prepared::new(&shape, numbers(), numbers(), [0.0, f32::INFINITY]);
    let seconds = fastest(|| prepared.forward(shape.batch, &x, &w, None, &mut y));
    println!("{name:24} {:8.0} us {:3.0} %", seconds * 1e6, shape.flops() as f64 / seconds / 1e9 / peak * 100.0);
}

/// The shape of a row, of square maps and kernels.
fn shape_of(&(_, batch, channels, side, filters, kernel, stride, padding, groups): &Row) -> Shape {
    let (kernel, stride, padding, dilation) = ([kernel; 2], [stride; 2], [padding; 2], [1; 2]);
    Shape { batch, channels, height: side, width: side, filters, kernel, stride, padding, dilation, groups }
}

fn convolutions(row: &Row, peak: f64, is_rounded: bool) {
    let (shape, name) = (shape_of(row), row.0);
    if std::env::args().nth(2).is_some_and(|wanted| !name.starts_with(&wanted)) {
        return;
    }
    let shape = &shape;
    let [x, w, y] = shape.lens().map(|len| vec![0.5f32; len]);
    let (mut dx, mut dw, mut to) = (x.clone(), w.clone(), y.clone());
    let [forward, input, weight] = match is_rounded {
        true => [
            fastest(|| bf16::conv2d::forward(shape, &x, &w, None, &mut to)),
            fastest(|| bf16::conv2d::input_gradient(shape, &w, &y, &mut dx)),
            fastest(|| bf16::conv2d::weight_gradient(shape, &x, &y, &mut dw)),
        ],
        false => [
            fastest(|| conv2d::forward(shape, &x, &w, None, &mut to)),
            fastest(|| conv2d::input_gradient(shape, &w, &y, &mut dx)),
            fastest(|| conv2d::weight_gradient(shape, &x, &y, &mut dw)),
        ],
    };
    let share = |seconds: f64| format!("{:8.0} us {:3.0} %", seconds * 1e6, shape.flops() as f64 / seconds / 1e9 / peak * 100.0);
    println!("{name:16} forward {}   input {}   weight {}", share(forward), share(input), share(weight));
}

/// An attention over slices of one projection. The share counts all scores, those that are not seen as well.
fn attentions([batch, heads, time, dim]: [usize; 4], sight: Sight, peak: f64) {
    let shape = attention::Shape { batch, heads, queries: time, keys: time, dim };
    let projection: Vec<f32> = (0..batch * time * 3 * heads * dim).map(|place| (place % 97) as f32 / 97.0 - 0.5).collect();
    let (mut y, mut gradients) = (vec![0.5; projection.len() / 3], projection.clone());
    let mut logarithms = vec![0.0; shape.rows()];
    let places = [0, 1, 2].map(|part| shape.of_projection(time, part, 3));
    let tensors = places.map(|strides| Tensor { values: &projection, strides });
    let outer = shape.of_projection(time, 0, 1);
    let dropped = Options { scale: shape.scale(), sight, mask: None, dropout: Some(Dropout { key: 1, share: 0.1 }) };
    let mut line = format!("attention {batch} x {heads} x {time:4} x {dim} {:4}", if sight == Sight::All { "all" } else { "past" });
    for options in [Options { dropout: None, ..dropped }, dropped] {
        let forward = fastest(|| attention::forward(&shape, &options, tensors, &mut y, &outer, &mut logarithms));
        let dy = y.clone();
        let outputs = [&y, &dy].map(|values| Tensor { values, strides: outer });
        let backward = fastest(|| {
            attention::backward(&shape, &options, tensors, outputs, &logarithms, attention::Gradients::Joined(&mut gradients), places)
        });
        let flops = 2.0 * (shape.rows() * time * dim) as f64;
        let share =
            |seconds: f64, products: f64| format!("{:7.0} us {:3.0} %", seconds * 1e6, products * flops / seconds / 1e9 / peak * 100.0);
        line += &format!("   forward {} backward {}", share(forward, 2.0), share(backward, 5.0));
    }
    println!("{line} (with dropout)");
}

/// Noise, the same each time.
fn noise(len: usize) -> Vec<f32> {
    (0..len as u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
}

fn norms(rows: usize, width: usize) {
    let (x, dy, weight, bias) = (noise(rows * width), noise(rows * width), noise(width), noise(width));
    let (mut y, mut sum, mut dx, mut dweight, mut dbias) = (x.clone(), x.clone(), x.clone(), weight.clone(), weight.clone());
    for centred in [true, false] {
        let shape = layer_norm::Shape { rows, width, centred, epsilon: 1e-5 };
        let found = layer_norm::forward(&shape, &x, &weight, Some(&bias), &mut y);
        let forward = fastest(|| drop(layer_norm::forward(&shape, &x, &weight, Some(&bias), &mut y)));
        let fused = fastest(|| drop(layer_norm::forward_sum(&shape, [&x, &dy], &weight, Some(&bias), &mut sum, &mut y)));
        let backward = fastest(|| layer_norm::backward(&shape, &x, &found, &weight, &dy, None, &mut dx, &mut dweight, Some(&mut dbias)));
        let [forward, fused, backward] = [forward, fused, backward].map(|seconds| seconds * 1e6);
        let name = if centred { "layer" } else { "RMS" };
        println!("{name:5} norm {rows} x {width:4}   forward {forward:6.0} us, with a sum {fused:6.0} us, backward {backward:6.0} us");
    }
    let shape = group_norm::Shape { batch: 8, channels: width, pixels: rows / 8, groups: 32, epsilon: 1e-5 };
    let found = group_norm::forward(&shape, &x, [&weight, &bias], &mut y);
    let forward = fastest(|| drop(group_norm::forward(&shape, &x, [&weight, &bias], &mut y)));
    let backward = fastest(|| group_norm::backward(&shape, &x, &found, &weight, &dy, &mut dx, [&mut dweight, &mut dbias]));
    let [forward, backward] = [forward, backward].map(|seconds| seconds * 1e6);
    println!("group norm 8 x {width:4} x {:4}   forward {forward:6.0} us, backward {backward:6.0} us", rows / 8);
}

fn rows_of(rows: usize, width: usize) {
    let (x, dy) = (noise(rows * width), noise(rows * width));
    let (mut y, mut dx) = (x.clone(), x.clone());
    for softmax in [Softmax::Probabilities, Softmax::Logarithms] {
        let forward = fastest(|| softmax::forward(softmax, width, &x, &mut y)) * 1e6;
        let backward = fastest(|| softmax::backward(softmax, width, &y, &dy, &mut dx)) * 1e6;
        println!("softmax {softmax:?} {rows} x {width}   forward {forward:6.0} us, backward {backward:6.0} us");
    }
    let dropped = fastest(|| dropout::apply(Dropout { key: 1, share: 0.1 }, &x, &mut y)) * 1e6;
    println!("dropout {rows} x {width}   {dropped:6.0} us");
}

fn activations(len: usize) {
    let (x, dy) = (noise(len), noise(len));
    let (mut y, mut dx) = (x.clone(), x.clone());
    for kind in [
        Activation::Relu,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Silu,
        Activation::Elu { size: 1.0 },
        Activation::Softplus,
        Activation::HardSwish,
    ] {
        let forward = fastest(|| activation::forward(kind, &x, &mut y)) * 1e6;
        let backward = fastest(|| activation::backward(kind, &x, &dy, &mut dx)) * 1e6;
        println!("activation {kind:?} of {len}   forward {forward:6.0} us, backward {backward:6.0} us");
    }
}

fn embeddings(rows: usize, width: usize, count: usize) {
    let (table, dy) = (noise(rows * width), noise(count * width));
    let indices: Vec<u32> = (0..count as u32).map(|place| place.wrapping_mul(2_654_435_761) % rows as u32).collect();
    let (mut y, mut dtable) = (dy.clone(), table.clone());
    let forward = fastest(|| embedding::forward(width, &table, &indices, &mut y)) * 1e6;
    let backward = fastest(|| embedding::backward(width, &indices, None, &dy, &mut dtable)) * 1e6;
    println!("embedding {count} of {rows} x {width}   forward {forward:6.0} us, backward {backward:6.0} us");
}

/// Billion operations a second of one thread at most: multiply-adds of registers, none of which waits for another.
fn peak() -> f64 {
    const TURNS: usize = 10_000;
    let level = Level::current();
    let lanes = if level == Level::Avx512 { 16 } else { 8 };
    let seconds = fastest(|| match level {
        // SAFETY: levels are what this processor has.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => _ = black_box(unsafe { multiply_adds_512(TURNS) }),
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => _ = black_box(unsafe { multiply_adds_256(TURNS) }),
        Level::Plain => _ = black_box(multiply_adds::<8, false>(TURNS)),
        _ => _ = black_box(multiply_adds::<8, true>(TURNS)),
    });
    2.0 * (TURNS * CHAINS * lanes) as f64 / seconds / 1e9
}

/// Registers that a multiply-add can go into while others are under way: two units with four turns each, and some more.
const CHAINS: usize = 10;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn multiply_adds_512(turns: usize) -> [[f32; 16]; CHAINS] {
    multiply_adds::<_, true>(turns)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn multiply_adds_256(turns: usize) -> [[f32; 8]; CHAINS] {
    multiply_adds::<_, true>(turns)
}

#[inline(always)]
fn multiply_adds<const N: usize, const FUSED: bool>(turns: usize) -> [[f32; N]; CHAINS] {
    let (mut sums, factor) = ([[0.5f32; N]; CHAINS], black_box([0.9f32; N]));
    for _ in 0..turns {
        for sum in &mut sums {
            for (sum, factor) in sum.iter_mut().zip(&factor) {
                // Where there is no such instruction, `mul_add` is a call.
                *sum = if FUSED { sum.mul_add(*factor, *factor) } else { *sum * *factor + *factor };
            }
        }
    }
    sums
}
