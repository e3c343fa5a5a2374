//! Exact Shapley values of an ensemble's sums against what training saw: path-dependent TreeSHAP (Lundberg et al., "From local explanations
//! to global understanding with explainable AI for trees", Nature Machine Intelligence 2, 2020).
//!
//! A leaf of value `v` under questions about the inputs `k` adds to the worth of a set of known inputs `v` times a product: for a known
//! input 1 or 0, whether the row passes all of the path's questions about it (`o`), for another the share of the training rows that pass them
//! (`z`). The Shapley value of input `j` in such a game is an integral over the chance `t` that an input is known (Owen, "Multilinear
//! extensions of games", 1972):
//!
//! `v (o_j - z_j) * integral from 0 to 1 of  product over k != j of (t o_k + (1 - t) z_k)  dt`
//!
//! The integrand is a polynomial of `t` of one degree less than the path has inputs, so Gauss' quadrature with half as many places is exact.
//! At each place the product runs down the tree and the leaves' sums run up, so that a tree costs its nodes times the places, not its leaves
//! times the square of their depth (as in Yu, Xu, Bifet, Read: "Linear TreeShap", NeurIPS 2022, whose places make the sums lose digits; those
//! of Gauss do not, for all that is multiplied is positive and all weights are).
//!
//! What depends on the tree alone is put into tables first: for each question, by whether the row goes left, right, or has failed a
//! question about the same input before, the factors of both sides and what a side adds to the input's value. Leaves stand in their parents' tables.

use super::ensemble::{CATEGORY, Ensemble, FEATURE, LEAF, Link, MISSING_LEFT, Node};
use super::shap_walk::{can_walk, with_places};
use crate::Feature;
use rayon::prelude::*;

/// Rows of a task: at least, and at most.
pub(super) const BLOCK_ROWS: [usize; 2] = [32, 256];
/// How many places of quadrature there are code for; a path of twice as many inputs is still exact.
pub(super) const PLACES_MAX: usize = 128;
/// In place of a child that is a leaf, or an earlier question that there is none of: a cell behind those of the questions.
pub(super) const NONE: u32 = u32::MAX;
/// Most bytes of a tree's tables, which each thread has of its own: about what its second-level cache holds. A larger tree is walked (`shap_walk`),
/// which needs no more than its deepest path. A question's tables take 288 bytes at two places and 18 KB at 128.
const TABLES_BYTES: usize = 1 << 20;
/// Fewer rows than this are not worth tables.
const TABLES_ROWS: usize = 4;
/// Questions whose shapes are held at once, 56 bytes each; a tree with more is alone.
const QUESTIONS_AT_ONCE: usize = 1 << 18;

/// What rows' sums are made of.
#[derive(Debug)]
pub(crate) struct Shap {
    /// The sums of whom nothing is known.
    pub(crate) base: Vec<f64>,
    /// `[rows, groups, outputs]`.
    pub(crate) values: Vec<f64>,
}

/// A question of a tree.
pub(super) struct Question {
    /// Its node.
    pub(super) node: u32,
    /// Which group its feature is of.
    pub(super) group: u32,
    /// Questions below, left and right; [`NONE`] where there is a leaf.
    pub(super) children: [u32; 2],
    /// The nearest question above about the same group, and which of its sides leads here.
    above: u32,
    above_side: u8,
    /// The share of rows that passed all questions about the group before, and the share that each side takes of those.
    pub(super) share: f64,
    pub(super) sides: [f64; 2],
}

/// A tree's questions, parents first.
pub(super) struct Shape {
    pub(super) questions: Vec<Question>,
    /// The most groups that a path asks about.
    pub(super) width: usize,
}

/// What a question does to a row in one of three states: it goes left, it goes right, it failed before.
#[derive(Clone)]
struct Table<const M: usize> {
    /// Factors of the two sides.
    down: [[f64; M]; 2],
    /// What a sum that comes up a side adds to the group's value.
    adds: [[f64; M]; 2],
    /// The sum of the leaves among the children, and what it adds to the group's value.
    leaves: [f64; M],
    leaves_add: [f64; M],
}

/// Room that is used for one row after another.
struct Scratch<const M: usize> {
    states: Vec<u8>,
    sums: Vec<[f64; M]>,
}

