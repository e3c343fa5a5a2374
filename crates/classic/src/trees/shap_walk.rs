//! TreeSHAP that walks down a tree for one row after another and computes what `shap` looks up: for trees whose tables would outgrow the
//! cache, for few rows, and for interactions of pairs. It holds one path at a time, so what it takes does not grow with the tree's leaves.
//!
//! The interaction of inputs `i` and `j` is Shapley's interaction index (Grabisch and Roubens, "An axiomatic approach to the concept of
//! interaction among players in cooperative games", 1999), which Owen's multilinear extension gives as an integral again. Of a leaf it is
//!
//! `v (o_i - z_i) (o_j - z_j) * integral from 0 to 1 of  product over k != i, j of (t o_k + (1 - t) z_k)  dt`
//!
//! with the names of `shap`. Each pair of inputs has half of it in either order, and an input with itself what is left of its own value (Lundberg
//! et al. 2020, "SHAP interaction values"). `r_k = (o_k - z_k) / (t o_k + (1 - t) z_k)` changes only where a question asks about `k`; so the product
//! `r_i r_j` is summed where the lower of two questions stands, over the inputs that the path has asked about above it, and not leaf by leaf
//! over all pairs. A tree costs its questions times their depth times the places; `shap` walks it anew for each input that is known, and for each
//! that is not.

use super::ensemble::{Ensemble, LEAF};
use super::shap::{BLOCK_ROWS, NONE, PLACES_MAX, Question, Shape, gauss};
use crate::Feature;
use rayon::prelude::*;

/// A question on the way from the root to where the walk is.
#[derive(Clone)]
struct Frame<const M: usize> {
    question: u32,
    /// What the row does there: it goes left, right, or has failed a question about the same group before.
    state: u8,
    /// Which side is walked next; 2: both were.
    next: u8,
    /// The frame of the nearest question above about the same group.
    before: u32,
    /// The product of the path's factors with the weights of the places.
    own: [f64; M],
    /// Factors of the sides, what they add to the group's ratio, and what that is then.
    down: [[f64; M]; 2],
    adds: [[f64; M]; 2],
    ratio: [[f64; M]; 2],
    /// What came up: the sum of leaves, and what it adds to the group's value.
    sum: [f64; M],
    value: [f64; M],
}

/// Room that is used for one row after another: the path, and which of its groups was asked about last where.
struct Walk<const M: usize> {
    places: [f64; M],
    weights: [f64; M],
    frames: Vec<Frame<M>>,
    /// By group, [`NONE`] where the path has not asked about it.
    nearest: Vec<u32>,
    /// The groups that the path has asked about.
    asked: Vec<u32>,
}

/// A tree's answer to one output.
#[derive(Clone, Copy)]
struct Tree<'a> {
    ensemble: &'a Ensemble,
    shape: &'a Shape,
    output: usize,
}

/// Calls a function with as many places as a width needs; multiples of two keep vectors of two numbers full.
macro_rules! with_places {
    ($width:expr, $call:ident $arguments:tt) => {
        with_places!($width, $call $arguments, 2, 4, 6, 8, 12, 16, 24, 32, 64, 128)
    };
    ($width:expr, $call:ident $arguments:tt, $($places:literal),*) => {
        match $width.div_ceil(2) {
            0 => {}
            $(wanted if wanted <= $places => $call::<$places> $arguments,)*
            _ => unreachable!("the width was looked at before"),
        }
    };
}
pub(super) use with_places;

impl Ensemble {
    /// The interactions of groups of features in one output of rows: `[rows, groups, groups]`, the rows and columns of which sum to the groups' values.
    /// None as for [`Ensemble::shap`].
    pub(crate) fn shap_interactions(
        &self,
        features: &[Feature],
        rows: usize,
        groups: &[u32],
        count: usize,
        output: usize,
    ) -> Option<Vec<f64>> {
        let mut values = vec![0.0; rows * count * count];
        self.each_shapes(groups, count, |first, shapes| {
            let size = rows.div_ceil(4 * rayon::current_num_threads()).clamp(1, BLOCK_ROWS[1]);
            values.par_chunks_mut((size * count * count).max(1)).enumerate().for_each(|(block, values)| {
                let inputs = self.values_block(features, block * size, values.len() / (count * count));
                for (tree, shape) in (first..).zip(shapes).filter(|(tree, _)| self.outputs_of(*tree).contains(&output)) {
                    debug_assert!(tree < self.trees(), "shapes are those of trees");
                    let tree = Tree { ensemble: self, shape, output };
                    with_places!(shape.width, add_pairs(tree, &inputs, values, count));
                }
            });
        })?;
        self.scale(&mut values);
        if count > 0 {
            values.par_chunks_mut(count * count).for_each(|pairs| finish(pairs, count));
        }
        Some(values)
    }

