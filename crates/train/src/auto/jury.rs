//! Members and weights of an ensemble: greedy selection with replacement, judged on rows that were held out (Caruana et al., ICML 2004).

use super::upwards;
use crate::crossval::mean_and_variance;
use crate::{Result, ensemble};
use cupola_metrics::Ruler;
use cupola_task::{Answer, Batch, Field};

/// How often one joins at most.
const ROUNDS_MAX: usize = 16;

/// Rows that were held out, to judge answers by.
pub(super) struct Jury {
    /// The target with the classes that the fold's training rows have.
    pub field: Field,
    pub rows: Batch,
    pub weights: Option<Vec<f64>>,
}

impl Jury {
    /// Every other row by itself, and which they are: one fold's rows judge weights that were chosen on the other half. None where there is one row.
    pub fn halves(&self) -> Option<([Jury; 2], [Vec<u64>; 2])> {
        let count = self.rows.rows.len() as u64;
        let rows = [0, 1].map(|first| (first..count).step_by(2).collect::<Vec<u64>>());
        let half = |rows: &Vec<u64>| Jury {
            field: self.field.clone(),
            rows: self.rows.take(rows),
            weights: self.weights.as_ref().map(|weights| rows.iter().map(|&row| weights[row as usize]).collect()),
        };
        (count >= 2).then(|| (rows.each_ref().map(half), rows))
    }

    fn value(&self, answer: &Answer, ruler: &Ruler) -> Result<f64> {
        Ok(cupola_metrics::value(&self.field, answer, self.rows.view(&self.field.name, self.weights.as_deref()), ruler)?)
    }
}

/// How often each candidate joins: in each round the one joins that makes the mean of all who have joined best, until none does. `answers[candidate][fold]`
/// are judged on the folds that `counts`.
pub(super) fn greedy(answers: &[&[Answer]], juries: &[Jury], counts: impl Fn(usize) -> bool, ruler: &Ruler) -> Result<Vec<u32>> {
    let mut joined = vec![0; answers.len()];
    let mut best = f64::NEG_INFINITY;
    for _ in 0..ROUNDS_MAX {
        let mut next = None;
        for candidate in 0..answers.len() {
            joined[candidate] += 1;
            let mut sum = 0.0;
            for fold in (0..juries.len()).filter(|&fold| counts(fold)) {
                sum += upwards(&ruler.0, judged(answers, &joined, fold, &juries[fold], ruler)?);
            }
            joined[candidate] -= 1;
            if sum > best {
                (best, next) = (sum, Some(candidate));
            }
        }
        let Some(next) = next else { break };
        joined[next] += 1;
    }
    Ok(joined)
}

/// The measure of the weighted mean on a fold; not a number where answers cannot be put together.
pub(super) fn judged(answers: &[&[Answer]], weights: &[u32], fold: usize, jury: &Jury, ruler: &Ruler) -> Result<f64> {
    let weighted = answers.iter().zip(weights).filter(|(_, weight)| **weight > 0);
    let weighted: Vec<(&Answer, f64)> = weighted.map(|(answers, weight)| (&answers[fold], f64::from(*weight))).collect();
    ensemble::blend(&weighted).map_or(Ok(f64::NAN), |answer| jury.value(&answer, ruler))
}

/// The best value, the higher the better, that a candidate has by itself on the juries' rows.
pub(super) fn best_alone(answers: &[&[Answer]], juries: &[Jury], ruler: &Ruler) -> Result<f64> {
    let alone = |answers: &&[Answer]| {
        let values = juries.iter().zip(*answers).map(|(jury, answer)| jury.value(answer, ruler)).collect::<Result<Vec<f64>>>()?;
        Ok(upwards(&ruler.0, mean_and_variance(&values)[0]))
    };
    Ok(answers.iter().map(alone).collect::<Result<Vec<f64>>>()?.into_iter().fold(f64::NAN, f64::max))
}
