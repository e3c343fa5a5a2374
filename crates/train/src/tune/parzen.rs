//! A Parzen estimator over several parameters: a mixture with one kernel for each observation and one for the prior.
//!
//! Sources: Bergstra et al., "Algorithms for hyper-parameter optimization", NIPS 2011; Watanabe, "Tree-structured Parzen estimator",
//! arXiv 2304.11127. Weights, bandwidths and the clipping of bandwidths are those of Optuna 5 (`samplers/_tpe/parzen_estimator.py`), whose
//! densities these equal (`parity/tune.py`).

use super::normal::{cumulative, log_density, log_mass, quantile};
use super::space::Domain;
use cupola_task::Draw;

/// Observations below this number count alike; of more, the oldest fade.
const RECENT: usize = 25;
/// A bandwidth is at least the width of the domain over this, or over the number of kernels and one, whichever is less.
const BANDWIDTHS: f64 = 100.0;
/// A sharp bandwidth is at least so many steps, where there are steps, so that neighbours are within reach.
const STEPS_OF_SHARP: f64 = 2.0;

/// How narrow a kernel may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bandwidth {
    /// By the number of its own observations, as in Optuna.
    Usual,
    /// By the number of all trials: what is known of the good ones grows sharper as the search goes on.
    Sharp(usize),
}

/// The kernels of one parameter.
enum Kernels {
    /// For each kernel the share of each choice.
    Choice(Vec<Vec<f64>>),
    /// For each kernel its middle, its width and the logarithm of its share inside of the bounds, in the scale of the domain.
    Number { kernels: Vec<[f64; 3]>, low: f64, high: f64, step: Option<f64>, is_log: bool },
}

/// A mixture over some parameters.
pub struct Parzen {
    log_weights: Vec<f64>,
    weights: Vec<f64>,
    parameters: Vec<Kernels>,
}

/// Two estimators that a candidate's worth is the ratio of.
pub struct Densities {
    /// Of the best trials.
    pub below: Parzen,
    /// Of all others.
    pub above: Parzen,
}

impl Densities {
    /// The logarithm of the ratio of densities: the higher, the more expected improvement.
    pub fn worth(&self, values: &[f64]) -> f64 {
        self.below.log_density(values) - self.above.log_density(values)
    }
}

impl Parzen {
    /// The estimator of observations, the oldest first; each has a value for every domain.
    pub fn new(domains: &[&Domain], observations: &[Vec<f64>], bandwidth: Bandwidth) -> Parzen {
        let mut weights = faded(observations.len());
        weights.push(1.0);
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        let of = |(place, domain): (usize, &&Domain)| {
            let values: Vec<f64> = observations.iter().map(|observation| observation[place]).collect();
            match domain {
                Domain::Choice(choices) => categories(&values, choices.len()),
                Domain::Number { low, high, step, is_log, .. } => numbers(&values, [*low, *high], *step, *is_log, bandwidth),
            }
        };
        let parameters = domains.iter().enumerate().map(of).collect();
        Parzen { log_weights: weights.iter().map(|weight| weight.ln()).collect(), weights, parameters }
    }

    /// The logarithm of the density at a point.
    pub fn log_density(&self, values: &[f64]) -> f64 {
        let terms: Vec<f64> = self
            .log_weights
            .iter()
            .enumerate()
            .map(|(kernel, weight)| {
                weight + self.parameters.iter().zip(values).map(|(kernels, value)| kernels.log_density(kernel, *value)).sum::<f64>()
            })
            .collect();
        let most = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let most = if most == f64::NEG_INFINITY { 0.0 } else { most };
        terms.iter().map(|term| (term - most).exp()).sum::<f64>().ln() + most
    }

    /// A point of the mixture: its kernel by one random number, each value by one more.
    pub fn sample(&self, draw: Draw, candidate: u64, domains: &[&Domain]) -> Vec<f64> {
        let stride = self.parameters.len() as u64 + 1;
        let random = |place: u64| draw.uniform(candidate * stride + place);
        let kernel = drawn(&self.weights, random(0));
        self.parameters
            .iter()
            .enumerate()
            .map(|(place, kernels)| domains[place].nearest(kernels.sample(kernel, random(place as u64 + 1))))
            .collect()
    }
}

/// The place at which the running sum of shares passes a random number.
fn drawn(shares: &[f64], random: f64) -> usize {
    let mut sum = 0.0;
    let passes = |share: &f64| {
        sum += share;
        sum > random
    };
    shares.iter().position(passes).unwrap_or(shares.len() - 1)
}

/// Optuna's default weights: all alike up to 25, of more a ramp before the newest 25.
fn faded(count: usize) -> Vec<f64> {
    let ramp = count.saturating_sub(RECENT);
    let first = 1.0 / count.max(1) as f64;
    let at = |place: usize| match place < ramp {
        true if ramp == 1 => first,
        true => first + (1.0 - first) * place as f64 / (ramp - 1) as f64,
        false => 1.0,
    };
    (0..count).map(at).collect()
}

fn categories(values: &[f64], choices: usize) -> Kernels {
    let kernels = values.len() as f64 + 1.0;
    let of = |seen: Option<f64>| {
        let weight = |choice: usize| 1.0 / kernels + f64::from(u8::from(seen == Some(choice as f64)));
        let weights: Vec<f64> = (0..choices).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / sum).collect()
    };
    Kernels::Choice(values.iter().map(|value| of(Some(*value))).chain([of(None)]).collect())
}

