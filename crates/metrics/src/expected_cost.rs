//! Expected cost: what the answered classes cost on average, by a table of what each answer costs for each truth.
//!
//! Unlike [`accuracy`](crate::find), it knows that one mistake may be worse than another. Where nobody says what mistakes cost, each costs 1, and
//! the measure is the share of wrong answers. A true class that the table does not have costs as much as the worst truth of that answer.

use crate::interval::{skewed_mean, wilson};
use crate::rows::{self, Labels, Weights};
use cupola_task::{Answer, Error, Field, Metric, MetricDef, Range, Result, Setting, Settings, Task, Value, View};
use std::any::Any;

pub(crate) const DEF: MetricDef = MetricDef {
    name: "expected_cost",
    doc: "What the answered classes cost on average, by the costs that the recipe states; without any, the share of wrong answers.",
    tasks: &[Task::Classify],
    is_score: false,
    best: 0.0,
    settings: &[Setting {
        name: "costs",
        alias: &[],
        default: "[]",
        range: Range::List(&Range::Real { min: f64::MIN, max: f64::MAX }),
        doc: "A cost for each truth and answer, in the order of the classes, the answers of a truth side by side; empty: 1 for each mistake.",
    }],
    new: |field, settings| Ok(Box::new(Cost::new(field, settings)?)),
};

/// The measure: what each row's answer costs.
#[derive(Clone)]
pub(crate) struct Cost {
    labels: Labels,
    costs: Vec<f64>,
    rows: Vec<f64>,
    weights: Weights,
}

impl Cost {
    fn new(field: &Field, settings: &Settings) -> Result<Cost> {
        let classes = rows::classes(field)?;
        let number = |value: &Value| match value {
            Value::Real(number) => *number,
            Value::Integer(number) => *number as f64,
            _ => f64::NAN,
        };
        let costs: Vec<f64> = settings.list("costs").iter().map(number).collect();
        if !costs.is_empty() && costs.len() != classes.len() * classes.len() {
            let wanted = format!("{} for {} classes", classes.len() * classes.len(), classes.len());
            return Err(Error::setting("costs", format!("{} costs", costs.len()), wanted));
        }
        Ok(Cost { labels: Labels::new(classes), costs, rows: vec![], weights: Weights::default() })
    }

    /// Wilson's interval of the share of mistakes, or, where they cost differently, that of a mean of skewed rows.
    pub(crate) fn interval(&self, level: f64) -> Option<[f64; 2]> {
        let (mean, total) = (self.value(None).ok()?, self.weights.total());
        if self.costs.is_empty() {
            let squares: f64 = (0..self.rows.len()).map(|row| self.weights.at(row).powi(2)).sum();
            return Some(wilson(mean, total * total / squares, level));
        }
        let shifts: Vec<f64> = (0..self.rows.len()).map(|row| (self.rows[row] - mean) * self.weights.at(row) / total).collect();
        let ends = self.costs.iter().copied().fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], cost| [low.min(cost), high.max(cost)]);
        skewed_mean(mean, &shifts, level).map(|interval| interval.map(|end| end.clamp(ends[0], ends[1])))
    }

    /// What an answer costs; places are those of the target's classes, none for a class that is not among them.
    fn of(&self, truth: Option<usize>, said: Option<usize>) -> f64 {
        let count = self.labels.known();
        match (truth, said) {
            (Some(truth), Some(said)) if !self.costs.is_empty() => self.costs[truth * count + said],
            (None, Some(said)) if !self.costs.is_empty() => {
                (0..count).map(|truth| self.costs[truth * count + said]).fold(f64::NEG_INFINITY, f64::max)
            }
            _ if truth.is_some() && truth == said => 0.0,
            _ => 1.0,
        }
    }
}

impl Metric for Cost {
    fn update(&mut self, view: View<'_>, answer: &Answer) -> Result<()> {
        let (classes, values) = rows::scores(answer)?;
        let names = rows::names(&view, answer.len())?;
        self.weights.push(view.weight, answer.len())?;
        let place = |name: &str| self.labels.find(name).map(|code| code as usize).filter(|&code| code < self.labels.known());
        let said: Vec<Option<usize>> = classes.iter().map(|name| place(name)).collect();
        let costs: Vec<f64> =
            names.iter().flatten().zip(classes.chosen(values)).map(|(truth, answer)| self.of(place(truth), said[answer])).collect();
        self.rows.extend(costs);
        Ok(())
    }

    fn merge(&mut self, other: &dyn Metric) -> Result<()> {
        let other = other.as_any().downcast_ref::<Cost>().ok_or_else(rows::not_alike)?;
        if self.costs != other.costs || !self.labels.is_alike(&other.labels) {
            return Err(rows::not_alike());
        }
        self.rows.extend_from_slice(&other.rows);
        self.weights.merge(&other.weights);
        Ok(())
    }

    fn items(&self) -> usize {
        self.rows.len()
    }

    fn value(&self, draw: Option<&[u32]>) -> Result<f64> {
        if self.rows.is_empty() {
            return Err(rows::no_rows());
        }
        let (mut sum, mut total) = (0.0, 0.0);
        self.weights.each(draw, |row, mass| {
            sum += mass * self.rows[row];
            total += mass;
        });
        Ok(sum / total)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
