//! Gradient boosting: tree after tree, each on the gradients that the trees before have left.

use super::bins::Binned;
use super::ensemble::{Ensemble, Link};
use super::grow::{Ground, Grower, Grown};
use super::loss::{Loss, Truth};
use super::quantise::{ROWS_MAX, quantise};
use super::split::shrunk;
use crate::Rows;
use cupola_task::{Draw, Error, Event, Flow, Result, Run};
use rayon::prelude::*;

pub(crate) use super::grow::{GrowPolicy, Growth};

/// How to boost.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Boosting {
    /// What is made small.
    pub(crate) loss: Loss,
    /// Most rounds; a round grows a tree for each output.
    pub(crate) rounds: usize,
    /// Leaf values are multiplied by it.
    pub(crate) learning_rate: f64,
    /// Most bins of a feature.
    pub(crate) max_bin: usize,
    /// Share of the features that a tree may use.
    pub(crate) feature_fraction: f64,
    /// Share of the rows that a tree learns from.
    pub(crate) bagging_fraction: f64,
    /// Rounds after which those rows are drawn anew; 0 means that all rows are used.
    pub(crate) bagging_freq: usize,
    /// Rounds without a better validation measure after which to stop; 0 means never.
    pub(crate) patience: usize,
    /// How trees grow.
    pub(crate) growth: Growth,
}

/// Rows under way.
struct Side {
    truth: Truth,
    scores: Vec<f64>,
}

impl Side {
    fn new(rows: &Rows, before: &Ensemble) -> Side {
        Side { truth: Truth::of(rows), scores: before.sums(&rows.features, rows.len()) }
    }
}

/// The best round so far by the validation rows.
struct Best {
    rounds: usize,
    measure: f64,
}

/// Learns from `rows`, watching `valid` rows when there are any; behind the trees of `before`, when there are any, as if boosting had never paused.
///
/// # Errors
/// When there are more rows than the engine takes, or the trees before answer something else.
pub(crate) fn fit(rows: &Rows, valid: &Rows, boosting: &Boosting, before: Option<Ensemble>, run: &Run<'_>) -> Result<Ensemble> {
    if rows.len() >= ROWS_MAX {
        return Err(Error::Budget { what: "rows to boost on".into(), needs: rows.len().to_string(), has: format!("{ROWS_MAX} at most") });
    }
    let draw = run.draw("gbdt");
    let known = before.as_ref().map(Ensemble::category_bins).unwrap_or_default();
    let binned = Binned::fit_beside(&known, &rows.features, rows.len(), boosting.max_bin, draw.stream("sample"));
    let valid_binned = binned.map(&valid.features, valid.len());
    let loss = boosting.loss;
    let link = match loss {
        Loss::Squared | Loss::Quantile(_) => Link::Sum,
        Loss::Logistic | Loss::Softmax(_) | Loss::Focal(..) if loss.outputs() == 1 => Link::Logistic,
        Loss::Logistic | Loss::Softmax(_) | Loss::Focal(..) => Link::Softmax,
    };
    let ensemble = match before {
        None => Ensemble::new(&binned, link, loss.start(&Truth::of(rows))),
        Some(before) if before.link == link => before,
        Some(before) => {
            let found = format!("trees whose sum is a {:?}", before.link).to_lowercase();
            return Err(Error::input("the model to begin from", found, format!("a {link:?}").to_lowercase()));
        }
    };
    let first = ensemble.trees() / loss.outputs();
    let mut watched = Side::new(valid, &ensemble);
    let mut trainer = Trainer {
        boosting,
        draw,
        grower: Grower::new(&binned, &boosting.growth),
        binned: &binned,
        train: Side::new(rows, &ensemble),
        gradients: vec![[0.0; 2]; rows.len() * loss.outputs()],
        pairs: vec![0; rows.len()],
        bag: None,
        first,
        ensemble,
    };
    let rounds = trainer.rounds(&valid_binned, &mut watched, run);
    let mut ensemble = trainer.ensemble;
    ensemble.truncate((first + rounds) * loss.outputs());
    Ok(ensemble)
}