fn numbers(values: &[f64], bounds: [f64; 2], step: Option<f64>, is_log: bool, bandwidth: Bandwidth) -> Kernels {
    let half = step.unwrap_or(0.0) / 2.0;
    let scaled = |value: f64| if is_log { value.ln() } else { value };
    let [low, high] = [scaled(bounds[0] - half), scaled(bounds[1] + half)];
    let middles: Vec<f64> = values.iter().map(|value| scaled(*value)).collect();
    let usual = (high - low) / BANDWIDTHS.min(2.0 + values.len() as f64);
    let least = |value: f64| match bandwidth {
        Bandwidth::Usual => usual,
        Bandwidth::Sharp(trials) => {
            let step = if half > 0.0 { scaled(value + half) - scaled(value - half) } else { 0.0 };
            ((high - low) / BANDWIDTHS.min(2.0 + trials as f64)).max((STEPS_OF_SHARP * step).min(usual))
        }
    };
    let least: Vec<f64> = values.iter().map(|value| least(*value)).collect();
    let widths = bandwidths(&middles, low, high, &least);
    let kernels = middles.iter().copied().zip(widths).chain([(0.5 * (low + high), high - low)]);
    let kernels = kernels.map(|(middle, width)| [middle, width, log_mass((low - middle) / width, (high - middle) / width)]);
    Kernels::Number { kernels: kernels.collect(), low, high, step, is_log }
}

/// The distance to the further neighbour, where the ends of the domain are neighbours of those in the middle only. Equal observations stay in
/// their order; which comes first is left open in Optuna, whose sort is not stable.
fn bandwidths(middles: &[f64], low: f64, high: f64, least: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..middles.len()).collect();
    order.sort_by(|one, other| middles[*one].total_cmp(&middles[*other]));
    let sorted: Vec<f64> = order.iter().map(|place| middles[*place]).collect();
    let last = sorted.len().saturating_sub(1);
    let mut widths = vec![0.0; middles.len()];
    for (place, &of) in order.iter().enumerate() {
        let before = sorted[place] - if place == 0 { low } else { sorted[place - 1] };
        let after = if place == last { high } else { sorted[place + 1] } - sorted[place];
        let width = match place {
            0 if last > 0 => after,
            place if place == last && last > 0 => before,
            _ => before.max(after),
        };
        widths[of] = width.max(least[of]).min(high - low);
    }
    widths
}

impl Kernels {
    fn log_density(&self, kernel: usize, value: f64) -> f64 {
        match self {
            Kernels::Choice(kernels) => kernels[kernel][value as usize].ln(),
            Kernels::Number { kernels, step, is_log, .. } => {
                let [middle, width, inside] = kernels[kernel];
                let place = |value: f64| (if *is_log { value.ln() } else { value } - middle) / width;
                match step {
                    None => log_density(place(value)) - width.ln() - inside,
                    Some(step) => log_mass(place(value - step / 2.0), place(value + step / 2.0)) - inside,
                }
            }
        }
    }

    /// A value of a kernel; not yet rounded to a step.
    fn sample(&self, kernel: usize, random: f64) -> f64 {
        match self {
            Kernels::Choice(kernels) => drawn(&kernels[kernel], random) as f64,
            Kernels::Number { kernels, low, high, is_log, .. } => {
                let [middle, width, _] = kernels[kernel];
                let [below, above] = [*low, *high].map(|end| cumulative((end - middle) / width));
                let value = (middle + width * quantile(below + random * (above - below))).clamp(*low, *high);
                if *is_log { value.exp() } else { value }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn densities_sum_to_one_and_samples_follow_them() {
        let domains = [Domain::integer(1, 6), Domain::choice(3)];
        let domains: Vec<&Domain> = domains.iter().collect();
        let parzen = Parzen::new(&domains, &[vec![2.0, 0.0], vec![2.0, 1.0], vec![6.0, 1.0]], Bandwidth::Usual);
        let density = |number: i32, choice: i32| parzen.log_density(&[f64::from(number), f64::from(choice)]).exp();
        let all: f64 = (1..=6).flat_map(|number| (0..3).map(move |choice| (number, choice))).map(|(a, b)| density(a, b)).sum();
        assert!((all - 1.0).abs() < 1e-12, "{all}");
        let draws = 20_000;
        let samples: Vec<Vec<f64>> = (0..draws).map(|place| parzen.sample(Draw::new(1), place, &domains)).collect();
        for (number, choice) in [(2, 1), (6, 1), (4, 2)] {
            let seen = samples.iter().filter(|sample| **sample == [f64::from(number), f64::from(choice)]).count() as f64 / draws as f64;
            assert!((seen - density(number, choice)).abs() < 0.01, "{number} {choice}: {seen} for {}", density(number, choice));
        }
    }

    #[test]
    fn old_observations_fade() {
        assert_eq!(faded(3), [1.0; 3]);
        assert_eq!(faded(26)[..2], [1.0 / 26.0, 1.0]);
        assert_eq!(faded(28)[..4], [1.0 / 28.0, (1.0 + 1.0 / 28.0) / 2.0, 1.0, 1.0]);
    }
}
