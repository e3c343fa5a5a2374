//! What measures of order share: rows sorted by the probability of a class, one class against the rest.

use crate::interval::wilson;
use crate::rows::{self, Labels, Weights};
use cupola_task::{Answer, Field, Metric, Range, Result, Setting, Settings, View};
use std::any::Any;
use std::cell::OnceCell;

/// Rows in falling order of a class's probability.
#[derive(Clone)]
pub(crate) struct Order {
    /// The rows' numbers.
    pub(crate) rows: Vec<u32>,
    /// Whether each is of the class, in that order.
    pub(crate) positive: Vec<bool>,
    /// Whether each is the last of those with its probability.
    pub(crate) last: Vec<bool>,
}

/// A measure of one order.
#[derive(Clone, Copy)]
pub(crate) struct Area {
    /// The measure, or that of a draw.
    pub(crate) value: fn(&Order, &Weights, Option<&[u32]>) -> f64,
    /// What each row moves it by.
    pub(crate) shifts: fn(&Order, &Weights) -> Vec<f64>,
    /// How many rows it rests on, by the numbers of rows of the class and of the rest.
    pub(crate) rows: fn(f64, f64) -> f64,
    /// Whether classes without a true row are left out of the mean. They make it NaN otherwise.
    pub(crate) skips_absent: bool,
}

/// A measure of order, for the positive class or for all classes in turn.
#[derive(Clone)]
pub(crate) struct Ranking {
    name: &'static str,
    area: Area,
    is_weighted: bool,
    labels: Labels,
    classes: Vec<u32>,
    truth: Vec<Option<u32>>,
    scores: Vec<Vec<f64>>,
    weights: Weights,
    orders: OnceCell<Vec<Order>>,
}

/// The setting that the measures of order share.
pub(crate) const AVERAGE: Setting = Setting {
    name: "average",
    alias: &[],
    default: "macro",
    range: Range::Choice(&["macro", "weighted"]),
    doc: "How the classes of a target with more than two are averaged: alike, or by what their true rows weigh.",
};

/// How many rows out of order the expected variance is worth, by simulation (`coverage.rs`).
const MISPLACED_PRIOR: f64 = 1.5;

/// How many rows of a proportion each row that a measure of order rests on is worth: the nearer to perfect, the more.
/// Fitted to simulated normal scores, for areas of 0.85 to 0.99; too small, which is the safe side, beyond. As a perfect order
/// of few rows is no proof of a perfect model, half a row is put out of order first.
fn worth(value: f64, rows: f64) -> f64 {
    let value = (value * rows + 0.5) / (rows + 1.0);
    (-0.75 * (1.0 - value).ln()).max(1.0)
}

impl Order {
    /// Sorts rows by falling score.
    pub(crate) fn new(scores: &[f64], is_positive: impl Fn(usize) -> bool) -> Order {
        let mut rows: Vec<u32> = (0..scores.len() as u32).collect();
        rows.sort_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]));
        let positive = rows.iter().map(|&row| is_positive(row as usize)).collect();
        let score = |place: usize| rows.get(place).map(|&row| scores[row as usize]);
        let last = (0..rows.len()).map(|place| score(place) != score(place + 1)).collect();
        Order { rows, positive, last }
    }

    /// Calls `group` with the positive and the negative mass of the rows of each probability, from the highest.
    pub(crate) fn groups(&self, weights: &Weights, draw: Option<&[u32]>, mut group: impl FnMut(f64, f64)) {
        let (mut positive, mut negative) = (0.0, 0.0);
        weights.each_in(&self.rows, draw, |place, mass| {
            // By multiplying: which rows are positive no processor can foretell.
            let of_class = mass * f64::from(u8::from(self.positive[place]));
            positive += of_class;
            negative += mass - of_class;
            if self.last[place] {
                group(positive, negative);
                (positive, negative) = (0.0, 0.0);
            }
        });
    }
}

impl Ranking {
    /// An empty measure.
    pub(crate) fn new(name: &'static str, field: &Field, settings: &Settings, area: Area) -> Result<Ranking> {
        let labels = Labels::new(rows::classes(field)?);
        let known = labels.known() as u32;
        let classes: Vec<u32> = if known <= 2 { vec![known - 1] } else { (0..known).collect() };
        let scores = vec![vec![]; classes.len()];
        let is_weighted = settings.text("average") == "weighted";
        Ok(Ranking {
            name,
            area,
            is_weighted,
            labels,
            classes,
            truth: vec![],
            scores,
            weights: Weights::default(),
            orders: OnceCell::new(),
        })
    }

    fn orders(&self) -> &[Order] {
        let order = |(class, scores): (&u32, &Vec<f64>)| Order::new(scores, |row| self.truth[row] == Some(*class));
        self.orders.get_or_init(|| self.classes.iter().zip(&self.scores).map(order).collect())
    }

