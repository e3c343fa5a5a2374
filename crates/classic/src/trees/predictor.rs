//! An ensemble behind the seam.

use super::ensemble::{Ensemble, Input, Link};
use crate::rows::{Rows, answer_of, features, the_target};
use cupola_task::{
    Against, Ask, Columns, Contributions, Error, Interactions, Kind, Parts, Predictions, Predictor, Result, Role, Schema, Source, Task,
    Unit, Where,
};
use std::sync::Arc;

/// The part that the trees are saved in.
const PART: &str = "model/trees";

/// Trees, and the schema that they were grown for.
pub(crate) struct TreePredictor {
    schema: Schema,
    ensemble: Ensemble,
}

impl TreePredictor {
    /// For an ensemble grown on prepared rows of that schema.
    pub(crate) fn new(schema: &Schema, ensemble: Ensemble) -> TreePredictor {
        let fields = schema.fields.iter().filter(|field| matches!(field.role, Role::Input | Role::Target(_))).cloned().collect();
        TreePredictor { schema: Schema { fields }, ensemble }
    }
}

/// Whether a model of trees can learn what a schema asks for.
///
/// # Errors
/// When there is no input, not exactly one target, or the target is neither a category to classify nor a number to regress.
pub(crate) fn can_learn(model: &str, schema: &Schema) -> Result<()> {
    let (target, task) = the_target(schema)?;
    match (task, &target.kind) {
        (Task::Classify, Kind::Category { .. }) | (Task::Regress, Kind::Number) => {}
        (task, kind) => {
            let what = format!("task {task:?} on target {} of kind {}", target.name, kind.word()).to_lowercase();
            return Err(Error::Unsupported { what, by: model.into(), hint: Some("it classifies categories and regresses numbers".into()) });
        }
    }
    if schema.inputs().next().is_none() {
        return Err(Error::input("schema", "no input column", "at least one"));
    }
    Ok(())
}

/// The schema, the rows that teach and the rows that choose.
///
/// # Errors
/// When the source is no data, cannot be read, or has nothing that teaches.
pub(crate) fn rows(source: &Source<'_>, model: &str) -> Result<(Schema, Rows, Rows)> {
    let Source::Data { train, valid } = source else {
        return Err(Error::Unsupported { what: "a world".into(), by: model.into(), hint: Some("it learns from rows".into()) });
    };
    let schema = train.data().schema().clone();
    can_learn(model, &schema)?;
    let rows = Rows::read(train.data())?;
    let weight: f64 = rows.weight.as_ref().map_or(rows.len() as f64, |weight| weight.iter().sum());
    if !(weight > 0.0 && weight.is_finite()) {
        return Err(Error::input("training rows", format!("{} with a total weight of {weight}", rows.len()), "a finite weight above 0"));
    }
    if rows.features.is_empty() {
        return Err(Error::input("training rows", "no input", "at least one"));
    }
    Ok((schema, rows, Rows::read(*valid)?))
}

/// Opens what [`TreePredictor`] saved. The bytes may be hostile.
///
/// # Errors
/// When the part is missing, damaged, or does not suit the schema.
pub(crate) fn open(parts: &Parts, schema: &Schema, _: Where) -> Result<Box<dyn Predictor>> {
    Ok(Box::new(TreePredictor::new(schema, ensemble(parts, schema)?)))
}

/// The trees that were saved, for rows of that schema.
///
/// # Errors
/// As [`open`].
pub(crate) fn ensemble(parts: &Parts, schema: &Schema) -> Result<Ensemble> {
    let bytes = parts.0.get(PART).ok_or_else(|| Error::input("model", "no part model/trees", "the trees"))?;
    let ensemble = Ensemble::from_bytes(bytes)?;
    suits(&ensemble, schema)?;
    Ok(ensemble)
}

/// Whether inputs and answers are those of the schema.
fn suits(ensemble: &Ensemble, schema: &Schema) -> Result<()> {
    let mut inputs = ensemble.inputs.iter();
    for field in schema.inputs() {
        let width = if let Kind::Vector { width } = field.kind { width } else { 1 };
        let is_category = matches!(field.kind, Kind::Category { .. });
        for _ in 0..width {
            let input = inputs.next().ok_or_else(|| Error::input(PART, format!("no input for column {}", field.name), "one"))?;
            if is_category != matches!(input, Input::Category { .. }) {
                return Err(Error::input(format!("{PART}, column {}", field.name), "an input of another kind", field.kind.word()));
            }
        }
    }
    if inputs.next().is_some() {
        return Err(Error::input(PART, format!("{} inputs", ensemble.inputs.len()), "as many as the schema has"));
    }
    let (target, task) = the_target(schema)?;
    let is_number = matches!(ensemble.link, Link::Sum | Link::Mean);
    let wanted = target.kind.classes().map_or(1, |classes| classes.len());
    if is_number != (task == Task::Regress) || ensemble.width() != wanted {
        let found = format!("answers of width {} for {:?}", ensemble.width(), ensemble.link).to_lowercase();
        return Err(Error::input(PART, found, format!("width {wanted} to {task:?} {}", target.name).to_lowercase()));
    }
    Ok(())
}