    /// Adds what a tree gives to rows' values `[rows, groups, outputs]`, one row after another.
    pub(super) fn walk_tree<const M: usize>(&self, tree: usize, shape: &Shape, inputs: &[f64], values: &mut [f64], count: usize) {
        let outputs = self.outputs();
        let mut walk = Walk::<M>::new(shape, count);
        for output in self.outputs_of(tree) {
            let tree = Tree { ensemble: self, shape, output };
            let rows = inputs.chunks_exact(self.inputs.len()).zip(values.chunks_exact_mut(count * outputs));
            for (row, values) in rows {
                walk.row::<false>(tree, row, |group, _, value| values[group as usize * outputs + output] += value);
            }
        }
    }
}

fn add_pairs<const M: usize>(tree: Tree<'_>, inputs: &[f64], values: &mut [f64], count: usize) {
    let mut walk = Walk::<M>::new(tree.shape, count);
    for (row, values) in inputs.chunks_exact(tree.ensemble.inputs.len()).zip(values.chunks_exact_mut(count * count)) {
        walk.row::<true>(tree, row, |first, second, value| {
            values[first.min(second) as usize * count + first.max(second) as usize] += value;
        });
    }
}

/// From the interactions in the upper triangle and the groups' values on the diagonal: half of each interaction in either order, and on the
/// diagonal what is left.
fn finish(pairs: &mut [f64], count: usize) {
    for first in 0..count {
        for second in first + 1..count {
            let half = pairs[first * count + second] / 2.0;
            pairs[first * count + second] = half;
            pairs[second * count + first] = half;
        }
    }
    for first in 0..count {
        let others: f64 = (0..count).filter(|&second| second != first).map(|second| pairs[first * count + second]).sum();
        pairs[first * count + first] -= others;
    }
}

impl<const M: usize> Frame<M> {
    fn new() -> Frame<M> {
        let none = [0.0; M];
        Frame {
            question: 0,
            state: 0,
            next: 0,
            before: NONE,
            own: none,
            down: [none; 2],
            adds: [none; 2],
            ratio: [none; 2],
            sum: none,
            value: none,
        }
    }

    /// Sets what a question does to a row in that state; `leaves` are the values of those children that are leaves.
    fn fill(&mut self, question: &Question, places: &[f64; M], leaves: [f64; 2]) {
        (self.sum, self.value) = ([0.0; M], [0.0; M]);
        for (side, leaf) in leaves.into_iter().enumerate() {
            let (down, adds, ratio) = (&mut self.down[side], &mut self.adds[side], &mut self.ratio[side]);
            let share = question.share * question.sides[side];
            for place in 0..M {
                let t = places[place];
                // What the group's factor and ratio were before this question, where the row had passed those above.
                let before = t + (1.0 - t) * question.share;
                let ratio_before = (1.0 - question.share) / before;
                [down[place], adds[place], ratio[place]] = match self.state {
                    2 => [question.sides[side], 0.0, -1.0 / (1.0 - t)],
                    state if usize::from(state) == side => {
                        let now = t + (1.0 - t) * share;
                        let ratio = (1.0 - share) / now;
                        [now / before, ratio - ratio_before, ratio]
                    }
                    _ => [(1.0 - t) * share / before, -1.0 / (1.0 - t) - ratio_before, -1.0 / (1.0 - t)],
                };
                let sum = self.own[place] * down[place] * leaf;
                self.sum[place] += sum;
                self.value[place] += sum * adds[place];
            }
        }
    }
}

impl<const M: usize> Walk<M> {
    fn new(shape: &Shape, count: usize) -> Walk<M> {
        let (places, weights) = gauss::<M>(shape.width.div_ceil(2));
        Walk { places, weights, frames: Vec::new(), nearest: vec![NONE; count], asked: Vec::new() }
    }

    /// Tells what one row gives: of each question its group twice and a part of that group's value; with `PAIRS` also of two groups a
    /// part of their interaction.
    fn row<const PAIRS: bool>(&mut self, tree: Tree<'_>, row: &[f64], mut add: impl FnMut(u32, u32, f64)) {
        let mut depth = 0;
        self.enter(depth, 0, self.weights, tree, row);
        loop {
            let frame = &mut self.frames[depth];
            if frame.next < 2 {
                let side = usize::from(frame.next);
                frame.next += 1;
                let child = tree.shape.questions[frame.question as usize].children[side];
                if child != NONE {
                    let mut own = frame.own;
                    own.iter_mut().zip(&frame.down[side]).for_each(|(own, down)| *own *= down);
                    depth += 1;
                    self.enter(depth, child, own, tree, row);
                }
                continue;
            }
            self.leave::<PAIRS>(depth, tree, &mut add);
            if depth == 0 {
                return;
            }
            depth -= 1;
        }
    }