    /// How much each class counts in the mean; all NaN-free only where the mean is defined.
    fn shares(&self, draw: Option<&[u32]>) -> Vec<f64> {
        if self.classes.len() == 1 {
            return vec![1.0];
        }
        if !self.is_weighted && !self.area.skips_absent {
            return vec![1.0 / self.classes.len() as f64; self.classes.len()];
        }
        let mut masses = vec![0.0; self.classes.len()];
        self.weights.each(draw, |row, mass| {
            if let Some(class) = self.truth[row] {
                masses[class as usize] += mass;
            }
        });
        if !self.is_weighted {
            masses.iter_mut().for_each(|mass| *mass = if *mass > 0.0 { 1.0 } else { 0.0 });
        }
        let total: f64 = masses.iter().sum();
        masses.iter().map(|mass| mass / total).collect()
    }

    /// The mean over the classes; one of no share is not looked at.
    fn mean(&self, draw: Option<&[u32]>) -> f64 {
        let value = |(order, share): (&Order, f64)| if share == 0.0 { 0.0 } else { share * (self.area.value)(order, &self.weights, draw) };
        self.orders().iter().zip(self.shares(draw)).map(value).sum()
    }

    /// Wilson's interval for as many rows as a proportion of the measure's variance would have. The variance is DeLong's
    /// for ROC-AUC (Biometrics 1988), and its like for the area under precision and recall.
    pub(crate) fn interval(&self, level: f64) -> Option<[f64; 2]> {
        let value = self.mean(None);
        if !value.is_finite() || self.truth.len() < 2 {
            return None;
        }
        let mut shifts = vec![0.0; self.truth.len()];
        for ((class, share), order) in self.shared() {
            let [positives, negatives] = self.sizes(*class).map(|rows| (rows / (rows - 1.0).max(0.5)).sqrt());
            for (row, shift) in (self.area.shifts)(order, &self.weights).into_iter().enumerate() {
                shifts[row] += share * shift * if self.truth[row] == Some(*class) { positives } else { negatives };
            }
        }
        let variance = shifts.iter().map(|shift| shift * shift).sum();
        Some(wilson(value, self.rows_effective(value, variance), level))
    }

    /// Of how many rows a proportion would vary as much as the measure does.
    ///
    /// The variance is an estimate from the rows that are out of order, and useless when there are hardly any (it is 0 when
    /// there are none). It is blended with the one expected, as if [`MISPLACED_PRIOR`] rows more were out of order.
    fn rows_effective(&self, value: f64, variance: f64) -> f64 {
        let (mut misplaced, mut expected) = (0.0, 0.0);
        for ((class, share), order) in self.classes.iter().zip(self.shares(None)).zip(self.orders()).filter(|((_, share), _)| *share > 0.0)
        {
            let [positives, negatives] = self.sizes(*class);
            let value = (self.area.value)(order, &self.weights, None);
            misplaced += (1.0 - value) * positives.min(negatives);
            expected += share * share / ((self.area.rows)(positives, negatives) * worth(value, positives.min(negatives)));
        }
        let trust = misplaced / (misplaced + MISPLACED_PRIOR);
        let seen = if value < 1.0 && value > 0.0 { variance / (value * (1.0 - value)) } else { 0.0 };
        1.0 / (trust * seen + (1.0 - trust) * expected)
    }

    /// The classes that count, with their shares and orders.
    fn shared(&self) -> impl Iterator<Item = ((&u32, f64), &Order)> {
        self.classes.iter().zip(self.shares(None)).zip(self.orders()).filter(|((_, share), _)| *share > 0.0)
    }

    /// Kish's effective numbers of rows of a class and of the rest.
    fn sizes(&self, class: u32) -> [f64; 2] {
        let (mut sums, mut squares) = ([0.0; 2], [0.0; 2]);
        self.weights.each(None, |row, mass| {
            let side = if self.truth[row] == Some(class) { 0 } else { 1 };
            sums[side] += mass;
            squares[side] += mass * mass;
        });
        [0, 1].map(|side| sums[side] * sums[side] / squares[side])
    }
}

impl Metric for Ranking {
    fn update(&mut self, view: View<'_>, answer: &Answer) -> Result<()> {
        let (classes, values) = rows::scores(answer)?;
        let names = rows::names(&view, answer.len())?;
        self.weights.push(view.weight, answer.len())?;
        let columns = self.labels.columns(classes);
        for (class, scores) in self.classes.iter().zip(&mut self.scores) {
            let column = columns[*class as usize];
            scores.extend(values.chunks_exact(classes.len()).map(|row| column.map_or(0.0, |column| row[column])));
        }
        self.truth.extend(names.iter().flatten().map(|name| self.labels.find(name)));
        self.orders.take();
        Ok(())
    }

    fn merge(&mut self, other: &dyn Metric) -> Result<()> {
        let other = other.as_any().downcast_ref::<Ranking>().ok_or_else(rows::not_alike)?;
        if self.name != other.name || self.is_weighted != other.is_weighted || !self.labels.is_alike(&other.labels) {
            return Err(rows::not_alike());
        }
        self.truth.extend_from_slice(&other.truth);
        self.scores.iter_mut().zip(&other.scores).for_each(|(scores, more)| scores.extend_from_slice(more));
        self.weights.merge(&other.weights);
        self.orders.take();
        Ok(())
    }

    fn items(&self) -> usize {
        self.truth.len()
    }

    fn value(&self, draw: Option<&[u32]>) -> Result<f64> {
        if self.truth.is_empty() {
            return Err(rows::no_rows());
        }
        Ok(self.mean(draw))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