impl TreePredictor {
    fn contributions(&self, inputs: &Columns, against: Against<'_>) -> Result<Contributions> {
        let (names, groups) = self.groups();
        let (rows, count) = (inputs.rows(), names.len());
        let taken = features(&self.schema, inputs)?;
        let shap = match against {
            Against::Training => self.ensemble.shap(&taken, rows, &groups, count),
            Against::Rows(background) => {
                let behind = features(&self.schema, background)?;
                self.ensemble.shap_against((&taken, rows), (&behind, background.rows()), &groups, count)
            }
        };
        let shap = shap.ok_or_else(|| self.cannot_explain(against))?;
        let (outputs, unit) = self.outputs()?;
        Ok(Contributions { inputs: names, outputs, unit, base: shap.base, values: shap.values })
    }

    fn pairs(&self, inputs: &Columns, output: usize) -> Result<Interactions> {
        let (names, groups) = self.groups();
        let (outputs, unit) = self.outputs()?;
        let name = outputs.get(output).ok_or_else(|| Error::input("output", output, format!("one of {}", outputs.len())))?.clone();
        let taken = features(&self.schema, inputs)?;
        let values = self.ensemble.shap_interactions(&taken, inputs.rows(), &groups, names.len(), output);
        let values = values.ok_or_else(|| self.cannot_explain(Against::Training))?;
        Ok(Interactions { inputs: names, output: name, unit, values })
    }

    /// The inputs, a vector counting as one, and of which of them each feature is.
    fn groups(&self) -> (Vec<Arc<str>>, Vec<u32>) {
        let fields: Vec<_> = self.schema.inputs().collect();
        let width = |kind: &Kind| if let Kind::Vector { width } = kind { *width } else { 1 };
        let groups = fields.iter().zip(0..).flat_map(|(field, group)| vec![group; width(&field.kind)]).collect();
        (fields.iter().map(|field| field.name.clone()).collect(), groups)
    }

    /// Whose scores the trees' sums are, and on which scale.
    fn outputs(&self) -> Result<(Vec<Arc<str>>, Unit)> {
        let (target, _) = the_target(&self.schema)?;
        let classes = target.kind.classes().map_or(&[][..], |classes| classes);
        Ok(match self.ensemble.link {
            Link::Sum | Link::Mean => (vec![target.name.clone()], Unit::Number),
            Link::Logistic => (classes[1..].to_vec(), Unit::LogOdds),
            Link::Share => (classes[1..].to_vec(), Unit::Probability),
            Link::Softmax => (classes.to_vec(), Unit::Score),
            Link::Shares => (classes.to_vec(), Unit::Probability),
        })
    }

    fn cannot_explain(&self, against: Against<'_>) -> Error {
        let (what, hint) = match against {
            Against::Training if self.ensemble.covers.is_none() => (
                "an explanation against training rows",
                "its file is of a version that did not keep how many rows came to each leaf: explain it against rows, or train it again",
            ),
            Against::Training => ("an explanation of trees that ask about more than 256 inputs in a row", "set max_depth"),
            Against::Rows(_) => {
                ("an explanation against no rows, or of trees that ask about more than 64 inputs in a row", "set max_depth")
            }
        };
        Error::Unsupported { what: what.into(), by: "this model of trees".into(), hint: Some(hint.into()) }
    }
}

impl Predictor for TreePredictor {
    fn predict(&self, inputs: &Columns, _: &Ask) -> Result<Predictions> {
        let features = features(&self.schema, inputs)?;
        let (target, _) = the_target(&self.schema)?;
        let values = self.ensemble.answer(&features, inputs.rows());
        Ok(Predictions(vec![(target.name.clone(), answer_of(target.kind.classes(), values))]))
    }

    fn explain(&self, inputs: &Columns, against: Against<'_>) -> Option<Result<Contributions>> {
        Some(self.contributions(inputs, against))
    }

    fn interactions(&self, inputs: &Columns, output: usize) -> Option<Result<Interactions>> {
        Some(self.pairs(inputs, output))
    }

    fn save(&self, parts: &mut Parts) -> Result<()> {
        parts.0.insert(PART.into(), self.ensemble.to_bytes());
        Ok(())
    }
}
