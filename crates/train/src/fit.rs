//! One target's pipeline: preparation and model, fitted on training rows.

use crate::artifact::pipeline_parts;
use crate::ensemble;
use crate::journal::heard_by;
use crate::networks::{self, Trained};
use crate::postprocess::Postprocess;
use crate::{Pipeline, Plan, Result, balance};
use cupola_data::prepare::{FittedTable, Note, TablePreparation};
use cupola_task::{
    Batch, Columns, Dataset, Draw, Event, Field, Fitted, INIT_MODEL, Make, MakeLearner, ModelDef, Predictor, Role, Run, Schema, Settings,
    Source, Start, Table, TrainSplit, Value,
};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A fitted pipeline and what fitting settled.
pub(crate) struct Fit {
    /// Answers the target.
    pub pipeline: Pipeline,
    /// Settings of the model that early stopping or a time limit has settled: name, value, why.
    pub resolved: Vec<(String, Value, String)>,
    /// What the preparation does with each column, as sentences.
    pub described: Vec<(Arc<str>, String)>,
    /// What `auto` became in the preparation: dotted key and value as recipe text.
    pub prepared: Vec<(String, String)>,
    /// What the preparation has to tell about the rows it learned from.
    pub notes: Vec<Note>,
    /// How a network's training went.
    pub trained: Option<Trained>,
    /// How many rows the model learned from: balancing makes them others than the training rows.
    pub rows: u64,
}

/// Fits preparation and model for one target. Only the training rows teach; the validation rows decide when to stop.
///
/// # Errors
/// When the data does not suit preparation or model, or the run was stopped before anything was learned.
pub(crate) fn fit(
    def: &'static ModelDef,
    settings: &Settings,
    target: &Field,
    train: &TrainSplit,
    valid: &dyn Dataset,
    plan: &Plan,
    run: &Run<'_>,
) -> Result<Fit> {
    if let Make::Members = def.make {
        return ensemble::fit_members(settings, target, train, valid, plan, run);
    }
    let settings = &balance::followed(def, settings, plan);
    let before = init_model(def, settings).map(|path| pipeline_parts(path, &target.name, def.name)).transpose()?;
    let known = before.as_ref().map(cupola_data::prepare::open).transpose()?;
    let prepared = Prepared::new(def, target, train, valid, plan, known, run)?;
    let data = prepared.data(target);
    let (predictor, settings, resolved, trained) = match def.make {
        Make::Learner(make) => {
            let mut run = heard_by(run, run.events);
            run.start = before.map_or(run.start, Start::Warm);
            let (predictor, settings, resolved) = learn(make, def, settings, &data, &run)?;
            (predictor, settings, resolved, None)
        }
        Make::Trainee(_) => {
            // Networks choose their batch by it; what other models take beyond it lies in a file.
            let mut run = heard_by(run, run.events);
            run.memory_max = plan.read.max_memory;
            let (predictor, trained) = networks::fit(def, settings, &data, plan, &run)?;
            (predictor, settings.clone(), vec![], Some(trained))
        }
        Make::Members => unreachable!("members were fitted above"),
    };
    let rows = prepared.train.data().len();
    let Prepared { fitted, .. } = prepared;
    let (described, prepared, notes) = (fitted.describe(), fitted.resolved(), fitted.notes().to_vec());
    let pipeline = Pipeline {
        target: target.name.clone(),
        model: def,
        settings,
        fitted: Box::new(fitted),
        predictor,
        postprocess: Postprocess::default(),
        bounds: None,
    };
    Ok(Fit { pipeline, resolved, described, prepared, notes, trained, rows })
}

/// The model file to begin from, where the settings name one.
pub(crate) fn init_model<'a>(def: &ModelDef, settings: &'a Settings) -> Option<&'a Path> {
    let is_said = def.settings.iter().any(|setting| setting.name == INIT_MODEL) && settings.text(INIT_MODEL) != "off";
    is_said.then(|| Path::new(settings.text(INIT_MODEL)))
}

/// Rows made ready for a model.
pub(crate) struct Prepared {
    fitted: FittedTable,
    train: TrainSplit,
    valid: Table,
    raw_valid: Batch,
}

