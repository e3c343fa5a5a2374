//! How the next point is proposed.

use super::space::{Domain, Point, Space, Trial};
use super::{cma, grid, random, tpe};
use crate::{Error, Result};
use cupola_task::Draw;

/// A way to propose points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampler {
    /// Each by chance.
    Random,
    /// Tree-structured Parzen estimators.
    Tpe {
        /// Trials before there is something to estimate from.
        startup: u64,
        /// Candidates of which the best is taken.
        candidates: u64,
    },
    /// An evolution strategy, for numbers.
    Cma,
    /// All combinations.
    Grid {
        /// Values of a parameter that has more.
        levels: u64,
    },
}

impl Sampler {
    /// Optuna's defaults.
    pub const TPE: Sampler = Sampler::Tpe { startup: 10, candidates: 24 };

    /// Refuses a space that the sampler cannot search.
    ///
    /// # Errors
    /// For an evolution strategy, when a parameter is a choice or exists under a condition.
    pub fn check(self, space: &Space) -> Result<()> {
        let is_odd = |domain: &Domain| matches!(domain, Domain::Choice(_));
        let Some(parameter) = space.parameters.iter().find(|parameter| is_odd(&parameter.domain) || !parameter.when.is_empty()) else {
            return Ok(());
        };
        match self {
            Sampler::Cma => {
                let what = if parameter.when.is_empty() { "is a choice" } else { "exists under a condition" };
                let message = format!("tune.sampler=cmaes searches numbers that are always there, and {} {what}", parameter.name);
                Err(Error::recipe(&parameter.place, message).with_hint("tune.sampler=tpe searches choices and conditions, too"))
            }
            Sampler::Random | Sampler::Tpe { .. } | Sampler::Grid { .. } => Ok(()),
        }
    }
}

/// The point of the next trial, a function of draw, number and the trials before it; none when a grid has no more.
pub fn suggest(space: &Space, sampler: Sampler, history: &[Trial], number: u64, draw: Draw) -> Option<Point> {
    match sampler {
        Sampler::Random => Some(random::suggest(space, number, draw)),
        Sampler::Tpe { startup, candidates } => Some(tpe::suggest(space, startup, candidates, history, number, draw)),
        Sampler::Cma => Some(cma::suggest(space, history, number, draw)),
        Sampler::Grid { levels } => grid::suggest(space, levels, number),
    }
}

#[cfg(test)]
mod tests {
    use super::super::space::{Parameter, State};
    use super::*;

    fn best(sampler: Sampler, seed: u64, trials: u64) -> f64 {
        let space = Space { parameters: vec![Parameter::new("x", Domain::real(-5.0, 10.0)), Parameter::new("y", Domain::real(0.0, 15.0))] };
        // Branin's function; its minimum is 0.397887.
        let value = |x: f64, y: f64| {
            let pi = std::f64::consts::PI;
            (y - 5.1 / (4.0 * pi * pi) * x * x + 5.0 / pi * x - 6.0).powi(2) + 10.0 * (1.0 - 1.0 / (8.0 * pi)) * x.cos() + 10.0
        };
        let mut history: Vec<Trial> = Vec::new();
        for number in 0..trials {
            let point = suggest(&space, sampler, &history, number, Draw::new(seed)).unwrap();
            let loss = value(point[0].unwrap(), point[1].unwrap());
            history.push(Trial { number, state: State::Complete, point, loss, steps: vec![], seconds: 0.0, note: String::new() });
        }
        history.iter().map(|trial| trial.loss).fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn samplers_find_more_than_chance_does() {
        let median = |sampler: Sampler| {
            let mut values: Vec<f64> = (0..15).map(|seed| best(sampler, seed, 60)).collect();
            values.sort_by(f64::total_cmp);
            values[7]
        };
        let (random, tpe, cma) = (median(Sampler::Random), median(Sampler::TPE), median(Sampler::Cma));
        assert!(tpe < random && cma < random && tpe < 0.6, "random {random}, tpe {tpe}, cma {cma}");
        assert!(best(Sampler::TPE, 1, 30).to_bits() == best(Sampler::TPE, 1, 30).to_bits());
    }
}
