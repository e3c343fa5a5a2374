//! Scaled dot-product attention, `softmax(q k' scale + mask) v` (Vaswani et al.: "Attention is all you need", NeurIPS 2017).
//!
//! As in flash attention (Dao et al.: "FlashAttention", NeurIPS 2022), the probabilities of all queries never exist at once: a block of
//! queries is worked through at a time, and the backward pass computes its probabilities again, from the logarithm of each query's sum of
//! exponentials. Unlike there a block sees all its keys at once, for a row of scores fits into a second-level cache, so nothing is scaled
//! again while keys go by. Every (batch, head) is one piece of work, in memory of its thread.

mod blocks;
mod rows;

use crate::Level;
use crate::dropout::{Coin, Dropout};
use crate::pieces::SERIAL_FLOPS;
use crate::scratch::scratch;
use crate::shared::Shared;
use crate::team::each;
use blocks::{Left, Reach, Right, product};
use rows::{Rows, blame, copy, finish, row_products, turn, weigh};

/// Sides of queries and outputs `[batch, heads, queries, dim]`, and of keys and values `[batch, heads, keys, dim]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Sequences.
    pub batch: usize,
    /// Heads, each with an attention of its own.
    pub heads: usize,
    /// Places that ask.
    pub queries: usize,
    /// Places that answer.
    pub keys: usize,
    /// Numbers of a head at a place.
    pub dim: usize,
}

/// Where a tensor `[batch, heads, time, dim]` lies in a slice: number `i` of a head at a place is
/// `values[first + sequence * batch + number * head + place * time + i]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Strides {
    /// Where it begins.
    pub first: usize,
    /// From a sequence to the next.
    pub batch: usize,
    /// From a head to the next.
    pub head: usize,
    /// From a place to the next.
    pub time: usize,
}

/// Numbers in a slice, and where.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    /// All there is.
    pub values: &'a [f32],
    /// Which of them.
    pub strides: Strides,
}

/// Gradients of queries, keys and values, in as many slices as there are.
#[derive(Debug)]
pub enum Gradients<'a> {
    /// One slice holds all three.
    Joined(&'a mut [f32]),
    /// That of the queries; those of keys and values.
    Crossed(&'a mut [f32], &'a mut [f32]),
    /// Each its own.
    Apart([&'a mut [f32]; 3]),
}

/// Numbers that are added to scores, `-inf` where a query must not see a key. They are the same for every sequence, head or query whose
/// stride is 0.
#[derive(Clone, Copy, Debug)]
pub struct Mask<'a> {
    /// All of them; those of a query lie in order.
    pub values: &'a [f32],
    /// From a sequence to the next.
    pub batch: usize,
    /// From a head to the next.
    pub head: usize,
    /// From a query to the next.
    pub query: usize,
}

/// Which keys a query may see.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Sight {
    /// All.
    #[default]
    All,
    /// Query i those up to key i + `offset`: 0 for a whole sequence, `keys - queries` for the end of one.
    Past {
        /// How far ahead of the queries keys go on.
        offset: usize,
    },
}

/// What else there is to an attention.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// By what scores are multiplied; [`Shape::scale`] as a rule.
    pub scale: f32,
    /// Which keys a query may see.
    pub sight: Sight,
    /// What is added to scores.
    pub mask: Option<Mask<'a>>,
    /// Of probabilities.
    pub dropout: Option<Dropout>,
}

impl Shape {
    /// 1 / sqrt(dim).
    pub fn scale(&self) -> f32 {
        1.0 / (self.dim.max(1) as f32).sqrt()
    }

    /// How many sums of scores there are: one for each query.
    pub fn rows(&self) -> usize {
        self.batch * self.heads * self.queries
    }

    /// A tensor `[batch, heads, time, dim]` without gaps.
    pub fn by_head(&self, time: usize) -> Strides {
        Strides { first: 0, batch: self.heads * time * self.dim, head: time * self.dim, time: self.dim }
    }

    /// Part `part` of a projection `[batch, time, parts * heads * dim]`; queries, keys and values are parts 0, 1 and 2 of three.
    pub fn of_projection(&self, time: usize, part: usize, parts: usize) -> Strides {
        let width = self.heads * self.dim;
        Strides { first: part * width, batch: time * parts * width, head: self.dim, time: parts * width }
    }

