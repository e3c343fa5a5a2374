//! Distances, by scikit-learn's names. What is compared is a *key*: the distance, or what grows with it and costs less.

/// How far rows are apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Metric {
    /// sum |x - y|
    Manhattan,
    /// (sum |x - y|^2)^(1/2); the key is its square.
    Euclidean,
    /// (sum |x - y|^p)^(1/p); the key is its p-th power, or, for a large p, the distance itself.
    Minkowski(f64),
    /// max |x - y|
    Chebyshev,
    /// 1 - x y / (|x| |y|); rows are scaled to length 1 before, and the key is 1 - x y.
    Cosine,
}

/// Beyond this power differences are divided by the largest one before they are raised: 0.4^1000 is no number above 0 any more, and all rows were equally
/// near. Up to it differences from 1e-19 to 1e19 stay numbers.
const POWER_MAX: f64 = 16.0;
/// What a least distance is made smaller by, so that rounding of powers and roots never makes it more than that of a point.
const ROUNDING: f64 = 1.0 - 1e-12;

/// The distance of a large power from the differences.
fn scaled(p: f64, apart: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = apart.clone().fold(0.0, f64::max);
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    largest * apart.fold(0.0, |sum, apart| sum + (apart / largest).powf(p)).powf(1.0 / p)
}

impl Metric {
    /// The power, where it is a large one.
    fn large_power(self) -> Option<f64> {
        if let Metric::Minkowski(p) = self { Some(p).filter(|p| *p > POWER_MAX) } else { None }
    }

    /// Adds a column's share to the keys of points that differ so much in it.
    #[inline]
    fn add(self, keys: &mut [f64], column: &[f64], at: f64) {
        match self {
            Metric::Manhattan => keys.iter_mut().zip(column).for_each(|(key, value)| *key += (value - at).abs()),
            Metric::Euclidean => keys.iter_mut().zip(column).for_each(|(key, value)| *key += (value - at) * (value - at)),
            Metric::Minkowski(p) => keys.iter_mut().zip(column).for_each(|(key, value)| *key += (value - at).abs().powf(p)),
            Metric::Chebyshev => {
                for (key, value) in keys.iter_mut().zip(column) {
                    let apart = (value - at).abs();
                    *key = if apart > *key { apart } else { *key };
                }
            }
            Metric::Cosine => keys.iter_mut().zip(column).for_each(|(key, value)| *key -= value * at),
        }
    }

    /// Keys of points that lie column by column, as many as `keys` are.
    pub(super) fn keys(self, columns: &[f64], at: &[f64], keys: &mut [f64]) {
        if let Some(p) = self.large_power() {
            let count = keys.len().max(1);
            let apart = |point: usize| at.iter().zip(columns.chunks_exact(count)).map(move |(at, column)| (column[point] - at).abs());
            keys.iter_mut().enumerate().for_each(|(point, key)| *key = scaled(p, apart(point)));
            return;
        }
        keys.fill(if self == Metric::Cosine { 1.0 } else { 0.0 });
        for (column, &at) in columns.chunks_exact(keys.len().max(1)).zip(at) {
            self.add(keys, column, at);
        }
    }

    /// One point's key: the same sum in the same order.
    pub(super) fn key(self, point: &[f64], at: &[f64]) -> f64 {
        let pairs = point.iter().zip(at);
        if let Some(p) = self.large_power() {
            return scaled(p, pairs.map(|(value, at)| (value - at).abs()));
        }
        match self {
            Metric::Manhattan => pairs.fold(0.0, |key, (value, at)| key + (value - at).abs()),
            Metric::Euclidean => pairs.fold(0.0, |key, (value, at)| key + (value - at) * (value - at)),
            Metric::Minkowski(p) => pairs.fold(0.0, |key, (value, at)| key + (value - at).abs().powf(p)),
            Metric::Chebyshev => pairs.fold(0.0, |key: f64, (value, at)| key.max((value - at).abs())),
            Metric::Cosine => pairs.fold(1.0, |key, (value, at)| key - value * at),
        }
    }

    /// The least key that a point inside of a box can have. Rounding never makes it more: every step of the sum only grows with the distance.
    pub(super) fn key_of_box(self, low: &[f64], high: &[f64], at: &[f64]) -> f64 {
        let apart = low.iter().zip(high).zip(at).map(|((low, high), at)| if at < low { low - at } else { (at - high).max(0.0) });
        if let Some(p) = self.large_power() {
            return scaled(p, apart) * ROUNDING;
        }
        match self {
            Metric::Manhattan => apart.fold(0.0, |key, apart| key + apart),
            Metric::Euclidean => apart.fold(0.0, |key, apart| key + apart * apart),
            Metric::Minkowski(p) => apart.fold(0.0, |key, apart| key + apart.powf(p)),
            Metric::Chebyshev => apart.fold(0.0, f64::max),
            // Never asked: rows of length 1 have no use for boxes.
            Metric::Cosine => f64::NEG_INFINITY,
        }
    }

    /// The distance that a key stands for.
    pub(super) fn distance(self, key: f64) -> f64 {
        match self {
            Metric::Minkowski(_) if self.large_power().is_some() => key,
            Metric::Manhattan | Metric::Chebyshev => key,
            Metric::Euclidean => key.sqrt(),
            Metric::Minkowski(p) => key.powf(1.0 / p),
            Metric::Cosine => key.max(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_power_tells_near_from_far() {
        for p in [17.0, 100.0, 1000.0] {
            let metric = Metric::Minkowski(p);
            let key = |point: &[f64]| metric.key(point, &[0.0, 0.0]);
            // The p-th powers of all of these are 0, or no numbers.
            assert!(key(&[0.1, 0.2]) < key(&[0.3, 0.1]) && key(&[0.3, 0.1]) < key(&[0.3, 0.3]), "{p}");
            assert!((metric.distance(key(&[3.0, 3.0])) - 3.0 * 2f64.powf(1.0 / p)).abs() < 1e-12, "{p}");
            assert!(key(&[1e30, 1.0]).is_finite() && key(&[0.0, 0.0]) == 0.0, "{p}");
            let mut keys = [0.0; 3];
            metric.keys(&[0.1, 0.3, 0.3, 0.2, 0.1, 0.3], &[0.0, 0.0], &mut keys);
            assert_eq!(keys, [key(&[0.1, 0.2]), key(&[0.3, 0.1]), key(&[0.3, 0.3])], "{p}");
            assert!(metric.key_of_box(&[0.1, 0.2], &[0.5, 0.5], &[0.0, 0.0]) <= key(&[0.1, 0.2]), "{p}");
        }
    }
}
