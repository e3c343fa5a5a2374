//! Several models that answer together: the weighted mean of their probabilities, or of their numbers.
//!
//! `model=auto` chooses members and weights by greedy selection with replacement on rows that the members did not learn from: in each round the model joins,
//! perhaps again, whose answer makes the mean best; its weight is how often it joined. Source: Caruana, Niculescu-Mizil, Crew and Ksikes, "Ensemble
//! selection from libraries of models" (ICML 2004). A recipe may also name them.

use crate::artifact::{CATALOG, PipelineRecord, from_json, open_pipeline, to_json};
use crate::fit::{Fit, fit, for_target, read_all};
use crate::folds::folds;
use crate::journal::heard_by;
use crate::postprocess::Postprocess;
use crate::{Error, Pipeline, Plan, Result};
use cupola_task::{
    Answer, Ask, Columns, Dataset, Event, Field, Fitted, Flow, Key, Make, Math, ModelDef, Needs, Parts, Predictions, Predictor, Range, Run,
    Schema, Setting, Settings, Side, Task, Trail, TrainSplit, Value, Where,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Its entry in the registry.
pub(crate) const MODEL: ModelDef = ModelDef {
    name: "ensemble",
    doc: "The weighted mean of what several models answer; model=auto chooses them.",
    tasks: &[Task::Classify, Task::Regress],
    settings: &[
        Setting {
            name: "members",
            alias: &["estimators"],
            default: "[]",
            range: Range::List(&Range::Text),
            doc: "The models, each with its settings: [\"gbdt num_leaves=63\", \"logistic\"].",
        },
        Setting {
            name: "weights",
            alias: &[],
            default: "[]",
            range: Range::List(&Range::Real { min: 1e-9, max: 1e9 }),
            doc: "How much each member's answer counts; empty: all alike.",
        },
        Setting {
            name: "num_bag_folds",
            alias: &[],
            default: "0",
            range: Range::Integer { min: 0, max: FOLDS_MAX as i64 },
            doc: "A member is learned once for each of so many folds of the training rows, from all other folds, and answers with the mean of these models; 0: once, from all rows. AutoGluon's name.",
        },
        Setting {
            name: "num_bag_models",
            alias: &[],
            default: "0",
            range: Range::Integer { min: 0, max: FOLDS_MAX as i64 },
            doc: "For how many of the folds a member is learned, where there is no time for all; 0: for each.",
        },
    ],
    needs: Needs::Nothing,
    math: Math::Rounded(1e-9),
    auto: &[],
    make: Make::Members,
    open,
};

/// Members that an ensemble may have, and folds that each may be learned for: as many as `eval.cv` may ask for.
const MEMBERS_MAX: usize = 50;
const FOLDS_MAX: usize = 50;
/// What folds are drawn by: those of `model=auto` are the folds of its ensemble.
pub(crate) const FOLDS: &str = "auto";
/// The parts that say what it is made of, and that its members look at raw columns.
const RECORD: &str = "model/ensemble.json";
const RAW: &str = "prepare/raw.json";

/// A model with its settings and its weight.
pub(crate) struct Member {
    pub def: &'static ModelDef,
    pub settings: Settings,
    pub weight: f64,
}

/// The members that the settings name.
///
/// # Errors
/// No member, a model or setting that there is not, a model that cannot be one, or other weights than members.
pub(crate) fn members(settings: &Settings) -> Result<Vec<Member>> {
    let wrong = |found: String, wanted: &str| Error::from(cupola_task::Error::setting("model.members", found, wanted));
    let (texts, weights) = (settings.list("members"), settings.list("weights"));
    if texts.is_empty() || texts.len() > MEMBERS_MAX {
        let error = wrong(format!("{} members", texts.len()), "1 to 50 models");
        return Err(error.with_hint("model.members=[\"gbdt\", \"forest n_estimators=300\", \"logistic\"]; or model=auto, which chooses"));
    }
    if !weights.is_empty() && weights.len() != texts.len() {
        let found = format!("{} weights for {} members", weights.len(), texts.len());
        return Err(cupola_task::Error::setting("model.weights", found, "one for each member, or none").into());
    }
    let weight = |place: usize| match weights.get(place) {
        Some(Value::Real(weight)) => *weight,
        Some(Value::Integer(weight)) => *weight as f64,
        _ => 1.0,
    };
    let texts = texts.iter().map(crate::plan::plain);
    texts.enumerate().map(|(place, text)| member(&text).map(|(def, settings)| Member { def, settings, weight: weight(place) })).collect()
}

/// `gbdt num_leaves=63 learning_rate=0.05`.
pub(crate) fn member(text: &str) -> Result<(&'static ModelDef, Settings)> {
    let text = text.trim();
    let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let def = crate::model(name)?;
    if !can_join(def) {
        let error = cupola_task::Error::setting("model.members", name, "a model that is no network and no ensemble");
        return Err(Error::from(error).with_hint("`cupola models` lists them"));
    }
    Ok((def, settings_of(def, rest)?))
}

/// Whether a model may be a member.
pub(crate) fn can_join(def: &ModelDef) -> bool {
    matches!(def.make, Make::Learner(_))
}

/// The settings of a model as a line says them: `num_leaves=63 learning_rate=0.05`.
///
/// # Errors
/// A word that is no `key=value`, or a setting or value that the model does not have.
pub(crate) fn settings_of(def: &ModelDef, line: &str) -> Result<Settings> {
    let pair = |word: &str| {
        let (name, value) = word.split_once('=').ok_or_else(|| cupola_task::Error::setting("model.members", word, "key=value"))?;
        Ok((name.to_owned(), Value::parse(value)))
    };
    let pairs = line.split_whitespace().map(pair).collect::<Result<Vec<(String, Value)>>>()?;
    Ok(Settings::check(def.name, def.settings, pairs.iter().map(|(name, value)| (name.as_str(), value)))?)
}

/// Fits every member to the same training rows, one after another; each has an equal share of the time that is left to it and those behind it.
///
/// # Errors
/// Those of a member's fit.
pub(crate) fn fit_members(
    settings: &Settings,
    target: &Field,
    train: &TrainSplit,
    valid: &dyn Dataset,
    plan: &Plan,
    run: &Run<'_>,
) -> Result<Fit> {
    let members = members(settings)?;
    let sides = bag_folds(settings, target, train, run)?;
    let count = members.len() * sides.as_ref().map_or(1, Vec::len);
    let mut done = 0;
    let mut one = |member: &Member, train: &TrainSplit, valid: &dyn Dataset| {
        let quiet = |event: &Event| match event {
            Event::Progress { .. } => {
                run.tell(Event::Progress { done: done as u64, total: Some(count as u64), unit: "members".into(), score: None })
            }
            Event::Resolved { .. } => Flow::Go,
            other => run.tell(other.clone()),
        };
        let mut inner = heard_by(run, &quiet);
        let now = (run.clock)();
        inner.until = run.until.map(|until| now + until.saturating_sub(now) / (count - done) as u32);
        let fitted = fit(member.def, &member.settings, target, train, valid, plan, &inner);
        done += 1;
        fitted
    };
    let mut fits = Vec::new();
    for member in members {
        let learned = match &sides {
            None => vec![one(&member, train, valid)?],
            Some(sides) => {
                let fold = |sides: &Vec<Side>| {
                    let splits = train.split(sides);
                    one(&member, splits.train(), &**splits.valid())
                };
                sides.iter().map(fold).collect::<Result<_>>()?
            }
        };
        fits.push((learned, member.weight));
    }
    let rows = fits[0].0[0].rows;
    bagged(fits, settings, if sides.is_some() { train.data().len() } else { rows })
}

/// The folds that each member is learned for, where that is asked for.
fn bag_folds(settings: &Settings, target: &Field, train: &TrainSplit, run: &Run<'_>) -> Result<Option<Vec<Vec<Side>>>> {
    let k = settings.integer("num_bag_folds") as usize;
    if k < 2 {
        return Ok(None);
    }
    let table = for_target(train.data(), &target.name)?;
    let rows = read_all(&table)?;
    if rows.rows.len() < k {
        return Err(
            cupola_task::Error::setting("model.num_bag_folds", k, format!("at most {} folds, one for each row", rows.rows.len())).into()
        );
    }
    if let Some(time) = table.schema().keys(Key::Time).next() {
        let error = cupola_task::Error::setting("model.num_bag_folds", format!("{k} with the time {}", time.name), "0");
        return Err(Error::from(error).with_hint("folds in time learn from the past alone, so the newest rows would teach no member"));
    }
    let used = Some(settings.integer("num_bag_models") as usize).filter(|&used| used > 0).unwrap_or(k);
    let mut sides = folds(table.schema(), &rows, k, run.draw(FOLDS))?;
    sides.truncate(used);
    Ok(Some(sides))
}

/// Members as one model; each is the mean of the models that its folds left.
///
/// # Errors
/// When the folds of the training rows do not have the same classes.
pub(crate) fn bagged(members: Vec<(Vec<Fit>, f64)>, settings: &Settings, rows: u64) -> Result<Fit> {
    if members.iter().any(|(fits, _)| !agree(fits)) {
        let error = Error::Data("a fold of the training rows has other classes than the others".into(), None);
        return Err(error.with_hint("model.num_bag_folds=0, or leave out the rare class"));
    }
    let (mut pipelines, mut told) = (Vec::new(), None);
    for (fits, weight) in members {
        let share = weight / fits.len() as f64;
        for Fit { pipeline, described, notes, .. } in fits {
            told.get_or_insert((described, notes));
            pipelines.push((pipeline, share));
        }
    }
    let (described, notes) = told.unwrap_or_default();
    Ok(Fit { pipeline: together(pipelines, settings), resolved: vec![], described, prepared: vec![], notes, trained: None, rows })
}

/// Whether models answer with the same classes.
pub(crate) fn agree(fits: &[Fit]) -> bool {
    let mut classes = fits.iter().map(|fit| fit.pipeline.field().ok().and_then(|field| field.kind.classes()));
    let first = classes.next();
    classes.all(|classes| Some(classes) == first)
}

/// Pipelines of one target, each with its weight, as one.
pub(crate) fn together(members: Vec<(Pipeline, f64)>, settings: &Settings) -> Pipeline {
    let (first, _) = members.first().expect("an ensemble has a member");
    Pipeline {
        target: first.target.clone(),
        model: &MODEL,
        settings: settings.clone(),
        fitted: unprepared(first.fitted.raw().clone()),
        predictor: Box::new(Ensemble { members }),
        postprocess: Postprocess::default(),
        bounds: None,
    }
}

/// The weighted mean of answers to the same rows; none where they are of different kinds or classes.
pub(crate) fn blend(answers: &[(&Answer, f64)]) -> Option<Answer> {
    let (first, _) = answers.first()?;
    let total: f64 = answers.iter().map(|(_, weight)| weight).sum();
    let mut sum = vec![0.0; values(first)?.len()];
    for (answer, weight) in answers {
        let added = values(answer)?;
        if classes(answer) != classes(first) || added.len() != sum.len() {
            return None;
        }
        sum.iter_mut().zip(added).for_each(|(sum, value)| *sum += weight / total * value);
    }
    Some(match first {
        Answer::Scores { classes, .. } => Answer::Scores { classes: classes.clone(), values: sum },
        _ => Answer::Numbers { values: sum, range: None },
    })
}

fn values(answer: &Answer) -> Option<&[f64]> {
    match answer {
        Answer::Scores { values, .. } | Answer::Numbers { values, .. } => Some(values),
        _ => None,
    }
}

fn classes(answer: &Answer) -> Option<&[Arc<str>]> {
    match answer {
        Answer::Scores { classes, .. } => Some(classes),
        _ => None,
    }
}

/// The predictor: pipelines with weights. It looks at raw columns, for each member prepares them in its own way.
struct Ensemble {
    members: Vec<(Pipeline, f64)>,
}

/// What is saved of a member beside its own parts.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberRecord {
    model: String,
    settings: Settings,
    weight: f64,
}

