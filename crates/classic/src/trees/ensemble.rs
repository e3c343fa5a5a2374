//! Finished trees as flat arrays, and how they answer raw values.

use super::bins::{BinSet, Binned, Bins};
use super::exp::{sigmoid, softmax};
use super::grow::Grown;
use crate::{Feature, Values};
use rayon::prelude::*;

/// Rows that are answered together: their values stay in the first-level cache while the trees go by.
const BLOCK: usize = 64;
/// Rows that walk down a tree side by side, so that the processor need not wait for each node.
const LANES: usize = 8;

/// Set in [`Node::ask`] for a node without children.
pub(super) const LEAF: u32 = 1 << 31;
/// Set where the feature is a category.
pub(super) const CATEGORY: u32 = 1 << 30;
/// Set where a missing number goes left.
pub(super) const MISSING_LEFT: u32 = 1 << 29;
/// The feature's number.
pub(super) const FEATURE: u32 = MISSING_LEFT - 1;

/// A question, or a leaf.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Node {
    /// Numbers up to it go left. For a category the bits are the number of its [`BinSet`]; for a leaf it is the value, or the number of its vector.
    pub(super) threshold: f64,
    /// Which feature, with flags.
    pub(super) ask: u32,
    /// The left child; the right one comes next.
    pub(super) left: u32,
}

/// How a feature enters.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Input {
    /// As it is.
    Number,
    /// As the bin of its class.
    Category {
        /// The bin of each class.
        bin_of: Vec<u8>,
        /// The bin of rare and unseen classes.
        other: u8,
    },
}

/// What the trees' sum means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// A number.
    Sum,
    /// The log odds of the second of two classes.
    Logistic,
    /// Scores of classes; tree `i` adds to class `i % classes`.
    Softmax,
    /// The mean over the trees is a number.
    Mean,
    /// The mean over the trees is the probability of the second of two classes.
    Share,
    /// Leaves hold vectors; their mean is the probability of each class.
    Shares,
}

/// Trees that answer together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ensemble {
    pub(super) inputs: Vec<Input>,
    pub(super) link: Link,
    /// What the sums begin with; its length is how many sums a row has.
    pub(super) start: Vec<f64>,
    /// Where each tree begins in `nodes`.
    pub(super) roots: Vec<u32>,
    pub(super) nodes: Vec<Node>,
    pub(super) sets: Vec<BinSet>,
    /// Leaf vectors, as long as `start`, one after another.
    pub(super) vectors: Vec<f64>,
    /// For each leaf, in the order of `nodes`, how many training rows of mean weight ended there. None in what was saved before they were kept.
    pub(super) covers: Option<Vec<f32>>,
}

impl Ensemble {
    /// Without a tree, for features binned so.
    pub(crate) fn new(binned: &Binned, link: Link, start: Vec<f64>) -> Ensemble {
        let input = |bins: &Bins| match bins {
            Bins::Number { .. } => Input::Number,
            Bins::Category { bin_of, other } => Input::Category { bin_of: bin_of.clone(), other: *other },
        };
        Ensemble::without_trees(binned.bins.iter().map(input).collect(), link, start)
    }

    /// Without a tree, so that every answer is what `start` means.
    pub(crate) fn constant(features: &[Feature], link: Link, start: Vec<f64>) -> Ensemble {
        let input = |feature: &Feature| match &feature.values {
            Values::Numbers(_) => Input::Number,
            Values::Codes { .. } => Input::Category { bin_of: Vec::new(), other: 0 },
        };
        Ensemble::without_trees(features.iter().map(input).collect(), link, start)
    }

    fn without_trees(inputs: Vec<Input>, link: Link, start: Vec<f64>) -> Ensemble {
        Ensemble { inputs, link, start, roots: vec![], nodes: vec![], sets: vec![], vectors: vec![], covers: Some(vec![]) }
    }

    /// Adds a grown tree whose leaf at a node has the value that `value` gives, and got as many rows as `cover` says.
    pub(crate) fn push(&mut self, grown: &Grown, bins: &[Bins], value: impl Fn(u32) -> f64, cover: impl Fn(u32) -> f64) {
        if let Some(covers) = &mut self.covers {
            let leaves = grown.branches.iter().zip(0..).filter(|(branch, _)| branch.left == 0);
            covers.extend(leaves.map(|(_, place)| cover(place) as f32));
        }
        let root = self.nodes.len() as u32;
        self.roots.push(root);
        for (place, branch) in grown.branches.iter().enumerate() {
            if branch.left == 0 {
                self.nodes.push(Node { threshold: value(place as u32), ask: LEAF, left: 0 });
                continue;
            }
            let bins = &bins[branch.feature as usize];
            let (threshold, flags) = match bins {
                Bins::Number { bounds } => number_question(bounds, &branch.goes_left, bins.missing()),
                Bins::Category { .. } => {
                    self.sets.push(branch.goes_left);
                    (f64::from_bits(self.sets.len() as u64 - 1), CATEGORY)
                }
            };
            self.nodes.push(Node { threshold, ask: branch.feature | flags, left: root + branch.left });
        }
    }