    /// Whether a tensor of so many places lies inside of a slice.
    fn fits(&self, strides: &Strides, time: usize, len: usize) -> bool {
        self.is_empty(time) || strides.first + self.extent(strides, time) <= len
    }

    fn is_empty(&self, time: usize) -> bool {
        self.batch * self.heads * time * self.dim == 0
    }

    /// Numbers from the first to behind the last.
    fn extent(&self, strides: &Strides, time: usize) -> usize {
        (self.batch - 1) * strides.batch + (self.heads - 1) * strides.head + (time - 1) * strides.time + self.dim
    }

    /// Whether no number of a tensor lies where another does, as each stride steps over all that lies within; `more` are further steps and
    /// how many there are of them.
    fn is_apart(&self, strides: &Strides, time: usize, more: &[(usize, usize)]) -> bool {
        let mut steps = vec![(strides.batch, self.batch), (strides.head, self.heads), (strides.time, time)];
        steps.extend(more);
        steps.retain(|(_, count)| *count > 1);
        steps.sort_unstable();
        let mut extent = self.dim;
        steps.iter().all(|(stride, count)| {
            let is_apart = *stride >= extent;
            extent += stride * (count - 1);
            is_apart
        })
    }

    /// Whether two tensors in one slice share no number: one lies behind the other, or they alternate.
    fn are_apart(&self, [one, other]: [&Strides; 2], [time, other_time]: [usize; 2]) -> bool {
        if self.is_empty(time) || self.is_empty(other_time) {
            return true;
        }
        let (low, high, low_time) = if one.first <= other.first { (one, other, time) } else { (other, one, other_time) };
        let step = high.first - low.first;
        let alike = Strides { first: 0, ..*one } == Strides { first: 0, ..*other };
        low.first + self.extent(low, low_time) <= high.first || (alike && self.is_apart(one, time.max(other_time), &[(step, 2)]))
    }

    fn for_each_head(&self, flops: u64, work: impl Fn(usize, usize) + Sync) {
        each(self.batch * self.heads, flops >= SERIAL_FLOPS, |number| work(number / self.heads, number % self.heads));
    }

    /// Multiplications and additions of one product of all queries with all keys.
    fn flops(&self) -> u64 {
        2 * (self.rows() * self.keys * self.dim) as u64
    }
}

