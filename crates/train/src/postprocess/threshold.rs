//! Where a probability becomes a yes, chosen on rows that the model did not learn from.

use super::settings::ThresholdBy;

/// One row of a two-class target: its positive probability, whether it is positive, and what it counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scored {
    pub probability: f64,
    pub is_positive: bool,
    pub weight: f64,
}

/// The threshold that is best by `by` among all that tell rows apart: the probabilities that occur (as scikit-learn's
/// `precision_recall_curve` lists them), and one above them all. Of equally good ones that nearest to a half. `costs` are those of a
/// negative and of a positive row, by negative and positive answer.
pub(crate) fn best(by: ThresholdBy, rows: &[Scored], costs: [[f64; 2]; 2]) -> f64 {
    let mut sorted = rows.to_vec();
    sorted.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    let mass = |wanted: bool| sorted.iter().filter(|row| row.is_positive == wanted).map(|row| row.weight).sum::<f64>();
    let total = [mass(false), mass(true)];
    // What is called positive: of the negatives, and of the positives.
    let mut said = [0.0; 2];
    let above = sorted.first().map_or(0.5, |row| row.probability.next_up());
    let mut found = (above, worth(by, said, total, costs));
    for ties in sorted.chunk_by(|a, b| a.probability == b.probability) {
        ties.iter().for_each(|row| said[usize::from(row.is_positive)] += row.weight);
        let (at, value) = (ties[0].probability, worth(by, said, total, costs));
        let is_nearer = (at - 0.5).abs() < (found.0 - 0.5).abs();
        if value > found.1 || value == found.1 && is_nearer {
            found = (at, value);
        }
    }
    found.0
}

fn worth(by: ThresholdBy, [wrong, found]: [f64; 2], [negative, positive]: [f64; 2], costs: [[f64; 2]; 2]) -> f64 {
    match by {
        ThresholdBy::BestF1 => 2.0 * found / (found + wrong + positive).max(f64::MIN_POSITIVE),
        // Balanced accuracy but for a constant: Youden's index (1950).
        ThresholdBy::Balanced => found / positive.max(f64::MIN_POSITIVE) - wrong / negative.max(f64::MIN_POSITIVE),
        ThresholdBy::Cost => {
            -(costs[0][0] * (negative - wrong) + costs[0][1] * wrong + costs[1][0] * (positive - found) + costs[1][1] * found)
        }
        ThresholdBy::Default | ThresholdBy::At(_) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_has_its_best_place() {
        let rows: Vec<Scored> = [(0.1, false), (0.2, false), (0.3, true), (0.6, false), (0.8, true), (0.9, true)]
            .map(|(probability, is_positive)| Scored { probability, is_positive, weight: 1.0 })
            .to_vec();
        let even = [[0.0, 1.0], [1.0, 0.0]];
        // 0.3: three found, one wrong: f1 6/7; 0.8: two found, none wrong: f1 4/5.
        assert_eq!(best(ThresholdBy::BestF1, &rows, even), 0.3);
        assert_eq!(best(ThresholdBy::Balanced, &rows, even), 0.3);
        // A false alarm that costs ten is worse than a miss.
        assert_eq!(best(ThresholdBy::Cost, &rows, [[0.0, 10.0], [1.0, 0.0]]), 0.8);
        // Where every yes costs too much, nobody is told yes.
        assert!(best(ThresholdBy::Cost, &rows, [[0.0, 10.0], [1.0, 2.0]]) > 0.9);
        assert_eq!(best(ThresholdBy::BestF1, &[], even), 0.5);
    }
}