    fn enter(&mut self, depth: usize, number: u32, own: [f64; M], tree: Tree<'_>, row: &[f64]) {
        let question = &tree.shape.questions[number as usize];
        let node = &tree.ensemble.nodes[question.node as usize];
        let before = self.nearest[question.group as usize];
        // The row is on the path as far as the group goes where it took the side there that the walk took.
        let is_on = before == NONE || {
            let above = &self.frames[before as usize];
            above.state == above.next - 1
        };
        if before == NONE {
            self.asked.push(question.group);
        }
        self.nearest[question.group as usize] = depth as u32;
        if depth == self.frames.len() {
            self.frames.push(Frame::new());
        }
        let leaf = |side: usize| {
            let child = &tree.ensemble.nodes[node.left as usize + side];
            if child.ask & LEAF != 0 { tree.ensemble.leaf_value(child, tree.output) } else { 0.0 }
        };
        let frame = &mut self.frames[depth];
        (frame.question, frame.next, frame.before, frame.own) = (number, 0, before, own);
        frame.state = if is_on { tree.ensemble.side(node, row) } else { 2 };
        frame.fill(question, &self.places, [leaf(0), leaf(1)]);
    }

    /// Tells what came up to a question, and hands it on to the one above.
    fn leave<const PAIRS: bool>(&mut self, depth: usize, tree: Tree<'_>, add: &mut impl FnMut(u32, u32, f64)) {
        let (above, own) = self.frames.split_at_mut(depth);
        let frame = &own[0];
        let group = tree.shape.questions[frame.question as usize].group;
        add(group, group, frame.value.iter().sum());
        if PAIRS {
            for &other in self.asked.iter().filter(|&&other| other != group) {
                let asked = &above[self.nearest[other as usize] as usize];
                let ratio = &asked.ratio[usize::from(asked.next - 1)];
                add(other, group, frame.value.iter().zip(ratio).map(|(value, ratio)| value * ratio).sum());
            }
        }
        self.nearest[group as usize] = frame.before;
        if frame.before == NONE {
            self.asked.pop();
        }
        if let Some(parent) = above.last_mut() {
            let side = usize::from(parent.next - 1);
            for place in 0..M {
                parent.sum[place] += frame.sum[place];
                parent.value[place] += frame.sum[place] * parent.adds[side][place];
            }
        }
    }
}

/// Whether paths of these shapes are short enough in groups for the code that there is.
pub(super) fn can_walk(shapes: &[Shape]) -> bool {
    shapes.iter().all(|shape| shape.width <= 2 * PLACES_MAX)
}

#[cfg(test)]
mod tests {
    use super::super::predictor;
    use super::super::shap::{by_tables, tables_bytes};
    use super::super::shap_tests::{Model, covers, ensemble, expectation, fitted, model, near, table};
    use super::*;
    use crate::features;
    use crate::fixtures::{Sketch, fit, saved};
    use cupola_task::{Dataset, Needs, Run};
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Golden {
        trees: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        #[serde(flatten)]
        model: Model,
        /// `[rows][inputs][inputs][outputs]`.
        interactions: Vec<Vec<Vec<Vec<f64>>>>,
    }

    /// `shap` adds in double precision, in another order.
    const TOLERANCE: f64 = 1e-9;

    #[test]
    fn interactions_are_those_of_shap() {
        let golden: Golden = serde_json::from_str(include_str!("../../parity/shap_interactions.json")).unwrap();
        for case in golden.trees {
            let (ensemble, rows) = (ensemble(&case.model), table(&case.model.rows));
            let groups: Vec<u32> = (0..rows.len() as u32).collect();
            for output in 0..ensemble.outputs() {
                let found = ensemble.shap_interactions(&rows, case.model.rows.len(), &groups, rows.len(), output).unwrap();
                let wanted: Vec<f64> = case.interactions.concat().concat().iter().map(|outputs| outputs[output]).collect();
                near(&format!("{}, output {output}", case.model.name), &found, &wanted, TOLERANCE);
            }
        }
    }

