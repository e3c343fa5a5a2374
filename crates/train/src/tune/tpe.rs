//! Tree-structured Parzen estimators: of candidates from the density of the best trials the one that the others' density has least of.
//!
//! Sources: as `parzen.rs`. Split and defaults are those of Optuna 5's `TPESampler`: the best tenth, 25 at most, are the best; parameters that
//! exist under the same condition are proposed together (its `multivariate`, with `group`).
//! Differs: the first trials are a Latin hypercube (McKay, Beckman, Conover 1979) in place of independent draws, so ten of them see every
//! tenth of each range; a point that was tried is not tried again, since the same point gives the same value here; and kernels of good
//! trials may be as narrow as the number of all trials lets them be, not only that of the good ones. With Optuna's floor, a tenth of the
//! range after 80 trials, what lies close to the best is seldom drawn: `duel/tune` shows what that is worth.

use super::parzen::{Bandwidth, Densities, Parzen};
use super::space::{Domain, Point, Space, State, Trial};
use cupola_task::Draw;

/// Of the finished trials one in so many counts as good.
const GOOD: f64 = 0.1;
/// Most good ones.
const GOOD_MAX: usize = 25;
/// How often a point that was tried before is proposed anew.
const ATTEMPTS: u64 = 8;

/// The next point. `startup` trials come from a Latin hypercube; then each group of parameters is the best of so many candidates.
pub(super) fn suggest(space: &Space, startup: u64, candidates: u64, history: &[Trial], number: u64, draw: Draw) -> Point {
    let finished: Vec<&Trial> = history.iter().filter(|trial| trial.state != State::Failed).collect();
    if (finished.len() as u64) < startup {
        return hypercube(space, startup, number, draw);
    }
    let (below, above) = split(&finished);
    let mut point = Point::new();
    for attempt in 0..ATTEMPTS {
        point = vec![None; space.parameters.len()];
        for (place, group) in space.groups().into_iter().enumerate() {
            if space.parameters[group[0]].exists(&point) {
                let draw = draw.stream("tpe").stream(&format!("group {place}")).at(number);
                let best = best_of(space, &group, [&below, &above], candidates, attempt, draw);
                group.iter().zip(best).for_each(|(parameter, value)| point[*parameter] = Some(value));
            }
        }
        if history.iter().all(|trial| trial.point != point) {
            break;
        }
    }
    point
}

/// Each parameter's range in as many strata as there are trials, and each trial in another.
fn hypercube(space: &Space, startup: u64, number: u64, draw: Draw) -> Point {
    space.point(|_, parameter| {
        let draw = draw.stream("startup").stream(&parameter.name);
        let stratum = draw.permutation(startup)[(number % startup) as usize] as f64;
        parameter.domain.at((stratum + draw.at(1).uniform(number)) / startup as f64)
    })
}

/// The good trials and the others, each in the order of their numbers.
pub(super) fn split<'a>(finished: &[&'a Trial]) -> (Vec<&'a Trial>, Vec<&'a Trial>) {
    let good = ((GOOD * finished.len() as f64).ceil() as usize).min(GOOD_MAX);
    let mut order: Vec<&Trial> = finished.to_vec();
    // Complete trials by their value; behind them those that were given up, the latest first.
    let rank = |trial: &Trial| match trial.state {
        State::Complete => (0, 0.0, trial.loss),
        _ => {
            trial.steps.last().map_or((2, 0.0, 0.0), |(step, loss)| (1, -(*step as f64), if loss.is_nan() { f64::INFINITY } else { *loss }))
        }
    };
    order.sort_by(|one, other| {
        let (one, other) = (rank(one), rank(other));
        one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)).then(one.2.total_cmp(&other.2))
    });
    let mut above = order.split_off(good);
    order.sort_by_key(|trial| trial.number);
    above.sort_by_key(|trial| trial.number);
    (order, above)
}

/// The estimators of some parameters.
pub(super) fn densities(space: &Space, group: &[usize], [below, above]: [&[&Trial]; 2], good: Bandwidth) -> Densities {
    let domains: Vec<&Domain> = group.iter().map(|place| &space.parameters[*place].domain).collect();
    let observed = |trials: &[&Trial]| -> Vec<Vec<f64>> {
        trials.iter().filter_map(|trial| group.iter().map(|place| trial.point[*place]).collect()).collect()
    };
    Densities { below: Parzen::new(&domains, &observed(below), good), above: Parzen::new(&domains, &observed(above), Bandwidth::Usual) }
}

fn best_of(space: &Space, group: &[usize], trials: [&[&Trial]; 2], candidates: u64, attempt: u64, draw: Draw) -> Vec<f64> {
    let all = trials[0].len() + trials[1].len();
    let densities = densities(space, group, trials, Bandwidth::Sharp(all));
    let domains: Vec<&Domain> = group.iter().map(|place| &space.parameters[*place].domain).collect();
    let mut best: (f64, Vec<f64>) = (f64::NEG_INFINITY, vec![]);
    for candidate in 0..candidates {
        let values = densities.below.sample(draw, attempt * candidates + candidate, &domains);
        let worth = densities.worth(&values);
        if best.1.is_empty() || worth > best.0 {
            best = (worth, values);
        }
    }
    best.1
}
