//! Boosting's trees: leaf after leaf, the one whose split is worth most first, on histograms of all features.

use super::bins::{BinSet, Binned};
use super::histogram::{Histogram, LeafRows};
use super::quantise::{Units, hessian};
use super::split::{self, Rules, Split, Whole};
use rayon::prelude::*;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Range;

/// Memory that histograms of open leaves may take; beyond it children are summed anew instead of subtracted.
const HISTOGRAM_BYTES_MAX: usize = 1 << 30;
/// Features times bins below which the search for a split is not shared between threads.
const SHARE_FEATURES: usize = 8;

/// Which leaf is split next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GrowPolicy {
    /// The one worth most (LightGBM).
    Leafwise,
    /// One of the least depth (XGBoost).
    Depthwise,
}

/// How a tree may grow.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Growth {
    /// Most leaves.
    pub(crate) num_leaves: usize,
    /// Most splits above a leaf; none means any number.
    pub(crate) max_depth: Option<u32>,
    /// Which leaf is next.
    pub(crate) policy: GrowPolicy,
    /// What each split must respect.
    pub(crate) rules: Rules,
}

/// A node of a grown tree; its children are at `left` and `left + 1`, none when that is 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Branch {
    /// The feature that decides.
    pub(crate) feature: u32,
    /// Where its children are.
    pub(crate) left: u32,
    /// The bins that go left.
    pub(crate) goes_left: BinSet,
}

/// A grown tree: its nodes, root first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Grown {
    /// Nodes; children come after their parents.
    pub(crate) branches: Vec<Branch>,
    /// For each leaf its node and its rows' places in [`Grower::order`].
    pub(crate) leaves: Vec<(u32, Range<usize>)>,
}

struct Leaf {
    node: u32,
    depth: u32,
    rows: Range<usize>,
    sum: u64,
    histogram: Option<Histogram>,
    split: Option<Split>,
}

struct Candidate {
    worth: [f64; 2],
    leaf: Leaf,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        let [first, second] = [0, 1].map(|place| self.worth[place].total_cmp(&other.worth[place]));
        first.then(second).then(other.leaf.node.cmp(&self.leaf.node))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

/// Grows one tree after another on the same bins and keeps its buffers between them.
pub(super) struct Grower<'a> {
    binned: &'a Binned,
    growth: &'a Growth,
    /// The rows of the last tree, leaf by leaf.
    pub(super) order: Vec<u32>,
    spare_rows: Vec<u32>,
    leaf_pairs: Vec<u64>,
    spare_histograms: Vec<Histogram>,
    histograms_open: usize,
}

/// What one tree is grown on.
pub(super) struct Ground<'a> {
    /// Every row's pair.
    pub(super) pairs: &'a [u64],
    /// What their steps are worth.
    pub(super) units: Units,
    /// The rows that count, ascending; none means all.
    pub(super) rows: Option<&'a [u32]>,
    /// The features that may decide.
    pub(super) features: &'a [usize],
}

