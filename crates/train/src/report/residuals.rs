//! Truth minus answer, summarised.

use super::report::{Bucket, Point, Quantile, Residuals};

impl Residuals {
    /// How many points a summary keeps.
    const POINTS_MAX: usize = 2000;
    /// How many bars its histogram has.
    const BUCKETS: usize = 31;

    /// Summarises answers against the truth, row by row. Rows where either is not finite are left out. The histogram covers
    /// all residuals, in bars of equal width.
    pub fn of(truth: &[f64], answers: &[f64]) -> Residuals {
        assert_eq!(truth.len(), answers.len(), "each answer has its truth");
        let points: Vec<Point> = (truth.iter().zip(answers))
            .map(|(truth, answer)| Point { x: *answer, y: truth - answer })
            .filter(|point| point.x.is_finite() && point.y.is_finite())
            .collect();
        let mut sorted: Vec<f64> = points.iter().map(|point| point.y).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let rows = sorted.len() as f64; // 0 rows: mean and deviation are 0 / 0, undefined
        let mean = sorted.iter().sum::<f64>() / rows;
        let deviation = (sorted.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / rows).sqrt();
        let quantiles = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0].map(|share| Quantile { share, value: quantile(&sorted, share) }).to_vec();
        Residuals { mean, deviation, quantiles, points: thinned(&points, Self::POINTS_MAX), histogram: histogram(&sorted, Self::BUCKETS) }
    }
}

/// At most `max` of the points: the first, the last, and evenly between.
pub(super) fn thinned<T: Copy>(points: &[T], max: usize) -> Vec<T> {
    if points.len() <= max || max < 2 {
        return points.iter().copied().take(max).collect();
    }
    (0..max).map(|i| points[i * (points.len() - 1) / (max - 1)]).collect()
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = share * last as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

fn histogram(sorted: &[f64], buckets: usize) -> Vec<Bucket> {
    let (Some(&low), Some(&high)) = (sorted.first(), sorted.last()) else { return Vec::new() };
    if high <= low {
        return vec![Bucket { low, high, rows: sorted.len() as u64 }];
    }
    let edge = |i: usize| if i == buckets { high } else { low + (high - low) * (i as f64 / buckets as f64) };
    let below = |i: usize| if i == buckets { sorted.len() } else { sorted.partition_point(|value| *value < edge(i)) };
    (0..buckets).map(|i| Bucket { low: edge(i), high: edge(i + 1), rows: (below(i + 1) - below(i)) as u64 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residuals_are_summarised() {
        let truth: Vec<f64> = (0..101).map(f64::from).collect();
        let summary = Residuals::of(&truth, &[50.0; 101]);
        assert_eq!((summary.mean, summary.quantiles[1].value, summary.quantiles[6].value), (0.0, -45.0, 50.0));
        assert_eq!(summary.histogram.iter().map(|bucket| bucket.rows).sum::<u64>(), 101);
        assert_eq!(Residuals::of(&[1.0, f64::NAN], &[1.0, 2.0]).histogram, [Bucket { low: 0.0, high: 0.0, rows: 1 }]);
        assert!(Residuals::of(&[], &[]).mean.is_nan());
        assert_eq!(thinned(&[1, 2, 3, 4, 5, 6, 7], 3), [1, 4, 7]);
    }
}