impl Predictor for Ensemble {
    fn predict(&self, inputs: &Columns, _ask: &Ask) -> cupola_task::Result<Predictions> {
        let answers: Vec<Answer> = self.members.iter().map(|(member, _)| member.answer(inputs)).collect::<Result<_>>().map_err(at_seam)?;
        let weighted: Vec<(&Answer, f64)> = answers.iter().zip(&self.members).map(|(answer, (_, weight))| (answer, *weight)).collect();
        let target = self.members.first().expect("an ensemble has a member").0.target.clone();
        let answer =
            blend(&weighted).ok_or_else(|| cupola_task::Error::input("ensemble", "members with other classes", "the same classes"))?;
        Ok(Predictions(vec![(target, answer)]))
    }

    fn save(&self, parts: &mut Parts) -> cupola_task::Result<()> {
        let record = |(member, weight): &(Pipeline, f64)| MemberRecord {
            model: member.model.name.to_owned(),
            settings: member.settings.clone(),
            weight: *weight,
        };
        let records: Vec<MemberRecord> = self.members.iter().map(record).collect();
        parts.0.insert(RECORD.to_owned(), to_json("ensemble", &records).map_err(at_seam)?);
        for (number, (member, _)) in self.members.iter().enumerate() {
            let mut own = Parts::default();
            member.fitted.save(&mut own)?;
            member.predictor.save(&mut own)?;
            parts.0.extend(own.0.into_iter().map(|(name, part)| (format!("model/{number}/{name}"), part)));
        }
        Ok(())
    }
}

