//! Intervals and sets that hold the truth as often as was promised, whatever the model: split conformal prediction (Vovk, Gammerman and
//! Shafer, "Algorithmic learning in a random world", 2005; Lei et al., JASA 2018).
//!
//! Rows that the model did not learn from say how far its answers are from the truth; the quantile of these scores with the
//! correction for a finite sample is the reach of the interval. The promise is for rows like those, all together, not for each group of
//! them; the report measures it on test rows. Bounds that follow the scatter of a number come from quantile regression (`bounds`), and how far they are off
//! is found in the same way.

use super::calibrate::Rows;
use cupola_task::SetRule;

/// The score that a share of `level` of new rows do not exceed: the one at place ceil((n + 1) level) in order. None when there are too few
/// rows for that share.
pub(crate) fn quantile(mut scores: Vec<f64>, level: f64) -> Option<f64> {
    scores.sort_by(f64::total_cmp);
    // The product of a decimal fraction, as 0.9 times 10, may come out a little above the whole number it is.
    let place = ((scores.len() + 1) as f64 * level - 1e-9).ceil() as usize;
    scores.get(place.max(1) - 1).copied()
}

/// How many rows a level needs.
pub(crate) fn rows_needed(level: f64) -> usize {
    (level / (1.0 - level) - 1e-9).ceil() as usize
}

/// The score of a row in conformalised quantile regression: how far the truth is outside of its bounds, below 0 inside (Romano et al. 2019,
/// equation 6).
pub(crate) fn cqr_score(truth: f64, [low, high]: [f64; 2]) -> f64 {
    (low - truth).max(truth - high)
}

/// The score of each row: 1 minus the true class's probability.
pub(crate) fn lac_scores(rows: Rows<'_>) -> Vec<f64> {
    let own = |(row, truth): (usize, &Option<usize>)| truth.map_or(0.0, |class| rows.values[row * rows.classes + class]);
    rows.truth.iter().enumerate().map(|row| 1.0 - own(row)).collect()
}

/// The score of each row: the probability of the true class and of all that are more probable.
pub(crate) fn aps_scores(rows: Rows<'_>) -> Vec<f64> {
    let score = |(row, truth): (&[f64], &Option<usize>)| {
        let Some(class) = *truth else { return 1.0 };
        let is_before = |other: usize| row[other] > row[class] || row[other] == row[class] && other < class;
        (0..row.len()).filter(|&other| is_before(other)).map(|other| row[other]).sum::<f64>() + row[class]
    };
    rows.values.chunks_exact(rows.classes).zip(rows.truth).map(score).collect()
}

/// The rule of sets whose scores have that quantile.
pub(crate) fn set_rule(is_aps: bool, rows: Rows<'_>, level: f64) -> Option<SetRule> {
    match is_aps {
        true => quantile(aps_scores(rows), level).map(SetRule::Aps),
        false => quantile(lac_scores(rows), level).map(SetRule::Lac),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cupola_task::Draw;

    #[test]
    fn the_quantile_is_that_of_a_finite_sample() {
        let scores: Vec<f64> = (1..=9).map(f64::from).collect();
        assert_eq!((quantile(scores.clone(), 0.9), quantile(scores.clone(), 0.5), quantile(scores, 0.95)), (Some(9.0), Some(5.0), None));
        assert_eq!((rows_needed(0.9), rows_needed(0.95), rows_needed(0.5), quantile(vec![], 0.9)), (9, 19, 1, None));
    }

    /// Over many small samples the interval holds the truth as often as promised, and with the correction not much more.
    #[test]
    fn coverage_is_what_was_promised() {
        let mut held = 0;
        for trial in 0..2000 {
            let draw = Draw::new(3).at(trial);
            let reach = quantile((0..30).map(|row| draw.normal(row).abs()).collect(), 0.9).unwrap();
            held += u32::from(draw.normal(30).abs() <= reach);
        }
        // Expected: ceil(31 * 0.9) / 31 = 28 / 31 = 0.903; the standard error is 0.0066.
        assert!((f64::from(held) / 2000.0 - 28.0 / 31.0).abs() < 0.02, "{held}");
    }
}
