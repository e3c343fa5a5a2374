//! A classifier that tells the window's rows from the reference's: where it can, something moved, be it only how columns hang together (Lopez-Paz
//! and Oquab, "Revisiting classifier two-sample tests", 2017; Rabanser, Günnemann and Lipton, "Failing loudly", 2019).
//!
//! Boosted trees of two levels over the codes of half of the kept rows, judged by the ROC-AUC of answers to the other half. When nothing moved that
//! is the Mann-Whitney statistic of unrelated scores, whose variance is `(n + m + 1) / 12 n m`, which gives the p-value. Folds in turn would use all
//! rows, but their answers hang together: of 60 windows of 1,000 unchanged rows 3 had p < 0.01, and that variance is not known.

use crate::drift::{DriftDef, Moved, Test};
use crate::reference::{CODES, MISSING, Reference};
use crate::tails::normal_tail;
use crate::window::Window;

const ROUNDS: usize = 30;
const RATE: f64 = 0.2;
/// Added to the curvature of each leaf, so that few rows say little (as XGBoost's lambda).
const HOLD: f64 = 1.0;
/// Either sample needs so many rows.
const ROWS_MIN: usize = 50;

pub(crate) const DEF: DriftDef = DriftDef {
    name: "domain_classifier",
    doc: "ROC-AUC of a classifier that tells the window's rows from the reference's, 0.5 when it cannot; all columns together.",
    effect: "ROC-AUC",
    threshold: 0.55,
    test: Test::Rows(moved),
};

struct Samples<'a> {
    rows: Vec<&'a [u8]>,
    is_window: Vec<bool>,
}

/// A tree of two levels: the first question and, behind each of its answers, the second.
struct Tree {
    root: Question,
    sides: [(Option<Question>, [f64; 2]); 2],
}

#[derive(Clone, Copy)]
struct Question {
    feature: usize,
    /// Codes up to this go left; missing ones go right.
    code: u8,
}

fn moved(reference: &Reference, window: &Window) -> Option<Moved> {
    let own: Vec<&[u8]> = reference.kept.iter().flatten().map(Vec::as_slice).collect();
    let others: Vec<&[u8]> = window.kept().collect();
    if own.len().min(others.len()) < ROWS_MIN || own.first().is_none_or(|row| row.is_empty()) {
        return None;
    }
    // Both in turn, so that the halves hold both alike.
    let places = |side: bool, count: usize| (0..count).map(move |place| ((place as f64 + 0.5) / count as f64, side, place));
    let mut order: Vec<(f64, bool, usize)> = places(false, own.len()).chain(places(true, others.len())).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let samples = Samples {
        rows: order.iter().map(|(_, is_window, place)| if *is_window { others[*place] } else { own[*place] }).collect(),
        is_window: order.iter().map(|(_, is_window, _)| *is_window).collect(),
    };
    let (learned, judged): (Vec<usize>, Vec<usize>) = (0..samples.rows.len()).partition(|row| row / 2 % 2 == 0);
    let scores = scores(&samples, &learned);
    let of = |side: bool| judged.iter().filter(|row| samples.is_window[**row] == side).count() as f64;
    let [n, m] = [of(false), of(true)];
    let area = area(&judged.iter().map(|row| (scores[*row], samples.is_window[*row])).collect::<Vec<_>>());
    let error = ((n + m + 1.0) / (12.0 * n * m)).sqrt();
    Some(Moved::by(area, normal_tail((area - 0.5) / error)))
}

/// All rows' scores by trees that saw some.
fn scores(samples: &Samples<'_>, learned: &[usize]) -> Vec<f64> {
    let mut scores = vec![0.0; samples.rows.len()];
    for _ in 0..ROUNDS {
        let Some(tree) = grow(samples, learned, &scores) else { break };
        scores.iter_mut().zip(&samples.rows).for_each(|(score, row)| *score += RATE * tree.at(row));
    }
    scores
}

fn grow(samples: &Samples<'_>, inside: &[usize], scores: &[f64]) -> Option<Tree> {
    // Slope and curvature of the log loss.
    let slopes: Vec<[f64; 2]> = scores
        .iter()
        .zip(&samples.is_window)
        .map(|(score, is_window)| {
            let probability = 1.0 / (1.0 + (-score).exp());
            [f64::from(u8::from(*is_window)) - probability, probability * (1.0 - probability)]
        })
        .collect();
    let root = best(samples, inside, &slopes)?;
    let (left, right): (Vec<usize>, Vec<usize>) = inside.iter().partition(|row| root.is_left(samples.rows[**row]));
    let side = |rows: &[usize]| {
        let question = best(samples, rows, &slopes);
        let goes_left = |row: &usize| question.is_some_and(|question| question.is_left(samples.rows[*row]));
        let leaf = |wanted: bool| {
            let sums = rows.iter().filter(|row| goes_left(row) == wanted).fold([0.0; 2], |sums, row| add(sums, slopes[*row]));
            sums[0] / (sums[1] + HOLD)
        };
        (question, [leaf(true), leaf(false)])
    };
    Some(Tree { root, sides: [side(&left), side(&right)] })
}

fn add(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    [a[0] + b[0], a[1] + b[1]]
}

/// The question that lowers the loss most.
fn best(samples: &Samples<'_>, rows: &[usize], slopes: &[[f64; 2]]) -> Option<Question> {
    let total = rows.iter().fold([0.0; 2], |sums, row| add(sums, slopes[*row]));
    let gain = |sums: [f64; 2]| sums[0] * sums[0] / (sums[1] + HOLD);
    let (mut best, mut most) = (None, gain(total) + 1e-9);
    for feature in 0..samples.rows[0].len() {
        let mut bins = [[0.0; 2]; CODES + 1];
        for row in rows {
            let code = samples.rows[*row][feature];
            let bin = if code == MISSING { CODES } else { usize::from(code).min(CODES - 1) };
            bins[bin] = add(bins[bin], slopes[*row]);
        }
        let mut left = [0.0; 2];
        for (code, bin) in bins[..CODES].iter().enumerate() {
            left = add(left, *bin);
            let right = [total[0] - left[0], total[1] - left[1]];
            if left[1] < HOLD || right[1] < HOLD {
                continue;
            }
            let found = gain(left) + gain(right);
            if found > most {
                (best, most) = (Some(Question { feature, code: code as u8 }), found);
            }
        }
    }
    best
}

impl Question {
    fn is_left(self, row: &[u8]) -> bool {
        row[self.feature] <= self.code
    }
}

impl Tree {
    fn at(&self, row: &[u8]) -> f64 {
        let (question, leaves) = &self.sides[usize::from(!self.root.is_left(row))];
        leaves[usize::from(!question.is_some_and(|question| question.is_left(row)))]
    }
}

/// The share of pairs of a row of the window and another that scores order rightly, ties counting half.
fn area(scores: &[(f64, bool)]) -> f64 {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut own, mut others, mut area) = (0.0, 0.0, 0.0);
    for ties in sorted.chunk_by(|a, b| a.0 == b.0) {
        let more = ties.iter().filter(|(_, is_window)| *is_window).count() as f64;
        let other = ties.len() as f64 - more;
        area += more * (others + other / 2.0);
        own += more;
        others += other;
    }
    area / (own * others)
}
