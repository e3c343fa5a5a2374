//! From what a network gives to losses and answers, for targets of classes and of numbers.

use crate::layout::{Builder, Fill, Layout, Param};
use crate::net::Blend;
use crate::ops;
use crate::pass::Pass;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type};
use arrow_array::{Array, ArrayRef};
use burn::tensor::{Tensor, TensorData};
use cupola_task::{Answer, Batch, Error, Field, Key, Kind, Predictions, Result, Schema, Task, TrainSplit};
use std::sync::Arc;

/// What a network's last layer answers.
#[derive(Clone, Debug)]
pub struct Head {
    target: Arc<str>,
    weight: Option<Arc<str>>,
    kind: HeadKind,
}

#[derive(Clone, Debug)]
enum HeadKind {
    /// Cross-entropy over the classes.
    Classes(Arc<[Arc<str>]>),
    /// Squared error of a number that training rows have brought to mean 0 and deviation 1.
    Number { scale: Param },
}

/// The truth of a batch, as the loss takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    rows: usize,
    /// Row-major: one weighted probability for each class, or one scaled number.
    values: Vec<f32>,
    /// One a row.
    weights: Vec<f32>,
}

impl Head {
    /// The head for a schema's only target. Numbers need two fixed entries, `target.scale`: mean and deviation.
    ///
    /// # Errors
    /// When there is not exactly one target, or it is neither classes nor a number.
    pub fn new(schema: &Schema, builder: &mut Builder) -> Result<Head> {
        let targets: Vec<(&Field, Task)> = schema.targets().collect();
        let &[(field, task)] = &targets[..] else {
            return Err(Error::input("network", format!("{} targets", targets.len()), "one target"));
        };
        let kind = match (&field.kind, task) {
            (Kind::Category { classes }, Task::Classify) => HeadKind::Classes(classes.clone()),
            (Kind::Number, Task::Regress) => {
                HeadKind::Number { scale: builder.at("target", |builder| builder.fixed("scale", &[2], Fill::Constant(1.0))) }
            }
            (kind, _) => return Err(Error::input(format!("target {}", field.name), kind.word(), "classes or a number")),
        };
        let weight = schema.keys(Key::Weight).next().map(|field| field.name.clone());
        Ok(Head { target: field.name.clone(), weight, kind })
    }

    /// How many numbers the last layer must give.
    pub fn width(&self) -> usize {
        match &self.kind {
            HeadKind::Classes(classes) => classes.len(),
            HeadKind::Number { .. } => 1,
        }
    }