impl Ensemble {
    /// What each group of features adds to the sums of rows: `groups[feature]` is below `count`. None where the trees were saved without covers,
    /// or a path asks about more than 256 groups.
    pub(crate) fn shap(&self, features: &[Feature], rows: usize, groups: &[u32], count: usize) -> Option<Shap> {
        let outputs = self.outputs();
        let mut values = vec![0.0; rows * count * outputs];
        let size = rows.div_ceil(4 * rayon::current_num_threads()).clamp(BLOCK_ROWS[0], BLOCK_ROWS[1]);
        self.each_shapes(groups, count, |first, shapes| {
            values.par_chunks_mut((size * count * outputs).max(1)).enumerate().for_each(|(block, values)| {
                let inputs = self.values_block(features, block * size, values.len() / (count * outputs));
                for (tree, shape) in (first..).zip(shapes) {
                    self.add_tree(tree, shape, &inputs, values, count, rows >= TABLES_ROWS);
                }
            });
        })?;
        self.scale(&mut values);
        Some(Shap { base: self.means(&self.node_covers()?), values })
    }

    /// Calls back with the shapes of some trees after another, in order, and the number of the first; so that those of a forest are never there
    /// all at once. None as for [`Ensemble::shap`].
    pub(super) fn each_shapes(&self, groups: &[u32], count: usize, mut call: impl FnMut(usize, &[Shape])) -> Option<()> {
        let covers = self.node_covers()?;
        let mut first = 0;
        while first < self.trees() {
            let mut nodes = 0;
            let fits = |tree: &usize| {
                nodes += self.nodes_of(*tree).len();
                nodes <= 2 * QUESTIONS_AT_ONCE
            };
            let last = first + (first..self.trees()).take_while(fits).count().max(1);
            let shapes: Vec<Shape> = (first..last).into_par_iter().map(|tree| self.shape(tree, groups, count, &covers)).collect();
            if !can_walk(&shapes) {
                return None;
            }
            call(first, &shapes);
            first = last;
        }
        Some(())
    }

    /// How many sums a row has.
    pub(crate) fn outputs(&self) -> usize {
        self.start.len()
    }

    /// Sums of trees as parts of an answer.
    pub(super) fn scale(&self, values: &mut [f64]) {
        let share = self.tree_share();
        if share != 1.0 {
            values.iter_mut().for_each(|value| *value *= share);
        }
    }

    /// The outputs that a tree adds to.
    pub(super) fn outputs_of(&self, tree: usize) -> std::ops::Range<usize> {
        let outputs = self.outputs();
        if self.link == Link::Shares { 0..outputs } else { tree % outputs..tree % outputs + 1 }
    }

    /// What a leaf adds to an output.
    pub(super) fn leaf_value(&self, leaf: &Node, output: usize) -> f64 {
        match self.link {
            Link::Shares => self.vectors[leaf.threshold.to_bits() as usize * self.outputs() + output],
            _ => leaf.threshold,
        }
    }

    /// Which child a row goes to: 0 left, 1 right.
    #[inline(always)]
    pub(super) fn side(&self, node: &Node, values: &[f64]) -> u8 {
        let value = values[(node.ask & FEATURE) as usize];
        let goes_left = if node.ask & CATEGORY != 0 {
            self.sets[node.threshold.to_bits() as usize].contains(value as u8)
        } else {
            (value <= node.threshold) | (value.is_nan() & (node.ask & MISSING_LEFT != 0))
        };
        u8::from(!goes_left)
    }

    /// How many training rows came to each node.
    fn node_covers(&self) -> Option<Vec<f64>> {
        let mut leaves = self.covers.as_ref()?.iter().rev();
        let mut covers = vec![0.0; self.nodes.len()];
        for (place, node) in self.nodes.iter().enumerate().rev() {
            covers[place] = match node.ask & LEAF != 0 {
                true => f64::from(*leaves.next()?),
                false => covers[node.left as usize] + covers[node.left as usize + 1],
            };
        }
        Some(covers)
    }

