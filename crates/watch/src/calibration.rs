//! Scores into probabilities that hold, as NannyML does it: isotonic regression on rows the model never learned from (pool adjacent violators:
//! Barlow et al., "Statistical inference under order restrictions", 1972), and only where it makes the expected calibration error smaller on rows
//! it was not fitted to.
//!
//! Differs: NannyML judges on ten random tenths, we on five fifths by row number, which needs no seed; the map is kept at 101 points at most.

use serde::{Deserialize, Serialize};

/// With fewer rows a map would be noise.
const ROWS_MIN: usize = 50;
const FOLDS: usize = 5;
/// As in NannyML.
const ERROR_BINS: usize = 10;
const POINTS_MAX: usize = 101;

/// A rising map of a score to a probability: linear between points, level outside; no points for the score itself.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Calibration {
    /// Scores, ascending.
    pub scores: Vec<f64>,
    /// The probability at each of them.
    pub probabilities: Vec<f64>,
}

impl Calibration {
    /// The map of held-out scores, or none where scores hold better as they are.
    pub(crate) fn fit(scores: &[f64], is_true: &[bool]) -> Calibration {
        let positives = is_true.iter().filter(|truth| **truth).count();
        if scores.len() < ROWS_MIN || positives == 0 || positives == scores.len() {
            return Calibration::default();
        }
        let mut held = vec![0.0; scores.len()];
        for fold in 0..FOLDS {
            let is_out = |row: &usize| row % FOLDS == fold;
            let inside: Vec<usize> = (0..scores.len()).filter(|row| !is_out(row)).collect();
            let map = isotonic(inside.iter().map(|&row| (scores[row], is_true[row])));
            (0..scores.len()).filter(is_out).for_each(|row| held[row] = map.at(scores[row]));
        }
        if error(&held, is_true) < error(scores, is_true) {
            isotonic(scores.iter().copied().zip(is_true.iter().copied()))
        } else {
            Calibration::default()
        }
    }

    /// The probability of a score.
    pub fn at(&self, score: f64) -> f64 {
        let Some(last) = self.scores.len().checked_sub(1) else { return score };
        match self.scores.partition_point(|known| *known < score) {
            0 => self.probabilities[0],
            place if place > last => self.probabilities[last],
            place => {
                let ([x, x1], [y, y1]) =
                    ([self.scores[place - 1], self.scores[place]], [self.probabilities[place - 1], self.probabilities[place]]);
                y + (y1 - y) * (score - x) / (x1 - x)
            }
        }
    }

    /// Whether it is well formed, which what was read from outside may not be.
    pub(crate) fn is_sound(&self) -> bool {
        self.scores.len() == self.probabilities.len()
            && self.scores.is_sorted_by(|a, b| a < b)
            && self.probabilities.iter().all(|value| (0.0..=1.0).contains(value))
    }
}

/// Blocks of rows whose means rise: from score, to score, sum of truths, rows.
fn isotonic(rows: impl Iterator<Item = (f64, bool)>) -> Calibration {
    let mut sorted: Vec<(f64, bool)> = rows.collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut blocks: Vec<[f64; 4]> = Vec::new();
    for ties in sorted.chunk_by(|a, b| a.0 == b.0) {
        let hits = ties.iter().filter(|(_, is_true)| *is_true).count() as f64;
        let mut block = [ties[0].0, ties[0].0, hits, ties.len() as f64];
        while let Some(last) = blocks.pop_if(|last| last[2] * block[3] >= block[2] * last[3]) {
            block = [last[0], block[1], last[2] + block[2], last[3] + block[3]];
        }
        blocks.push(block);
    }
    let mut map = Calibration::default();
    let step = (2 * blocks.len()).div_ceil(POINTS_MAX);
    for (place, [from, to, hits, rows]) in blocks.iter().enumerate() {
        if !place.is_multiple_of(step) && place + 1 != blocks.len() {
            continue;
        }
        map.scores.push(*from);
        map.probabilities.push(hits / rows);
        if to > from {
            map.scores.push(*to);
            map.probabilities.push(hits / rows);
        }
    }
    map
}

/// The expected calibration error over bins of equally many rows.
fn error(scores: &[f64], is_true: &[bool]) -> f64 {
    let mut sorted: Vec<(f64, bool)> = scores.iter().copied().zip(is_true.iter().copied()).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let gap = |bin: &[(f64, bool)]| bin.iter().map(|(score, is_true)| score - f64::from(u8::from(*is_true))).sum::<f64>().abs();
    sorted.chunks(scores.len().div_ceil(ERROR_BINS)).map(gap).sum::<f64>() / scores.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use cupola_task::Draw;

    #[test]
    fn isotonic_pools_what_falls() {
        let map = isotonic([(0.1, false), (0.2, true), (0.3, false), (0.4, true)].into_iter());
        assert_eq!((map.at(0.0), map.at(0.1), map.at(0.25), map.at(0.4), map.at(2.0)), (0.0, 0.0, 0.5, 1.0, 1.0));
    }

    #[test]
    fn scores_are_mapped_where_that_helps() {
        let draw = Draw::new(3);
        let scores: Vec<f64> = (0..2000).map(|row| draw.uniform(row)).collect();
        let drawn =
            |power: f64| -> Vec<bool> { scores.iter().zip(2000..).map(|(score, row)| draw.uniform(row) < score.powf(power)).collect() };
        assert_eq!(Calibration::fit(&scores, &vec![true; 2000]), Calibration::default());
        let map = Calibration::fit(&scores, &drawn(3.0));
        assert!((map.at(0.5) - 0.125).abs() < 0.06 && map.is_sound() && map.scores.len() <= POINTS_MAX + 1, "{map:?}");
    }
}
