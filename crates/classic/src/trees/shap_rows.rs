//! Exact Shapley values of an ensemble's sums against given rows: interventional TreeSHAP (Lundberg et al. 2020, section "Methods").
//!
//! An input that is not known comes from a background row. A leaf counts for a set of known inputs when each of its path's inputs passes its
//! questions, in the row itself if it is known, else in the background row. So of a path's inputs those that only the row passes must be
//! known (`u` many), and those that only the background row passes must not (`w` many). Each of the former gets
//! `v (u-1)! w! / (u+w)!`, each of the latter `-v u! (w-1)! / (u+w)!`; where an input passes in neither row, the leaf is never reached.
//!
//! Both depend on a row only through which of the path's inputs pass, so rows and background rows that pass alike are told apart no further.

use super::ensemble::{Ensemble, FEATURE, LEAF};
use super::shap::Shap;
use crate::Feature;
use rayon::prelude::*;

/// Rows of a task: at least, and at most.
const ROWS: [usize; 2] = [32, 256];
/// The most groups that a path may ask about: a bit each.
const GROUPS_MAX: usize = 64;

/// The most questions on a path; a tree that was grown has some dozens.
const QUESTIONS_MAX: usize = 4096;

/// The questions on the way to a leaf: for each group the nodes that ask about it, and the side that leads on.
type Path = Vec<(u32, Vec<(u32, u8)>)>;

impl Ensemble {
    /// What each group of features adds to the sums of rows, where what is not known comes from `background` rows. None where a path asks about
    /// more than 64 groups, or there is no background row.
    pub(crate) fn shap_against(
        &self,
        (features, rows): (&[Feature], usize),
        (background, background_rows): (&[Feature], usize),
        groups: &[u32],
        count: usize,
    ) -> Option<Shap> {
        let can_walk = (0..self.trees()).into_par_iter().all(|tree| self.each_leaf(tree, groups, |_, _| {}));
        if background_rows == 0 || !can_walk {
            return None;
        }
        let outputs = self.outputs();
        let sums = self.sums(background, background_rows);
        let share = self.tree_share();
        let mean = |output: usize| sums.iter().skip(output).step_by(outputs).sum::<f64>() / background_rows as f64;
        let base = self.start.iter().enumerate().map(|(output, start)| start + (mean(output) - start) * share).collect();
        let behind = self.values_block(background, 0, background_rows);
        let mut values = vec![0.0; rows * count * outputs];
        let size = rows.div_ceil(4 * rayon::current_num_threads()).clamp(ROWS[0], ROWS[1]);
        values.par_chunks_mut((size * count * outputs).max(1)).enumerate().for_each(|(block, values)| {
            let rows = values.len() / (count * outputs);
            let inputs = self.values_block(features, block * size, rows);
            for tree in 0..self.trees() {
                self.add_tree_against(tree, groups, (&inputs, &behind), values, count);
            }
        });
        values.iter_mut().for_each(|value| *value *= share / background_rows as f64);
        Some(Shap { base, values })
    }

    /// Tells of each leaf of a tree and the path to it; false where a path is too long.
    fn each_leaf(&self, tree: usize, groups: &[u32], mut tell: impl FnMut(u32, &Path)) -> bool {
        /// Where the walk goes next, or which group's last question it takes back.
        enum Step {
            Visit(u32),
            Ask(u32, u32, u8),
            Forget(u32),
        }
        let mut path: Path = Vec::new();
        let mut questions = 0;
        let mut open = vec![Step::Visit(self.roots[tree])];
        while let Some(step) = open.pop() {
            match step {
                Step::Visit(place) => {
                    let node = &self.nodes[place as usize];
                    if node.ask & LEAF != 0 {
                        tell(place, &path);
                        continue;
                    }
                    let group = groups[(node.ask & FEATURE) as usize];
                    for side in [1, 0] {
                        open.extend([Step::Forget(group), Step::Visit(node.left + side), Step::Ask(group, place, side as u8)]);
                    }
                }
                Step::Ask(group, node, side) => {
                    questions += 1;
                    match path.iter_mut().find(|(known, _)| *known == group) {
                        Some((_, asked)) => asked.push((node, side)),
                        None => path.push((group, vec![(node, side)])),
                    }
                    if path.len() > GROUPS_MAX || questions > QUESTIONS_MAX {
                        return false;
                    }
                }
                Step::Forget(group) => {
                    questions -= 1;
                    if let Some((_, asked)) = path.iter_mut().find(|(known, _)| *known == group) {
                        asked.pop();
                    }
                    // A group that was asked about last is the last of the path.
                    path.pop_if(|(_, asked)| asked.is_empty());
                }
            }
        }
        true
    }

