//! Forests' trees: node after node, each on a few features drawn for it.
//!
//! A node looks at the bins of its own rows only, and at no more bins than these fill, so that small nodes cost little however many
//! bins there are. Where a cut falls between two bins that the node fills, it is put half-way between them.

use super::bins::{BinSet, Binned, Bins, CELLS};
use super::grow::{Branch, Grown};
use super::tally::{Item, Tally};
use cupola_task::Draw;

/// How cuts are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cuts {
    /// The best of each feature.
    Best,
    /// One at random of each feature (extremely randomised trees).
    Random,
}

/// How a tree may grow.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CartRules {
    /// Most splits above a leaf; none means any number.
    pub(crate) max_depth: Option<u32>,
    /// Rows that a node must have to be split.
    pub(crate) min_samples_split: usize,
    /// Rows that each side must have.
    pub(crate) min_samples_leaf: usize,
    /// What a split must add to the score of [`Tally::score`].
    pub(crate) gain_min: f64,
    /// Features drawn for a node; more are drawn while all are constant in it.
    pub(crate) max_features: usize,
    /// How cuts are chosen.
    pub(crate) cuts: Cuts,
}

/// A tree's rows.
pub(crate) struct Sample {
    /// Every row's item; those not drawn are not looked at.
    pub(crate) items: Vec<Item>,
    /// The rows drawn, ascending.
    pub(crate) rows: Vec<u32>,
}

struct Node {
    place: u32,
    start: usize,
    end: usize,
    depth: u32,
}

/// A cut in mind.
#[derive(Clone, Copy)]
struct Cut {
    gain: f64,
    feature: usize,
    left: BinSet,
}

struct Dice {
    key: u64,
    thrown: u64,
}

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.thrown += 1;
        ((u128::from(Draw::value(self.key, self.thrown)) * n as u128) >> 64) as usize
    }
}

struct Cart<'a, T> {
    binned: &'a Binned,
    tally: &'a T,
    rules: &'a CartRules,
    sample: &'a Sample,
    dice: Dice,
    order: Vec<u32>,
    spare: Vec<u32>,
    /// The items of the node at hand, in the order of its rows.
    items: Vec<Item>,
    /// All features, in an order that the draws keep shuffling.
    features: Vec<u32>,
    /// A cell for each bin; all zero between features.
    cells: Vec<f64>,
    /// The bins that the node's rows fill, ascending.
    used: Vec<u8>,
    whole: Vec<f64>,
    whole_score: f64,
    left: Vec<f64>,
}

/// Grows a tree; `leaf` is told the place of each leaf and its cell.
pub(crate) fn grow<T: Tally>(
    binned: &Binned,
    tally: &T,
    rules: &CartRules,
    sample: &Sample,
    draw: Draw,
    mut leaf: impl FnMut(u32, &[f64]),
) -> Grown {
    let stride = tally.stride();
    let mut cart = Cart {
        binned,
        tally,
        rules,
        sample,
        dice: Dice { key: draw.key(), thrown: 0 },
        order: sample.rows.clone(),
        spare: vec![0; sample.rows.len()],
        items: Vec::with_capacity(sample.rows.len()),
        features: (0..binned.bins.len() as u32).collect(),
        cells: vec![0.0; CELLS * stride],
        used: Vec::with_capacity(CELLS),
        whole: vec![0.0; stride],
        whole_score: 0.0,
        left: vec![0.0; stride],
    };
    let empty = Branch { feature: 0, left: 0, goes_left: BinSet::default() };
    let mut grown = Grown { branches: vec![empty], leaves: Vec::new() };
    let mut open = vec![Node { place: 0, start: 0, end: cart.order.len(), depth: 0 }];
    while let Some(node) = open.pop() {
        let Some(cut) = cart.search(&node) else {
            leaf(node.place, &cart.whole);
            grown.leaves.push((node.place, node.start..node.end));
            continue;
        };
        let middle = node.start + cart.part(&node, &cut);
        let left = grown.branches.len() as u32;
        grown.branches[node.place as usize] = Branch { feature: cut.feature as u32, left, goes_left: cut.left };
        grown.branches.extend([empty; 2]);
        let depth = node.depth + 1;
        open.push(Node { place: left + 1, start: middle, end: node.end, depth });
        open.push(Node { place: left, start: node.start, end: middle, depth });
    }
    grown
}

