//! What measures of hard decisions share: for each class how often it is true, said, and both.
//!
//! All of them (accuracy to kappa) are functions of these three sums, so a measure is one formula, and a resample costs
//! one pass over two codes a row.

use crate::interval::wilson;
use crate::rows::{self, Labels, Weights};
use arrow_array::{ArrayRef, Float64Array, StringArray};
use cupola_task::{Answer, Column, Columns, Field, Metric, Range, Result, Setting, Settings, View};
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The sums by class that every formula is made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Mass of the rows where the class is true and said.
    pub(crate) hit: Vec<f64>,
    /// Mass of the rows where it is true.
    pub(crate) truth: Vec<f64>,
    /// Mass of the rows where it is said.
    pub(crate) said: Vec<f64>,
    /// Whether any row, even one of no weight, has it as truth or answer.
    pub(crate) seen: Vec<bool>,
}

/// How a measure of one class becomes a measure of all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Average {
    /// Of the positive class alone, given by its code.
    Binary(usize),
    /// Of all decisions together.
    Micro,
    /// The mean over the classes seen.
    Macro,
    /// The mean over the classes, each weighing what its true rows weigh.
    Weighted,
}

/// A measure as a formula over the counts.
pub(crate) type Formula = fn(&Counts, Average) -> f64;

/// A measure of hard decisions.
#[derive(Clone)]
pub(crate) struct Tally {
    name: &'static str,
    formula: Formula,
    average: Average,
    low: f64,
    labels: Labels,
    truth: Vec<u32>,
    said: Vec<u32>,
    weights: Weights,
}

/// The setting that precision, recall and F1 share.
pub(crate) const AVERAGE: Setting = Setting {
    name: "average",
    alias: &[],
    default: "auto",
    range: Range::Choice(&["auto", "binary", "micro", "macro", "weighted"]),
    doc: "How classes are averaged; auto is binary for two classes (the positive one is the last) and macro for more.",
};

/// More classes than this get their interval from the bootstrap, for the exact one takes the square of their number.
const CLASSES_ANALYTIC_MAX: usize = 200;

/// More classes than this are counted one by one: their matrix would not stay in the fastest cache.
const CLASSES_IN_CELLS_MAX: usize = 16;

/// The mass, in rows, that is spread over all cells before the variance is taken, so that a measure at its bound still has
/// one. Chosen by simulation (`coverage.rs`).
const PRIOR_MASS: f64 = 2.0;

impl Average {
    /// Reads [`AVERAGE`].
    pub(crate) fn read(field: &Field, settings: &Settings) -> Result<Average> {
        let classes = rows::classes(field)?.len();
        Ok(match settings.text("average") {
            "binary" if classes != 2 => {
                return Err(cupola_task::Error::setting("average", format!("binary for {classes} classes"), "binary for two classes only")
                    .with_hint("take macro, micro or weighted"));
            }
            "auto" if classes == 2 => Average::Binary(1),
            "binary" => Average::Binary(1),
            "micro" => Average::Micro,
            "weighted" => Average::Weighted,
            _ => Average::Macro,
        })
    }

    /// Averages a measure of one class, given as a quotient of `of(hit, truth, said)`; 0 / 0 counts as 0.
    pub(crate) fn apply(self, counts: &Counts, of: fn(f64, f64, f64) -> [f64; 2]) -> f64 {
        let class = |class: usize| quotient(of(counts.hit[class], counts.truth[class], counts.said[class]));
        let seen = || (0..counts.seen.len()).filter(|&class| counts.seen[class]);
        match self {
            Average::Binary(positive) => class(positive),
            Average::Micro => {
                let sum = |values: &[f64]| values.iter().sum::<f64>();
                quotient(of(sum(&counts.hit), sum(&counts.truth), sum(&counts.said)))
            }
            Average::Macro => seen().map(class).sum::<f64>() / seen().count() as f64,
            Average::Weighted => {
                let sum: f64 = seen().map(|code| counts.truth[code] * class(code)).sum();
                sum / counts.truth.iter().sum::<f64>()
            }
        }
    }
}

/// Dividing by nothing gives 0, as scikit-learn's `zero_division` does by default.
fn quotient([over, under]: [f64; 2]) -> f64 {
    if under > 0.0 { over / under } else { 0.0 }
}

impl Counts {
    fn new(classes: usize) -> Counts {
        Counts { hit: vec![0.0; classes], truth: vec![0.0; classes], said: vec![0.0; classes], seen: vec![false; classes] }
    }