/// Opens what [`Ensemble`] saved. The bytes may be hostile.
fn open(parts: &Parts, schema: &Schema, _: Where) -> cupola_task::Result<Box<dyn Predictor>> {
    let wrong = |found: String, wanted: &str| cupola_task::Error::input(RECORD, found, wanted);
    let bytes = parts.0.get(RECORD).ok_or_else(|| wrong("no such part".to_owned(), "the members of an ensemble"))?;
    let records: Vec<MemberRecord> = from_json(RECORD, bytes).map_err(at_seam)?;
    if records.is_empty() || records.len() > MEMBERS_MAX * FOLDS_MAX {
        return Err(wrong(format!("{} models", records.len()), "1 to 2500"));
    }
    let target = schema.targets().next().map(|(field, _)| field.name.clone());
    let target = target.ok_or_else(|| wrong("no target".to_owned(), "a target"))?;
    let open = |(number, record): (usize, MemberRecord)| {
        if record.model == MODEL.name || !(record.weight > 0.0 && record.weight.is_finite()) {
            return Err(wrong(format!("member {} with weight {}", record.model, record.weight), "a model with a weight above 0"));
        }
        let prefix = format!("model/{number}/");
        let own = parts.0.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix));
        let own = Parts(own.map(|(name, part)| (name[prefix.len()..].to_owned(), part.clone())).collect());
        let named = PipelineRecord {
            target: target.clone(),
            model: record.model,
            settings: record.settings,
            postprocess: Postprocess::default(),
            bounds: vec![],
        };
        Ok((open_pipeline("ensemble", named, &own, schema, &CATALOG).map_err(at_seam)?, record.weight))
    };
    let members = records.into_iter().enumerate().map(open).collect::<cupola_task::Result<_>>()?;
    Ok(Box::new(Ensemble { members }))
}