impl<T: Tally> Cart<'_, T> {
    /// The best cut of a node, if it is to be split; leaves its sums in `whole`.
    fn search(&mut self, node: &Node) -> Option<Cut> {
        let rows = &self.order[node.start..node.end];
        self.items.clear();
        self.whole.fill(0.0);
        let first = self.sample.items[rows[0] as usize].value;
        let mut is_pure = true;
        for &row in rows {
            let item = self.sample.items[row as usize];
            self.items.push(item);
            self.tally.add(&mut self.whole, item);
            is_pure &= item.value == first;
        }
        let is_small = rows.len() < self.rules.min_samples_split.max(2 * self.rules.min_samples_leaf);
        if is_pure || is_small || self.rules.max_depth.is_some_and(|most| node.depth >= most) {
            return None;
        }
        self.whole_score = self.tally.score(&self.whole);
        let mut best: Option<Cut> = None;
        let mut has_varied = false;
        for visited in 0..self.features.len() {
            if has_varied && visited >= self.rules.max_features {
                break;
            }
            let drawn = visited + self.dice.below(self.features.len() - visited);
            self.features.swap(visited, drawn);
            let feature = self.features[visited] as usize;
            self.count(node, feature);
            let used = std::mem::take(&mut self.used);
            if used.len() > 1 {
                has_varied = true;
                if let Some((gain, left)) = self.cut(feature, &used)
                    && best.is_none_or(|best| gain > best.gain)
                {
                    best = Some(Cut { gain, feature, left });
                }
            }
            let stride = self.tally.stride();
            for &bin in &used {
                for number in &mut self.cells[usize::from(bin) * stride..][..stride] {
                    *number = 0.0;
                }
            }
            self.used = used;
        }
        best.filter(|best| best.gain >= self.rules.gain_min)
    }

    /// Fills the cells from the node's rows, and `used` with the bins that they are in.
    fn count(&mut self, node: &Node, feature: usize) {
        let column = &self.binned.columns[feature];
        let stride = self.tally.stride();
        let rows = &self.order[node.start..node.end];
        let mut used = BinSet::default();
        for (place, &row) in rows.iter().enumerate() {
            let bin = column[row as usize];
            used.insert(bin);
            self.tally.add(&mut self.cells[usize::from(bin) * stride..][..stride], self.items[place]);
        }
        self.used.clear();
        for (word, mut bits) in used.0.into_iter().enumerate() {
            while bits != 0 {
                self.used.push(word as u8 * 64 + bits.trailing_zeros() as u8);
                bits &= bits - 1;
            }
        }
    }

    /// The cut of a feature whose used bins, two at least, are given: what it adds to the score, and the bins that go left.
    fn cut(&mut self, feature: usize, used: &[u8]) -> Option<(f64, BinSet)> {
        let binned = self.binned;
        let bins = &binned.bins[feature];
        match (bins, self.rules.cuts) {
            (Bins::Number { .. }, Cuts::Best) => self.best_number(used, bins.missing()),
            (Bins::Category { .. }, Cuts::Best) => self.best_categories(used),
            (Bins::Number { .. }, Cuts::Random) => self.random_number(used, bins.missing()),
            (Bins::Category { .. }, Cuts::Random) => self.random_categories(used),
        }
    }

    fn best_number(&mut self, used: &[u8], missing: u8) -> Option<(f64, BinSet)> {
        let has_missing = used[used.len() - 1] == missing;
        let values = &used[..used.len() - usize::from(has_missing)];
        let mut found: Option<(f64, usize)> = None;
        let mut is_missing_left = false;
        // With missing values among the rows there is a second round, in which they are on the left.
        for round in 0..1 + usize::from(has_missing) {
            self.left.fill(0.0);
            if round == 1 {
                self.move_left(missing);
            }
            // The last value parts nothing, but where missing values are on the right it parts them.
            let cuts = values.len() - usize::from(!has_missing || round == 1);
            for (place, &bin) in values[..cuts].iter().enumerate() {
                self.move_left(bin);
                if let Some(gain) = self.gain()
                    && found.is_none_or(|(best, _)| gain > best)
                {
                    found = Some((gain, place));
                    is_missing_left = round == 1;
                }
            }
        }
        let (gain, place) = found?;
        let next = values.get(place + 1).copied().unwrap_or(missing);
        let mut left = BinSet::up_to(values[place] + (next - 1 - values[place]) / 2);
        if is_missing_left || (!has_missing && self.is_left_heavier(left, used)) {
            left.insert(missing);
        }
        Some((gain, left))
    }

    fn best_categories(&mut self, used: &[u8]) -> Option<(f64, BinSet)> {
        let stride = self.tally.stride();
        let rank = |bin: u8| self.tally.rank(&self.cells[usize::from(bin) * stride..][..stride], &self.whole);
        let mut sorted: Vec<(f64, u8)> = used.iter().map(|&bin| (rank(bin), bin)).collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut found: Option<(f64, usize)> = None;
        self.left.fill(0.0);
        for (place, (_, bin)) in sorted[..sorted.len() - 1].iter().enumerate() {
            self.move_left(*bin);
            if let Some(gain) = self.gain()
                && found.is_none_or(|(best, _)| gain > best)
            {
                found = Some((gain, place));
            }
        }
        let (gain, last) = found?;
        let mut left = BinSet::default();
        sorted[..=last].iter().for_each(|&(_, bin)| left.insert(bin));
        Some((gain, left))
    }

    fn random_number(&mut self, used: &[u8], missing: u8) -> Option<(f64, BinSet)> {
        let has_missing = used[used.len() - 1] == missing;
        let (first, last) = (used[0], used[used.len() - 1 - usize::from(has_missing)]);
        // With missing values "all numbers" is a side too.
        let choices = usize::from(last - first) + usize::from(has_missing);
        let mut left = BinSet::up_to(first + self.dice.below(choices) as u8);
        let is_missing_left = if has_missing { !left.contains(last) && self.dice.below(2) == 0 } else { self.is_left_heavier(left, used) };
        if is_missing_left {
            left.insert(missing);
        }
        self.gain_of(left, used)
    }

    fn random_categories(&mut self, used: &[u8]) -> Option<(f64, BinSet)> {
        let mut left = BinSet::default();
        for &bin in used {
            if self.dice.below(2) == 0 {
                left.insert(bin);
            }
        }
        self.gain_of(left, used)
    }

    fn gain_of(&mut self, left: BinSet, used: &[u8]) -> Option<(f64, BinSet)> {
        self.left.fill(0.0);
        for &bin in used {
            if left.contains(bin) {
                self.move_left(bin);
            }
        }
        self.gain().map(|gain| (gain, left))
    }

    fn is_left_heavier(&self, left: BinSet, used: &[u8]) -> bool {
        let stride = self.tally.stride();
        let mut weight = 0.0;
        for &bin in used {
            weight += if left.contains(bin) { self.cells[usize::from(bin) * stride + 1] } else { 0.0 };
        }
        2.0 * weight > self.whole[1]
    }

    #[inline(always)]
    fn move_left(&mut self, bin: u8) {
        let stride = self.tally.stride();
        let (left, cell) = (&mut self.left[..stride], &self.cells[usize::from(bin) * stride..][..stride]);
        for place in 0..stride {
            left[place] += cell[place];
        }
    }

    /// What the cut in `left` adds, when both sides are large enough.
    #[inline(always)]
    fn gain(&self) -> Option<f64> {
        let stride = self.tally.stride();
        let (left, whole) = (&self.left[..stride], &self.whole[..stride]);
        let least = self.rules.min_samples_leaf as f64;
        let is_large = left[0] >= least && whole[0] - left[0] >= least && left[1] > 0.0 && whole[1] - left[1] > 0.0;
        is_large.then(|| self.tally.both(left, whole) - self.whole_score)
    }

    /// Moves the rows that go left before the others, keeping their order, and says how many they are.
    fn part(&mut self, node: &Node, cut: &Cut) -> usize {
        let column = &self.binned.columns[cut.feature];
        let rows = &mut self.order[node.start..node.end];
        let spare = &mut self.spare[..rows.len()];
        let mut left = 0;
        for place in 0..rows.len() {
            let row = rows[place];
            let is_left = cut.left.contains(column[row as usize]);
            rows[left] = row;
            spare[place - left] = row;
            left += usize::from(is_left);
        }
        let right = rows.len() - left;
        rows[left..].copy_from_slice(&spare[..right]);
        left
    }
}