    fn add_tree_against(&self, tree: usize, groups: &[u32], (inputs, behind): (&[f64], &[f64]), values: &mut [f64], count: usize) {
        let outputs = self.outputs();
        let (sides, sides_behind) = (self.sides(tree, inputs), self.sides(tree, behind));
        self.each_leaf(tree, groups, |leaf, path| {
            let whole = u64::MAX.checked_shr(GROUPS_MAX as u32 - path.len() as u32).unwrap_or(0);
            let background = counted(passes(path, &sides_behind));
            let rows = passes(path, &sides);
            let mut order: Vec<u32> = (0..rows.len() as u32).collect();
            order.sort_unstable_by_key(|&row| rows[row as usize]);
            for alike in order.chunk_by(|&a, &b| rows[a as usize] == rows[b as usize]) {
                let Some(parts) = parts(rows[alike[0] as usize], &background, whole, path.len()) else { continue };
                for output in self.outputs_of(tree) {
                    let value = self.leaf_value(&self.nodes[leaf as usize], output);
                    for &row in alike {
                        for ((group, _), part) in path.iter().zip(&parts) {
                            values[(row as usize * count + *group as usize) * outputs + output] += value * part;
                        }
                    }
                }
            }
        });
    }

    /// Which side each row takes at each node of a tree: `[nodes][rows]`, nothing for leaves.
    fn sides(&self, tree: usize, inputs: &[f64]) -> Sides {
        let nodes = self.nodes_of(tree);
        let side = |node: &super::ensemble::Node| match node.ask & LEAF != 0 {
            true => Vec::new(),
            false => inputs.chunks_exact(self.inputs.len()).map(|row| self.side(node, row)).collect(),
        };
        Sides { first: nodes.start, rows: inputs.len() / self.inputs.len(), sides: self.nodes[nodes].iter().map(side).collect() }
    }
}

/// Which side rows take at the nodes of a tree.
struct Sides {
    first: usize,
    rows: usize,
    sides: Vec<Vec<u8>>,
}

/// For each row a bit for each group of a path: whether the row passes all questions about it.
fn passes(path: &Path, sides: &Sides) -> Vec<u64> {
    let mut passes = vec![0u64; sides.rows];
    let mut own = vec![true; sides.rows];
    for (place, (_, questions)) in path.iter().enumerate() {
        own.fill(true);
        for (node, wanted) in questions {
            own.iter_mut().zip(&sides.sides[*node as usize - sides.first]).for_each(|(own, side)| *own &= side == wanted);
        }
        passes.iter_mut().zip(&own).for_each(|(passes, &own)| *passes |= u64::from(own) << place);
    }
    passes
}

/// Each pattern with how often it comes.
fn counted(mut patterns: Vec<u64>) -> Vec<(u64, f64)> {
    patterns.sort_unstable();
    patterns.chunk_by(|a, b| a == b).map(|alike| (alike[0], alike.len() as f64)).collect()
}

/// What each group of a path gets of a leaf of value 1, summed over background rows; none where it gets nothing.
fn parts(row: u64, background: &[(u64, f64)], whole: u64, groups: usize) -> Option<Vec<f64>> {
    let mut parts: Option<Vec<f64>> = None;
    for &(behind, count) in background.iter().filter(|(behind, _)| row | behind == whole && row & behind != whole) {
        let (must, must_not) = (whole & !behind, whole & !row);
        let (u, w) = (must.count_ones(), must_not.count_ones());
        let parts = parts.get_or_insert_with(|| vec![0.0; groups]);
        let (gain, loss) = (count * share(u, w), -count * share(w, u));
        for (place, part) in parts.iter_mut().enumerate() {
            *part += if must >> place & 1 == 1 { gain } else { 0.0 } + if must_not >> place & 1 == 1 { loss } else { 0.0 };
        }
    }
    parts
}

/// `(u-1)! w! / (u+w)!`, and 0 where `u` is.
fn share(u: u32, w: u32) -> f64 {
    if u == 0 {
        return 0.0;
    }
    // 1 / (u * binomial(u + w, w)), built up so that nothing overflows.
    let mut share = 1.0 / f64::from(u);
    for place in 1..=w {
        share *= f64::from(place) / f64::from(u + place);
    }
    share
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn shares_are_factorials() {
        let factorial = |n: u32| (1..=n).map(f64::from).product::<f64>();
        for u in 1..12 {
            for w in 0..12 {
                let wanted = factorial(u - 1) * factorial(w) / factorial(u + w);
                assert!((share(u, w) / wanted - 1.0).abs() < 1e-12, "{u} {w}");
            }
        }
        assert_eq!(share(0, 3), 0.0);
    }
}