impl<'a> Mask<'a> {
    /// A mask of keys, `[batch, keys]`.
    pub fn of_keys(values: &'a [f32], keys: usize) -> Mask<'a> {
        Mask { values, batch: keys, head: 0, query: 0 }
    }

    /// A mask `[batch, heads, queries, keys]`, whose first three sides may be 1.
    pub fn of_scores(values: &'a [f32], [batch, heads, queries, keys]: [usize; 4]) -> Mask<'a> {
        let step = |side: usize, stride: usize| if side == 1 { 0 } else { stride };
        Mask { values, batch: step(batch, heads * queries * keys), head: step(heads, queries * keys), query: step(queries, keys) }
    }

    fn fits(&self, shape: &Shape) -> bool {
        let Shape { batch, heads, queries, keys, .. } = *shape;
        let is_empty = batch * heads * queries * keys == 0;
        is_empty || (batch - 1) * self.batch + (heads - 1) * self.head + (queries - 1) * self.query + keys <= self.values.len()
    }
}

impl<'a> Gradients<'a> {
    /// Where to write each of the three, and which slice it is in.
    fn share(self) -> ([Shared<'a>; 3], [usize; 3], [usize; 3]) {
        match self {
            Gradients::Joined(all) => {
                let len = all.len();
                ([Shared::new(all); 3], [len; 3], [0; 3])
            }
            Gradients::Crossed(one, two) => {
                let [len, lens] = [one.len(), two.len()];
                let two = Shared::new(two);
                ([Shared::new(one), two, two], [len, lens, lens], [0, 1, 1])
            }
            Gradients::Apart(each) => {
                let lens = each.each_ref().map(|one| one.len());
                (each.map(Shared::new), lens, [0, 1, 2])
            }
        }
    }
}

/// How an attention is worked through: the same for every number of threads.
#[derive(Clone, Copy)]
struct Plan<'a> {
    level: Level,
    shape: Shape,
    options: Options<'a>,
    coin: Option<Coin>,
    /// Numbers from a row of scores to the next: all keys, in whole panels.
    pitch: usize,
    /// Numbers from a row of a head to the next: whole registers.
    width: usize,
    /// Queries of a block.
    block: usize,
}

impl<'a> Plan<'a> {
    fn new(shape: &Shape, options: &Options<'a>) -> Plan<'a> {
        assert!(options.mask.is_none_or(|mask| mask.fits(shape)), "the mask has a number for each score");
        let level = Level::current();
        let pitch = shape.keys.next_multiple_of(2 * level.lanes());
        // Scores of a block are at most 64 KB, if that leaves enough queries to make use of the keys that pass.
        let block = (BLOCK_SCORES / pitch.max(1)).clamp(24, 96) / 12 * 12;
        let coin = options.dropout.filter(|dropout| dropout.share > 0.0).map(Coin::new);
        Plan { level, shape: *shape, options: *options, coin, pitch, width: shape.dim.next_multiple_of(level.lanes()), block }
    }

    /// The last key that query 0 sees.
    fn past(&self) -> usize {
        match self.options.sight {
            Sight::All => self.shape.keys,
            Sight::Past { offset } => offset.min(self.shape.keys),
        }
    }

    /// How many keys of a sequence there are without those at its end that no query may see: padding costs nothing.
    fn keys(&self, sequence: usize) -> usize {
        let keys = self.shape.keys;
        match self.options.mask {
            Some(mask) if mask.head == 0 && mask.query == 0 && keys > 0 => {
                let added = &mask.values[sequence * mask.batch..][..keys];
                added.iter().rposition(|value| *value != f32::NEG_INFINITY).map_or(0, |last| last + 1)
            }
            _ => keys,
        }
    }

    /// Blocks of queries: the first, and how many.
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (queries, block) = (self.shape.queries, self.block);
        (0..queries).step_by(block).map(move |first| (first, block.min(queries - first)))
    }

    /// What the rows of a block have in common.
    fn rows(&self, sequence: usize, head: usize, first: usize, count: usize) -> Rows<'a> {
        let Shape { heads, queries, keys, .. } = self.shape;
        let row = (sequence * heads + head) * queries + first;
        let mask =
            self.options.mask.map(|mask| (&mask.values[sequence * mask.batch + head * mask.head + first * mask.query..], mask.query));
        Rows {
            pitch: self.pitch,
            count,
            keys: self.keys(sequence),
            past: self.past() + first,
            mask,
            coin: self.coin,
            // Places of a row begin at an even one.
            places: keys.next_multiple_of(2),
            place: row * keys.next_multiple_of(2),
        }
    }
}

/// Products of a block of queries. Rows of scores are `pitch` apart, those of all else `width`.
impl Plan<'_> {
    /// Each query with each key that it sees.
    fn against_keys(&self, rows: Rows<'_>, asked: &[f32], step: usize, turned: &[f32], scores: &mut [f32]) {
        let (dim, seen) = (self.shape.dim, rows.seen(rows.count - 1));
        let (a, b) = (Left::rows(asked, step), Right::panels(turned, dim));
        product(self.level, a, b, [rows.count, seen, dim], Reach::Columns(rows.past), false, scores, self.pitch);
    }

    /// For each query the sum over the keys that it sees.
    fn over_keys(&self, rows: Rows<'_>, scores: &[f32], values: &[f32], sums: &mut [f32]) {
        let (a, b) = (Left::rows(scores, self.pitch), Right::rows(values, self.width));
        let sides = [rows.count, self.width, rows.seen(rows.count - 1)];
        product(self.level, a, b, sides, Reach::Before(rows.past), false, sums, self.width);
    }

