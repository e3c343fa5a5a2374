//! Every combination of a few values of each parameter, the last one changing fastest.

use super::space::{Domain, Parameter, Point, Space};

/// The point of a trial; none once all combinations were had. Parameters of more values than `levels` have that many, both ends included.
pub(super) fn suggest(space: &Space, levels: u64, number: u64) -> Option<Point> {
    let counts: Vec<u64> = space.parameters.iter().map(|parameter| count(parameter, levels)).collect();
    let all = counts.iter().fold(1_u64, |product, count| product.saturating_mul(*count));
    // Where a parameter does not exist, its first level stands for all.
    (0..all).filter_map(|combination| point(space, &counts, combination)).nth(number as usize)
}

fn point(space: &Space, counts: &[u64], mut combination: u64) -> Option<Point> {
    let mut at = vec![0; counts.len()];
    for (place, count) in counts.iter().enumerate().rev() {
        at[place] = combination % count;
        combination /= count;
    }
    let point = space.point(|place, parameter| level(&parameter.domain, at[place], counts[place]));
    point.iter().zip(&at).all(|(value, at)| value.is_some() || *at == 0).then_some(point)
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
}
