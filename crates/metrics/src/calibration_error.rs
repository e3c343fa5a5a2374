//! Expected calibration error: how far, on average, the probability of the answered class is from the share of rows where
//! it is right, over bins of equal width (Guo et al., "On calibration of modern neural networks", ICML 2017). A row of
//! probability p is in bin `floor(p * bins)`, the last one closed.

use crate::rows::{self, Labels, Weights};
use cupola_task::{Answer, Draw, Field, Metric, MetricDef, Range, Result, Setting, Settings, Task, View, argmax};
use std::any::Any;

pub(crate) const DEF: MetricDef = MetricDef {
    name: "calibration_error",
    doc: "How far the probability of the answered class is from the share of rows where it is right, over bins of equal width.",
    tasks: &[Task::Classify],
    is_score: false,
    best: 0.0,
    settings: &[Setting {
        name: "bins",
        alias: &["n_bins"],
        default: "10",
        range: Range::Integer { min: 1, max: 1000 },
        doc: "How many bins of equal width between 0 and 1.",
    }],
    new: |field, settings| Ok(Box::new(Calibration::new(field, settings)?)),
};

/// The measure: each row's bin, its confidence, and whether the answer is right.
#[derive(Clone)]
pub(crate) struct Calibration {
    labels: Labels,
    bins: usize,
    bin: Vec<u32>,
    confidence: Vec<f64>,
    right: Vec<bool>,
    weights: Weights,
}

/// A bin with rows in it.
struct Bin {
    /// Its share of the weight.
    share: f64,
    /// Share right minus mean confidence.
    gap: f64,
    /// The gap's standard error.
    error: f64,
}

impl Calibration {
    fn new(field: &Field, settings: &Settings) -> Result<Calibration> {
        let labels = Labels::new(rows::classes(field)?);
        let bins = settings.integer("bins") as usize;
        Ok(Calibration { labels, bins, bin: vec![], confidence: vec![], right: vec![], weights: Weights::default() })
    }

    /// The interval by inversion of a test: which calibration errors are compatible with the one seen?
    ///
    /// The error seen is biased upwards, for gaps that are only noise add to it, so no interval around it has its
    /// level. Suppose instead that the true gaps are those seen times a factor: the error that would then be seen is simulated
    /// (noise of each bin, and of how many rows fall into it), and the factors are sought at which the one seen is in
    /// either tail.
    pub(crate) fn interval(&self, level: f64, draws: usize, draw: Draw) -> Option<[f64; 2]> {
        let bins = self.filled();
        let seen: f64 = bins.iter().map(|bin| bin.share * bin.gap.abs()).sum();
        if self.bin.is_empty() || seen.is_nan() || seen == 0.0 {
            return None;
        }
        let key = draw.stream("calibration_error");
        let width = bins.len() as u64 + 1;
        let noise: Vec<f64> = (0..draws.max(100) as u64 * width).map(|index| key.normal(index)).collect();
        let rows = self.rows_effective();
        let tail = |factor: f64| share_at_least(&bins, factor, seen, rows, &noise);
        let level_low = (1.0 - level) / 2.0;
        let low = if tail(0.0) >= level_low { 0.0 } else { crossing(&tail, level_low) };
        Some([(low * seen).min(seen), (crossing(&tail, 1.0 - level_low) * seen).clamp(seen, 1.0)])
    }

    /// Kish's effective number of rows.
    fn rows_effective(&self) -> f64 {
        let squares: f64 = (0..self.bin.len()).map(|row| self.weights.at(row).powi(2)).sum();
        self.weights.total().powi(2) / squares
    }

    fn filled(&self) -> Vec<Bin> {
        let mut sums = vec![[0.0; 4]; self.bins];
        self.weights.each(None, |row, mass| {
            let right = if self.right[row] { 1.0 } else { 0.0 };
            let sum = &mut sums[self.bin[row] as usize];
            [sum[0], sum[1], sum[2], sum[3]] =
                [sum[0] + mass, sum[1] + mass * right, sum[2] + mass * self.confidence[row], sum[3] + mass * mass];
        });
        let total = self.weights.total();
        let bin = |[mass, right, confidence, squares]: &[f64; 4]| {
            let rows = mass * mass / squares;
            // One right and one wrong row more (Agresti and Coull, 1998), lest a bin that is all right has no error.
            let rate = (right / mass * rows + 1.0) / (rows + 2.0);
            Bin { share: mass / total, gap: (right - confidence) / mass, error: (rate * (1.0 - rate) / rows).sqrt() }
        };
        sums.iter().filter(|sum| sum[0] > 0.0).map(bin).collect()
    }
}

/// The share of simulations whose error is at least the one seen, when the true gaps are `factor` times those seen.
fn share_at_least(bins: &[Bin], factor: f64, seen: f64, rows: f64, noise: &[f64]) -> f64 {
    let squares: f64 = bins.iter().map(|bin| bin.share * bin.gap * bin.gap).sum();
    let of_shares = factor * ((squares - seen * seen).max(0.0) / rows).sqrt();
    let error = |noise: &[f64]| {
        let of_bins: f64 = bins.iter().zip(noise).map(|(bin, noise)| bin.share * (factor * bin.gap + bin.error * noise).abs()).sum();
        of_bins + of_shares * noise[bins.len()]
    };
    let simulations = noise.chunks_exact(bins.len() + 1);
    let count = simulations.len() as f64;
    simulations.filter(|noise| error(noise) >= seen).count() as f64 / count
}

/// The factor at which a growing share reaches a level.
fn crossing(share: &impl Fn(f64) -> f64, level: f64) -> f64 {
    let [mut low, mut high] = [0.0, 1.0];
    while share(high) < level && high < 1e6 {
        [low, high] = [high, 2.0 * high];
    }
    for _ in 0..20 {
        let middle = 0.5 * (low + high);
        if share(middle) < level { low = middle } else { high = middle }
    }
    high
}

impl Metric for Calibration {
    fn update(&mut self, view: View<'_>, answer: &Answer) -> Result<()> {
        let (classes, values) = rows::scores(answer)?;
        let names = rows::names(&view, answer.len())?;
        self.weights.push(view.weight, answer.len())?;
        let rows = values.chunks_exact(classes.len());
        for ((class, row), name) in argmax(values, classes.len()).zip(rows).zip(names.iter().flatten()) {
            self.bin.push(((row[class] * self.bins as f64) as usize).min(self.bins - 1) as u32);
            self.confidence.push(row[class]);
            self.right.push(*classes[class] == *name);
        }
        Ok(())
    }

    fn merge(&mut self, other: &dyn Metric) -> Result<()> {
        let other = other.as_any().downcast_ref::<Calibration>().ok_or_else(rows::not_alike)?;
        if self.bins != other.bins || self.labels != other.labels {
            return Err(rows::not_alike());
        }
        self.bin.extend_from_slice(&other.bin);
        self.confidence.extend_from_slice(&other.confidence);
        self.right.extend_from_slice(&other.right);
        self.weights.merge(&other.weights);
        Ok(())
    }

    fn items(&self) -> usize {
        self.bin.len()
    }

    fn value(&self, draw: Option<&[u32]>) -> Result<f64> {
        if self.bin.is_empty() {
            return Err(rows::no_rows());
        }
        let (mut gaps, mut total) = (vec![0.0; self.bins], 0.0);
        self.weights.each(draw, |row, mass| {
            gaps[self.bin[row] as usize] += mass * (f64::from(u8::from(self.right[row])) - self.confidence[row]);
            total += mass;
        });
        Ok(gaps.iter().map(|gap| gap.abs()).sum::<f64>() / total)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
