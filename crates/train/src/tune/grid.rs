//! Every combination of a few values of each parameter, the last one changing fastest.

use super::space::{Domain, Parameter, Point, Space};

/// The point of a trial; none once all combinations were had. Parameters of more values than `levels` have that many, both ends included.
pub(super) fn suggest(space: &Space, levels: u64, number: u64) -> Option<Point> {
    let counts: Vec<u64> = space.parameters.iter().map(|parameter| count(parameter, levels)).collect();
    let mut at = vec![0; counts.len()];
    let mut point = pointed(space, &counts, &at);
    for _ in 0..number {
        // The last parameter that is there and has another level goes on, and all behind it begin again: whether a parameter is there hangs on
        // those before it alone. Combinations of parameters that are not there are more than can be counted.
        let next = (0..at.len()).rev().find(|&place| point[place].is_some() && at[place] + 1 < counts[place])?;
        at[next] += 1;
        at[next + 1..].fill(0);
        point = pointed(space, &counts, &at);
    }
    Some(point)
}

fn pointed(space: &Space, counts: &[u64], at: &[u64]) -> Point {
    space.point(|place, parameter| level(&parameter.domain, at[place], counts[place]))
}

fn count(parameter: &Parameter, levels: u64) -> u64 {
    match (&parameter.domain, parameter.domain.count()) {
        (Domain::Choice(values), _) => values.len() as u64,
        (_, count) => count.unwrap_or(levels).min(levels),
    }
}

fn level(domain: &Domain, at: u64, count: u64) -> f64 {
    match *domain {
        Domain::Choice(_) => at as f64,
        Domain::Number { low, .. } if count < 2 => low,
        Domain::Number { low, high, is_log, .. } => {
            let share = at as f64 / (count - 1) as f64;
            domain.nearest(if is_log { low * (high / low).powf(share) } else { low + share * (high - low) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations_come_once_each() {
        let mut space = Space {
            parameters: vec![
                Parameter::new("model", Domain::choice(2)),
                Parameter::new("rate", Domain::log(0.01, 1.0)),
                Parameter::new("depth", Domain::integer(1, 2)),
            ],
        };
        space.parameters[2].when = vec![(0, vec![1.0])];
        let points: Vec<Point> = (0..).map_while(|number| suggest(&space, 3, number)).collect();
        assert_eq!(points.len(), 3 + 3 * 2);
        assert_eq!(points[1], [Some(0.0), Some(0.1), None]);
        assert_eq!(points[8], [Some(1.0), Some(1.0), Some(2.0)]);
    }

    #[test]
    fn parameters_of_other_models_take_no_time() {
        let mut parameters = vec![Parameter::new("model", Domain::choice(2)), Parameter::new("rate", Domain::real(0.0, 1.0))];
        parameters[1].when = vec![(0, vec![0.0])];
        for number in 0..60 {
            parameters.push(Parameter { when: vec![(0, vec![1.0])], ..Parameter::new(&format!("other {number}"), Domain::real(0.0, 1.0)) });
        }
        let space = Space { parameters };
        // Behind the five rates of the first model come 5^60 combinations of the other's.
        let rates: Vec<Option<f64>> = (0..6).map(|number| suggest(&space, 5, number).unwrap()[1]).collect();
        assert_eq!(rates, [Some(0.0), Some(0.25), Some(0.5), Some(0.75), Some(1.0), None]);
    }
}
