//! Truth minus answer, summarised.

use super::report::{Bucket, Point, Quantile, Residuals};

impl From<cupola_metrics::Residuals> for Residuals {
    fn from(found: cupola_metrics::Residuals) -> Residuals {
        let width = found.bars.get(1).map_or(0.0, |bar| bar[0] - found.bars[0][0]);
        Residuals {
            mean: found.mean,
            deviation: found.deviation,
            quantiles: cupola_metrics::Residuals::SHARES
                .into_iter()
                .zip(found.quantiles)
                .map(|(share, value)| Quantile { share, value })
                .collect(),
            points: found.points.into_iter().map(|[x, y]| Point { x, y }).collect(),
            histogram: found.bars.into_iter().map(|[low, rows]| Bucket { low, high: low + width, rows: rows.round() as u64 }).collect(),
        }
    }
}

/// At most `max` of the points: the first, the last, and evenly between.
pub(super) fn thinned<T: Copy>(points: &[T], max: usize) -> Vec<T> {
    if points.len() <= max || max < 2 {
        return points.iter().copied().take(max).collect();
    }
    (0..max).map(|i| points[i * (points.len() - 1) / (max - 1)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_both_ends() {
        assert_eq!(thinned(&[1, 2, 3, 4, 5, 6, 7], 3), [1, 4, 7]);
    }
}