    /// Keeps the first trees only.
    pub(crate) fn truncate(&mut self, trees: usize) {
        if let Some(&end) = self.roots.get(trees) {
            self.nodes.truncate(end as usize);
            self.roots.truncate(trees);
            if let Some(covers) = &mut self.covers {
                covers.truncate(self.nodes.iter().filter(|node| node.ask & LEAF != 0).count());
            }
            let last = self.nodes.iter().rev().find(|node| node.ask & CATEGORY != 0 && node.ask & LEAF == 0);
            self.sets.truncate(last.map_or(0, |node| node.threshold.to_bits() as usize + 1));
        }
    }

    /// How many trees.
    pub(crate) fn trees(&self) -> usize {
        self.roots.len()
    }

    /// Answers rows whose features are those of training: row-major, [`Ensemble::width`] values a row.
    pub(crate) fn answer(&self, features: &[Feature], rows: usize) -> Vec<f64> {
        let width = self.width();
        let mut answers = vec![0.0; rows * width];
        let answer = |(block, answers): (usize, &mut [f64])| self.answer_block(features, block * BLOCK, answers);
        if rows > 4 * BLOCK && rayon::current_num_threads() > 1 {
            answers.par_chunks_mut(BLOCK * width).enumerate().for_each(answer);
        } else {
            answers.chunks_mut(BLOCK * width).enumerate().for_each(answer);
        }
        answers
    }

    /// Values an answer has: 1 for a number, one a class for classes.
    pub(crate) fn width(&self) -> usize {
        match self.link {
            Link::Sum | Link::Mean => 1,
            Link::Logistic | Link::Share => 2,
            Link::Softmax | Link::Shares => self.start.len(),
        }
    }

    /// What the trees sum up to, before it is made an answer: row-major, as many values a row as `start` has.
    pub(crate) fn sums(&self, features: &[Feature], rows: usize) -> Vec<f64> {
        if self.roots.is_empty() {
            return self.start.repeat(rows);
        }
        let outputs = self.start.len();
        let mut sums = vec![0.0; rows * outputs];
        sums.par_chunks_mut(BLOCK * outputs).enumerate().for_each(|(block, sums)| {
            sums.copy_from_slice(&self.sum_block(features, block * BLOCK, sums.len() / outputs));
        });
        sums
    }

    /// What a tree's sum counts in the answer.
    pub(super) fn tree_share(&self) -> f64 {
        match self.link {
            Link::Mean | Link::Share | Link::Shares => 1.0 / self.trees().max(1) as f64,
            Link::Sum | Link::Logistic | Link::Softmax => 1.0,
        }
    }

    /// The bins of categories, which all trees of an ensemble share.
    pub(crate) fn category_bins(&self) -> Vec<Option<Bins>> {
        let bins = |input: &Input| match input {
            Input::Number => None,
            Input::Category { bin_of, other } => Some(Bins::Category { bin_of: bin_of.clone(), other: *other }),
        };
        self.inputs.iter().map(bins).collect()
    }

    fn answer_block(&self, features: &[Feature], first: usize, answers: &mut [f64]) {
        let mut sums = self.sum_block(features, first, answers.len() / self.width());
        self.finish(&mut sums, answers);
    }

    /// The values of a block of rows, row-major: numbers as they are, categories as their bins.
    pub(super) fn values_block(&self, features: &[Feature], first: usize, rows: usize) -> Vec<f64> {
        let mut values = vec![f64::NAN; rows * self.inputs.len()];
        for (place, (feature, input)) in features.iter().zip(&self.inputs).enumerate() {
            let column = values.iter_mut().skip(place).step_by(self.inputs.len());
            match (&feature.values, input) {
                (Values::Numbers(numbers), Input::Number) => column.zip(&numbers[first..]).for_each(|(value, number)| *value = *number),
                (Values::Codes { codes, .. }, Input::Category { bin_of, other }) => {
                    column.zip(&codes[first..]).for_each(|(value, &code)| *value = f64::from(Bins::of_code(bin_of, *other, code)))
                }
                _ => unreachable!("the predictor compares the schema with the inputs"),
            }
        }
        values
    }

