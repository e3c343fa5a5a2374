//! Forests: trees that do not know each other, whose answers are averaged.

use super::bins::Binned;
use super::cart::{self, CartRules, Cuts, Sample};
use super::ensemble::{Ensemble, Link};
use super::grow::Grown;
use super::loss::Truth;
use super::tally::{Item, LeafAnswer, Moments, Shares, Tally};
use crate::{Rows, Target};
use cupola_task::{Draw, Event, Flow, Run};
use rayon::prelude::*;
use std::collections::HashMap;

/// How many features are drawn for a node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum MaxFeatures {
    /// The square root for classes, all for numbers.
    Auto,
    /// The square root of their number.
    Sqrt,
    /// The logarithm to base 2.
    Log2,
    /// All.
    All,
    /// So many.
    Count(usize),
    /// A share of them.
    Share(f64),
}

/// How a forest grows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Forest {
    /// The model's name, which sets its randomness apart.
    pub(crate) name: &'static str,
    /// How many trees.
    pub(crate) trees: usize,
    /// Most bins of a feature.
    pub(crate) max_bin: usize,
    /// Rows drawn for a tree with replacement, as a share of all; none means that each tree has every row once.
    pub(crate) bootstrap: Option<f64>,
    /// Most splits above a leaf.
    pub(crate) max_depth: Option<u32>,
    /// Rows that a node must have to be split.
    pub(crate) min_samples_split: usize,
    /// Rows that each side must have.
    pub(crate) min_samples_leaf: usize,
    /// By how much a split must lower the impurity, weighted by the share of the rows that the node has.
    pub(crate) min_impurity_decrease: f64,
    /// Features drawn for a node.
    pub(crate) max_features: MaxFeatures,
    /// How cuts are chosen.
    pub(crate) cuts: Cuts,
}

impl MaxFeatures {
    fn of(self, features: usize, is_classes: bool) -> usize {
        let count = match self {
            MaxFeatures::Auto if is_classes => (features as f64).sqrt(),
            MaxFeatures::Sqrt => (features as f64).sqrt(),
            MaxFeatures::Log2 => (features as f64).log2(),
            MaxFeatures::Auto | MaxFeatures::All => features as f64,
            MaxFeatures::Count(count) => count as f64,
            MaxFeatures::Share(share) => features as f64 * share,
        };
        (count as usize).clamp(1, features)
    }
}

/// Learns from rows. However soon the run is stopped, there is one tree.
pub(crate) fn fit(rows: &Rows, forest: &Forest, run: &Run<'_>) -> Ensemble {
    let truth = Truth::of(rows);
    match &rows.target {
        Target::Classes { classes, .. } if classes.len() < 2 => Ensemble::constant(&rows.features, Link::Softmax, vec![0.0]),
        Target::Classes { classes, .. } if classes.len() == 2 => grow(rows, truth, Moments, (Link::Share, vec![0.0]), forest, run),
        Target::Classes { classes, .. } => grow(rows, truth, Shares(classes.len()), (Link::Shares, vec![0.0; classes.len()]), forest, run),
        Target::Numbers(_) => {
            let mean = super::loss::Loss::Squared.start(&truth)[0];
            let truth = Truth { values: truth.values.iter().map(|value| value - mean).collect(), weight: truth.weight };
            grow(rows, truth, Moments, (Link::Mean, vec![mean]), forest, run)
        }
    }
}

/// A grown tree, and what its nodes answer: one number each, or a vector's values; zeros where a node is no leaf.
struct Tree {
    grown: Grown,
    answers: Vec<f64>,
    /// The weight that each leaf got, by node.
    covers: Vec<f64>,
}

fn grow<T: Tally>(rows: &Rows, truth: Truth, tally: T, answer: (Link, Vec<f64>), forest: &Forest, run: &Run<'_>) -> Ensemble {
    let draw = run.draw(forest.name);
    let binned = Binned::fit(&rows.features, rows.len(), forest.max_bin, draw.stream("sample"));
    let rules = rules(rows, &truth, forest);
    let mut ensemble = Ensemble::new(&binned, answer.0, answer.1);
    let mut vectors = HashMap::new();
    while ensemble.trees() < forest.trees {
        // The first tree comes alone, so that there is an answer however soon the time is up.
        let size = if ensemble.trees() == 0 { 1 } else { 4 * rayon::current_num_threads() };
        let numbers = ensemble.trees()..(ensemble.trees() + size).min(forest.trees);
        let trees: Vec<Tree> = numbers
            .into_par_iter()
            .with_max_len(1)
            .map(|number| {
                tree(&binned, &tally, &rules, &sample(&truth, forest.bootstrap, draw, number as u64), draw.stream("cuts").at(number as u64))
            })
            .collect();
        trees.iter().for_each(|tree| push(&mut ensemble, tree, &binned, &mut vectors, rows.len() as f64 / truth.total()));
        let (done, total) = (ensemble.trees() as u64, Some(forest.trees as u64));
        let flow = run.tell(Event::Progress { done, total, unit: "trees".into(), score: None });
        if (flow == Flow::Stop || run.is_late()) && ensemble.trees() < forest.trees {
            let reason = if flow == Flow::Stop { "the run was stopped" } else { "the time was up" };
            run.tell(Event::Resolved { key: "model.n_estimators".into(), value: done.to_string(), reason: reason.into() });
            break;
        }
    }
    ensemble
}