impl<'a> Grower<'a> {
    /// Ready to grow.
    pub(super) fn new(binned: &'a Binned, growth: &'a Growth) -> Grower<'a> {
        Grower {
            binned,
            growth,
            order: Vec::new(),
            spare_rows: vec![0; binned.rows()],
            leaf_pairs: vec![0; binned.rows()],
            spare_histograms: Vec::new(),
            histograms_open: 0,
        }
    }

    /// Grows a tree.
    pub(super) fn grow(&mut self, ground: &Ground<'_>) -> Grown {
        let mut grown = Grown { branches: vec![Branch { feature: 0, left: 0, goes_left: BinSet::default() }], leaves: Vec::new() };
        let mut open = BinaryHeap::new();
        let root = self.root(ground);
        self.keep(root, &mut open, &mut grown);
        let mut leaves = 1;
        while leaves < self.growth.num_leaves
            && let Some(Candidate { leaf, .. }) = open.pop()
        {
            leaves += 1;
            let is_last = leaves == self.growth.num_leaves;
            for child in self.divide(leaf, ground, &mut grown, is_last) {
                self.keep(child, &mut open, &mut grown);
            }
        }
        for Candidate { leaf, .. } in open {
            self.close(leaf, &mut grown);
        }
        grown.leaves.sort_by_key(|(_, rows)| rows.start);
        grown
    }

    fn root(&mut self, ground: &Ground<'_>) -> Leaf {
        self.order.clear();
        match ground.rows {
            Some(rows) => self.order.extend_from_slice(rows),
            None => self.order.extend(0..self.binned.rows() as u32),
        }
        let rows = 0..self.order.len();
        let sum = self.order.iter().fold(0u64, |sum, &row| sum.wrapping_add(ground.pairs[row as usize]));
        let mut root = Leaf { node: 0, depth: 0, rows, sum, histogram: None, split: None };
        if self.can_split(&root) {
            root.histogram = Some(self.summed(&root.rows, ground));
            self.search(&mut root, ground);
        }
        root
    }

    /// Whether two sides could be large enough.
    fn can_split(&self, leaf: &Leaf) -> bool {
        let rules = &self.growth.rules;
        self.growth.max_depth.is_none_or(|most| leaf.depth < most)
            && leaf.rows.len() >= (2 * rules.min_data_in_leaf).max(2)
            && hessian(leaf.sum) >= 2
    }

    /// Puts a leaf on the heap when it has a split, else closes it.
    fn keep(&mut self, leaf: Leaf, open: &mut BinaryHeap<Candidate>, grown: &mut Grown) {
        let Some(split) = &leaf.split else { return self.close(leaf, grown) };
        let worth = match self.growth.policy {
            GrowPolicy::Leafwise => [split.gain, 0.0],
            GrowPolicy::Depthwise => [-f64::from(leaf.depth), split.gain],
        };
        open.push(Candidate { worth, leaf });
    }

    fn close(&mut self, leaf: Leaf, grown: &mut Grown) {
        grown.leaves.push((leaf.node, leaf.rows));
        self.spare(leaf.histogram);
    }

    fn spare(&mut self, histogram: Option<Histogram>) {
        if let Some(histogram) = histogram {
            self.spare_histograms.push(histogram);
            self.histograms_open -= 1;
        }
    }

    /// Splits a leaf; its children know their own best splits unless the tree is complete.
    fn divide(&mut self, leaf: Leaf, ground: &Ground<'_>, grown: &mut Grown, is_last: bool) -> [Leaf; 2] {
        let split = leaf.split.expect("only leaves with a split are on the heap");
        let middle = leaf.rows.start + self.part(&leaf.rows, &split);
        let left = grown.branches.len() as u32;
        grown.branches[leaf.node as usize] = Branch { feature: split.feature as u32, left, goes_left: split.left };
        grown.branches.extend([Branch { feature: 0, left: 0, goes_left: BinSet::default() }; 2]);
        let child = |node, rows, sum| Leaf { node, depth: leaf.depth + 1, rows, sum, histogram: None, split: None };
        let mut children = [
            child(left, leaf.rows.start..middle, split.left_sum),
            child(left + 1, middle..leaf.rows.end, leaf.sum.wrapping_sub(split.left_sum)),
        ];
        if is_last {
            self.spare(leaf.histogram);
        } else {
            self.fill(&mut children, leaf.histogram, ground);
            children.iter_mut().for_each(|child| self.search(child, ground));
        }
        children
    }

    /// Moves the rows that go left before the others, keeping their order, and says how many they are.
    fn part(&mut self, rows: &Range<usize>, split: &Split) -> usize {
        let column = &self.binned.columns[split.feature];
        let goes_left: [bool; 256] = std::array::from_fn(|bin| split.left.contains(bin as u8));
        let rows = &mut self.order[rows.clone()];
        let spare = &mut self.spare_rows[..rows.len()];
        let mut left = 0;
        for place in 0..rows.len() {
            let row = rows[place];
            let is_left = goes_left[usize::from(column[row as usize])];
            // Both are written and one of the two counts, for a branch here would be a coin toss.
            rows[left] = row;
            spare[place - left] = row;
            left += usize::from(is_left);
        }
        let right = rows.len() - left;
        rows[left..].copy_from_slice(&spare[..right]);
        left
    }

    /// Sums the smaller child and subtracts it from the parent for the larger one, as far as they can be split.
    fn fill(&mut self, children: &mut [Leaf; 2], parent: Option<Histogram>, ground: &Ground<'_>) {
        let smaller = usize::from(children[1].rows.len() < children[0].rows.len());
        let wanted = [0, 1].map(|child| self.can_split(&children[child]));
        let Some(mut parent) = parent else {
            for child in [0, 1].into_iter().filter(|&child| wanted[child]) {
                children[child].histogram = Some(self.summed(&children[child].rows, ground));
            }
            return;
        };
        if !wanted[1 - smaller] && !wanted[smaller] {
            return self.spare(Some(parent));
        }
        let sums = self.summed(&children[smaller].rows, ground);
        if wanted[1 - smaller] {
            parent.subtract(&sums);
            children[1 - smaller].histogram = Some(parent);
        } else {
            self.spare(Some(parent));
        }
        if wanted[smaller] {
            children[smaller].histogram = Some(sums);
        } else {
            self.spare(Some(sums));
        }
    }

    fn summed(&mut self, rows: &Range<usize>, ground: &Ground<'_>) -> Histogram {
        let features = self.binned.columns.len();
        self.histograms_open += 1;
        let mut histogram = self.spare_histograms.pop().unwrap_or_else(|| Histogram::new(features));
        if ground.rows.is_none() && rows.len() == self.binned.rows() {
            histogram.fill(self.binned, LeafRows::From(0), ground.pairs);
            return histogram;
        }
        let rows = &self.order[rows.clone()];
        let pairs = &mut self.leaf_pairs[..rows.len()];
        for place in 0..rows.len() {
            pairs[place] = ground.pairs[rows[place] as usize];
        }
        histogram.fill(self.binned, LeafRows::List(rows), pairs);
        histogram
    }

    /// Finds the best split of a leaf with a histogram, and gives the histogram up when there is none or memory is short.
    fn search(&mut self, leaf: &mut Leaf, ground: &Ground<'_>) {
        let Some(histogram) = &leaf.histogram else { return };
        let whole = Whole { sum: leaf.sum, rows: leaf.rows.len(), units: ground.units };
        let of = |&feature: &usize| split::best(&histogram.0[feature], &self.binned.bins[feature], feature, whole, &self.growth.rules);
        let better = |a: Split, b: Split| if b.gain > a.gain || (b.gain == a.gain && b.feature < a.feature) { b } else { a };
        leaf.split = if rayon::current_num_threads() > 1 {
            ground.features.par_iter().with_min_len(SHARE_FEATURES).filter_map(of).reduce_with(better)
        } else {
            ground.features.iter().filter_map(of).reduce(better)
        };
        let bytes = self.histograms_open * size_of_val(histogram.0.as_slice());
        if leaf.split.is_none() || bytes > HISTOGRAM_BYTES_MAX {
            let histogram = leaf.histogram.take();
            self.spare(histogram);
        }
    }
}

impl Grown {
    /// The node at which a row of these bins ends.
    pub(crate) fn route(&self, binned: &Binned, row: usize) -> u32 {
        let mut node = 0;
        loop {
            let branch = &self.branches[node as usize];
            if branch.left == 0 {
                return node;
            }
            let bin = binned.columns[branch.feature as usize][row];
            node = branch.left + u32::from(!branch.goes_left.contains(bin));
        }
    }
}
