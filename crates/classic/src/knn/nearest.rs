//! The nearest points found so far.

/// Up to so many points, the nearest first; of equally near ones that of the smaller number.
#[derive(Clone, Debug)]
pub(super) struct Nearest {
    count: usize,
    found: Vec<(f64, u32)>,
}

impl Nearest {
    pub(super) fn new(count: usize) -> Nearest {
        Nearest { count, found: Vec::with_capacity(count + 1) }
    }

    /// The largest key that may still be among them.
    #[inline]
    pub(super) fn reach(&self) -> f64 {
        if self.found.len() < self.count { f64::INFINITY } else { self.found[self.count - 1].0 }
    }

    /// Takes a point in if it belongs to them.
    #[inline]
    pub(super) fn offer(&mut self, key: f64, point: u32) {
        // Keys are finite or infinite, never NaN: rows were checked.
        if key > self.reach() {
            return;
        }
        let place = self.found.partition_point(|known| (known.0, known.1) < (key, point));
        if place < self.count {
            self.found.truncate(self.count - 1);
            self.found.insert(place.min(self.found.len()), (key, point));
        }
    }

    /// Keys and points, the nearest first.
    pub(super) fn found(&self) -> &[(f64, u32)] {
        &self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_head_of_the_sorted_list(keys in prop::collection::vec(0u8..9, 1..40), count in 1usize..9) {
            let mut nearest = Nearest::new(count);
            let mut all: Vec<(f64, u32)> = keys.iter().zip(0..).map(|(&key, point)| (f64::from(key), point)).collect();
            // Not in the order of their numbers.
            all.iter().rev().for_each(|&(key, point)| nearest.offer(key, point));
            all.sort_by(|a, b| a.partial_cmp(b).unwrap());
            all.truncate(count);
            prop_assert_eq!(nearest.found(), &all[..]);
        }
    }
}
