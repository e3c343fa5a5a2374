//! Distances, by scikit-learn's names. What is compared is a *key*: the distance, or what grows with it and costs less.

/// How far rows are apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Metric {
    /// sum |x - y|
    Manhattan,
    /// (sum |x - y|^2)^(1/2); the key is its square.
    Euclidean,
    /// (sum |x - y|^p)^(1/p); the key is its p-th power.
    Minkowski(f64),
    /// max |x - y|
    Chebyshev,
    /// 1 - x y / (|x| |y|); rows are scaled to length 1 before, and the key is 1 - x y.
    Cosine,
}

impl Metric {
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
        keys.fill(if self == Metric::Cosine { 1.0 } else { 0.0 });
        for (column, &at) in columns.chunks_exact(keys.len().max(1)).zip(at) {
            self.add(keys, column, at);
        }
    }

    /// One point's key: the same sum in the same order.
    pub(super) fn key(self, point: &[f64], at: &[f64]) -> f64 {
        let pairs = point.iter().zip(at);
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
            Metric::Manhattan | Metric::Chebyshev => key,
            Metric::Euclidean => key.sqrt(),
            Metric::Minkowski(p) => key.powf(1.0 / p),
            Metric::Cosine => key.max(0.0),
        }
    }
}
