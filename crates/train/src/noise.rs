//! Labels that are likely wrong: probabilities of a model by cross-validation, judged by confident learning. `cupola data noise`.

use crate::confident::{Filter, Judged};
use crate::crossval::{Fold, Rounds, Subject, aligned, cross_validate};
use crate::fit::for_target;
use crate::{Choice, Error, Plan, Result, load, models};
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, BooleanArray, Float64Array, StringArray, UInt64Array};
use cupola_task::{
    Answer, Column, Columns, Dataset, Event, Field, Key, Range, Role, Run, Schema, Setting, Settings, Side, Splits, Table, Task,
};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;

/// What may be said about `data noise`, beside the recipe's `target`, `model`, `eval.cv` and `seed`.
pub const NOISE: &[Setting] = &[
    Setting {
        name: "filter_by",
        alias: &["filter"],
        default: "prune_by_noise_rate",
        range: Range::Choice(Filter::WORDS),
        doc: "how suspects are chosen: as many of each pair of classes as the confident joint says, of each class, of both, or all that differ",
    },
    Setting {
        name: "all",
        alias: &[],
        default: "false",
        range: Range::Flag,
        doc: "whether all rows are told and written with their scores, suspects first",
    },
];

/// The model that judges when none is named.
const JUDGE: &str = "gbdt";
/// Folds when nothing is said.
const FOLDS: usize = 5;

/// A row with what was said about its label.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Suspect {
    /// Where it stands.
    pub place: String,
    /// Its number in the file, from 1.
    pub row: u64,
    /// Its label.
    pub given: Arc<str>,
    /// The most probable other one.
    pub suggested: Arc<str>,
    /// The probability of its label.
    pub self_confidence: f64,
    /// By how much that exceeds the best other one, from 0 to 1; below a half another is more probable.
    pub normalized_margin: f64,
    /// Whether it is likely wrong.
    pub is_suspect: bool,
}

/// What was found.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Noise {
    /// The target.
    pub target: Arc<str>,
    /// The model that judged.
    pub model: String,
    /// Folds of the cross-validation.
    pub folds: usize,
    /// Rows that were judged.
    pub rows: u64,
    /// The classes.
    pub classes: Vec<Arc<str>>,
    /// Rows by given label and likely one.
    pub joint: Vec<Vec<u64>>,
    /// Rows that are likely labelled wrongly.
    pub suspects: u64,
    /// Suspects, the least confident first; all other rows behind them when they were asked for.
    pub ranked: Vec<Suspect>,
}

impl Noise {
    /// As a table to be written.
    pub fn columns(&self) -> Columns {
        let texts = |of: fn(&Suspect) -> &str| Arc::new(StringArray::from_iter_values(self.ranked.iter().map(of))) as ArrayRef;
        let numbers = |of: fn(&Suspect) -> f64| Arc::new(Float64Array::from_iter_values(self.ranked.iter().map(of))) as ArrayRef;
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("row", Arc::new(UInt64Array::from_iter_values(self.ranked.iter().map(|suspect| suspect.row)))),
            ("place", texts(|suspect| &suspect.place)),
            ("given", texts(|suspect| &suspect.given)),
            ("suggested", texts(|suspect| &suspect.suggested)),
            ("self_confidence", numbers(|suspect| suspect.self_confidence)),
            ("normalized_margin", numbers(|suspect| suspect.normalized_margin)),
            ("is_suspect", Arc::new(self.ranked.iter().map(|suspect| Some(suspect.is_suspect)).collect::<BooleanArray>())),
        ];
        Columns::new(columns.into_iter().map(|(name, array)| (name.into(), Column::Array(array))).collect())
    }
}