impl Prepared {
    /// Fits the preparation to training rows, unless it is known already, and applies it to the validation rows.
    ///
    /// # Errors
    /// When a column cannot be prepared as the recipe or the model wants, or as it was before.
    pub fn new(
        def: &ModelDef,
        target: &Field,
        train: &TrainSplit,
        valid: &dyn Dataset,
        plan: &Plan,
        known: Option<FittedTable>,
        run: &Run<'_>,
    ) -> Result<Prepared> {
        let train = train.map(|rows| Ok(Arc::new(for_target(rows, &target.name)?)))?;
        let preparation = preparation(def, target, train.data().schema(), plan);
        let draw = run.draw("prepare");
        let (fitted, train) = match known {
            None => preparation.fit_table(&train, draw)?,
            Some(fitted) => {
                let train = preparation.with_fitted(&fitted, &train, draw)?;
                (fitted, train)
            }
        };
        let valid = for_target(valid, &target.name)?;
        let raw_valid = read_all(&valid)?;
        let (valid, _) = fitted.apply(valid.columns())?;
        let valid = Table::new(fitted.schema().clone(), valid)?;
        Ok(Prepared { fitted, train, valid, raw_valid })
    }

    /// As a model takes it.
    pub fn data<'a>(&'a self, target: &'a Field) -> Data<'a> {
        Data { target, train: &self.train, valid: &self.valid, raw_valid: self.raw_valid.clone(), fitted: &self.fitted }
    }
}

/// What a model learns one target from.
pub(crate) struct Data<'a> {
    /// The target, raw.
    pub target: &'a Field,
    /// Prepared training rows.
    pub train: &'a TrainSplit,
    /// Prepared validation rows.
    pub valid: &'a Table,
    /// The same rows, raw.
    pub raw_valid: Batch,
    /// What prepared them.
    pub fitted: &'a FittedTable,
}

type Learned = (Box<dyn Predictor>, Settings, Vec<(String, Value, String)>);

/// Fits a model that has a loop of its own, and notes what it settles.
fn learn(make: MakeLearner, def: &ModelDef, settings: &Settings, data: &Data<'_>, run: &Run<'_>) -> Result<Learned> {
    let resolved = Mutex::new(Vec::new());
    let listener = |event: &Event| {
        if let Event::Resolved { key, value, reason } = event {
            let name = key.strip_prefix("model.").unwrap_or(key).to_owned();
            resolved.lock().unwrap_or_else(PoisonError::into_inner).push((name, Value::parse(value), reason.clone()));
        }
        run.tell(event.clone())
    };
    let mut learner = make(settings, data.fitted.schema())?;
    let predictor = learner.fit(Source::Data { train: data.train, valid: data.valid }, &heard_by(run, &listener))?;
    let resolved = resolved.into_inner().unwrap_or_else(PoisonError::into_inner);
    let given = settings.iter().filter(|(name, _)| resolved.iter().all(|(other, _, _)| other != name));
    let given = given.chain(resolved.iter().map(|(name, value, _)| (name.as_str(), value)));
    let settings = Settings::check("model", def.settings, given)?;
    Ok((predictor, settings, resolved))
}

fn preparation(def: &ModelDef, target: &Field, schema: &Schema, plan: &Plan) -> TablePreparation {
    let is_input = |name: &str| schema.field(name).is_some_and(|field| field.role == Role::Input);
    let columns = plan.inputs.iter().filter(|(name, _)| is_input(name));
    let positive = plan.output(&target.name).and_then(|output| output.positive.clone());
    TablePreparation {
        needs: def.needs,
        table: plan.prepare.clone(),
        columns: columns.map(|(name, input)| (name.clone(), input.prepare.clone())).collect(),
        positive: positive.map(|positive| (target.name.to_string(), positive)).into_iter().collect(),
    }
}

/// All rows under a schema that knows only this target.
pub(crate) fn for_target(rows: &dyn Dataset, target: &str) -> cupola_task::Result<Table> {
    let fields = rows.schema().fields.iter().map(|field| match field.role {
        Role::Target(_) if &*field.name != target => Field { role: Role::Ignored, ..field.clone() },
        _ => field.clone(),
    });
    let columns = columns(&read_all(rows)?);
    let fields = fields.filter(|field| columns.get(&field.name).is_some());
    Table::new(Schema { fields: fields.collect() }, columns.clone())
}

/// All rows of a data set.
pub(crate) fn read_all(rows: &dyn Dataset) -> cupola_task::Result<Batch> {
    let numbers: Vec<u64> = (0..rows.len()).collect();
    rows.read(&numbers, Draw::default())
}

/// Inputs, targets and keys of a batch side by side.
pub(crate) fn columns(batch: &Batch) -> Columns {
    let mut all = batch.inputs.clone();
    for (name, column) in batch.targets.iter().chain(batch.keys.iter()) {
        all.insert(name.clone(), column.clone());
    }
    all
}