    fn add(&mut self, truth: usize, said: usize, mass: f64) {
        self.truth[truth] += mass;
        self.said[said] += mass;
        if truth == said {
            self.hit[truth] += mass;
        }
    }

    /// The mass of all rows.
    pub(crate) fn total(&self) -> f64 {
        self.truth.iter().sum()
    }
}

impl Tally {
    /// An empty measure whose values lie between `low` and 1.
    pub(crate) fn new(name: &'static str, field: &Field, formula: Formula, average: Average, low: f64) -> Result<Tally> {
        let labels = Labels::new(rows::classes(field)?);
        Ok(Tally { name, formula, average, low, labels, truth: vec![], said: vec![], weights: Weights::default() })
    }

    fn counts(&self, draw: Option<&[u32]>) -> Counts {
        let mut counts = if self.labels.len() <= CLASSES_IN_CELLS_MAX { self.by_cells(draw) } else { self.by_classes(draw) };
        if self.weights.is_unit() {
            counts.seen = counts.truth.iter().zip(&counts.said).map(|(truth, said)| truth + said > 0.0).collect();
        } else {
            for row in (0..self.truth.len()).filter(|&row| draw.is_none_or(|counts| counts[row] > 0)) {
                counts.seen[self.truth[row] as usize] = true;
                counts.seen[self.said[row] as usize] = true;
            }
        }
        counts
    }

    fn by_classes(&self, draw: Option<&[u32]>) -> Counts {
        let mut counts = Counts::new(self.labels.len());
        self.weights.each(draw, |row, mass| counts.add(self.truth[row] as usize, self.said[row] as usize, mass));
        counts
    }

    /// The same by way of the confusion matrix, without a branch. Most rows fall into one or two cells, and each addition
    /// to a cell waits for the last: four matrices in turn make a bootstrap twice as fast (`examples/speed.rs`).
    fn by_cells(&self, draw: Option<&[u32]>) -> Counts {
        let classes = self.labels.len();
        let mut cells = vec![[0.0; 4]; classes * classes];
        self.weights.each(draw, |row, mass| cells[self.truth[row] as usize * classes + self.said[row] as usize][row % 4] += mass);
        let mut counts = Counts::new(classes);
        for (cell, masses) in cells.iter().enumerate() {
            counts.add(cell / classes, cell % classes, masses.iter().sum());
        }
        counts
    }

    /// Wilson's interval for as many rows as the measure is worth.
    ///
    /// The delta method gives the measure's variance; a proportion of how many rows would have that variance? For accuracy
    /// that is their number, for recall the number of true positives and negatives it is a proportion of, and so on, so
    /// this *is* Wilson's interval (JASA 1927) wherever that exists, and carries it over to F1, kappa, averages and weights.
    /// None when there are too many classes.
    pub(crate) fn interval(&self, level: f64) -> Option<[f64; 2]> {
        let counts = self.counts(None);
        let seen: Vec<usize> = (0..counts.seen.len()).filter(|&class| counts.seen[class]).collect();
        if seen.len() > CLASSES_ANALYTIC_MAX || counts.total() == 0.0 {
            return None;
        }
        let value = (self.formula)(&counts, self.average);
        let span = 1.0 - self.low;
        let [low, high] = wilson((value - self.low) / span, self.rows_effective(counts, &seen), level);
        Some([self.low + span * low, self.low + span * high])
    }

    /// Of how many rows a proportion would vary as much as this measure does.
    fn rows_effective(&self, mut counts: Counts, seen: &[usize]) -> f64 {
        let scale = counts.total() / self.truth.len() as f64;
        smooth(&mut counts, seen, PRIOR_MASS * scale);
        let value = (self.formula)(&counts, self.average);
        let slopes = self.slopes(&mut counts, seen);
        let square = |truth: usize, said: usize| {
            let slope = slopes.truth[truth] + slopes.said[said] + if truth == said { slopes.hit[truth] } else { 0.0 };
            slope * slope
        };
        let rows: f64 =
            (0..self.truth.len()).map(|row| self.weights.at(row).powi(2) * square(self.truth[row] as usize, self.said[row] as usize)).sum();
        let cells: f64 = seen.iter().flat_map(|&truth| seen.iter().map(move |&said| (truth, said))).map(|(t, s)| square(t, s)).sum();
        let variance = rows + cells * PRIOR_MASS * scale * scale / (seen.len() * seen.len()) as f64;
        (value - self.low) * (1.0 - value) / variance
    }

