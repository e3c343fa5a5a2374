//! A model of a few bytes for this module's tests: the probability of `yes` grows with `x` and is higher for red.

use super::model::{Artifact, Contents, Pipeline};
use super::open::Catalog;
use super::{GoldenMode, Score};
use arrow_array::{Float64Array, StringArray};
use cupola_task::{
    Answer, Ask, Column, Columns, Draw, Error, Field, Fitted, Kind, Make, Math, ModelDef, Needs, Parts, Predictions, Predictor, Result, Role,
    Schema, Settings, Task, Trail,
};
use std::sync::Arc;

pub(super) const CATALOG: Catalog = Catalog { model: |_| Ok(&MODEL), prepare: |parts| Ok(Box::new(Same::open(parts)?)) };

static MODEL: ModelDef = ModelDef {
    name: "weight",
    doc: "",
    tasks: &[Task::Classify],
    settings: &[],
    needs: Needs::Native,
    math: Math::Exact,
    auto: &[],
    make: Make::Learner(|_, _| Err(Error::input("weight", "a fit", "a fixture"))),
    open: |parts, _, _| Ok(Box::new(Weight::open(parts)?)),
};

struct Weight(f64);

impl Weight {
    fn open(parts: &Parts) -> Result<Weight> {
        let bytes = parts.0.get("model/weight").and_then(|bytes| <[u8; 8]>::try_from(&bytes[..]).ok());
        bytes.map(|bytes| Weight(f64::from_le_bytes(bytes))).ok_or_else(|| Error::input("model/weight", "other bytes", "8 bytes"))
    }
}

impl Predictor for Weight {
    fn predict(&self, inputs: &Columns, _: &Ask) -> Result<Predictions> {
        let wrong = || Error::input("inputs", "other columns", "a number x and a text colour");
        let x = inputs.array("x")?.as_any().downcast_ref::<Float64Array>().ok_or_else(wrong)?;
        let colour = inputs.array("colour")?.as_any().downcast_ref::<StringArray>().ok_or_else(wrong)?;
        let red = |cell: Option<&str>| f64::from(u8::from(cell == Some("red")));
        let logit = |(x, colour): (Option<f64>, _)| self.0 * x.unwrap_or(0.0) + red(colour);
        let values = x.iter().zip(colour).map(logit).map(|logit| 1.0 / (1.0 + (-logit).exp())).flat_map(|p| [1.0 - p, p]).collect();
        Ok(Predictions(vec![("y".into(), Answer::Scores { classes: ["no".into(), "yes".into()].into(), values })]))
    }

    fn save(&self, parts: &mut Parts) -> Result<()> {
        parts.0.insert("model/weight".into(), self.0.to_le_bytes().to_vec());
        Ok(())
    }
}

struct Same(Schema);

impl Same {
    fn open(parts: &Parts) -> Result<Same> {
        let bytes = parts.0.get("prepare/schema").ok_or_else(|| Error::input("prepare", "nothing", "a schema"))?;
        serde_json::from_slice(bytes).map(Same).map_err(|error| Error::input("prepare", error, "a schema"))
    }
}

impl Fitted for Same {
    fn raw(&self) -> &Schema {
        &self.0
    }

    fn schema(&self) -> &Schema {
        &self.0
    }

    fn apply(&self, raw: &Columns) -> Result<(Columns, Trail)> {
        Ok((raw.clone(), Trail::default()))
    }

    fn restore(&self, answers: Predictions, _: &Trail) -> Result<Predictions> {
        Ok(answers)
    }

    fn save(&self, parts: &mut Parts) -> Result<()> {
        parts.0.insert("prepare/schema".into(), serde_json::to_vec(&self.0).expect("a schema is JSON"));
        Ok(())
    }
}

pub(super) fn rows(count: usize) -> Columns {
    let x: Float64Array = (0..count).map(|row| (row % 7 != 3).then_some(row as f64 * 0.37 - 5.0)).collect();
    let colour: StringArray = (0..count).map(|row| (row % 5 != 1).then_some(["red", "green"][row % 2])).collect();
    Columns::new(vec![("x".into(), Column::Array(Arc::new(x))), ("colour".into(), Column::Array(Arc::new(colour)))])
}

pub(super) fn contents() -> Contents {
    let classes = |names: &[&str]| Kind::Category { classes: names.iter().map(|&name| Arc::from(name)).collect() };
    let field = |name: &str, kind: Kind, role: Role| Field { name: name.into(), kind, role };
    let raw = Schema {
        fields: vec![
            field("x", Kind::Number, Role::Input),
            field("colour", classes(&["red", "green"]), Role::Input),
            field("y", classes(&["no", "yes"]), Role::Target(Task::Classify)),
        ],
    };
    let (fitted, predictor) = (Box::new(Same(raw.clone())), Box::new(Weight(0.5)));
    let pipeline = Pipeline { target: "y".into(), model: &MODEL, settings: Settings::default(), fitted, predictor };
    let score = Score { target: "y".into(), name: "accuracy".into(), value: 0.9, low: 0.8, high: f64::NAN };
    Contents {
        raw,
        dates: [].into(),
        pipelines: vec![pipeline],
        scores: vec![score],
        profile: serde_json::json!({"rows": 100}),
        extra: serde_json::Value::Null,
    }
}

pub(super) fn artifact() -> Artifact {
    Artifact::new(contents(), &rows(100), GoldenMode::Real, Draw::new(1)).expect("the fixture is right")
}
