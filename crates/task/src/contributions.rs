//! Explanations of single answers: what each input added.

use crate::Columns;
use std::sync::Arc;

/// What an answer is explained against: the answer of whom nothing is known.
#[derive(Clone, Copy, Debug, Default)]
pub enum Against<'a> {
    /// What training saw, as the model keeps it: how many rows went each way at a question of a tree (`shap` calls it
    /// `tree_path_dependent`), or the mean of each input of a linear model.
    #[default]
    Training,
    /// These prepared rows: an input that is not known comes from one of them (`shap`: `interventional`).
    Rows(&'a Columns),
}

/// The scale on which contributions add up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// The number that is answered.
    Number,
    /// A probability, 0 to 1.
    Probability,
    /// The natural logarithm of the odds of the positive class.
    LogOdds,
    /// A class's score before the softmax: differences between classes are differences of log probabilities.
    Score,
}

/// What each input added to each score of each row: the sum over inputs and `base` is the score.
#[derive(Clone, Debug, PartialEq)]
pub struct Contributions {
    /// What was looked at: prepared columns in the schema's order, a vector counting as one.
    pub inputs: Vec<Arc<str>>,
    /// Whose scores they are: the positive class of two, each of more classes, or the target where it is a number.
    pub outputs: Vec<Arc<str>>,
    /// The scale of base and values.
    pub unit: Unit,
    /// The score of whom nothing is known, one for each output.
    pub base: Vec<f64>,
    /// `values[(row * inputs.len() + input) * outputs.len() + output]`.
    pub values: Vec<f64>,
}

/// What each pair of inputs added to one score of each row beyond what each adds by itself (SHAP interaction values): the matrix of a row is
/// symmetric, and its lines sum to the values of [`Contributions`].
#[derive(Clone, Debug, PartialEq)]
pub struct Interactions {
    /// What was looked at, as [`Contributions::inputs`].
    pub inputs: Vec<Arc<str>>,
    /// Whose score it is.
    pub output: Arc<str>,
    /// The scale.
    pub unit: Unit,
    /// `values[(row * inputs.len() + first) * inputs.len() + second]`.
    pub values: Vec<f64>,
}

impl Unit {
    /// The words for it.
    pub fn words(self) -> &'static str {
        match self {
            Unit::Number => "units of the target",
            Unit::Probability => "probability",
            Unit::LogOdds => "log-odds",
            Unit::Score => "score before the softmax",
        }
    }
}

impl Contributions {
    /// How many rows are explained.
    pub fn rows(&self) -> usize {
        self.values.len() / (self.inputs.len() * self.outputs.len()).max(1)
    }

    /// What an input added to an output of a row.
    pub fn value(&self, row: usize, input: usize, output: usize) -> f64 {
        self.values[(row * self.inputs.len() + input) * self.outputs.len() + output]
    }

    /// The score of a row: base and all that was added.
    pub fn score(&self, row: usize, output: usize) -> f64 {
        self.base[output] + (0..self.inputs.len()).map(|input| self.value(row, input, output)).sum::<f64>()
    }

    /// The mean size of what an input adds to an output.
    pub fn mean_size(&self, input: usize, output: usize) -> f64 {
        (0..self.rows()).map(|row| self.value(row, input, output).abs()).sum::<f64>() / self.rows().max(1) as f64
    }

    /// The same, told of other inputs: `sources[input]` says which of `names` a present one is made of. One of several sources has an equal share.
    #[must_use]
    pub fn brought_back(&self, names: Vec<Arc<str>>, sources: &[Vec<usize>]) -> Contributions {
        assert_eq!(sources.len(), self.inputs.len(), "every input has its sources");
        let (outputs, width) = (self.outputs.len(), names.len());
        let mut values = vec![0.0; self.rows() * width * outputs];
        for row in 0..self.rows() {
            for (input, sources) in sources.iter().enumerate() {
                for output in 0..outputs {
                    let share = self.value(row, input, output) / sources.len().max(1) as f64;
                    sources.iter().for_each(|source| values[(row * width + source) * outputs + output] += share);
                }
            }
        }
        Contributions { inputs: names, outputs: self.outputs.clone(), unit: self.unit, base: self.base.clone(), values }
    }
}

impl Interactions {
    /// How many rows are told of.
    pub fn rows(&self) -> usize {
        self.values.len() / self.inputs.len().pow(2).max(1)
    }

    /// The matrix of a row, line after line.
    pub fn row(&self, row: usize) -> &[f64] {
        let cells = self.inputs.len().pow(2);
        &self.values[row * cells..][..cells]
    }

    /// The same, told of other inputs, as [`Contributions::brought_back`]: what two parts of one column do together is that column's own.
    #[must_use]
    pub fn brought_back(&self, names: Vec<Arc<str>>, sources: &[Vec<usize>]) -> Interactions {
        assert_eq!(sources.len(), self.inputs.len(), "every input has its sources");
        let width = names.len();
        let mut values = vec![0.0; self.rows() * width * width];
        for (row, values) in values.chunks_exact_mut((width * width).max(1)).enumerate() {
            for (cell, value) in self.row(row).iter().enumerate() {
                let [first, second] = [&sources[cell / sources.len()], &sources[cell % sources.len()]];
                let share = value / (first.len() * second.len()).max(1) as f64;
                first.iter().for_each(|one| second.iter().for_each(|other| values[one * width + other] += share));
            }
        }
        Interactions { inputs: names, output: self.output.clone(), unit: self.unit, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_to_their_columns() {
        let names = |names: &[&str]| -> Vec<Arc<str>> { names.iter().map(|&name| name.into()).collect() };
        let parts = Contributions {
            inputs: names(&["a", "a.missing", "a*b"]),
            outputs: names(&["no", "yes"]),
            unit: Unit::Score,
            base: vec![1.0, 2.0],
            values: vec![1.0, -1.0, 2.0, -2.0, 4.0, 8.0],
        };
        let whole = parts.brought_back(names(&["a", "b"]), &[vec![0], vec![0], vec![0, 1]]);
        assert_eq!(whole.values, [5.0, 1.0, 2.0, 4.0]);
        assert_eq!((whole.score(0, 0), parts.score(0, 0), whole.score(0, 1)), (8.0, 8.0, 7.0));
    }

    #[test]
    fn pairs_come_back_to_their_columns() {
        let names = |names: &[&str]| -> Vec<Arc<str>> { names.iter().map(|&name| name.into()).collect() };
        let parts = Interactions {
            inputs: names(&["a", "a.missing", "a*b"]),
            output: "yes".into(),
            unit: Unit::Score,
            values: vec![1.0, 2.0, 4.0, 2.0, 8.0, 16.0, 4.0, 16.0, 32.0],
        };
        let whole = parts.brought_back(names(&["a", "b"]), &[vec![0], vec![0], vec![0, 1]]);
        assert_eq!(whole.row(0), [41.0, 18.0, 18.0, 8.0]);
    }
}
