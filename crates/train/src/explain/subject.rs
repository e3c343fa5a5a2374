//! What is explained: the probability of a class, or a number.

use super::cells::evenly;
use crate::{Artifact, Error, Pipeline, Result};
use cupola_task::{Answer, Columns, Field, Task, nearest};

/// Rows that are answered to find out which class is answered most often.
const ROWS_ASKED: usize = 1000;

/// One score of one target.
#[derive(Clone)]
pub(crate) struct Subject<'a> {
    pub pipeline: &'a Pipeline,
    pub field: Field,
    pub task: Task,
    /// The class whose probability it is.
    pub class: Option<usize>,
}

impl<'a> Subject<'a> {
    /// The target and class that are named, else those that go without saying.
    pub fn new(artifact: &'a Artifact, target: &str, class: &str, inputs: &Columns) -> Result<Subject<'a>> {
        let named = |name: &str| artifact.raw().targets().find(|(field, _)| *field.name == *name);
        let mut targets = artifact.raw().targets();
        let (field, task) = match (target, targets.next(), targets.next()) {
            ("", Some(first), None) => first,
            ("", ..) => {
                let names: Vec<&str> = artifact.raw().targets().map(|(field, _)| &*field.name).collect();
                let error = Error::recipe("command line", format!("the model answers {}", names.join(", ")));
                return Err(error.with_hint(format!("say which is to be explained: target={}", names[0])));
            }
            (name, ..) => named(name).ok_or_else(|| unknown("target", name, artifact.raw().targets().map(|(field, _)| &*field.name)))?,
        };
        let pipeline = artifact.pipelines().iter().find(|pipeline| pipeline.target == field.name).expect("every target has its pipeline");
        let mut subject = Subject { pipeline, field: field.clone(), task, class: None };
        match (task, field.kind.classes()) {
            (Task::Classify, Some(classes)) => {
                subject.class = Some(match class {
                    "" if classes.len() <= 2 => classes.len().saturating_sub(1),
                    "" => subject.commonest(&inputs.take(&evenly(inputs.rows(), ROWS_ASKED)))?,
                    name => classes
                        .iter()
                        .position(|known| **known == *name)
                        .ok_or_else(|| unknown("class", name, classes.iter().map(|class| &**class)))?,
                });
            }
            (Task::Regress, _) if class.is_empty() => {}
            (Task::Regress, _) => {
                return Err(Error::recipe("command line", format!("{} is a number and has no class {class}", field.name)));
            }
            _ => {
                let text = format!("{} is neither a class nor a number: it cannot be explained", field.name);
                return Err(Error::Data(text, None));
            }
        }
        Ok(subject)
    }

    /// The same about another class.
    pub fn of_class(&self, class: usize) -> Subject<'a> {
        Subject { class: Some(class), ..self.clone() }
    }

    /// The class's name.
    pub fn class_name(&self) -> Option<&str> {
        Some(&self.field.kind.classes()?[self.class?])
    }

    fn commonest(&self, inputs: &Columns) -> Result<usize> {
        let Answer::Scores { classes, values } = self.pipeline.answer(inputs)? else { return Ok(0) };
        let mut counts = vec![0u64; classes.len()];
        values.chunks_exact(classes.len().max(1)).for_each(|row| counts[classes.choose(row)] += 1);
        Ok((0..counts.len()).max_by_key(|&class| (counts[class], std::cmp::Reverse(class))).unwrap_or(0))
    }

    /// The score of each row.
    pub fn scores(&self, inputs: &Columns) -> Result<Vec<f64>> {
        Ok(score_of(&self.pipeline.answer(inputs)?, self.class))
    }
}

/// The class's probabilities, or the numbers.
pub(super) fn score_of(answer: &Answer, class: Option<usize>) -> Vec<f64> {
    match answer {
        Answer::Scores { classes, values } => values.iter().skip(class.unwrap_or(0)).step_by(classes.len().max(1)).copied().collect(),
        Answer::Numbers { values, .. } => values.clone(),
        _ => vec![f64::NAN; answer.len()],
    }
}

/// A name that is not there.
pub(super) fn unknown<'n>(what: &str, name: &str, known: impl Iterator<Item = &'n str>) -> Error {
    let known: Vec<&str> = known.collect();
    let error = Error::recipe("command line", format!("no {what} {name}"));
    match nearest(name, known.iter().copied()) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error.with_hint(format!("there are: {}", known.iter().take(20).copied().collect::<Vec<_>>().join(", "))),
    }
}