    /// Learns the scale of a number from training rows.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn learn(&self, train: &TrainSplit, layout: &Layout, arena: &mut [f32]) -> Result<()> {
        let HeadKind::Number { scale } = self.kind else { return Ok(()) };
        let batch = train.read_all()?;
        let (values, weights) = (self.numbers(&batch)?, self.weights(&batch)?);
        let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
        let mean_of =
            |of: &dyn Fn(f64) -> f64| values.iter().zip(&weights).map(|(&value, &w)| of(value) * f64::from(w)).sum::<f64>() / total;
        let mean = mean_of(&|value| value);
        let deviation = mean_of(&|value| (value - mean).powi(2)).sqrt();
        let deviation = if deviation.is_finite() && deviation > 0.0 { deviation } else { 1.0 };
        arena[layout.of(scale).range()].copy_from_slice(&[mean as f32, deviation as f32]);
        Ok(())
    }

    /// The truth of a batch. `arena` holds the fixed entries; `smoothing` is the share of each label that is spread over all classes.
    ///
    /// # Errors
    /// When the target is missing or holds something else than its kind.
    pub fn truth(&self, batch: &Batch, blend: Option<&Blend>, smoothing: f64, layout: &Layout, arena: &[f32]) -> Result<Truth> {
        let weights = self.weights(batch)?;
        let rows = weights.len();
        let values = match &self.kind {
            HeadKind::Classes(classes) => {
                let codes = self.codes(batch)?;
                let mut values = vec![(smoothing / classes.len() as f64) as f32; rows * classes.len()];
                for row in 0..rows {
                    let (partner, share) = blend.map_or((row, 1.0), |blend| (blend.partner[row] as usize, blend.share[row]));
                    let kept = 1.0 - smoothing as f32;
                    values[row * classes.len() + codes[row]] += kept * share;
                    values[row * classes.len() + codes[partner]] += kept * (1.0 - share);
                }
                values
            }
            HeadKind::Number { scale } => {
                let range = layout.of(*scale).range();
                let (mean, deviation) = (f64::from(arena[range.start]), f64::from(arena[range.start + 1]));
                let numbers = self.numbers(batch)?;
                let scaled = |row: usize| ((numbers[row] - mean) / deviation) as f32;
                let blended = |row: usize| match blend {
                    Some(blend) => blend.share[row] * scaled(row) + (1.0 - blend.share[row]) * scaled(blend.partner[row] as usize),
                    None => scaled(row),
                };
                (0..rows).map(blended).collect()
            }
        };
        Ok(Truth { rows, values, weights })
    }

    /// The mean loss over the rows' weights, a tensor of one number. `outputs` is `[rows, width]`.
    pub fn loss(&self, outputs: Tensor<2>, truth: &Truth, pass: &Pass<'_>) -> Tensor<1> {
        let total: f64 = truth.weights.iter().map(|&weight| f64::from(weight)).sum();
        let total = if total > 0.0 { total } else { 1.0 };
        let width = self.width();
        let tensor = |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, [truth.rows, width]), pass.device());
        let weighted =
            |scale: f64| truth.weights.iter().flat_map(move |&weight| std::iter::repeat_n((f64::from(weight) * scale) as f32, width));
        match &self.kind {
            HeadKind::Classes(_) => {
                let values = truth.values.iter().zip(weighted(1.0 / total)).map(|(value, weight)| value * weight).collect();
                ops::cross_entropy(outputs, tensor(values))
            }
            HeadKind::Number { .. } => {
                let error = outputs - tensor(truth.values.clone());
                (error.clone() * error * tensor(weighted(1.0 / total).collect())).sum()
            }
        }
    }

    /// Answers from what the last layer gave, row by row.
    pub fn answer(&self, outputs: &[f32], layout: &Layout, arena: &[f32]) -> Predictions {
        let answer = match &self.kind {
            HeadKind::Classes(classes) => {
                Answer::Scores { classes: classes.into(), values: outputs.chunks(classes.len()).flat_map(softmax).collect() }
            }
            HeadKind::Number { scale } => {
                let range = layout.of(*scale).range();
                let (mean, deviation) = (f64::from(arena[range.start]), f64::from(arena[range.start + 1]));
                Answer::Numbers { values: outputs.iter().map(|&value| f64::from(value) * deviation + mean).collect(), range: None }
            }
        };
        Predictions(vec![(self.target.clone(), answer)])
    }

    fn target<'a>(&self, batch: &'a Batch) -> Result<&'a ArrayRef> {
        let array = batch.targets.array(&self.target)?;
        match array.null_count() {
            0 => Ok(array),
            nulls => Err(Error::input(format!("target {}", self.target), format!("{nulls} missing values"), "a value in every row")),
        }
    }

    fn numbers(&self, batch: &Batch) -> Result<Vec<f64>> {
        let array = self.target(batch)?;
        let numbers = array.as_primitive_opt::<Float64Type>();
        let numbers = numbers.ok_or_else(|| Error::input(format!("target {}", self.target), array.data_type(), "numbers"))?;
        Ok(numbers.values().to_vec())
    }

    fn codes(&self, batch: &Batch) -> Result<Vec<usize>> {
        let array = self.target(batch)?;
        let wrong = |found: String| Error::input(format!("target {}", self.target), found, "codes of its classes");
        let codes = array.as_primitive_opt::<UInt32Type>().ok_or_else(|| wrong(array.data_type().to_string()))?;
        match codes.values().iter().find(|&&code| code as usize >= self.width()) {
            Some(code) => Err(wrong(format!("code {code} of {} classes", self.width()))),
            None => Ok(codes.values().iter().map(|&code| code as usize).collect()),
        }
    }

    fn weights(&self, batch: &Batch) -> Result<Vec<f32>> {
        let Some(name) = &self.weight else { return Ok(vec![1.0; batch.rows.len()]) };
        let array = batch.keys.array(name)?;
        let numbers = array.as_primitive_opt::<Float64Type>();
        let numbers = numbers.ok_or_else(|| Error::input(format!("weight {name}"), array.data_type(), "numbers"))?;
        Ok(numbers.values().iter().map(|&value| value as f32).collect())
    }
}

impl Truth {
    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The weight of all rows together.
    pub fn weight(&self) -> f64 {
        self.weights.iter().map(|&weight| f64::from(weight)).sum()
    }
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}
