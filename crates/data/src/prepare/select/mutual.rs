//! Mutual information, in nats. Between classes by counting; with numbers by the distances of nearest neighbours: Kraskov,
//! Stögbauer, Grassberger, "Estimating mutual information" (Phys. Rev. E 69, 2004), and for numbers against classes Ross,
//! "Mutual information between discrete and continuous data sets" (PLoS ONE 9(2), 2014).
//!
//! As scikit-learn has it: three neighbours; numbers divided by their deviation, with noise of a ten-billionth that breaks
//! ties. Differs: a feature of at most two values counts as classes, and of many rows a bounded number is looked at.

use super::{Aim, Feature};
use crate::cells::MISSING;
use cupola_task::Draw;
use std::collections::HashMap;

const NEIGHBOURS: usize = 3;
/// No more rows are looked at, drawn at random.
const ROWS_MAX: usize = 10_000;
const NOISE: f64 = 1e-10;

/// Numbers or classes, row by row.
enum Side {
    Numbers(Vec<f64>),
    Classes(Vec<u64>),
}

/// The information that a feature has about the target; 0 where its estimate is below.
pub(super) fn information(feature: &Feature, aim: &Aim, known: &[bool], draw: Draw) -> f64 {
    let is_there = |row: &usize| {
        known[*row]
            && match feature {
                Feature::Numbers(values) => values[*row].is_finite(),
                Feature::Codes(codes, _) => codes[*row] != MISSING,
            }
    };
    let mut rows: Vec<usize> = (0..known.len()).filter(is_there).collect();
    if rows.len() > ROWS_MAX {
        let order = draw.stream("mutual").permutation(rows.len() as u64);
        rows = order.into_iter().take(ROWS_MAX).map(|place| rows[place as usize]).collect();
        rows.sort_unstable();
    }
    if rows.len() <= NEIGHBOURS {
        return 0.0;
    }
    let feature = match feature {
        Feature::Codes(codes, _) => Side::Classes(rows.iter().map(|&row| u64::from(codes[row])).collect()),
        Feature::Numbers(values) => {
            let values: Vec<f64> = rows.iter().map(|&row| values[row]).collect();
            if is_binary(&values) {
                Side::Classes(values.iter().map(|value| (value + 0.0).to_bits()).collect())
            } else {
                spread(values, draw.stream("feature"))
            }
        }
    };
    let target = match aim {
        Aim::Classes(codes, _) => Side::Classes(rows.iter().map(|&row| u64::from(codes[row])).collect()),
        Aim::Numbers(values) => spread(rows.iter().map(|&row| values[row]).collect(), draw.stream("target")),
    };
    let psi = Digamma::new(rows.len() + 2);
    let estimate = match (&feature, &target) {
        (Side::Classes(x), Side::Classes(y)) => counted(x, y),
        (Side::Numbers(x), Side::Numbers(y)) => of_numbers(x, y, &psi),
        (Side::Numbers(x), Side::Classes(y)) | (Side::Classes(y), Side::Numbers(x)) => of_classes(x, y, &psi),
    };
    estimate.max(0.0)
}

fn is_binary(values: &[f64]) -> bool {
    let first = values.first();
    let second = values.iter().find(|value| Some(*value) != first);
    values.iter().all(|value| Some(value) == first || Some(value) == second)
}

/// Numbers of deviation 1, no two of them equal.
fn spread(mut values: Vec<f64>, draw: Draw) -> Side {
    let rows = values.len() as f64;
    let mean = values.iter().sum::<f64>() / rows;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / rows).sqrt();
    let deviation = if deviation > 0.0 { deviation } else { 1.0 };
    values.iter_mut().for_each(|value| *value /= deviation);
    let size = (values.iter().map(|value| value.abs()).sum::<f64>() / rows).max(1.0);
    values.iter_mut().zip(0..).for_each(|(value, row)| *value += NOISE * size * draw.normal(row));
    Side::Numbers(values)
}

/// The logarithmic derivative of the gamma function at whole numbers from 1.
struct Digamma(Vec<f64>);

impl Digamma {
    const EULER: f64 = 0.577_215_664_901_532_9;

    fn new(most: usize) -> Digamma {
        let mut values = vec![f64::NAN, -Digamma::EULER];
        (1..most).for_each(|n| values.push(values[n] + 1.0 / n as f64));
        Digamma(values)
    }

    fn of(&self, n: usize) -> f64 {
        self.0[n]
    }
}