    /// Shapley's interaction index of each pair, halved, by its definition.
    fn indices(players: usize, worth: impl Fn(u32) -> f64) -> Vec<f64> {
        let factorial = |n: usize| (1..=n).map(|k| k as f64).product::<f64>();
        let worths: Vec<f64> = (0..1u32 << players).map(worth).collect();
        let mut found = vec![0.0; players * players];
        for (first, second) in (0..players).flat_map(|first| (0..players).map(move |second| (first, second))) {
            let (one, two) = (1u32 << first, 1u32 << second);
            let sets = (0..1u32 << players).filter(|set| set & (one | two) == 0 && first != second);
            let part = |set: u32| {
                let size = set.count_ones() as usize;
                let weight = factorial(size) * factorial(players - size - 2) / factorial(players - 1) / 2.0;
                let at = |more: u32| worths[(set | more) as usize];
                weight * (at(one | two) - at(one) - at(two) + at(0))
            };
            found[first * players + second] = sets.map(part).sum();
        }
        found
    }

    #[test]
    fn interactions_are_indices_and_sum_to_the_values() {
        const ROWS: usize = 6;
        for (name, table, _, ensemble) in fitted() {
            let rows: Vec<u64> = (0..ROWS as u64).collect();
            let some = features(table.schema(), &table.columns().take(&rows)).unwrap();
            let (inputs, outputs) = (some.len(), ensemble.outputs());
            let groups: Vec<u32> = (0..inputs as u32).collect();
            let own = ensemble.values_block(&some, 0, ROWS);
            let covers = covers(&ensemble);
            let values = ensemble.shap(&some, ROWS, &groups, inputs).unwrap().values;
            for output in 0..outputs {
                let found = ensemble.shap_interactions(&some, ROWS, &groups, inputs, output).unwrap();
                let trees = (0..ensemble.trees()).filter(|tree| ensemble.outputs_of(*tree).contains(&output));
                let roots: Vec<usize> = trees.map(|tree| ensemble.roots[tree] as usize).collect();
                for (row, found) in found.chunks_exact(inputs * inputs).enumerate() {
                    let row_values = &own[row * inputs..][..inputs];
                    let worth = |set: u32| -> f64 {
                        roots.iter().map(|&root| expectation(&ensemble, &covers, root, row_values, set, output)).sum()
                    };
                    let mut wanted = indices(inputs, worth);
                    ensemble.scale(&mut wanted);
                    for input in 0..inputs {
                        let own = values[(row * inputs + input) * outputs + output];
                        let line = &found[input * inputs..][..inputs];
                        assert!((line.iter().sum::<f64>() - own).abs() < 1e-12, "{name}: {line:?} {own}");
                        wanted[input * inputs + input] = line[input];
                    }
                    near(&name, found, &wanted, 1e-12);
                }
            }
        }
    }

    /// A grown tree of many leaves, and one that is deep: what is walked takes its deepest path, and says the same as tables do.
    #[test]
    fn a_walk_says_what_tables_say_and_takes_one_path() {
        let settings = "n_estimators=2 min_samples_leaf=1 bootstrap=false max_features=0.5";
        let sketch = Sketch::new(Needs::Native, 0, 6000, 9).table();
        let predictor = fit(model("extra_trees"), settings, &sketch, 0, &Run::quiet(3)).unwrap();
        let ensemble = predictor::ensemble(&saved(&*predictor), sketch.schema()).unwrap();
        let rows: Vec<u64> = (0..40).collect();
        let some = features(sketch.schema(), &sketch.columns().take(&rows)).unwrap();
        let count = some.len();
        let groups: Vec<u32> = (0..count as u32).collect();
        let inputs = ensemble.values_block(&some, 0, 40);
        ensemble
            .each_shapes(&groups, count, |first, shapes| {
                for (tree, shape) in (first..).zip(shapes) {
                    assert!(shape.questions.len() > 4000, "{}", shape.questions.len());
                    let mut walked = vec![0.0; 40 * count];
                    ensemble.walk_tree::<16>(tree, shape, &inputs, &mut walked, count);
                    let mut looked_up = vec![0.0; 40 * count];
                    by_tables::<16>(&ensemble, tree, shape, &inputs, &mut looked_up, count);
                    near("tables", &walked, &looked_up, 1e-11);
                    // 16 places: 10 MB of tables and more, against less than 100 KB of a path.
                    let tables = tables_bytes::<16>(shape);
                    let mut walk = Walk::<16>::new(shape, count);
                    walk.row::<true>(Tree { ensemble: &ensemble, shape, output: 0 }, &inputs[..count], |_, _, _| {});
                    let path = walk.frames.len() * size_of::<Frame<16>>();
                    assert!(tables > 9_000_000 && path < 100_000, "tables {tables}, path {path} bytes");
                }
            })
            .unwrap();
    }
}
