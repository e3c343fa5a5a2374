//! Which parameters the value of a trial follows.
//!
//! For each parameter alone: the share of the variance of the complete trials' ranks that lies between its choices, or between the fifths of
//! its range that were tried; epsilon squared of the Kruskal-Wallis test (Kelley, PNAS 1935; Tomczak and Tomczak 2014), 0 where there is no more than
//! chance gives. Interplay of parameters is not counted, and samplers that go where it is good leave little variance to explain.

use super::space::{Domain, Space, State, Trial};

/// Stretches of a number's values.
const STRETCHES: usize = 5;
/// Trials that a stretch needs at least, on average.
const TRIALS_OF_STRETCH: usize = 4;

/// A parameter's share, by place; none where too few trials have it.
pub(super) fn importance(space: &Space, trials: &[Trial]) -> Vec<Option<f64>> {
    let complete: Vec<&Trial> = trials.iter().filter(|trial| trial.state == State::Complete).collect();
    (0..space.parameters.len())
        .map(|place| {
            let seen: Vec<(f64, f64)> = complete.iter().filter_map(|trial| Some((trial.point[place]?, trial.loss))).collect();
            let values: Vec<f64> = seen.iter().map(|(value, _)| *value).collect();
            let losses: Vec<f64> = seen.iter().map(|(_, loss)| *loss).collect();
            let groups = match space.parameters[place].domain {
                Domain::Choice(_) => values.iter().map(|value| *value as usize).collect(),
                Domain::Number { .. } => stretches(&values),
            };
            share(&groups, &ranks(&losses))
        })
        .collect()
}

/// Ranks from 1; equal values share their mean.
fn ranks(values: &[f64]) -> Vec<f64> {
    let below = |value: f64| values.iter().filter(|other| **other < value).count() as f64;
    let equal = |value: f64| values.iter().filter(|other| **other == value).count() as f64;
    values.iter().map(|value| below(*value) + (equal(*value) + 1.0) / 2.0).collect()
}

/// The stretch of each value, by rank; equal values are in one.
fn stretches(values: &[f64]) -> Vec<usize> {
    let count = (values.len() / TRIALS_OF_STRETCH).clamp(1, STRETCHES);
    let place = |rank: f64| (((rank - 0.5) / values.len() as f64 * count as f64) as usize).min(count - 1);
    ranks(values).into_iter().map(place).collect()
}

fn share(groups: &[usize], ranks: &[f64]) -> Option<f64> {
    let rows = ranks.len() as f64;
    let mean = ranks.iter().sum::<f64>() / rows;
    let total: f64 = ranks.iter().map(|rank| (rank - mean).powi(2)).sum();
    let members = |group: usize| groups.iter().zip(ranks).filter(move |(other, _)| **other == group).map(|(_, rank)| *rank);
    let kinds: Vec<usize> = (0..=groups.iter().copied().max()?).filter(|group| members(*group).next().is_some()).collect();
    let between: f64 = kinds
        .iter()
        .map(|group| {
            let count = members(*group).count() as f64;
            count * (members(*group).sum::<f64>() / count - mean).powi(2)
        })
        .sum();
    let (kinds, has_variance) = (kinds.len() as f64, total > 0.0);
    if rows < 2.0 * TRIALS_OF_STRETCH as f64 || rows <= kinds || !has_variance {
        return None;
    }
    let within = (total - between) / (rows - kinds);
    Some(((between - (kinds - 1.0) * within) / total).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::super::space::Parameter;
    use super::*;
    use cupola_task::Draw;

    #[test]
    fn what_matters_has_a_share_and_what_does_not_has_none() {
        let space = Space {
            parameters: vec![
                Parameter::new("much", Domain::real(0.0, 1.0)),
                Parameter::new("little", Domain::choice(3)),
                Parameter::new("none", Domain::real(0.0, 1.0)),
                Parameter::new("rare", Domain::real(0.0, 1.0)),
            ],
        };
        let trial = |number: u64| {
            let at = |stream: &str| Draw::new(1).stream(stream).uniform(number);
            let choice = (at("little") * 3.0).floor();
            let point = vec![Some(at("much")), Some(choice), Some(at("none")), (number < 5).then_some(0.5)];
            let loss = at("much") + 0.15 * choice;
            Trial { number, state: State::Complete, point, loss, steps: vec![], seconds: 0.0, note: String::new() }
        };
        let shares = importance(&space, &(0..200).map(trial).collect::<Vec<_>>());
        let [much, little, none] = [0, 1, 2].map(|place| shares[place].unwrap());
        assert!(much > 0.6 && (0.05..0.4).contains(&little) && none < 0.05, "{shares:?}");
        assert_eq!(shares[3], None);
    }
}
