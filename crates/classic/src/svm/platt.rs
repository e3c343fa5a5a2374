//! From decision values to probabilities: a sigmoid for two classes (Platt 1999, by the Newton method of Lin, Lin, Weng: "A note on Platt's
//! probabilistic outputs for support vector machines", 2007), and pairs of classes coupled to all of them (Wu, Lin, Weng: "Probability
//! estimates for multi-class classification by pairwise coupling", JMLR 2004, the second method). Both as LIBSVM has them.

use crate::trees::exp::exp;

/// Newton steps at most, the slope at which to stop, the shortest step, and what keeps the Hessian regular.
const STEPS: usize = 100;
const SLOPE: f64 = 1e-5;
const STRIDE_MIN: f64 = 1e-10;
const RIDGE: f64 = 1e-12;
/// A step must bring this share of what the slope promises.
const ARMIJO: f64 = 1e-4;
/// Pairwise probabilities keep this distance from 0 and 1.
const PAIR_MIN: f64 = 1e-7;

/// `[a, b]` of `1 / (1 + e^(a f + b))`, the probability of the class that counts as first.
///
/// Differs: LIBSVM counts rows, this one weights, as scikit-learn's `CalibratedClassifierCV` does.
pub(super) fn sigmoid(decisions: &[f64], is_first: &[bool], weights: &[f64]) -> [f64; 2] {
    let total = |wanted: bool| weights.iter().zip(is_first).filter(|(_, is)| **is == wanted).map(|(weight, _)| weight).sum::<f64>();
    let [first, second] = [total(true), total(false)];
    // Platt's targets: as if either class had one more row.
    let goals = [(first + 1.0) / (first + 2.0), 1.0 / (second + 2.0)];
    let rows: Vec<[f64; 3]> = decisions
        .iter()
        .zip(is_first)
        .zip(weights)
        .map(|((&decision, &is_first), &weight)| [decision, if is_first { goals[0] } else { goals[1] }, weight])
        .collect();
    let mut at = [0.0, ((second + 1.0) / (first + 1.0)).ln()];
    let mut cost = loss(&rows, at);
    for _ in 0..STEPS {
        let Slope { gradient: [ga, gb], hessian: [haa, hab, hbb] } = slope(&rows, at);
        if ga.abs() < SLOPE && gb.abs() < SLOPE {
            break;
        }
        let determinant = haa * hbb - hab * hab;
        let step = [-(hbb * ga - hab * gb) / determinant, -(haa * gb - hab * ga) / determinant];
        let promised = ga * step[0] + gb * step[1];
        let mut stride = 1.0;
        let next = loop {
            let tried = [at[0] + stride * step[0], at[1] + stride * step[1]];
            let lower = loss(&rows, tried);
            if lower < cost + ARMIJO * stride * promised {
                break Some((tried, lower));
            }
            stride /= 2.0;
            if stride < STRIDE_MIN {
                break None;
            }
        };
        match next {
            Some(next) => (at, cost) = next,
            None => break,
        }
    }
    if at.iter().all(|value| value.is_finite()) { at } else { [0.0, 0.0] }
}

struct Slope {
    gradient: [f64; 2],
    /// By a and a, a and b, b and b.
    hessian: [f64; 3],
}

fn loss(rows: &[[f64; 3]], [a, b]: [f64; 2]) -> f64 {
    let of = |&[decision, goal, weight]: &[f64; 3]| {
        let x = a * decision + b;
        weight * if x >= 0.0 { goal * x + exp(-x).ln_1p() } else { (goal - 1.0) * x + exp(x).ln_1p() }
    };
    rows.iter().map(of).sum()
}

fn slope(rows: &[[f64; 3]], at: [f64; 2]) -> Slope {
    let (mut gradient, mut hessian) = ([0.0; 2], [RIDGE, 0.0, RIDGE]);
    for &[decision, goal, weight] in rows {
        let p = chance(decision, at);
        let (change, bend) = (weight * (goal - p), weight * p * (1.0 - p));
        gradient[0] += decision * change;
        gradient[1] += change;
        hessian[0] += decision * decision * bend;
        hessian[1] += decision * bend;
        hessian[2] += bend;
    }
    Slope { gradient, hessian }
}

/// The probability of the first class.
pub(super) fn chance(decision: f64, [a, b]: [f64; 2]) -> f64 {
    let x = a * decision + b;
    let small = exp(-x.abs());
    if x >= 0.0 { small / (1.0 + small) } else { 1.0 / (1.0 + small) }
}

/// Probabilities of classes from those of pairs: `pair(i, j)` is that of class i among i and j, i < j.
pub(super) fn coupled(classes: usize, pair: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let mut r = vec![0.0; classes * classes];
    for i in 0..classes {
        for j in i + 1..classes {
            let p = pair(i, j).clamp(PAIR_MIN, 1.0 - PAIR_MIN);
            (r[i * classes + j], r[j * classes + i]) = (p, 1.0 - p);
        }
    }
    let mut q = vec![0.0; classes * classes];
    for i in 0..classes {
        for j in (0..classes).filter(|&j| j != i) {
            q[i * classes + i] += r[j * classes + i] * r[j * classes + i];
            q[i * classes + j] = -r[j * classes + i] * r[i * classes + j];
        }
    }
    let mut p = vec![1.0 / classes as f64; classes];
    let near = 0.005 / classes as f64;
    for _ in 0..classes.max(100) {
        let mut products: Vec<f64> = q.chunks_exact(classes).map(|row| row.iter().zip(&p).map(|(q, p)| q * p).sum()).collect();
        let mut whole: f64 = p.iter().zip(&products).map(|(p, product)| p * product).sum();
        if products.iter().all(|product| (product - whole).abs() < near) {
            break;
        }
        for i in 0..classes {
            let own = q[i * classes + i];
            let change = (whole - products[i]) / own;
            p[i] += change;
            let scale = 1.0 + change;
            whole = (whole + change * (change * own + 2.0 * products[i])) / (scale * scale);
            for j in 0..classes {
                products[j] = (products[j] + change * q[i * classes + j]) / scale;
                p[j] /= scale;
            }
        }
    }
    let sum: f64 = p.iter().sum();
    p.iter().map(|p| p / sum).collect()
}