/// Judges the labels of the plan's first target of classes in all rows of its file.
///
/// # Errors
/// When the data does not suit the plan, no target is of classes, or the model cannot learn from a fold.
pub fn noise(plan: &Plan, run: &Run<'_>, settings: &Settings) -> Result<Noise> {
    run.tell(Event::Stage { name: "read".into() });
    let loaded = load::load(plan)?;
    for warning in &loaded.warnings {
        run.tell(Event::Warning { text: warning.clone() });
    }
    let target = loaded.schema().targets().find(|(_, task)| *task == Task::Classify).map(|(field, _)| field.clone());
    let target = target.ok_or_else(|| {
        let error = Error::Data(format!("labels are judged by their class, and {} holds numbers", plan.targets.join(", ")), None);
        error.with_hint("if they are classes, say outputs.NAME.type=category")
    })?;
    let (def, own) = match plan.output(&target.name).and_then(|output| output.model.as_ref()).unwrap_or(&plan.model) {
        Choice::Named(def, own) => (*def, own.clone()),
        Choice::Auto => {
            let def = crate::model(JUDGE)?;
            (def, Settings::check("model", def.settings, [])?)
        }
    };
    let table = timeless(&loaded.table, &target)?;
    models::check_inputs(def, Task::Classify, table.schema())?;
    let k = plan.folds.unwrap_or(FOLDS).min(Dataset::len(&table) as usize).max(2);
    let labels = labels(&table, &target)?;
    let names = names(&labels);
    run.tell(Event::Stage { name: format!("judge by {}", def.name) });
    // All rows teach and are judged in turn; none is kept apart.
    let all = Splits::new(Arc::new(table.clone()), &vec![Side::Train; labels.len()]);
    let subject = Subject { def, settings: &own, target: &target, draw: run.draw("noise") };
    let probabilities = probabilities(def.name, &cross_validate(&subject, all.train(), plan, run, Rounds::once(k))?, &names, labels.len())?;
    let place: HashMap<&str, usize> = names.iter().enumerate().map(|(place, name)| (&**name, place)).collect();
    let labels: Vec<usize> = labels.iter().map(|label| place[label.as_str()]).collect();
    let judged = Judged { labels: &labels, probabilities: &probabilities, classes: names.len() };
    let (issues, scores, suggested) = (judged.issues(Filter::open(settings.text("filter_by"))), judged.scores(), judged.suggested());
    let mut order: Vec<usize> = (0..labels.len()).filter(|&row| issues[row] || settings.flag("all")).collect();
    order.sort_by(|&a, &b| issues[b].cmp(&issues[a]).then(scores[a][0].total_cmp(&scores[b][0])).then(a.cmp(&b)));
    let (kept, _) = loaded.rows_of_file();
    let suspect = |&row: &usize| Suspect {
        place: loaded.place(row),
        row: kept[row] + 1,
        given: names[labels[row]].clone(),
        suggested: names[suggested[row]].clone(),
        self_confidence: scores[row][0],
        normalized_margin: scores[row][1],
        is_suspect: issues[row],
    };
    Ok(Noise {
        target: target.name.clone(),
        model: def.name.to_owned(),
        folds: k,
        rows: labels.len() as u64,
        joint: judged.joint(),
        suspects: issues.iter().filter(|issue| **issue).count() as u64,
        ranked: order.iter().map(suspect).collect(),
        classes: names,
    })
}

/// The table with that target alone, and without a key of time: every row is to be judged, and the oldest have none before them to learn from.
fn timeless(table: &Table, target: &Field) -> Result<Table> {
    let table = for_target(table, &target.name)?;
    let fields = table.schema().fields.iter().map(|field| match field.role {
        Role::Key(Key::Time) => Field { role: Role::Ignored, ..field.clone() },
        _ => field.clone(),
    });
    Ok(Table::new(Schema { fields: fields.collect() }, table.columns().clone())?)
}

fn labels(table: &Table, target: &Field) -> Result<Vec<String>> {
    let array = table.columns().array(&target.name)?;
    let texts = array.as_string_opt::<i32>().expect("a raw target of classes is texts");
    Ok(texts.iter().map(|text| text.unwrap_or_default().to_owned()).collect())
}

fn names(labels: &[String]) -> Vec<Arc<str>> {
    let names: std::collections::BTreeSet<&str> = labels.iter().map(String::as_str).collect();
    names.into_iter().map(Arc::from).collect()
}

/// For each row the probabilities of all classes, as the fold that held it out gives them.
fn probabilities(model: &str, folds: &[Fold], names: &[Arc<str>], rows: usize) -> Result<Vec<f64>> {
    let mut probabilities = vec![0.0; rows * names.len()];
    for fold in folds {
        let Answer::Scores { .. } = &fold.answer else {
            return Err(Error::Data(format!("model {model} answers no probabilities"), Some("name another: model=gbdt".into())));
        };
        for (row, own) in fold.rows.rows.iter().zip(aligned(names, &fold.answer).chunks_exact(names.len())) {
            probabilities[*row as usize * names.len()..][..names.len()].copy_from_slice(own);
        }
    }
    Ok(probabilities)
}
