//! What a forest's tree counts in a bin, and how good a group of rows with such counts is.
//!
//! With squared error, and with Gini's impurity, a split is the better the larger the sum over both sides of
//! (sum of values)^2 / weight, where Gini sums over the classes' indicators; for two classes one indicator is enough, for the
//! other one only adds the same again. So one number a bin serves regression and two classes, and more classes have one each.

/// A row as a tree sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Item {
    /// Its weight times how often it was drawn.
    pub(crate) weight: f64,
    /// Its number (less the mean of all, so that sums do not cancel), or its class.
    pub(crate) value: f64,
}

/// How rows are counted. A cell is a slice of numbers: rows, weight, and the sums.
pub(crate) trait Tally: Sync {
    /// Numbers in a cell.
    fn stride(&self) -> usize;
    /// Counts a row.
    fn add(&self, cell: &mut [f64], item: Item);
    /// How good a group is: higher is purer, for the same weight.
    fn score(&self, cell: &[f64]) -> f64;
    /// The scores of a side and of the rest of the whole.
    fn both(&self, left: &[f64], whole: &[f64]) -> f64;
    /// Where a category stands among the others of a leaf.
    fn rank(&self, cell: &[f64], whole: &[f64]) -> f64;
    /// What a leaf answers.
    fn answer<'a>(&self, cell: &'a [f64]) -> LeafAnswer<'a>;
}

/// What a leaf answers.
pub(crate) enum LeafAnswer<'a> {
    /// A number.
    Number(f64),
    /// The weight of each class.
    Weights(&'a [f64]),
}

/// Weight and weighted sum: numbers, or the indicator of the second of two classes.
pub(crate) struct Moments;

/// The weight of each of so many classes.
pub(crate) struct Shares(pub(crate) usize);

impl Tally for Moments {
    #[inline(always)]
    fn stride(&self) -> usize {
        3
    }

    #[inline(always)]
    fn add(&self, cell: &mut [f64], item: Item) {
        cell[0] += 1.0;
        cell[1] += item.weight;
        cell[2] += item.weight * item.value;
    }

    #[inline]
    fn score(&self, cell: &[f64]) -> f64 {
        cell[2] * cell[2] / cell[1]
    }

    #[inline(always)]
    fn both(&self, left: &[f64], whole: &[f64]) -> f64 {
        let (weight, sum) = (whole[1] - left[1], whole[2] - left[2]);
        left[2] * left[2] / left[1] + sum * sum / weight
    }

    fn rank(&self, cell: &[f64], _: &[f64]) -> f64 {
        cell[2] / cell[1]
    }

    fn answer<'a>(&self, cell: &'a [f64]) -> LeafAnswer<'a> {
        LeafAnswer::Number(cell[2] / cell[1])
    }
}

impl Tally for Shares {
    #[inline(always)]
    fn stride(&self) -> usize {
        self.0 + 2
    }

    #[inline(always)]
    fn add(&self, cell: &mut [f64], item: Item) {
        cell[0] += 1.0;
        cell[1] += item.weight;
        cell[2 + item.value as usize] += item.weight;
    }

    #[inline]
    fn score(&self, cell: &[f64]) -> f64 {
        cell[2..].iter().map(|weight| weight * weight).sum::<f64>() / cell[1]
    }

    #[inline]
    fn both(&self, left: &[f64], whole: &[f64]) -> f64 {
        let (mut squares_left, mut squares_right) = (0.0, 0.0);
        for class in 2..self.0 + 2 {
            let right = whole[class] - left[class];
            squares_left += left[class] * left[class];
            squares_right += right * right;
        }
        squares_left / left[1] + squares_right / (whole[1] - left[1])
    }

    /// By the share of the class that is most frequent in the leaf.
    fn rank(&self, cell: &[f64], whole: &[f64]) -> f64 {
        let top = whole[2..].iter().enumerate().fold(0, |top, (class, weight)| if *weight > whole[2 + top] { class } else { top });
        cell[2 + top] / cell[1]
    }

    fn answer<'a>(&self, cell: &'a [f64]) -> LeafAnswer<'a> {
        LeafAnswer::Weights(&cell[2..])
    }
}