    /// The mean answer over the training rows, as the trees' leaves weigh them.
    fn means(&self, covers: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.outputs()];
        for tree in 0..self.trees() {
            let nodes = self.nodes_of(tree);
            let whole = covers[nodes.start];
            for place in nodes.filter(|&place| self.nodes[place].ask & LEAF != 0) {
                // A tree that no row came to (which a saved file may claim) has no mean; its leaves are not reached by the values either.
                let share = if whole > 0.0 { covers[place] / whole } else { 0.0 };
                self.outputs_of(tree).for_each(|output| sums[output] += share * self.leaf_value(&self.nodes[place], output));
            }
        }
        let share = self.tree_share();
        sums.iter().zip(&self.start).map(|(sum, start)| start + sum * share).collect()
    }

    /// The nodes of a tree.
    pub(super) fn nodes_of(&self, tree: usize) -> std::ops::Range<usize> {
        self.roots[tree] as usize..self.roots.get(tree + 1).map_or(self.nodes.len(), |&end| end as usize)
    }

    /// A tree's questions in the order of a walk that goes left first; `groups` are below `count`.
    fn shape(&self, tree: usize, groups: &[u32], count: usize, covers: &[f64]) -> Shape {
        /// Where the walk goes next, or what it takes back.
        enum Step {
            Visit { node: u32, from: Option<(u32, usize)>, width: usize },
            Forget { group: u32, before: Option<(u32, u8, f64)> },
        }
        let mut shape = Shape { questions: Vec::new(), width: 0 };
        let mut last: Vec<Option<(u32, u8, f64)>> = vec![None; count];
        let mut open = vec![Step::Visit { node: self.roots[tree], from: None, width: 0 }];
        while let Some(step) = open.pop() {
            let (place, from, width) = match step {
                Step::Forget { group, before } => {
                    last[group as usize] = before;
                    continue;
                }
                Step::Visit { node, from, width } => (node, from, width),
            };
            if let Some((parent, side)) = from {
                let question = &shape.questions[parent as usize];
                last[question.group as usize] = Some((parent, side as u8, question.share * question.sides[side]));
            }
            let node = &self.nodes[place as usize];
            if node.ask & LEAF != 0 {
                continue;
            }
            let number = shape.questions.len() as u32;
            if let Some((parent, side)) = from {
                shape.questions[parent as usize].children[side] = number;
            }
            let group = groups[(node.ask & FEATURE) as usize];
            let before = last[group as usize];
            let whole = covers[place as usize];
            let side = |side: u32| if whole > 0.0 { covers[(node.left + side) as usize] / whole } else { 0.5 };
            let sides = [side(0), side(1)];
            let (above, above_side, share) = before.unwrap_or((NONE, 0, 1.0));
            let width = width + usize::from(before.is_none());
            shape.width = shape.width.max(width);
            shape.questions.push(Question { node: place, group, children: [NONE; 2], above, above_side, share, sides });
            open.push(Step::Forget { group, before });
            for side in [1, 0] {
                open.push(Step::Visit { node: node.left + side, from: Some((number, side as usize)), width });
            }
        }
        shape
    }

    /// Adds what a tree gives to rows' values, by tables where they are worth it and stay small.
    pub(super) fn add_tree(&self, tree: usize, shape: &Shape, inputs: &[f64], values: &mut [f64], count: usize, are_worth: bool) {
        with_places!(shape.width, add_tree_at(self, tree, shape, inputs, values, count, are_worth));
    }

    /// The tables of all questions.
    fn tables<const M: usize>(&self, shape: &Shape, output: usize, places: &[f64; M]) -> Vec<[Table<M>; 3]> {
        let table = |question: &Question| {
            let node = &self.nodes[question.node as usize];
            let leaf = |side: usize| {
                let child = &self.nodes[node.left as usize + side];
                (child.ask & LEAF != 0).then(|| self.leaf_value(child, output))
            };
            [0, 1, 2].map(|state| question.table(state, places, [leaf(0), leaf(1)]))
        };
        shape.questions.iter().map(table).collect()
    }

    /// Adds a row's values for one output of a tree.
    #[inline(always)]
    fn add_row<const M: usize>(
        &self,
        shape: &Shape,
        tables: &[[Table<M>; 3]],
        weights: &[f64; M],
        row: &[f64],
        scratch: &mut Scratch<M>,
        mut add: impl FnMut(u32, f64),
    ) {
        let none = shape.questions.len();
        let at = |question: u32| if question == NONE { none } else { question as usize };
        let Scratch { states, sums } = scratch;
        sums[0] = *weights;
        for (place, (question, tables)) in shape.questions.iter().zip(tables).enumerate() {
            let side = self.side(&self.nodes[question.node as usize], row);
            let is_on = states[at(question.above)] == question.above_side;
            let state = if is_on { side } else { 2 };
            states[place] = state;
            let (table, own) = (&tables[usize::from(state)], sums[place]);
            for side in 0..2 {
                let child = &mut sums[at(question.children[side])];
                for place in 0..M {
                    child[place] = own[place] * table.down[side][place];
                }
            }
        }
        sums[none] = [0.0; M];
        for (place, (question, tables)) in shape.questions.iter().zip(tables).enumerate().rev() {
            let table = &tables[usize::from(states[place])];
            let (own, left, right) = (sums[place], sums[at(question.children[0])], sums[at(question.children[1])]);
            let mut value = [0.0; M];
            let sum = &mut sums[place];
            for place in 0..M {
                value[place] =
                    own[place] * table.leaves_add[place] + (left[place] * table.adds[0][place] + right[place] * table.adds[1][place]);
                sum[place] = own[place] * table.leaves[place] + (left[place] + right[place]);
            }
            add(question.group, value.iter().sum());
        }
    }
}

