use super::*;
use crate::dropout::factors;
use crate::testing::{noise, noise_within};
use crate::with;
use proptest::prelude::*;

/// Numbers of a tensor in the order batch, head, time, dim.
fn gathered(shape: &Shape, strides: &Strides, time: usize, values: &[f32]) -> Vec<f64> {
    let mut all = Vec::new();
    for (b, h, t) in every(shape, time) {
        let place = strides.place(b, h, t);
        all.extend(values[place..place + shape.dim].iter().map(|value| f64::from(*value)));
    }
    all
}

fn every(shape: &Shape, time: usize) -> impl Iterator<Item = (usize, usize, usize)> + use<> {
    let Shape { batch, heads, .. } = *shape;
    (0..batch).flat_map(move |b| (0..heads).flat_map(move |h| (0..time).map(move |t| (b, h, t))))
}

/// The attention of `f64`, tensors without gaps.
struct Exact<'a> {
    shape: Shape,
    options: Options<'a>,
}

impl Exact<'_> {
    /// Probabilities of a query, and by what they are multiplied where some are dropped.
    fn weights(&self, q: &[f64], k: &[f64], (b, h, i): (usize, usize, usize)) -> (Vec<f64>, Vec<f64>) {
        let Shape { heads, queries, keys, dim, .. } = self.shape;
        let row = (b * heads + h) * queries + i;
        let score = |j: usize| {
            let key = ((b * heads + h) * keys + j) * dim;
            let product: f64 = (0..dim).map(|d| q[row * dim + d] * k[key + d]).sum();
            let added = self.options.mask.map_or(0.0, |mask| mask.values[b * mask.batch + h * mask.head + i * mask.query + j]);
            let is_seen = match self.options.sight {
                Sight::All => true,
                Sight::Past { offset } => j <= i + offset,
            };
            if is_seen { product * f64::from(self.options.scale) + f64::from(added) } else { f64::NEG_INFINITY }
        };
        let scores: Vec<f64> = (0..keys).map(score).collect();
        let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scores.iter().map(|score| (score - most).exp()).sum();
        let shares = scores.iter().map(|score| if most == f64::NEG_INFINITY { 0.0 } else { (score - most).exp() / sum }).collect();
        let mut kept = vec![1.0; keys];
        if let Some(dropout) = self.options.dropout {
            factors(dropout, row * keys.next_multiple_of(2), &mut kept);
        }
        (shares, kept.into_iter().map(f64::from).collect())
    }

    fn forward(&self, [q, k, v]: [&[f64]; 3]) -> Vec<f64> {
        let Shape { heads, queries, keys, dim, .. } = self.shape;
        let mut y = Vec::new();
        for (b, h, i) in every(&self.shape, queries) {
            let (shares, kept) = self.weights(q, k, (b, h, i));
            let value = |j: usize, d: usize| v[((b * heads + h) * keys + j) * dim + d];
            y.extend((0..dim).map(|d| (0..keys).map(|j| shares[j] * kept[j] * value(j, d)).sum::<f64>()));
        }
        y
    }

    /// Gradients of queries, keys and values.
    fn backward(&self, [q, k, v]: [&[f64]; 3], dy: &[f64]) -> [Vec<f64>; 3] {
        let Shape { heads, queries, keys, dim, .. } = self.shape;
        let scale = f64::from(self.options.scale);
        let [mut dq, mut dk, mut dv] = [vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]];
        for (b, h, i) in every(&self.shape, queries) {
            let (shares, kept) = self.weights(q, k, (b, h, i));
            let row = ((b * heads + h) * queries + i) * dim;
            let key = |j: usize| ((b * heads + h) * keys + j) * dim;
            let slope = |j: usize| kept[j] * (0..dim).map(|d| dy[row + d] * v[key(j) + d]).sum::<f64>();
            let slopes: Vec<f64> = (0..keys).map(slope).collect();
            let along: f64 = shares.iter().zip(&slopes).map(|(share, slope)| share * slope).sum();
            for j in 0..keys {
                let blame = shares[j] * (slopes[j] - along) * scale;
                for d in 0..dim {
                    dv[key(j) + d] += shares[j] * kept[j] * dy[row + d];
                    dq[row + d] += blame * k[key(j) + d];
                    dk[key(j) + d] += blame * q[row + d];
                }
            }
        }
        [dq, dk, dv]
    }
}

/// How tensors lie.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Layout {
    /// Slices of one projection.
    Joined,
    /// Queries, and slices of a projection of keys and values.
    Crossed,
    /// Each without gaps, by head.
    Apart,
}