fn counted(x: &[u64], y: &[u64]) -> f64 {
    let (mut of_x, mut of_y, mut of_both) = (HashMap::new(), HashMap::new(), HashMap::new());
    for (&x, &y) in x.iter().zip(y) {
        *of_x.entry(x).or_insert(0.0) += 1.0;
        *of_y.entry(y).or_insert(0.0) += 1.0;
        *of_both.entry((x, y)).or_insert(0.0) += 1.0;
    }
    let rows = x.len() as f64;
    // Sums run in a fixed order, for the same bytes each time.
    let mut cells: Vec<((u64, u64), f64)> = of_both.into_iter().collect();
    cells.sort_unstable_by_key(|(cell, _)| *cell);
    cells.iter().map(|((x, y), count)| count / rows * f64::ln(rows * count / (of_x[x] * of_y[y]))).sum()
}

/// Numbers in order, to count those near one.
struct Sorted(Vec<f64>);

impl Sorted {
    fn new(mut values: Vec<f64>) -> Sorted {
        values.sort_unstable_by(f64::total_cmp);
        Sorted(values)
    }

    /// How many lie no further from x than the radius.
    fn within(&self, x: f64, radius: f64) -> usize {
        self.0.partition_point(|value| value - x <= radius) - self.0.partition_point(|value| x - value > radius)
    }

    /// The distance to the k-th nearest of the others.
    fn distance(&self, place: usize, k: usize) -> f64 {
        let x = self.0[place];
        let from = |low: usize| (x - self.0[low]).max(self.0[low + k] - x);
        (place.saturating_sub(k)..=place).filter(|low| low + k < self.0.len()).map(from).fold(f64::INFINITY, f64::min)
    }
}

fn of_classes(x: &[f64], classes: &[u64], psi: &Digamma) -> f64 {
    let mut groups: HashMap<u64, Vec<f64>> = HashMap::new();
    classes.iter().zip(x).for_each(|(&class, &x)| groups.entry(class).or_default().push(x));
    // A class of one row says nothing.
    let mut groups: Vec<(u64, Vec<f64>)> = groups.into_iter().filter(|(_, values)| values.len() > 1).collect();
    groups.sort_unstable_by_key(|(class, _)| *class);
    let all = Sorted::new(groups.iter().flat_map(|(_, values)| values.iter().copied()).collect());
    let rows = all.0.len();
    if rows == 0 {
        return 0.0;
    }
    let (mut near, mut own, mut around) = (0.0, 0.0, 0.0);
    for (_, values) in groups {
        let values = Sorted::new(values);
        let k = NEIGHBOURS.min(values.0.len() - 1);
        for place in 0..values.0.len() {
            let radius = inside(values.distance(place, k));
            near += psi.of(k);
            own += psi.of(values.0.len());
            around += psi.of(all.within(values.0[place], radius));
        }
    }
    psi.of(rows) + (near - own - around) / rows as f64
}

/// The largest radius that leaves out what lies at a distance.
fn inside(distance: f64) -> f64 {
    if distance > 0.0 { distance.next_down() } else { 0.0 }
}

fn of_numbers(x: &[f64], y: &[f64], psi: &Digamma) -> f64 {
    let rows = x.len();
    let mut order: Vec<usize> = (0..rows).collect();
    order.sort_unstable_by(|&a, &b| x[a].total_cmp(&x[b]));
    let (sorted_x, sorted_y) = (Sorted::new(x.to_vec()), Sorted::new(y.to_vec()));
    let around = |place: usize| {
        let row = order[place];
        let radius = inside(nearest(place, &order, x, y));
        // Each lies within its own radius; that one is not counted, and the formula adds one.
        psi.of(sorted_x.within(x[row], radius)) + psi.of(sorted_y.within(y[row], radius))
    };
    let sum: f64 = (0..rows).map(around).sum();
    psi.of(rows) + psi.of(NEIGHBOURS) - sum / rows as f64
}

/// The distance to the k-th nearest, which is the larger of the distances in x and in y. Rows come in the order of x, so those that are
/// further off than the k-th found need not be looked at.
fn nearest(place: usize, order: &[usize], x: &[f64], y: &[f64]) -> f64 {
    let row = order[place];
    let mut best = [f64::INFINITY; NEIGHBOURS];
    let mut look = |other: usize| {
        let along = (x[other] - x[row]).abs();
        if along >= best[NEIGHBOURS - 1] {
            return false;
        }
        let distance = along.max((y[other] - y[row]).abs());
        if distance < best[NEIGHBOURS - 1] {
            best[NEIGHBOURS - 1] = distance;
            best.sort_unstable_by(f64::total_cmp);
        }
        true
    };
    let (mut low, mut high) = (place, place + 1);
    let (mut goes_down, mut goes_up) = (true, true);
    while goes_down || goes_up {
        goes_down = goes_down && low > 0 && look(order[low - 1]);
        low = low.saturating_sub(1);
        goes_up = goes_up && high < order.len() && look(order[high]);
        high += 1;
    }
    best[NEIGHBOURS - 1]
}
