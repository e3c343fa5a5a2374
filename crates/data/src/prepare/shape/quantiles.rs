//! A number as its place among the training values: 0 at the least, 1 at the largest, evenly spread between; or the normal
//! number that has this place. As scikit-learn's `QuantileTransformer`.
//!
//! Differs: the quantiles are those of all training rows, where scikit-learn draws 10,000 of many.

use serde::{Deserialize, Serialize};

/// How near to an end a place is taken for the end, in a normal shape.
const NEAR: f64 = 1e-7;

/// Quantiles at even places.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quantiles {
    /// Ascending.
    values: Vec<f64>,
    normal: bool,
}

impl Quantiles {
    /// Of ascending values, so many or as many as there are.
    pub fn fit(sorted: &[f64], count: usize, normal: bool) -> Quantiles {
        let count = count.min(sorted.len()).max(1);
        let mut values: Vec<f64> = match sorted.is_empty() {
            true => vec![0.0],
            false => (0..count).map(|place| percentile(sorted, reference(place, count) * 100.0)).collect(),
        };
        // Rounding must not let one fall below the one before it.
        (1..values.len()).for_each(|place| values[place] = values[place].max(values[place - 1]));
        Quantiles { values, normal }
    }

    pub fn is_sound(&self) -> bool {
        !self.values.is_empty()
            && self.values.iter().all(|value| value.is_finite())
            && self.values.windows(2).all(|pair| pair[0] <= pair[1])
    }

    pub fn describe(&self) -> String {
        format!("as its place among {} quantiles{}", self.values.len(), if self.normal { ", normal" } else { "" })
    }

    /// The place of a value. Where quantiles are equal it is the middle of their places.
    pub fn value(&self, x: f64) -> f64 {
        let (least, most) = (self.values[0], self.values[self.values.len() - 1]);
        let place = match self.normal {
            // The upper end comes first: it is what holds where there is one value only.
            true if x + NEAR > most && x - NEAR >= least => 1.0,
            true if x - NEAR < least => 0.0,
            true if x + NEAR > most => 1.0,
            false if x <= least => 0.0,
            false if x >= most => 1.0,
            _ => 0.5 * (self.above(x) + self.below(x)),
        };
        if self.normal { normal(place) } else { place }
    }

    /// The place by the last of equal quantiles.
    fn above(&self, x: f64) -> f64 {
        let next = self.values.partition_point(|value| *value <= x);
        self.between(x, next)
    }

    /// The place by the first of equal quantiles.
    fn below(&self, x: f64) -> f64 {
        let next = self.values.partition_point(|value| *value < x);
        match self.values.get(next) {
            Some(value) if *value == x => reference(next, self.values.len()),
            _ => self.between(x, next),
        }
    }

    fn between(&self, x: f64, next: usize) -> f64 {
        let count = self.values.len();
        match (next.checked_sub(1), self.values.get(next)) {
            (None, _) => 0.0,
            (Some(before), Some(value)) => {
                let (low, from) = (self.values[before], reference(before, count));
                // Halves, for the difference of two numbers of any size.
                from + (reference(next, count) - from) * ((x * 0.5 - low * 0.5) / (value * 0.5 - low * 0.5))
            }
            (Some(_), None) => 1.0,
        }
    }
}

/// Even places from 0 to 1.
fn reference(place: usize, count: usize) -> f64 {
    match count {
        1 => 0.0,
        _ if place == count - 1 => 1.0,
        _ => place as f64 * (1.0 / (count - 1) as f64),
    }
}

/// numpy's percentile by linear interpolation, from the nearer end.
fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let place = percent / 100.0 * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    let (way, share) = ((high - low).clamp(f64::MIN, f64::MAX), place - place.floor());
    if share >= 0.5 { high - way * (1.0 - share) } else { low + way * share }
}

/// The standard normal number that this share lies below, no further out than the share [`NEAR`] says.
///
/// Wichura, "Algorithm AS 241: the percentage points of the normal distribution" (Applied Statistics 37(3), 1988), PPND16
/// without its last part, which is for shares below 1e-10.
fn normal(share: f64) -> f64 {
    const CENTRE: [[f64; 8]; 2] = [
        [
            2509.0809287301227,
            33430.57558358813,
            67265.7709270087,
            45921.95393154987,
            13731.69376550946,
            1971.5909503065513,
            133.14166789178438,
            3.3871328727963665,
        ],
        [
            5226.495278852854,
            28729.085735721943,
            39307.89580009271,
            21213.794301586597,
            5394.196021424751,
            687.1870074920579,
            42.31333070160091,
            1.0,
        ],
    ];
    const TAIL: [[f64; 8]; 2] = [
        [
            0.0007745450142783414,
            0.022723844989269184,
            0.2417807251774506,
            1.2704582524523684,
            3.6478483247632045,
            5.769497221460691,
            4.630337846156546,
            1.4234371107496835,
        ],
        [
            1.0507500716444169e-09,
            0.0005475938084995345,
            0.015198666563616457,
            0.14810397642748008,
            0.6897673349851,
            1.6763848301838038,
            2.053191626637759,
            1.0,
        ],
    ];
    let ratio = |[above, below]: [[f64; 8]; 2], x: f64| {
        let sum = |terms: [f64; 8]| terms.into_iter().fold(0.0, |sum, term| sum * x + term);
        sum(above) / sum(below)
    };
    let edge = NEAR - f64::EPSILON;
    let share = share.clamp(edge, 1.0 - edge);
    let off = share - 0.5;
    if off.abs() <= 0.425 {
        return off * ratio(CENTRE, 0.180625 - off * off);
    }
    let tail = if off < 0.0 { share } else { 1.0 - share };
    ratio(TAIL, (-tail.ln()).sqrt() - 1.6).copysign(off)
}