    /// Adds to each key the sum over the queries that see it.
    fn over_queries(&self, rows: Rows<'_>, scores: &[f32], values: &[f32], sums: &mut [f32]) {
        let (a, b) = (Left::columns(scores, self.pitch), Right::rows(values, self.width));
        let sides = [rows.seen(rows.count - 1), self.width, rows.count];
        product(self.level, a, b, sides, Reach::From(rows.past), true, sums, self.width);
    }
}

/// Scores of a block of queries.
const BLOCK_SCORES: usize = 1 << 14;

/// The attention, into `y`, and for each query the logarithm of its sum of exponentials of scores, `[batch, heads, queries]`, which
/// [`backward`] needs. A query that sees nothing gets zeros, and infinity for its logarithm.
///
/// # Panics
/// When a tensor does not lie in its slice, or numbers of `y` lie over others.
pub fn forward(
    shape: &Shape,
    options: &Options<'_>,
    [q, k, v]: [Tensor<'_>; 3],
    y: &mut [f32],
    y_strides: &Strides,
    logarithms: &mut [f32],
) {
    let Shape { queries, keys, dim, .. } = *shape;
    assert!(shape.fits(&q.strides, queries, q.values.len()), "queries lie in their slice");
    assert!([k, v].iter().all(|tensor| shape.fits(&tensor.strides, keys, tensor.values.len())), "keys and values lie in their slices");
    assert!(shape.fits(y_strides, queries, y.len()) && shape.is_apart(y_strides, queries, &[]), "outputs lie apart in their slice");
    assert_eq!(logarithms.len(), shape.rows(), "one logarithm a query");
    let plan = Plan::new(shape, options);
    let (level, pitch, width, block) = (plan.level, plan.pitch, plan.width, plan.block);
    let (y, logarithms) = (Shared::new(y), Shared::new(logarithms));
    let lens = [pitch * dim, keys * width, block * dim, block * pitch, block * width, block];
    shape.for_each_head(2 * shape.flops(), |sequence, head| {
        borrow(lens, |[turned, values, asked, scores, sums, shares]| {
            turn(level, k.of(sequence, head), keys, dim, turned);
            copy(level, v.of(sequence, head), keys, dim, 1.0, values, width);
            for (first, count) in plan.blocks() {
                let rows = plan.rows(sequence, head, first, count);
                copy(level, q.of(sequence, head).rows_from(first), count, dim, options.scale, asked, dim);
                plan.against_keys(rows, asked, dim, turned, scores);
                let row = (sequence * shape.heads + head) * queries + first;
                // SAFETY: each block of queries has its own.
                let logarithms = unsafe { logarithms.part(row..row + count) };
                weigh(level, rows, scores, logarithms, shares);
                plan.over_keys(rows, scores, values, sums);
                let place = y_strides.place(sequence, head, first);
                finish(level, sums, width, [count, dim], Some(shares), 1.0, y, place, y_strides.time);
            }
        });
    });
}

/// Gradients of queries, keys and values, which are written to where `places` says, from the output `y`, its gradient, and the logarithms
/// that [`forward`] gave.
///
/// # Panics
/// When a tensor does not lie in its slice, or gradients lie over each other.
pub fn backward(
    shape: &Shape,
    options: &Options<'_>,
    [q, k, v]: [Tensor<'_>; 3],
    [y, dy]: [Tensor<'_>; 2],
    logarithms: &[f32],
    gradients: Gradients<'_>,
    places: [Strides; 3],
) {
    let Shape { queries, keys, dim, .. } = *shape;
    assert!(
        [q, y, dy].iter().all(|tensor| shape.fits(&tensor.strides, queries, tensor.values.len())),
        "queries and outputs lie in their slices"
    );
    assert!([k, v].iter().all(|tensor| shape.fits(&tensor.strides, keys, tensor.values.len())), "keys and values lie in their slices");
    assert_eq!(logarithms.len(), shape.rows(), "one logarithm a query");
    let to = check_gradients(shape, gradients, &places);
    let plan = Plan::new(shape, options);
    let (level, pitch, width, block) = (plan.level, plan.pitch, plan.width, plan.block);
    let lens = [
        [pitch * dim, pitch * dim, keys * width, keys * width, keys * width, block * width],
        [block * width, block * pitch, block * pitch, block * width, block, 0],
    ];
    shape.for_each_head(5 * shape.flops(), |sequence, head| {
        let [outer, inner] = lens;
        borrow(outer, |[turned_keys, turned_values, straight, dkeys, dvalues, asked]| {
            borrow(inner, |[blamed, scores, slopes, sums, along, _]| {
                turn(level, k.of(sequence, head), keys, dim, turned_keys);
                turn(level, v.of(sequence, head), keys, dim, turned_values);
                copy(level, k.of(sequence, head), keys, dim, 1.0, straight, width);
                dkeys.fill(0.0);
                dvalues.fill(0.0);
                for (first, count) in plan.blocks() {
                    let rows = plan.rows(sequence, head, first, count);
                    copy(level, q.of(sequence, head).rows_from(first), count, dim, options.scale, asked, width);
                    copy(level, dy.of(sequence, head).rows_from(first), count, dim, 1.0, blamed, width);
                    row_products(level, y.of(sequence, head).rows_from(first), blamed, width, [count, dim], along);
                    plan.against_keys(rows, asked, width, turned_keys, scores);
                    plan.against_keys(rows, blamed, width, turned_values, slopes);
                    let row = (sequence * shape.heads + head) * queries + first;
                    blame(level, rows, scores, slopes, &logarithms[row..row + count], along);
                    plan.over_queries(rows, scores, blamed, dvalues);
                    plan.over_queries(rows, slopes, asked, dkeys);
                    plan.over_keys(rows, slopes, straight, sums);
                    let place = places[0].place(sequence, head, first);
                    finish(level, sums, width, [count, dim], None, options.scale, to[0], place, places[0].time);
                }
                // Queries were scaled before, so the gradient of keys is whole.
                finish(level, dkeys, width, [keys, dim], None, 1.0, to[1], places[1].place(sequence, head, 0), places[1].time);
                finish(level, dvalues, width, [keys, dim], None, 1.0, to[2], places[2].place(sequence, head, 0), places[2].time);
            });
        });
    });
}

/// Makes sure that gradients lie in their slices and apart from each other.
fn check_gradients<'a>(shape: &Shape, gradients: Gradients<'a>, places: &[Strides; 3]) -> [Shared<'a>; 3] {
    let times = [shape.queries, shape.keys, shape.keys];
    let (to, lens, slices) = gradients.share();
    for i in 0..3 {
        assert!(shape.fits(&places[i], times[i], lens[i]), "gradients lie in their slices");
        assert!(shape.is_empty(times[i]) || shape.is_apart(&places[i], times[i], &[]), "numbers of a gradient lie apart");
        for j in 0..i {
            let are_apart = slices[i] != slices[j] || shape.are_apart([&places[j], &places[i]], [times[j], times[i]]);
            assert!(are_apart, "gradients lie apart");
        }
    }
    to
}

/// Rows of one head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    values: &'a [f32],
    stride: usize,
}

impl<'a> Head<'a> {
    fn rows_from(self, row: usize) -> Head<'a> {
        Head { values: &self.values[row * self.stride..], ..self }
    }
}

impl Strides {
    fn place(&self, sequence: usize, head: usize, place: usize) -> usize {
        self.first + sequence * self.batch + head * self.head + place * self.time
    }
}

impl<'a> Tensor<'a> {
    fn of(self, sequence: usize, head: usize) -> Head<'a> {
        let first = self.strides.place(sequence, head, 0);
        Head { values: &self.values[first.min(self.values.len())..], stride: self.strides.time }
    }
}

/// Lends memory of six lengths at once, each part aligned to a line of the cache.
fn borrow(lens: [usize; 6], work: impl FnOnce([&mut [f32]; 6])) {
    let whole = lens.map(|len| len.next_multiple_of(16));
    scratch(whole.iter().sum(), |memory| {
        let mut rest = memory;
        let mut next = |i: usize| {
            let (part, behind) = std::mem::take(&mut rest).split_at_mut(whole[i]);
            rest = behind;
            &mut part[..lens[i]]
        };
        work([next(0), next(1), next(2), next(3), next(4), next(5)]);
    });
}

#[cfg(test)]
mod tests;