    fn sum_block(&self, features: &[Feature], first: usize, rows: usize) -> Vec<f64> {
        let values = self.values_block(features, first, rows);
        let outputs = self.start.len();
        let mut sums = Vec::with_capacity(rows * outputs);
        (0..rows).for_each(|_| sums.extend_from_slice(&self.start));
        if self.sets.is_empty() {
            self.add_trees::<false>(&values, rows, &mut sums);
        } else {
            self.add_trees::<true>(&values, rows, &mut sums);
        }
        sums
    }

    fn add_trees<const CATEGORIES: bool>(&self, values: &[f64], rows: usize, sums: &mut [f64]) {
        let (inputs, outputs) = (self.inputs.len(), self.start.len());
        let mut leaves = [0u32; BLOCK];
        for (tree, &root) in self.roots.iter().enumerate() {
            let mut first = 0;
            while first + LANES <= rows {
                let at = self.walk::<CATEGORIES, LANES>(root, &values[first * inputs..]);
                leaves[first..first + LANES].copy_from_slice(&at);
                first += LANES;
            }
            while first < rows {
                leaves[first] = self.walk::<CATEGORIES, 1>(root, &values[first * inputs..])[0];
                first += 1;
            }
            for (row, &leaf) in leaves[..rows].iter().enumerate() {
                let value = self.nodes[leaf as usize].threshold;
                if self.link == Link::Shares {
                    let start = value.to_bits() as usize * outputs;
                    let vector = &self.vectors[start..start + outputs];
                    sums[row * outputs..][..outputs].iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
                } else {
                    sums[row * outputs + tree % outputs] += value;
                }
            }
        }
    }

    /// The leaves of `ROWS` rows that walk down side by side; `values` is row-major.
    #[inline]
    fn walk<const CATEGORIES: bool, const ROWS: usize>(&self, root: u32, values: &[f64]) -> [u32; ROWS] {
        let inputs = self.inputs.len();
        let mut at = [root; ROWS];
        loop {
            let mut leaves = LEAF;
            for lane in 0..ROWS {
                let node = &self.nodes[at[lane] as usize];
                // A leaf looks at feature 0 and adds nothing to its own place, so that the lanes need no branch.
                let value = values[lane * inputs + (node.ask & FEATURE) as usize];
                let goes_left = if CATEGORIES && node.ask & CATEGORY != 0 {
                    self.sets[node.threshold.to_bits() as usize].contains(value as u8)
                } else {
                    (value <= node.threshold) | (value.is_nan() & (node.ask & MISSING_LEFT != 0))
                };
                let keep = 0u32.wrapping_sub(node.ask >> 31);
                at[lane] = (at[lane] & keep) | ((node.left + u32::from(!goes_left)) & !keep);
                leaves &= node.ask;
            }
            if leaves == LEAF {
                return at;
            }
        }
    }

    fn finish(&self, sums: &mut [f64], answers: &mut [f64]) {
        let share = self.tree_share();
        match self.link {
            Link::Sum => answers.copy_from_slice(sums),
            Link::Mean => answers.iter_mut().zip(sums).for_each(|(answer, sum)| *answer = self.start[0] + (*sum - self.start[0]) * share),
            Link::Logistic => two(answers, sums, sigmoid),
            Link::Share => two(answers, sums, |sum| (sum * share).clamp(0.0, 1.0)),
            Link::Softmax => {
                sums.chunks_exact_mut(self.start.len()).for_each(softmax);
                answers.copy_from_slice(sums);
            }
            Link::Shares => answers.iter_mut().zip(sums).for_each(|(answer, sum)| *answer = *sum * share),
        }
    }
}

/// Fills in the probabilities of both classes from the second one's.
fn two(answers: &mut [f64], sums: &[f64], second: impl Fn(f64) -> f64) {
    for (answer, &sum) in answers.as_chunks_mut::<2>().0.iter_mut().zip(sums) {
        let p = second(sum);
        *answer = [1.0 - p, p];
    }
}

/// The threshold between the bins that go left and the others, which training always cuts in one place, and the flag for missing ones.
fn number_question(bounds: &[f64], goes_left: &BinSet, missing: u8) -> (f64, u32) {
    let last = goes_left.iter().take_while(|&bin| bin < missing).last();
    let threshold = last.map_or(f64::NEG_INFINITY, |last| bounds.get(usize::from(last)).copied().unwrap_or(f64::INFINITY));
    (threshold, if goes_left.contains(missing) { MISSING_LEFT } else { 0 })
}