/// An error of this crate where only those of the seams can pass.
fn at_seam(error: Error) -> cupola_task::Error {
    match error {
        Error::Task(error) => error,
        other => cupola_task::Error::input("ensemble", other, "members that can be opened and asked"),
    }
}

/// What leaves raw columns as they are: members prepare them, each in its own way.
struct Unprepared {
    schema: Schema,
}

impl Fitted for Unprepared {
    fn raw(&self) -> &Schema {
        &self.schema
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn apply(&self, raw: &Columns) -> cupola_task::Result<(Columns, Trail)> {
        Ok((raw.clone(), Trail::default()))
    }

    fn restore(&self, answers: Predictions, _trail: &Trail) -> cupola_task::Result<Predictions> {
        Ok(answers)
    }

    fn save(&self, parts: &mut Parts) -> cupola_task::Result<()> {
        parts.0.insert(RAW.to_owned(), to_json(RAW, &self.schema).map_err(at_seam)?);
        Ok(())
    }
}

/// A preparation that leaves raw columns as they are.
pub(crate) fn unprepared(schema: Schema) -> Box<dyn Fitted> {
    Box::new(Unprepared { schema })
}

/// Opens what [`Unprepared`] saved, where the parts hold it.
pub(crate) fn open_unprepared(parts: &Parts) -> Option<Result<Box<dyn Fitted>>> {
    let bytes = parts.0.get(RAW)?;
    Some(from_json(RAW, bytes).map(unprepared))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(values: &[f64]) -> Answer {
        Answer::Scores { classes: ["no".into(), "yes".into()].into(), values: values.to_vec() }
    }

    #[test]
    fn answers_are_weighted_means() {
        let (one, two) = (scores(&[0.2, 0.8, 1.0, 0.0]), scores(&[0.6, 0.4, 0.0, 1.0]));
        let Some(Answer::Scores { values, .. }) = blend(&[(&one, 3.0), (&two, 1.0)]) else { panic!("scores give scores") };
        let wanted = [0.3, 0.7, 0.75, 0.25];
        assert!(values.iter().zip(wanted).all(|(value, wanted)| (value - wanted).abs() < 1e-12), "{values:?}");
        let number = |value| Answer::Numbers { values: vec![value], range: None };
        assert_eq!(blend(&[(&number(1.0), 1.0), (&number(4.0), 2.0)]), Some(number(3.0)));
        assert_eq!(blend(&[(&one, 1.0), (&number(4.0), 2.0)]), None);
    }

    #[test]
    fn members_are_read_with_their_settings() {
        let settings = |members: &[&str], weights: Vec<Value>| {
            let members = Value::List(members.iter().map(|member| Value::Text((*member).to_owned())).collect());
            Settings::check("model", MODEL.settings, [("members", &members), ("weights", &Value::List(weights))]).unwrap()
        };
        let read = members(&settings(&["gbdt num_leaves=7", "tree"], vec![Value::Real(2.0), Value::Integer(1)])).unwrap();
        assert_eq!((read[0].def.name, read[0].settings.integer("num_leaves"), read[0].weight, read[1].weight), ("gbdt", 7, 2.0, 1.0));
        for (members, weights, wanted) in [
            (&[][..], vec![], "1 to 50 models"),
            (&["gbdt"][..], vec![Value::Real(1.0), Value::Real(1.0)], "2 weights for 1 members"),
            (&["mlp"][..], vec![], "no network"),
            (&["ensemble"][..], vec![], "no ensemble"),
            (&["gbdt leaves"][..], vec![], "key=value"),
            (&["gbdt num_leafs=3"][..], vec![], "num_leafs"),
            (&["gbtd"][..], vec![], "unknown model gbtd"),
        ] {
            let error = super::members(&settings(members, weights)).err().expect(wanted);
            assert!(error.to_string().contains(wanted), "{error}");
        }
    }
}
