//! A model of a few bytes for this module's tests: the probability of `yes` grows with `x` and is higher for red.

use super::model::{Artifact, Contents, Pipeline};
use super::open::Catalog;
use super::{GoldenMode, Score};
use crate::Postprocess;
use arrow_array::{ArrayRef, Float64Array, StringArray, TimestampMicrosecondArray};
use cupola_data::prepare;
use cupola_task::{
    Answer, Ask, Column, Columns, Draw, Error, Field, Fitted, Kind, Make, Math, ModelDef, Needs, Parts, Predictions, Predictor, Result,
    Role, Run, Schema, Settings, Side, Source, Splits, Table, Task, Trail, Value, Where,
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
    let pipeline = Pipeline {
        target: "y".into(),
        model: &MODEL,
        settings: Settings::default(),
        fitted,
        predictor,
        postprocess: Postprocess::default(),
        bounds: None,
    };
    let score = Score { target: "y".into(), name: "accuracy".into(), value: 0.9, low: 0.8, high: f64::NAN };
    Contents {
        raw,
        notation: cupola_data::Notation::default(),
        made: crate::Made::default(),
        pipelines: vec![pipeline],
        scores: vec![score],
        profile: serde_json::json!({"rows": 100}),
        extra: serde_json::Value::Null,
        watched: None,
    }
}

pub(super) fn artifact() -> Artifact {
    Artifact::new(contents(), &rows(100), GoldenMode::Real, Draw::new(1)).expect("the fixture is right")
}

/// A model of the registry with the preparation it needs, learned from a small table with gaps, a date and a text.
pub(super) fn trained(name: &str) -> Artifact {
    let model = crate::model(name).expect("the model is in the registry");
    let mut contents = contents();
    let day: TimestampMicrosecondArray = (0..60).map(|row| (row % 9 != 4).then_some(row * 86_400_000_000)).collect();
    let note: StringArray = (0..60).map(|row| Some(["early bird", "late owl", "late bird"][row % 3])).collect();
    let inputs = [("day", Kind::Date, Arc::new(day) as ArrayRef), ("note", Kind::Text, Arc::new(note))];
    let mut columns = rows(60);
    for (name, kind, array) in inputs {
        contents.raw.fields.insert(2, Field { name: name.into(), kind, role: Role::Input });
        columns.insert(name.into(), Column::Array(array));
    }
    if !model.tasks.contains(&Task::Classify) {
        contents.raw.fields[4] = Field { name: "y".into(), kind: Kind::Number, role: Role::Target(Task::Regress) };
        columns.insert("y".into(), Column::Array(Arc::new((0..60).map(|row| Some(f64::from(row * row % 7))).collect::<Float64Array>())));
    } else {
        let y: StringArray = (0..60).map(|row| Some(["no", "yes"][(row * row % 7 > 2) as usize])).collect();
        columns.insert("y".into(), Column::Array(Arc::new(y)));
    }
    let few = Value::Integer(3);
    let given = model.settings.iter().filter(|setting| setting.name == "n_estimators").map(|setting| (setting.name, &few));
    let settings = Settings::check("model", model.settings, given).expect("three trees are in range");
    let table = Table::new(contents.raw.clone(), columns.clone()).expect("the fixture has all columns");
    let splits = Splits::new(Arc::new(table), &[Side::Train; 60]);
    let clean = Settings::check("data.clean", prepare::SETTINGS, []).expect("defaults are in range");
    let preparation = prepare::TablePreparation { needs: model.needs, table: clean, columns: [].into(), positive: [].into() };
    let (fitted, prepared) = preparation.fit_table(splits.train(), Draw::new(3)).expect("the table can be prepared");
    let predictor = match model.make {
        Make::Learner(make) => {
            let mut learner = make(&settings, fitted.schema()).expect("the schema suits the model");
            let (none, _) = fitted.apply(&columns.take(&[])).expect("no rows can be prepared");
            let valid = Table::new(fitted.schema().clone(), none).expect("prepared columns are all there");
            let source = Source::Data { train: &prepared, valid: &valid };
            learner.fit(source, &Run::quiet(1)).expect("the table can be learned")
        }
        // First weights answer as well as any: what is tested is the file.
        Make::Trainee(make) => {
            let trainee = cupola_nets::trainee(make(&settings, fitted.schema(), Where::Cpu).expect("the schema suits the network"));
            let first = trainee.initial(Draw::new(1), &prepared).expect("the rows can be read");
            trainee.freeze(first)
        }
        Make::Members => {
            let members = ["tree", "naive_bayes"].map(|name| (trained(name).contents.pipelines.remove(0), 1.0));
            let names = Value::List(vec![Value::Text("tree".into()), Value::Text("naive_bayes".into())]);
            let settings = Settings::check("model", model.settings, [("members", &names)]).expect("members are named");
            contents.pipelines = vec![crate::ensemble::together(members.into(), &settings)];
            return Artifact::new(contents, &columns, GoldenMode::Real, Draw::new(1)).expect("the model answers its rows");
        }
    };
    contents.pipelines = vec![Pipeline {
        target: "y".into(),
        model,
        settings,
        fitted: Box::new(fitted),
        predictor,
        postprocess: Postprocess::default(),
        bounds: None,
    }];
    Artifact::new(contents, &columns, GoldenMode::Real, Draw::new(1)).expect("the model answers its rows")
}