fn rules(rows: &Rows, truth: &Truth, forest: &Forest) -> CartRules {
    let is_classes = matches!(rows.target, Target::Classes { .. });
    // Of two classes only one is tallied, which is half of Gini's impurity.
    let scale = if matches!(&rows.target, Target::Classes { classes, .. } if classes.len() == 2) { 0.5 } else { 1.0 };
    CartRules {
        max_depth: forest.max_depth,
        min_samples_split: forest.min_samples_split,
        min_samples_leaf: forest.min_samples_leaf,
        gain_min: if forest.min_impurity_decrease > 0.0 { forest.min_impurity_decrease * truth.total() * scale } else { f64::NEG_INFINITY },
        max_features: forest.max_features.of(rows.features.len(), is_classes),
        cuts: forest.cuts,
    }
}

/// A tree's rows: all with a weight, or as many draws with replacement as the share says. Should the draws miss every row with a weight, all are taken.
fn sample(truth: &Truth, bootstrap: Option<f64>, draw: Draw, number: u64) -> Sample {
    let n = truth.values.len();
    let weight = |row: usize| truth.weight.as_ref().map_or(1.0, |weight| weight[row]);
    let of = |counts: Vec<u32>| {
        let mut sample = Sample { items: Vec::with_capacity(n), rows: Vec::with_capacity(n) };
        for (row, &count) in counts.iter().enumerate() {
            let weight = weight(row) * f64::from(count);
            sample.items.push(Item { weight, value: truth.values[row] });
            if weight > 0.0 {
                sample.rows.push(row as u32);
            }
        }
        sample
    };
    if let Some(share) = bootstrap {
        let mut counts = vec![0u32; n];
        let key = draw.stream("rows").at(number).key();
        for place in 0..((n as f64 * share).round() as u64).max(1) {
            counts[((u128::from(Draw::value(key, place)) * n as u128) >> 64) as usize] += 1;
        }
        let sample = of(counts);
        if !sample.rows.is_empty() {
            return sample;
        }
    }
    of(vec![1; n])
}

fn tree<T: Tally>(binned: &Binned, tally: &T, rules: &CartRules, sample: &Sample, draw: Draw) -> Tree {
    let (mut leaves, mut weights_of_leaves, mut width) = (Vec::new(), Vec::new(), 1);
    let grown = cart::grow(binned, tally, rules, sample, draw, |_, cell| {
        weights_of_leaves.push(cell[1]);
        match tally.answer(cell) {
            LeafAnswer::Number(value) => leaves.push(value),
            LeafAnswer::Weights(weights) => {
                width = weights.len();
                leaves.extend(weights.iter().map(|weight| weight / cell[1]));
            }
        }
    });
    let mut answers = vec![0.0; grown.branches.len() * width];
    let mut covers = vec![0.0; grown.branches.len()];
    for (((node, _), leaf), weight) in grown.leaves.iter().zip(leaves.chunks_exact(width)).zip(weights_of_leaves) {
        answers[*node as usize * width..][..width].copy_from_slice(leaf);
        covers[*node as usize] = weight;
    }
    Tree { grown, answers, covers }
}

/// Adds a tree. Leaf vectors are kept once however many leaves answer the same, as all pure ones of a class do.
/// `scale` times a weight is how many rows of mean weight it stands for.
fn push(ensemble: &mut Ensemble, tree: &Tree, binned: &Binned, vectors: &mut HashMap<Vec<u64>, u64>, scale: f64) {
    let cover = |node: u32| tree.covers[node as usize] * scale;
    if ensemble.link != Link::Shares {
        return ensemble.push(&tree.grown, &binned.bins, |node| tree.answers[node as usize], cover);
    }
    let width = ensemble.start.len();
    let mut numbers = vec![0; tree.grown.branches.len()];
    for (node, _) in &tree.grown.leaves {
        let vector = &tree.answers[*node as usize * width..][..width];
        numbers[*node as usize] = *vectors.entry(vector.iter().map(|value| value.to_bits()).collect()).or_insert_with(|| {
            ensemble.vectors.extend_from_slice(vector);
            (ensemble.vectors.len() / width) as u64 - 1
        });
    }
    ensemble.push(&tree.grown, &binned.bins, |node| f64::from_bits(numbers[node as usize]), cover);
}