/// What the kernels give: outputs, then gradients in the order batch, head, time, dim.
fn kernel(shape: &Shape, options: &Options<'_>, layout: Layout, size: f32) -> ([Vec<f64>; 4], [Vec<f64>; 4]) {
    let Shape { batch, heads, queries, keys, dim } = *shape;
    let places = match layout {
        Layout::Joined => [0, 1, 2].map(|part| shape.of_projection(queries, part, 3)),
        Layout::Crossed => [shape.of_projection(queries, 0, 1), shape.of_projection(keys, 0, 2), shape.of_projection(keys, 1, 2)],
        Layout::Apart => [shape.by_head(queries), shape.by_head(keys), shape.by_head(keys)],
    };
    let (asked, answering) = (batch * heads * queries * dim, batch * heads * keys * dim);
    let lens = match layout {
        Layout::Joined => vec![3 * asked],
        Layout::Crossed => vec![asked, 2 * answering],
        Layout::Apart => vec![asked, answering, answering],
    };
    let slices: Vec<Vec<f32>> = lens.iter().enumerate().map(|(i, len)| noise_within(*len, i as u32, size)).collect();
    let slice_of = |i: usize| &slices[[[0, 0, 0], [0, 1, 1], [0, 1, 2]][layout as usize][i]];
    let tensors = [0, 1, 2].map(|i| Tensor { values: slice_of(i), strides: places[i] });
    let outer = if layout == Layout::Apart { shape.by_head(queries) } else { shape.of_projection(queries, 0, 1) };
    let (dy, mut y, mut logarithms) = (noise(asked, 9), vec![f32::NAN; asked], vec![f32::NAN; shape.rows()]);
    forward(shape, options, tensors, &mut y, &outer, &mut logarithms);
    let mut gradients: Vec<Vec<f32>> = lens.iter().map(|len| vec![f32::NAN; *len]).collect();
    let outputs = [&y, &dy].map(|values| Tensor { values, strides: outer });
    let to = match &mut gradients[..] {
        [all] => Gradients::Joined(all),
        [one, two] => Gradients::Crossed(one, two),
        [one, two, three] => Gradients::Apart([one, two, three]),
        _ => unreachable!(),
    };
    backward(shape, options, tensors, outputs, &logarithms, to, places);
    let times = [queries, keys, keys];
    let gradient = |i: usize| &gradients[[[0, 0, 0], [0, 1, 1], [0, 1, 2]][layout as usize][i]];
    let [q, k, v] = [0, 1, 2].map(|i| gathered(shape, &places[i], times[i], slice_of(i)));
    let [dq, dk, dv] = [0, 1, 2].map(|i| gathered(shape, &places[i], times[i], gradient(i)));
    ([q, k, v, gathered(shape, &outer, queries, &dy)], [gathered(shape, &outer, queries, &y), dq, dk, dv])
}

/// Holds outputs and gradients at every level against those of `f64`.
fn check(shape: &Shape, options: &Options<'_>, layout: Layout, size: f32) {
    let exact = Exact { shape: *shape, options: *options };
    for level in Level::available() {
        let ([q, k, v, dy], found) = with(level, || kernel(shape, options, layout, size));
        let [dq, dk, dv] = exact.backward([&q, &k, &v], &dy);
        let wanted = [exact.forward([&q, &k, &v]), dq, dk, dv];
        for (name, (found, wanted)) in ["y", "dq", "dk", "dv"].iter().zip(found.iter().zip(&wanted)) {
            // Scores of a size lose as much of the last place, and exponentials of them lose it relatively; where one key is seen,
            // gradients of scores are differences of large numbers.
            let most = wanted.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
            let allowed = 3e-6 * (1.0 + f64::from(size * size)) * (1.0 + most);
            for (place, (found, wanted)) in found.iter().zip(wanted).enumerate() {
                assert!(
                    (found - wanted).abs() <= allowed,
                    "{shape:?} {options:?} {layout:?} {level:?} {name} {place}: {found} is not {wanted}"
                );
            }
        }
    }
}