fn add_tree_at<const M: usize>(
    ensemble: &Ensemble,
    tree: usize,
    shape: &Shape,
    inputs: &[f64],
    values: &mut [f64],
    count: usize,
    are_worth: bool,
) {
    if !are_worth || tables_bytes::<M>(shape) > TABLES_BYTES {
        return ensemble.walk_tree::<M>(tree, shape, inputs, values, count);
    }
    by_tables::<M>(ensemble, tree, shape, inputs, values, count);
}

/// Adds what a tree gives to rows' values, by tables.
pub(super) fn by_tables<const M: usize>(ensemble: &Ensemble, tree: usize, shape: &Shape, inputs: &[f64], values: &mut [f64], count: usize) {
    let (places, weights) = gauss::<M>(shape.width.div_ceil(2));
    let outputs = ensemble.outputs();
    let mut scratch = Scratch { states: vec![0; shape.questions.len() + 1], sums: vec![[0.0; M]; shape.questions.len() + 1] };
    for output in ensemble.outputs_of(tree) {
        let tables = ensemble.tables(shape, output, &places);
        let rows = inputs.chunks_exact(ensemble.inputs.len()).zip(values.chunks_exact_mut(count * outputs));
        for (row, values) in rows {
            ensemble
                .add_row(shape, &tables, &weights, row, &mut scratch, |group, value| values[group as usize * outputs + output] += value);
        }
    }
}

/// What the tables of a tree take.
pub(super) fn tables_bytes<const M: usize>(shape: &Shape) -> usize {
    (size_of::<[Table<M>; 3]>() + size_of::<[f64; M]>() + 1) * (shape.questions.len() + 1)
}

impl Question {
    /// What it does at places `t` to a row of that state; `leaves` are the values of those children that are leaves.
    fn table<const M: usize>(&self, state: usize, places: &[f64; M], leaves: [Option<f64>; 2]) -> Table<M> {
        let mut table = Table { down: [[0.0; M]; 2], adds: [[0.0; M]; 2], leaves: [0.0; M], leaves_add: [0.0; M] };
        for (side, leaf) in leaves.into_iter().enumerate() {
            let share = self.share * self.sides[side];
            for (place, &t) in places.iter().enumerate() {
                // What the group's factor was before this question, where the row had passed those.
                let before = t + (1.0 - t) * self.share;
                let (down, adds) = match state {
                    2 => (self.sides[side], 0.0),
                    _ if state == side => {
                        let now = t + (1.0 - t) * share;
                        (now / before, (1.0 - share) / now - (1.0 - self.share) / before)
                    }
                    _ => ((1.0 - t) * share / before, -1.0 / (1.0 - t) - (1.0 - self.share) / before),
                };
                table.down[side][place] = down;
                table.adds[side][place] = adds;
                if let Some(value) = leaf {
                    table.leaves[place] += value * down;
                    table.leaves_add[place] += value * down * adds;
                }
            }
        }
        table
    }
}

/// Places and weights of Gauss' and Legendre's quadrature on 0 to 1 with `wanted` places; those beyond have no weight.
pub(super) fn gauss<const M: usize>(wanted: usize) -> ([f64; M], [f64; M]) {
    let (mut places, mut weights) = ([0.5; M], [0.0; M]);
    let n = wanted.clamp(1, M);
    for i in 0..n {
        // Newton's method from Tricomi's approximation of the roots of Legendre's polynomial.
        let mut x = (std::f64::consts::PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..20 {
            let (mut p, mut before) = (1.0, 0.0);
            for k in 1..=n {
                let k = k as f64;
                (p, before) = (((2.0 * k - 1.0) * x * p - (k - 1.0) * before) / k, p);
            }
            slope = n as f64 * (x * p - before) / (x * x - 1.0);
            x -= p / slope;
        }
        places[i] = (1.0 - x) / 2.0;
        weights[i] = 1.0 / ((1.0 - x * x) * slope * slope);
    }
    (places, weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quadrature_is_exact_for_polynomials() {
        for n in 1..=32 {
            let (places, weights) = gauss::<32>(n);
            for power in 0..2 * n as i32 {
                let sum: f64 = places.iter().zip(&weights).map(|(place, weight)| weight * place.powi(power)).sum();
                let wanted = 1.0 / f64::from(power + 1);
                assert!((sum - wanted).abs() < 1e-14, "{n} places, power {power}: {sum}");
            }
        }
    }
}
