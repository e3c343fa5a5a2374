//! Interactions of pairs by Friedman's H (Friedman and Popescu, "Predictive learning via rule ensembles", 2008, section 8.1): the share of the
//! spread of two columns' joint partial dependence that is not the sum of their own. 0: they act side by side; 1: they act only together.

use super::cells::evenly;
use super::dependence::weighted_mean;
use super::subject::Subject;
use crate::Result;
use cupola_task::{Columns, Error, Event, Flow, Run};

/// Rows at which dependences are taken, and over which they are means.
const ROWS: usize = 50;

/// H of each pair of the columns, the strongest first: names, H, and how much of the score's spread the joint part is.
///
/// # Errors
/// When the model cannot answer, or the run was stopped.
pub(super) fn interactions(
    subject: &Subject<'_>,
    inputs: &Columns,
    columns: &[String],
    run: &Run<'_>,
) -> Result<Vec<(String, String, f64, f64)>> {
    let rows = inputs.take(&evenly(inputs.rows(), ROWS));
    let alone: Vec<Vec<f64>> = columns.iter().map(|column| centred(subject, &rows, &[column])).collect::<Result<_>>()?;
    let scores = subject.scores(&rows)?;
    let mean = weighted_mean(&scores, None);
    let spread: f64 = scores.iter().map(|score| (score - mean).powi(2)).sum();
    let mut pairs = Vec::new();
    let total = Some((columns.len() * columns.len().saturating_sub(1) / 2) as u64);
    for first in 0..columns.len() {
        for second in first + 1..columns.len() {
            let both = centred(subject, &rows, &[&columns[first], &columns[second]])?;
            let joint: f64 = both.iter().map(|value| value * value).sum();
            let left: f64 = (0..both.len()).map(|row| (both[row] - alone[first][row] - alone[second][row]).powi(2)).sum();
            // Where the pair does nothing at all, there is nothing to share.
            let h = if joint > spread * 1e-12 && joint > 0.0 { (left / joint).sqrt().min(1.0) } else { 0.0 };
            let share = if spread > 0.0 { (left / spread).sqrt() } else { 0.0 };
            pairs.push((columns[first].clone(), columns[second].clone(), h, share));
            let progress = Event::Progress { done: pairs.len() as u64, total, unit: "pairs".into(), score: None };
            if run.tell(progress) == Flow::Stop {
                return Err(Error::Interrupted.into());
            }
        }
    }
    pairs.sort_by(|a, b| b.3.total_cmp(&a.3));
    Ok(pairs)
}

/// The partial dependence on some columns at each row's own values, less its mean.
fn centred(subject: &Subject<'_>, rows: &Columns, columns: &[&str]) -> Result<Vec<f64>> {
    let count = rows.rows();
    // Row `at * count + other` is `other` with the columns of `at`.
    let others: Vec<u64> = (0..count * count).map(|place| (place % count) as u64).collect();
    let own: Vec<u64> = (0..count * count).map(|place| (place / count) as u64).collect();
    let mut mixed = rows.take(&others);
    for &column in columns {
        if let Some(values) = rows.get(column) {
            mixed.insert(column.into(), values.take(&own));
        }
    }
    let scores = subject.scores(&mixed)?;
    let means: Vec<f64> = scores.chunks_exact(count).map(|scores| weighted_mean(scores, None)).collect();
    let mean = weighted_mean(&means, None);
    Ok(means.into_iter().map(|value| value - mean).collect())
}