/// A mask where about one number in four is minus infinity.
fn holes(len: usize) -> Vec<f32> {
    noise(len, 5).into_iter().map(|value| if value < -0.5 { f32::NEG_INFINITY } else { value }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn any_attention_is_right(
        (batch, heads, queries, keys, dim) in (0..3usize, 1..4usize, 1..40usize, 1..70usize, 1..40usize),
        (layout, masking, causal, offset, dropped) in (0..3usize, 0..4usize, any::<bool>(), 0..9usize, any::<bool>()),
    ) {
        let layout = [Layout::Joined, Layout::Crossed, Layout::Apart][layout];
        let keys = if layout == Layout::Joined { queries } else { keys };
        let shape = Shape { batch, heads, queries, keys, dim };
        let sides = [[batch, 1, 1], [1, 1, queries], [batch, heads, queries], [1, 1, 1]][masking];
        let values = holes(sides.iter().product::<usize>() * keys);
        let mask = (masking < 3).then(|| Mask::of_scores(&values, [sides[0], sides[1], sides[2], keys]));
        let sight = if causal { Sight::Past { offset } } else { Sight::All };
        let dropout = dropped.then_some(Dropout { key: 3, share: 0.3 });
        check(&shape, &Options { scale: shape.scale(), sight, mask, dropout }, layout, 2.0);
    }
}

#[test]
fn long_and_wide_ones_are_right() {
    for (heads, queries, keys, dim, sight) in [
        (2, 131, 131, 64, Sight::Past { offset: 0 }),
        (1, 300, 300, 33, Sight::Past { offset: 0 }),
        (1, 200, 700, 20, Sight::All),
        (1, 3, 257, 8, Sight::Past { offset: 254 }),
        (1, 100, 17, 96, Sight::Past { offset: 0 }),
    ] {
        let shape = Shape { batch: 1, heads, queries, keys, dim };
        let options = Options { scale: shape.scale(), sight, mask: None, dropout: None };
        check(&shape, &options, Layout::Crossed, 1.0);
    }
}

#[test]
fn gradients_are_finite_differences() {
    let shape = Shape { batch: 1, heads: 2, queries: 3, keys: 4, dim: 3 };
    let mask = holes(shape.keys);
    let options = Options {
        scale: 0.7,
        sight: Sight::Past { offset: 1 },
        mask: Some(Mask::of_keys(&mask, shape.keys)),
        dropout: Some(Dropout { key: 1, share: 0.2 }),
    };
    let ([q, k, v, dy], [_, dq, dk, dv]) = kernel(&shape, &options, Layout::Crossed, 1.0);
    let exact = Exact { shape, options };
    let loss = |all: &[Vec<f64>; 3]| exact.forward([&all[0], &all[1], &all[2]]).iter().zip(&dy).map(|(y, dy)| y * dy).sum::<f64>();
    for (number, found) in [dq, dk, dv].iter().enumerate() {
        for (place, found) in found.iter().enumerate() {
            let moved = |by: f64| {
                let mut all = [q.clone(), k.clone(), v.clone()];
                all[number][place] += by;
                loss(&all)
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((found - slope).abs() < 1e-5, "{number} {place}: {found} is not {slope}");
        }
    }
}

#[test]
fn queries_that_see_nothing_and_large_numbers_give_numbers() {
    let shape = Shape { batch: 2, heads: 1, queries: 5, keys: 5, dim: 4 };
    // The second sequence is padding alone.
    let mask = [vec![0.0; 5], vec![f32::NEG_INFINITY; 5]].concat();
    let mask = Some(Mask::of_keys(&mask, 5));
    for level in Level::available() {
        let options = Options { scale: 1.0, sight: Sight::Past { offset: 0 }, mask, dropout: None };
        let (_, [y, dq, dk, dv]) = with(level, || kernel(&shape, &options, Layout::Joined, 1e4));
        assert!([&y, &dq, &dk, &dv].iter().all(|all| all.iter().all(|value| value.is_finite())), "{level:?}");
        assert!([y, dq, dk, dv].iter().all(|all| all[20..].iter().all(|value| *value == 0.0)), "{level:?}");
        let shape = Shape { keys: 0, ..shape };
        let (_, [y, dq, ..]) = with(level, || kernel(&shape, &Options { mask: None, ..options }, Layout::Crossed, 1.0));
        assert!([y, dq].iter().all(|all| all.iter().all(|value| *value == 0.0)), "{level:?}");
    }
}

#[test]
fn what_is_no_number_is_seen() {
    let shape = Shape { batch: 1, heads: 1, queries: 3, keys: 20, dim: 4 };
    let options = Options { scale: 0.5, sight: Sight::All, mask: None, dropout: None };
    for level in Level::available() {
        for key in 0..20 {
            let (q, mut k, v) = (noise(12, 1), noise(80, 2), noise(80, 3));
            k[4 * key] = f32::NAN;
            let (mut y, mut logarithms) = ([0.0; 12], [0.0; 3]);
            let tensors = [(&q, 3), (&k, 20), (&v, 20)].map(|(values, time)| Tensor { values, strides: shape.by_head(time) });
            with(level, || forward(&shape, &options, tensors, &mut y, &shape.by_head(3), &mut logarithms));
            assert!(y.iter().chain(&logarithms).all(|value| value.is_nan()), "{level:?} {key}");
        }
    }
}

#[test]
fn threads_change_no_bit() {
    let shape = Shape { batch: 2, heads: 3, queries: 70, keys: 70, dim: 32 };
    let options =
        Options { scale: shape.scale(), sight: Sight::Past { offset: 0 }, mask: None, dropout: Some(Dropout { key: 1, share: 0.1 }) };
    let all = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| kernel(&shape, &options, Layout::Joined, 1.0))
    };
    assert_eq!(all(1), all(2));
}

#[test]
fn tensors_that_lie_over_each_other_are_told_apart() {
    let shape = Shape { batch: 2, heads: 3, queries: 5, keys: 5, dim: 4 };
    let [q, k] = [0, 1].map(|part| shape.of_projection(5, part, 3));
    assert!(shape.are_apart([&q, &k], [5, 5]));
    assert!(!shape.are_apart([&q, &q], [5, 5]));
    assert!(!shape.are_apart([&q, &Strides { first: 2, ..q }], [5, 5]));
    assert!(shape.are_apart([&shape.by_head(5), &Strides { first: 120, ..shape.by_head(5) }], [5, 5]));
    assert!(!shape.are_apart([&shape.by_head(5), &Strides { first: 119, ..shape.by_head(5) }], [5, 5]));
    assert!(!shape.is_apart(&Strides { time: 3, ..shape.by_head(5) }, 5, &[]));
}