    /// The derivative of the measure by each sum, by central differences: the formulas are smooth ratios, and their error
    /// is far below what an interval shows.
    fn slopes(&self, counts: &mut Counts, seen: &[usize]) -> Counts {
        let mut slopes = Counts::new(counts.seen.len());
        let step = 1e-5 * counts.total();
        let parts: [fn(&mut Counts) -> &mut Vec<f64>; 3] = [|c| &mut c.hit, |c| &mut c.truth, |c| &mut c.said];
        for part in parts {
            for &class in seen {
                let at = part(counts)[class];
                let step = step.min(at / 2.0);
                let mut value_at = |shift: f64| {
                    part(counts)[class] = at + shift;
                    (self.formula)(counts, self.average)
                };
                let slope = (value_at(step) - value_at(-step)) / (2.0 * step);
                part(counts)[class] = at;
                part(&mut slopes)[class] = slope;
            }
        }
        slopes
    }
}

fn smooth(counts: &mut Counts, seen: &[usize], mass: f64) {
    let classes = seen.len() as f64;
    for &class in seen {
        counts.hit[class] += mass / (classes * classes);
        counts.truth[class] += mass / classes;
        counts.said[class] += mass / classes;
    }
}

impl Metric for Tally {
    fn update(&mut self, view: View<'_>, answer: &Answer) -> Result<()> {
        let (classes, values) = rows::scores(answer)?;
        let names = rows::names(&view, answer.len())?;
        self.weights.push(view.weight, answer.len())?;
        let codes: Vec<u32> = classes.iter().map(|name| self.labels.code(name)).collect();
        self.said.extend(classes.chosen(values).map(|class| codes[class]));
        self.truth.extend(names.iter().flatten().map(|name| self.labels.code(name)));
        Ok(())
    }

    fn merge(&mut self, other: &dyn Metric) -> Result<()> {
        let other = other.as_any().downcast_ref::<Tally>().ok_or_else(rows::not_alike)?;
        if self.name != other.name || self.average != other.average || !self.labels.is_alike(&other.labels) {
            return Err(rows::not_alike());
        }
        let codes: Vec<u32> = (0..other.labels.len() as u32).map(|code| self.labels.code(other.labels.name(code))).collect();
        self.truth.extend(other.truth.iter().map(|&code| codes[code as usize]));
        self.said.extend(other.said.iter().map(|&code| codes[code as usize]));
        self.weights.merge(&other.weights);
        Ok(())
    }

    fn items(&self) -> usize {
        self.truth.len()
    }

    fn value(&self, draw: Option<&[u32]>) -> Result<f64> {
        if self.truth.is_empty() {
            return Err(rows::no_rows());
        }
        let counts = self.counts(draw);
        Ok(if counts.total() > 0.0 { (self.formula)(&counts, self.average) } else { f64::NAN })
    }

    /// The confusion matrix, one line a pair that occurs: `truth`, `prediction`, `weight`.
    fn detail(&self) -> Columns {
        let mut cells: BTreeMap<(u32, u32), f64> = BTreeMap::new();
        self.weights.each(None, |row, mass| *cells.entry((self.truth[row], self.said[row])).or_default() += mass);
        let names = |pick: fn(&(u32, u32)) -> u32| -> ArrayRef {
            Arc::new(cells.keys().map(|cell| Some(&**self.labels.name(pick(cell)))).collect::<StringArray>())
        };
        Columns::new(vec![
            ("truth".into(), Column::Array(names(|cell| cell.0))),
            ("prediction".into(), Column::Array(names(|cell| cell.1))),
            ("weight".into(), Column::Array(Arc::new(cells.values().copied().collect::<Float64Array>()))),
        ])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cupola_task::Draw;

    #[test]
    fn cells_and_classes_agree() {
        let names: Vec<Arc<str>> = ["a", "b", "c"].map(Arc::from).to_vec();
        let draw = Draw::new(1);
        let codes = |name: &str| (0..50).map(|row| draw.stream(name).below(row, 3) as u32).collect::<Vec<u32>>();
        let mut weights = Weights::default();
        weights.push(None, 50).unwrap();
        let formula: Formula = |counts, _| counts.total();
        let tally = Tally {
            name: "test",
            formula,
            average: Average::Micro,
            low: 0.0,
            labels: Labels::new(&names),
            truth: codes("truth"),
            said: codes("said"),
            weights,
        };
        let (cells, classes) = (tally.by_cells(Some(&codes("draw"))), tally.by_classes(Some(&codes("draw"))));
        assert_eq!((cells.hit, cells.truth, cells.said), (classes.hit, classes.truth, classes.said));
    }
}
