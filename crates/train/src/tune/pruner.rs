//! When a trial is given up before its end.
//!
//! A trial tells its loss after each fold, as the mean of the folds so far, and inside of the first fold at rounds 1, 3, 9, 27, ... of a
//! network's epochs or ten times that of a boosted model's trees. What is told at one step is compared with what other trials told there.
//!
//! Sources: `median` is Optuna's `MedianPruner`. `asha` is asynchronous successive halving (Li et al., "A system for massively parallel
//! hyperparameter tuning", MLSys 2020) as Optuna's `SuccessiveHalvingPruner` does it: nothing waits, and of those at a rung one in
//! `factor` goes on, of fewer the best.
//! Differs: Optuna's median pruner holds the best value of all steps so far against the others' values at this step; the mean of the folds
//! so far is not a value that must only be reached once, so here it is this step's value.

use super::space::{State, Trial};

/// The step after a fold is its number, from 1, times this; steps below are rounds of the first fold.
pub(super) const FOLD: u64 = 1_000_000;
/// Between rungs.
pub(super) const FACTOR: u64 = 3;
/// Complete trials before the median is held to mean something: Optuna's default.
const STARTUP: usize = 5;

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pruner {
    /// Every trial comes to its end.
    None,
    /// A trial that is worse than the median of the complete ones at the same step ends.
    Median,
    /// A trial that is not among the best third at a rung ends.
    Asha,
}

impl Pruner {
    /// Whether a trial that has told these losses is given up now. `others` are the trials before it that tell the same kind of loss.
    pub fn gives_up(self, others: &[&Trial], steps: &[(u64, f64)]) -> bool {
        let Some(&(step, loss)) = steps.last() else { return false };
        let told = |trial: &Trial| trial.steps.iter().find(|(other, _)| *other == step).map(|(_, loss)| *loss);
        match self {
            Pruner::None => false,
            _ if loss.is_nan() => true,
            Pruner::Median => {
                let complete: Vec<f64> =
                    others.iter().filter(|trial| trial.state == State::Complete).filter_map(|trial| told(trial)).collect();
                complete.len() >= STARTUP && loss > median(complete)
            }
            Pruner::Asha => {
                is_rung(step) && {
                    let mut all: Vec<f64> = others.iter().filter_map(|trial| told(trial)).chain([loss]).collect();
                    all.sort_by(f64::total_cmp);
                    let last = (all.len() / FACTOR as usize).max(1) - 1;
                    loss > all[last]
                }
            }
        }
    }
}

/// Rounds are told at rungs only; of folds, 1, 3, 9, ... are.
fn is_rung(step: u64) -> bool {
    step < FOLD || is_power(step / FOLD)
}

/// Whether a number is a power of the factor, 1 included.
pub(super) fn is_power(mut number: u64) -> bool {
    while number > 1 && number.is_multiple_of(FACTOR) {
        number /= FACTOR;
    }
    number == 1
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) { 0.5 * (values[middle - 1] + values[middle]) } else { values[middle] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(number: u64, state: State, steps: &[(u64, f64)]) -> Trial {
        Trial { number, state, point: vec![], loss: f64::NAN, steps: steps.to_vec(), seconds: 0.0, note: String::new() }
    }

    #[test]
    fn the_worse_half_is_given_up_once_there_is_a_median() {
        let mut others: Vec<Trial> = (0..4).map(|number| trial(number, State::Complete, &[(FOLD, number as f64)])).collect();
        let gives_up = |others: &[Trial], loss: f64| Pruner::Median.gives_up(&others.iter().collect::<Vec<_>>(), &[(FOLD, loss)]);
        assert!(!gives_up(&others, 9.0), "four are too few");
        others.push(trial(4, State::Complete, &[(FOLD, 4.0)]));
        assert_eq!([1.9, 2.0, 2.1].map(|loss| gives_up(&others, loss)), [false, false, true]);
        assert!(gives_up(&others, f64::NAN));
    }

    #[test]
    fn a_third_goes_on_from_rung_to_rung() {
        let others: Vec<Trial> = (0..5).map(|number| trial(number, State::Pruned, &[(FOLD, number as f64), (2 * FOLD, 0.0)])).collect();
        let gives_up = |step: u64, loss: f64| Pruner::Asha.gives_up(&others.iter().collect::<Vec<_>>(), &[(step, loss)]);
        assert_eq!([0.5, 1.0, 1.5].map(|loss| gives_up(FOLD, loss)), [false, false, true], "two of six");
        assert!(!gives_up(2 * FOLD, 9.0), "two folds are no rung");
        assert_eq!([1, 2, 3, 9, 12, 27].map(is_power), [true, false, true, true, false, true]);
    }
}
