//! Evaluation: measures with their intervals, and the difference of two answers with its own.

use crate::calibration_error::Calibration;
use crate::expected_cost::Cost;
use crate::interval::reach;
use crate::losses::Losses;
use crate::r2::Explained;
use crate::ranking::Ranking;
use crate::tally::Tally;
use cupola_task::{Answer, Draw, Field, Metric, MetricDef, Result, Settings, View};
use rayon::prelude::*;

/// How intervals are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// The share of repetitions in which an interval is to hold the true value; 0.95 by default.
    pub level: f64,
    /// How many resamples where resampling is needed; 1000 by default.
    pub draws: usize,
    /// Seeds the resamples.
    pub draw: Draw,
}

/// A measure with its interval. Low and high are NaN where there is no knowing: a single row, an undefined value.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The measure's name.
    pub name: &'static str,
    /// Its value; NaN where undefined.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Whether more is better.
    pub is_score: bool,
}

/// By how much the first of two answers exceeds the second on the same rows, with its interval. When that does not hold 0,
/// the answers differ by more than chance.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The measure's name.
    pub name: &'static str,
    /// First minus second; NaN where either is undefined.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Whether more is better.
    pub is_score: bool,
}

/// With more rows than this a resampled measure is normal enough that its spread, which few draws tell, gives the interval.
const ROWS_RESAMPLED_MAX: usize = 4_000;
/// How many draws tell a spread well enough: its relative error is 1 / sqrt(2 * 200), five percent.
const DRAWS_OF_SPREAD: usize = 200;
/// How many resamples are in memory at a time: enough for the threads, few enough to stay in cache.
const DRAWS_AT_ONCE: usize = 8;

impl Default for Sampling {
    fn default() -> Sampling {
        Sampling { level: 0.95, draws: 1000, draw: Draw::new(0) }
    }
}

/// Evaluates measures of one target, in the order given.
///
/// Intervals of this crate's measures come in closed form from how much each row moves the measure (Wilson's for what
/// lies between two bounds, Hall's for means of skewed losses, an inverted test for the calibration error); those of other
/// measures from the bootstrap. Simulated coverage is in `coverage.rs`.
///
/// # Errors
/// When there are no rows, a measure does not suit the target, or truth, answer and weights do not suit each other.
pub fn score(field: &Field, answer: &Answer, view: View<'_>, metrics: &[(MetricDef, Settings)], sampling: Sampling) -> Result<Vec<Score>> {
    let one = |(def, settings): &(MetricDef, Settings)| {
        let metric = filled(def, settings, field, answer, view)?;
        let value = metric.value(None)?;
        let [low, high] = interval(&*metric, value, sampling)?;
        Ok(Score { name: def.name, value, low, high, is_score: def.is_score })
    };
    metrics.par_iter().map(one).collect()
}

/// Evaluates one measure of one target, without an interval.
///
/// # Errors
/// As [`score`].
pub fn value(field: &Field, answer: &Answer, view: View<'_>, (def, settings): &(MetricDef, Settings)) -> Result<f64> {
    filled(def, settings, field, answer, view)?.value(None)
}

/// Evaluates the difference of two answers to the same rows, by bootstrap: one set of resamples for both answers and all
/// measures.
///
/// # Errors
/// As [`score`].
pub fn paired(
    field: &Field,
    answers: [&Answer; 2],
    view: View<'_>,
    metrics: &[(MetricDef, Settings)],
    sampling: Sampling,
) -> Result<Vec<Difference>> {
    let pair = |(def, settings): &(MetricDef, Settings)| {
        let [first, second] = answers.map(|answer| filled(def, settings, field, answer, view));
        let metrics = [first?, second?];
        let value = difference(&metrics, None)?;
        Ok(Pair { metrics, value, draws: vec![] })
    };
    let mut pairs = metrics.par_iter().map(pair).collect::<Result<Vec<_>>>()?;
    resample(&mut pairs, sampling)?;
    let ends = pairs.iter_mut().map(|pair| spread(&mut pair.draws, pair.value, pair.metrics[0].items(), sampling.level));
    let named = metrics.iter().zip(ends.collect::<Vec<_>>()).zip(&pairs);
    Ok(named
        .map(|(((def, _), [low, high]), pair)| Difference { name: def.name, value: pair.value, low, high, is_score: def.is_score })
        .collect())
}

struct Pair {
    metrics: [Box<dyn Metric>; 2],
    value: f64,
    draws: Vec<f64>,
}

fn filled(def: &MetricDef, settings: &Settings, field: &Field, answer: &Answer, view: View<'_>) -> Result<Box<dyn Metric>> {
    let mut metric = (def.new)(field, settings)?;
    metric.update(view, answer)?;
    Ok(metric)
}

fn difference(metrics: &[Box<dyn Metric>; 2], draw: Option<&[u32]>) -> Result<f64> {
    Ok(metrics[0].value(draw)? - metrics[1].value(draw)?)
}