struct Trainer<'a> {
    boosting: &'a Boosting,
    draw: Draw,
    binned: &'a Binned,
    grower: Grower<'a>,
    train: Side,
    /// Row-major, one of each output.
    gradients: Vec<[f64; 2]>,
    pairs: Vec<u64>,
    bag: Option<Vec<u32>>,
    /// How many rounds were done before.
    first: usize,
    ensemble: Ensemble,
}

impl Trainer<'_> {
    /// Boosts until the rounds, the patience, the time or the listener end it; says how many rounds to keep.
    fn rounds(&mut self, valid_binned: &Binned, watched: &mut Side, run: &Run<'_>) -> usize {
        let (boosting, has_valid) = (self.boosting, !watched.truth.values.is_empty());
        let mut best = Best { rounds: 0, measure: f64::INFINITY };
        let (mut done, mut end) = (0, None);
        while done < boosting.rounds && end.is_none() {
            let grew = self.round(self.first + done, valid_binned, watched);
            done += 1;
            let measure = has_valid.then(|| boosting.loss.measure(&watched.scores, &watched.truth));
            if let Some(measure) = measure.filter(|measure| *measure < best.measure) {
                best = Best { rounds: done, measure };
            }
            let flow = run.tell(progress(boosting, done, measure));
            let is_stale = has_valid && boosting.patience > 0 && done >= best.rounds + boosting.patience;
            let ends = [
                (flow == Flow::Stop, "the run was stopped"),
                (run.is_late(), "the time was up"),
                (!grew, "no split was left that helps"),
                (is_stale, "the validation rows stopped to improve"),
            ];
            end = ends.into_iter().find(|(is_so, _)| *is_so).map(|(_, reason)| reason);
        }
        let kept = if boosting.patience > 0 && best.rounds > 0 { best.rounds } else { done };
        if kept < boosting.rounds {
            let reason = end.filter(|_| kept == done).unwrap_or("the validation rows were best there");
            run.tell(Event::Resolved { key: "model.n_estimators".into(), value: kept.to_string(), reason: reason.into() });
        }
        kept
    }

    /// Grows a tree for each output; says whether any has a split or another draw could give one.
    fn round(&mut self, round: usize, valid_binned: &Binned, watched: &mut Side) -> bool {
        let boosting = self.boosting;
        let outputs = boosting.loss.outputs();
        boosting.loss.gradients(&self.train.scores, &self.train.truth, &mut self.gradients);
        let is_bagged = boosting.bagging_fraction < 1.0 && boosting.bagging_freq > 0;
        if is_bagged && (self.bag.is_none() || round.is_multiple_of(boosting.bagging_freq)) {
            let draw = self.draw.stream("bagging").at((round - round % boosting.bagging_freq) as u64);
            self.bag = Some((0..self.pairs.len() as u32).filter(|&row| draw.uniform(u64::from(row)) < boosting.bagging_fraction).collect());
        }
        let mut grew = boosting.feature_fraction < 1.0 || self.bag.is_some();
        for output in 0..outputs {
            let tree = (round * outputs + output) as u64;
            let features = self.features(tree);
            let units = quantise(&self.gradients, output, outputs, self.draw.stream("rounding").at(tree), &mut self.pairs);
            let ground = Ground { pairs: &self.pairs, units, rows: self.bag.as_deref(), features: &features };
            let grown = self.grower.grow(&ground);
            grew |= grown.leaves.len() > 1;
            let values = self.leaf_values(&grown, output);
            self.advance(&grown, &values, output);
            route(&grown, &values, valid_binned, &mut watched.scores, output, outputs);
            let covers = self.covers(&grown);
            self.ensemble.push(&grown, &self.binned.bins, |node| values[node as usize], |node| covers[node as usize]);
        }
        grew
    }

    /// The features that a tree may use, ascending.
    fn features(&self, tree: u64) -> Vec<usize> {
        let all = self.binned.bins.len();
        if self.boosting.feature_fraction >= 1.0 {
            return (0..all).collect();
        }
        let count = ((all as f64 * self.boosting.feature_fraction).round() as usize).clamp(1.min(all), all);
        let order = self.draw.stream("features").at(tree).permutation(all as u64);
        let mut features: Vec<usize> = order[..count].iter().map(|&feature| feature as usize).collect();
        features.sort_unstable();
        features
    }

    /// The best value of each leaf from the exact gradients, or the one that the loss renews it by, by node.
    fn leaf_values(&self, grown: &Grown, output: usize) -> Vec<f64> {
        let (rules, outputs) = (&self.boosting.growth.rules, self.boosting.loss.outputs());
        let value = |(node, rows): &(u32, std::ops::Range<usize>)| {
            let renewed = self.boosting.loss.renewed(&self.train.scores, &self.train.truth, &self.grower.order[rows.clone()]);
            if let Some(value) = renewed {
                return (*node, value * self.boosting.learning_rate);
            }
            let [gradient, hessian] = self.grower.order[rows.clone()].iter().fold([0.0; 2], |sum, &row| {
                let [gradient, hessian] = self.gradients[row as usize * outputs + output];
                [sum[0] + gradient, sum[1] + hessian]
            });
            let divisor = hessian + rules.lambda_l2;
            let value = if divisor > 0.0 { -shrunk(gradient, rules.lambda_l1) / divisor * self.boosting.learning_rate } else { 0.0 };
            (*node, value)
        };
        let mut values = vec![0.0; grown.branches.len()];
        grown
            .leaves
            .par_iter()
            .with_min_len(4)
            .map(value)
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|(node, value)| values[node as usize] = value);
        values
    }

    /// How many rows of mean weight each leaf got, by node.
    fn covers(&self, grown: &Grown) -> Vec<f64> {
        let truth = &self.train.truth;
        let mut covers = vec![0.0; grown.branches.len()];
        for (node, rows) in &grown.leaves {
            covers[*node as usize] = match &truth.weight {
                None => rows.len() as f64,
                Some(weight) => {
                    let sum: f64 = self.grower.order[rows.clone()].iter().map(|&row| weight[row as usize]).sum();
                    sum * (weight.len() as f64 / truth.total())
                }
            };
        }
        covers
    }

    /// Adds the tree to the scores of the training rows: those that it learned from lie leaf by leaf, the others are routed.
    fn advance(&mut self, grown: &Grown, values: &[f64], output: usize) {
        let outputs = self.boosting.loss.outputs();
        if self.bag.is_some() {
            return route(grown, values, self.binned, &mut self.train.scores, output, outputs);
        }
        for (node, rows) in &grown.leaves {
            let value = values[*node as usize];
            for &row in &self.grower.order[rows.clone()] {
                self.train.scores[row as usize * outputs + output] += value;
            }
        }
    }
}

fn progress(boosting: &Boosting, done: usize, measure: Option<f64>) -> Event {
    Event::Progress {
        done: done as u64,
        total: Some(boosting.rounds as u64),
        unit: "trees".into(),
        score: measure.map(|measure| (boosting.loss.measure_name().to_owned(), measure)),
    }
}

/// Adds the tree's value to each row's score.
fn route(grown: &Grown, values: &[f64], binned: &Binned, scores: &mut [f64], output: usize, outputs: usize) {
    const BLOCK: usize = 4096;
    scores.par_chunks_mut(BLOCK * outputs).enumerate().for_each(|(block, scores)| {
        for (place, scores) in scores.chunks_exact_mut(outputs).enumerate() {
            scores[output] += values[grown.route(binned, block * BLOCK + place) as usize];
        }
    });
}
