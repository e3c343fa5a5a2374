use super::*;
use crate::testing::noise;
use crate::{Level, with};
use proptest::prelude::*;

const RULES: [Rule; 9] = [
    Rule::Sgd { momentum: 0.0, nesterov: false },
    Rule::Sgd { momentum: 0.9, nesterov: false },
    Rule::Sgd { momentum: 0.9, nesterov: true },
    Rule::Adam { betas: [0.9, 0.999], eps: 1e-8, is_decoupled: false },
    Rule::Adam { betas: [0.9, 0.95], eps: 1e-8, is_decoupled: true },
    Rule::RmsProp { alpha: 0.99, eps: 1e-8, momentum: 0.0 },
    Rule::RmsProp { alpha: 0.9, eps: 1e-6, momentum: 0.5 },
    Rule::Lion { betas: [0.9, 0.99] },
    Rule::Lion { betas: [0.0, 0.5] },
];

/// The formulas, one number at a time.
fn plain(rule: Rule, by: Move, w: &mut f32, g: f32, first: &mut f32, second: &mut f32) {
    let (rate, decay) = (by.rate as f32, by.decay as f32);
    match rule {
        Rule::Sgd { momentum: 0.0, .. } => *w -= rate * (g + decay * *w),
        Rule::Sgd { momentum, nesterov } => {
            let g = g + decay * *w;
            *first = momentum as f32 * *first + g;
            *w -= rate * if nesterov { g + momentum as f32 * *first } else { *first };
        }
        Rule::Adam { betas, eps, is_decoupled } => {
            let g = if is_decoupled { g } else { g + decay * *w };
            *first = betas[0] as f32 * *first + (1.0 - betas[0]) as f32 * g;
            *second = betas[1] as f32 * *second + (1.0 - betas[1]) as f32 * g * g;
            let [mean_bias, square_bias] = betas.map(|beta| 1.0 - beta.powf(by.count));
            let kept = if is_decoupled { (1.0 - by.rate * by.decay) as f32 * *w } else { *w };
            *w = kept - (by.rate / mean_bias) as f32 * *first / (second.sqrt() / square_bias.sqrt() as f32 + eps as f32);
        }
        Rule::RmsProp { alpha, eps, momentum } => {
            let g = g + decay * *w;
            *first = alpha as f32 * *first + (1.0 - alpha) as f32 * g * g;
            if momentum == 0.0 {
                *w -= rate * g / (first.sqrt() + eps as f32);
            } else {
                *second = momentum as f32 * *second + g / (first.sqrt() + eps as f32);
                *w -= rate * *second;
            }
        }
        Rule::Lion { betas } => {
            let direction = betas[0] as f32 * *first + (1.0 - betas[0]) as f32 * g;
            let sign = if direction == 0.0 { 0.0 } else { direction.signum() };
            *w = (1.0 - by.rate * by.decay) as f32 * *w - rate * sign;
            *first = betas[1] as f32 * *first + (1.0 - betas[1]) as f32 * g;
        }
    }
}

/// Three steps of a rule at every level, against the formulas, to the bit.
fn check(rule: Rule, len: usize, decay: f64, seed: u32) {
    let lens = rule.states().map(|has| if has { len } else { 0 });
    let begin = || (noise(len, seed), vec![0.0; lens[0]], vec![0.0; lens[1]]);
    let steps: Vec<(Move, Vec<f32>)> = (1..=3u32)
        .map(|step| {
            let mut gradients = noise(len, seed ^ (step << 9));
            // Nothing, and next to nothing, as layers behind a ReLU give them.
            gradients.iter_mut().step_by(5).for_each(|gradient| *gradient = 0.0);
            gradients.iter_mut().step_by(7).for_each(|gradient| *gradient *= 1e-25);
            (Move { rate: 0.01 / f64::from(step), decay, count: f64::from(step) }, gradients)
        })
        .collect();
    let wanted = {
        let (mut weights, mut first, mut second) = begin();
        for (by, gradients) in &steps {
            for i in 0..len {
                let (mut none, mut nothing) = (0.0, 0.0);
                let (first, second) = (first.get_mut(i).unwrap_or(&mut none), second.get_mut(i).unwrap_or(&mut nothing));
                plain(rule, *by, &mut weights[i], gradients[i], first, second);
            }
        }
        [weights, first, second]
    };
    for level in Level::available() {
        let (mut weights, mut first, mut second) = begin();
        for (by, gradients) in &steps {
            let slices = Slices { weights: &mut weights, gradients, first: &mut first, second: &mut second };
            with(level, || rule.step(*by, slices));
        }
        assert!([weights, first, second] == wanted, "{rule:?} at {level:?}, {len} numbers");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn steps_are_those_of_the_formulas_to_the_bit(rule in 0..RULES.len(), len in 0..200usize, decay in 0..2u8, seed: u32) {
        check(RULES[rule], len, 0.1 * f64::from(decay), seed);
    }
}

#[test]
fn large_tensors_are_cut_without_a_trace() {
    for rule in RULES {
        check(rule, 100_003, 0.1, 7);
    }
}

#[test]
fn what_is_no_number_is_seen() {
    for (rule, level) in RULES.into_iter().flat_map(|rule| Level::available().into_iter().map(move |level| (rule, level))) {
        let lens = rule.states().map(|has| if has { 19 } else { 0 });
        let (mut weights, mut first, mut second) = (vec![1.0; 19], vec![0.0; lens[0]], vec![0.0; lens[1]]);
        let slices = Slices { weights: &mut weights, gradients: &[f32::NAN; 19], first: &mut first, second: &mut second };
        with(level, || rule.step(Move { rate: 0.1, decay: 0.0, count: 1.0 }, slices));
        assert!(weights.iter().all(|weight| weight.is_nan()), "{rule:?} at {level:?}: {weights:?}");
    }
}

#[test]
fn norms_clamps_scales_and_averages_are_those_of_the_formulas() {
    for len in [0, 1, 31, 32, 77, 40_000, 100_003] {
        let (values, more) = (noise(len, 1), noise(len, 2));
        let exact = values.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt();
        let norms: Vec<f64> = Level::available().into_iter().map(|level| with(level, || norm(&values))).collect();
        assert!(norms.iter().all(|found| *found == norms[0] && (found - exact).abs() <= 1e-12 * exact), "{len}: {norms:?} are not {exact}");
        for level in Level::available() {
            let (mut clamped, mut scaled, mut averaged) = (values.clone(), values.clone(), values.clone());
            with(level, || {
                clamp(&mut clamped, 0.25);
                scale(&mut scaled, 0.3);
                average(0.9, 0.1, &more, &mut averaged);
            });
            assert!(clamped.iter().zip(&values).all(|(found, value)| *found == value.clamp(-0.25, 0.25)), "{level:?}");
            assert!(scaled.iter().zip(&values).all(|(found, value)| *found == value * 0.3), "{level:?}");
            let wanted = values.iter().zip(&more).map(|(value, more)| 0.9 * value + 0.1 * more);
            assert!(averaged.iter().zip(wanted).all(|(found, wanted)| *found == wanted), "{level:?}");
        }
    }
    for level in Level::available() {
        let mut values = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.0];
        with(level, || {
            assert!(norm(&values).is_nan());
            clamp(&mut values, 0.5);
        });
        assert!(values[0].is_nan() && values[1..] == [0.5, -0.5, 0.5]);
        assert!((with(level, || norm(&[3e38, -1.5e38])) / 3e38f64.hypot(1.5e38) - 1.0).abs() < 1e-6, "squares beyond `f32`");
    }
}