/// Draws are made and measured a few at a time: each once for all measures, never all in memory.
fn resample(pairs: &mut [Pair], sampling: Sampling) -> Result<()> {
    let rows = pairs.first().map_or(0, |pair| pair.metrics[0].items());
    let draws = draws(rows, sampling);
    for start in (0..draws).step_by(DRAWS_AT_ONCE) {
        let counts: Vec<Vec<u32>> =
            (start..(start + DRAWS_AT_ONCE).min(draws)).into_par_iter().map(|step| resampled(rows, sampling.draw, step)).collect();
        pairs.par_iter_mut().try_for_each(|pair| {
            let values = counts.iter().map(|counts| difference(&pair.metrics, Some(counts)));
            pair.draws.extend(values.collect::<Result<Vec<f64>>>()?);
            Ok::<(), cupola_task::Error>(())
        })?;
    }
    Ok(())
}

pub(crate) fn draws(rows: usize, sampling: Sampling) -> usize {
    if rows > ROWS_RESAMPLED_MAX { sampling.draws.min(DRAWS_OF_SPREAD) } else { sampling.draws }
}

/// How often a resample of the same size has each row. Each half of a random number draws a row, whose chance is uneven by
/// less than rows / 2^32.
pub(crate) fn resampled(rows: usize, draw: Draw, step: usize) -> Vec<u32> {
    let key = draw.stream("bootstrap").at(step as u64).key();
    let mut counts = vec![0; rows];
    let mut add = |half: u64| counts[((half * rows as u64) >> 32) as usize] += 1;
    for index in 0..rows as u64 / 2 {
        let bits = Draw::value(key, index);
        add(bits >> 32);
        add(bits & 0xffff_ffff);
    }
    if !rows.is_multiple_of(2) {
        add(Draw::value(key, rows as u64) >> 32);
    }
    counts
}

fn interval(metric: &dyn Metric, value: f64, sampling: Sampling) -> Result<[f64; 2]> {
    if !value.is_finite() || metric.items() < 2 {
        return Ok([f64::NAN; 2]);
    }
    match analytic(metric, sampling) {
        Some([low, high]) => Ok([low.min(value), high.max(value)]),
        None => bootstrap(metric, value, sampling),
    }
}

/// The interval in closed form, for the measures that have one.
fn analytic(metric: &dyn Metric, sampling: Sampling) -> Option<[f64; 2]> {
    let any = metric.as_any();
    let Sampling { level, draws, draw } = sampling;
    let tally = || any.downcast_ref::<Tally>()?.interval(level);
    let ranking = || any.downcast_ref::<Ranking>()?.interval(level);
    let losses = || any.downcast_ref::<Losses>()?.interval(level);
    let cost = || any.downcast_ref::<Cost>()?.interval(level);
    let explained = || any.downcast_ref::<Explained>()?.interval(level);
    let calibration = || any.downcast_ref::<Calibration>()?.interval(level, draws, draw);
    tally()
        .or_else(cost)
        .or_else(ranking)
        .or_else(losses)
        .or_else(explained)
        .or_else(calibration)
        .filter(|ends| ends.iter().all(|end| end.is_finite()))
}

fn bootstrap(metric: &dyn Metric, value: f64, sampling: Sampling) -> Result<[f64; 2]> {
    let rows = metric.items();
    let draw = |step| metric.value(Some(&resampled(rows, sampling.draw, step)));
    let mut values = (0..draws(rows, sampling)).map(draw).collect::<Result<Vec<f64>>>()?;
    Ok(spread(&mut values, value, rows, sampling.level))
}

/// The interval that resampled values give, always with the value itself: their percentiles, or with many rows their
/// spread around it.
pub(crate) fn spread(values: &mut Vec<f64>, value: f64, rows: usize, level: f64) -> [f64; 2] {
    if rows <= ROWS_RESAMPLED_MAX {
        return percentiles(values, value, level);
    }
    if is_defined(values, value) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (values.len() - 1).max(1) as f64;
        let half = reach(level) * variance.sqrt();
        return [value - half, value + half];
    }
    [f64::NAN; 2]
}

/// Leaves out undefined draws; when most are, so is the interval.
fn is_defined(values: &mut Vec<f64>, value: f64) -> bool {
    let count = values.len();
    values.retain(|value| value.is_finite());
    value.is_finite() && !values.is_empty() && values.len() * 2 >= count
}

/// The percentiles of resampled values, always with the value itself; NaN when it or most of them are undefined.
pub(crate) fn percentiles(values: &mut Vec<f64>, value: f64, level: f64) -> [f64; 2] {
    if !is_defined(values, value) {
        return [f64::NAN; 2];
    }
    values.sort_by(f64::total_cmp);
    let tail = (1.0 - level) / 2.0;
    [percentile(values, tail).min(value), percentile(values, 1.0 - tail).max(value)]
}

/// Linear between sorted values.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}
