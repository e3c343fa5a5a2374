//! Class weights: training rows of rare classes count more, so that every class counts alike.

use arrow_array::{Array, ArrayRef, Float64Array};
use std::sync::Arc;

/// `rows / (classes * rows of the class)` for each row, times the weight it has; rows without a class keep theirs.
///
/// As scikit-learn's `class_weight="balanced"`.
pub(crate) fn balanced(codes: &[Option<u32>], classes: usize, weights: Option<&Float64Array>) -> ArrayRef {
    let mut counts = vec![0u64; classes];
    codes.iter().flatten().for_each(|&code| counts[code as usize] += 1);
    let known = counts.iter().sum::<u64>() as f64;
    let present = counts.iter().filter(|count| **count > 0).count() as f64;
    let factor = |code: Option<u32>| code.map_or(1.0, |code| known / (present * counts[code as usize] as f64));
    let weight = |row: usize| match weights {
        Some(weights) => weights.is_valid(row).then(|| weights.value(row)),
        None => Some(1.0),
    };
    Arc::new(codes.iter().enumerate().map(|(row, &code)| weight(row).map(|weight| weight * factor(code))).collect::<Float64Array>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Float64Type;

    #[test]
    fn every_class_weighs_the_same() {
        let codes = [Some(0), Some(0), Some(0), Some(1), None];
        let weights = balanced(&codes, 3, None);
        assert_eq!(&weights.as_primitive::<Float64Type>().values()[..], [2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0, 2.0, 1.0]);
        let own = Float64Array::from(vec![3.0, 3.0, 3.0, 0.5, 7.0]);
        assert_eq!(&balanced(&codes, 3, Some(&own)).as_primitive::<Float64Type>().values()[..], [2.0, 2.0, 2.0, 1.0, 7.0]);
    }
}
