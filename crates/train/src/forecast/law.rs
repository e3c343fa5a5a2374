//! What something costs at a size that was not tried, from what it cost at smaller ones.
//!
//! The law is `cost = a + b w(n)`, with `w` one of a few that learners are known to have: rows, rows times their logarithm (sorting; trees that grow until
//! leaves are pure), and powers for those that compare rows with each other. a and b are the least squares of relative errors that are not negative.

/// Of costs below this a share says nothing.
const LEAST: f64 = 1e-4;
/// What a cost differs by between two runs of the same: measured stages of a hundredth of a second and more stay within it.
const NOISE: f64 = 1.25;

/// A cost with the bounds that other readings of the same points give.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Expected {
    /// What is to be expected.
    pub value: f64,
    /// The least that a law through all but one of the points says.
    pub low: f64,
    /// The most.
    pub high: f64,
}

/// How a cost grows with rows.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Growth {
    /// As the rows do, or a little faster.
    Rows,
    /// Faster: each row is compared with others.
    Faster,
    /// As a size that is the work itself.
    Work,
}

impl Growth {
    fn laws(self) -> &'static [fn(f64) -> f64] {
        const ROWS: [fn(f64) -> f64; 2] = [|rows| rows, |rows| rows * rows.max(2.0).ln()];
        const FASTER: [fn(f64) -> f64; 4] = [|rows| rows, |rows| rows * rows.max(2.0).ln(), |rows| rows.powf(1.5), |rows| rows * rows];
        match self {
            Growth::Work => &ROWS[..1],
            Growth::Rows => &ROWS,
            Growth::Faster => &FASTER,
        }
    }
}

impl Expected {
    /// Something that is known.
    pub(super) fn known(value: f64) -> Expected {
        Expected { value, low: value, high: value }
    }

    /// Several one after another.
    pub(super) fn plus(self, other: Expected) -> Expected {
        Expected { value: self.value + other.value, low: self.low + other.low, high: self.high + other.high }
    }

    /// The same so many times.
    pub(super) fn times(self, times: f64) -> Expected {
        Expected { value: self.value * times, low: self.low * times, high: self.high * times }
    }

    /// With the bounds of another reading of the same.
    pub(super) fn bounded_by(self, other: Expected) -> Expected {
        Expected { value: self.value, low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// With an end that is kept.
    pub(super) fn at_most(self, most: Option<f64>) -> Expected {
        let most = most.unwrap_or(f64::INFINITY);
        Expected { value: self.value.min(most), low: self.low.min(most), high: self.high.min(most) }
    }
}

/// What is to be expected at `size`, from pairs of size and cost, the smallest first.
pub(super) fn ahead(points: &[(f64, f64)], size: f64, growth: Growth) -> Expected {
    let Some(&(largest, cost)) = points.last() else { return Expected::known(0.0) };
    if size <= largest {
        return Expected { value: cost, low: cost / NOISE, high: cost * NOISE };
    }
    let read = |points: &[(f64, f64)]| {
        let laws = growth.laws().iter().map(|law| (law, through(points, law)));
        laws.map(|(law, (a, b, rest))| (a + b * law(size), rest)).collect::<Vec<_>>()
    };
    let all = read(points);
    let value = match points.len() {
        // Two points have no rest to choose a law by: one between the slowest and the fastest.
        0..=2 => (all.iter().map(|(value, _)| value.max(LEAST).ln()).sum::<f64>() / all.len() as f64).exp(),
        _ => all.iter().min_by(|one, other| one.1.total_cmp(&other.1)).map_or(cost, |(value, _)| *value),
    };
    let without = |place: usize| points.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, point)| *point).collect();
    let others = (0..points.len()).filter(|_| points.len() > 2).flat_map(|place| read(&Vec::from_iter::<Vec<_>>(without(place))));
    let read: Vec<f64> = others.chain(all).map(|(value, _)| value).collect();
    let low = read.iter().copied().fold(value, f64::min) / NOISE;
    let high = read.iter().copied().fold(value, f64::max) * NOISE;
    Expected { value, low, high }
}

/// a, b and the rest of `cost = a + b w`.
fn through(points: &[(f64, f64)], law: &dyn Fn(f64) -> f64) -> (f64, f64, f64) {
    let weighted: Vec<[f64; 3]> = points
        .iter()
        .map(|(size, cost)| {
            let weight = 1.0 / cost.max(LEAST);
            [weight, law(*size) * weight, cost * weight]
        })
        .collect();
    let sum = |of: &dyn Fn(&[f64; 3]) -> f64| weighted.iter().map(of).sum::<f64>();
    let (uu, uw, ww) = (sum(&|p| p[0] * p[0]), sum(&|p| p[0] * p[1]), sum(&|p| p[1] * p[1]));
    let (uc, wc) = (sum(&|p| p[0] * p[2]), sum(&|p| p[1] * p[2]));
    let determinant = uu * ww - uw * uw;
    let both = ((ww * uc - uw * wc) / determinant, (uu * wc - uw * uc) / determinant);
    let rest = |(a, b): (f64, f64)| sum(&|p| (a * p[0] + b * p[1] - p[2]).powi(2));
    let able = [both, (0.0, wc / ww), (uc / uu, 0.0)].into_iter().filter(|(a, b)| *a >= 0.0 && *b >= 0.0);
    // A single point is a cost of its rows: that rows cost nothing would be the other reading of it.
    let able = able.filter(|(_, b)| points.len() > 1 || *b > 0.0);
    let best = able.min_by(|one, other| rest(*one).total_cmp(&rest(*other))).unwrap_or((0.0, 0.0));
    (best.0, best.1, rest(best))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laws_that_are_there_are_found() {
        let points = |law: &dyn Fn(f64) -> f64| [500.0, 1500.0, 4500.0].map(|rows| (rows, law(rows)));
        let near = |found: Expected, wanted: f64| {
            assert!((found.value / wanted - 1.0).abs() < 0.01, "{found:?} for {wanted}");
            assert!(found.low <= wanted && wanted <= found.high, "{found:?}");
        };
        near(ahead(&points(&|rows| 0.2 + 1e-4 * rows), 100_000.0, Growth::Rows), 10.2);
        near(ahead(&points(&|rows| 1e-5 * rows * rows.ln()), 100_000.0, Growth::Rows), 1e-5 * 1e5 * 100_000f64.ln());
        near(ahead(&points(&|rows| 0.1 + 1e-8 * rows * rows), 100_000.0, Growth::Faster), 100.1);
        near(ahead(&points(&|_| 0.7), 100_000.0, Growth::Rows), 0.7);
        assert_eq!(ahead(&[(300.0, 2.0)], 150.0, Growth::Rows).value, 2.0, "what was tried is not guessed");
        near(ahead(&[(100.0, 1.0)], 100.0, Growth::Faster), 1.0);
    }
}
