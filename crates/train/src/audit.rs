//! How a model treats groups of rows: those of sensitive columns, and those where it is worst.

use crate::evaluate::Judged;
use crate::plan::SlicePlan;
use crate::postprocess::{Rows, log_losses, truths};
use crate::report::{Group, GroupReport, Measure, NamedMeasure, SliceReport, WorstSlice};
use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef};
use cupola_metrics::{Ranged, Ruler, Sampling, Search, SliceColumn};
use cupola_task::{Answer, Batch, Column, Columns, Field, Key, Schema, Task, TrainSplit, View, nearest};
use std::collections::HashMap;

/// Groups of a column that are listed; a number with more values is cut into so many.
const GROUPS_MAX: usize = 40;
const NUMBER_GROUPS: usize = 4;
/// Values of a number that are groups by themselves.
const NUMBER_VALUES_MAX: usize = 10;
/// Rows of a slice at least, and the share of all.
pub(crate) const SLICE_ROWS_MIN: usize = 30;
pub(crate) const SLICE_SHARE_MIN: usize = 100;
/// Slices that are told; the chance that any is where there is none.
const SLICES_MAX: usize = 10;
pub(crate) const LEVEL: f64 = 0.05;
/// Rows and columns that are searched: more tell nothing more.
const ROWS_SEARCHED: usize = 50_000;
pub(crate) const COLUMNS_SEARCHED: usize = 300;
/// Rows read at a time.
const ROWS_SCANNED: usize = 65_536;

/// Rows told apart: each one's group, and what the groups hold.
struct Told {
    columns: Vec<String>,
    codes: Vec<u32>,
    values: Vec<Vec<String>>,
}

/// Of all training rows the columns that tell groups apart, and the target; none when nothing is sensitive.
///
/// # Errors
/// When a column cannot be read.
pub(crate) fn told_apart(train: &TrainSplit, target: &str) -> Result<Option<Batch>> {
    let schema = train.data().schema();
    let names: Vec<&str> = schema.keys(Key::Sensitive).map(|field| &*field.name).chain([target]).collect();
    if names.len() == 1 {
        return Ok(None);
    }
    let (mut keys, mut targets) = (vec![], vec![]);
    for batch in train.data().scan(&names, ROWS_SCANNED)? {
        let batch = batch?;
        keys.push(batch.keys);
        targets.push(batch.targets);
    }
    let (keys, targets) = (Columns::concat(&keys)?, Columns::concat(&targets)?);
    Ok(Some(Batch { rows: (0..keys.rows() as u64).collect(), inputs: Columns::default(), targets, keys }))
}

/// The measures of the groups of each sensitive column, and of all of them together. `train` are training rows, for their shares and labels.
///
/// # Errors
/// Those of measures.
pub(crate) fn groups(
    schema: &Schema,
    (field, task): (&Field, Task),
    test: &Batch,
    train: Option<&Batch>,
    judged: Judged<'_>,
    sampling: Sampling,
) -> Result<Vec<GroupReport>> {
    let names: Vec<String> = schema.keys(Key::Sensitive).map(|field| field.name.to_string()).collect();
    let names: Vec<String> = names.into_iter().filter(|name| test.keys.get(name).is_some()).collect();
    let mut sets: Vec<Vec<String>> = names.iter().map(|name| vec![name.clone()]).collect();
    sets.extend((names.len() > 1).then(|| names.clone()));
    sets.iter().map(|columns| one_set(columns, (field, task), test, train, judged, sampling)).collect()
}

fn one_set(
    columns: &[String],
    (field, task): (&Field, Task),
    test: &Batch,
    train: Option<&Batch>,
    judged: Judged<'_>,
    sampling: Sampling,
) -> Result<GroupReport> {
    // Cuts of numbers are those of the test rows, for both sides.
    let cuts: Vec<Cut> = columns.iter().map(|name| Cut::new(test.keys.array(name).ok())).collect();
    let told = tell(columns, &cuts, test);
    let found = cupola_metrics::groups(field, task, judged.answer, judged.view, &told.codes, told.values.len(), sampling)?;
    let mut trained: HashMap<Vec<String>, (u64, f64)> = HashMap::new();
    if let Some(train) = train.filter(|train| columns.iter().all(|name| train.keys.get(name).is_some())) {
        let labels = labels(field, train.targets.get(&field.name));
        let own = tell(columns, &cuts, train);
        for (row, &code) in own.codes.iter().enumerate() {
            let entry = trained.entry(own.values[code as usize].clone()).or_default();
            *entry = (entry.0 + 1, entry.1 + labels.get(row).copied().unwrap_or(f64::NAN));
        }
    }
    let group = |(place, values): (usize, &Vec<String>)| {
        let (train_rows, sum) = trained.get(values).copied().unwrap_or((0, f64::NAN));
        let measures = found.measures.iter().map(|measure| named(measure.name, measure.groups[place]));
        Group {
            values: values.clone(),
            rows: found.rows[place] as u64,
            train_rows,
            train_label: sum / train_rows as f64,
            measures: measures.collect(),
        }
    };
    let mut groups: Vec<Group> = told.values.iter().enumerate().map(group).collect();
    groups.sort_by(|a, b| b.rows.cmp(&a.rows).then(a.values.cmp(&b.values)));
    let left_out = groups.len().saturating_sub(GROUPS_MAX) as u64;
    groups.truncate(GROUPS_MAX);
    let named_gaps = found.gaps.iter().map(|gap| named(gap.name, gap.value));
    let differences = found.measures.iter().flat_map(|measure| {
        let names = [format!("{}_difference", measure.name), format!("{}_ratio", measure.name)];
        names.into_iter().zip([measure.difference, measure.ratio]).map(|(name, value)| NamedMeasure { name, measure: ranged(value) })
    });
    Ok(GroupReport { columns: told.columns, groups, gaps: named_gaps.chain(differences).collect(), left_out })
}

fn ranged(value: Ranged) -> Measure {
    Measure::new(value.value, value.low, value.high)
}

fn named(name: &str, value: Ranged) -> NamedMeasure {
    NamedMeasure { name: name.to_owned(), measure: ranged(value) }
}

/// Whether each row is of the positive class, or its number.
fn labels(field: &Field, truth: Option<&Column>) -> Vec<f64> {
    let Some(array) = truth.and_then(Column::array) else { return vec![] };
    match (field.kind.classes(), array.as_string_opt::<i32>(), array.as_primitive_opt::<Float64Type>()) {
        (Some(classes), Some(texts), _) if classes.len() == 2 => {
            texts.iter().map(|text| f64::from(u8::from(text == Some(&*classes[1])))).collect()
        }
        (None, _, Some(numbers)) => numbers.iter().map(|number| number.unwrap_or(f64::NAN)).collect(),
        _ => vec![],
    }
}

/// How the values of a column become groups.
enum Cut {
    /// By themselves.
    Values,
    /// A number with many values: the first value of each stretch but the first, and the ends of all.
    Stretches(Vec<f64>, [f64; 2]),
}

impl Cut {
    fn new(array: Option<&ArrayRef>) -> Cut {
        let Some(numbers) = array.and_then(|array| array.as_primitive_opt::<Float64Type>()) else { return Cut::Values };
        let mut sorted: Vec<f64> = numbers.iter().flatten().filter(|number| number.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let mut distinct = sorted.clone();
        distinct.dedup();
        if distinct.len() <= NUMBER_VALUES_MAX {
            return Cut::Values;
        }
        let mut edges: Vec<f64> = (1..NUMBER_GROUPS).map(|place| sorted[sorted.len() * place / NUMBER_GROUPS]).collect();
        edges.retain(|edge| *edge > sorted[0]);
        edges.dedup();
        Cut::Stretches(edges, [sorted[0], sorted[sorted.len() - 1]])
    }

    fn value(&self, array: &ArrayRef, row: usize) -> String {
        if array.is_null(row) {
            return "(missing)".to_owned();
        }
        match (self, array.as_primitive_opt::<Float64Type>()) {
            (Cut::Stretches(edges, [low, high]), Some(numbers)) => {
                let place = edges.partition_point(|edge| *edge <= numbers.value(row));
                match (place.checked_sub(1).map(|place| edges[place]), edges.get(place)) {
                    (None, Some(edge)) => format!("{low} to below {edge}"),
                    (Some(from), Some(edge)) => format!("{from} to below {edge}"),
                    (from, None) => format!("{} to {high}", from.unwrap_or(*low)),
                }
            }
            _ => arrow_cast::display::array_value_to_string(array, row).unwrap_or_default(),
        }
    }
}

fn tell(columns: &[String], cuts: &[Cut], batch: &Batch) -> Told {
    let mut places: HashMap<Vec<String>, u32> = HashMap::new();
    let mut told = Told { columns: columns.to_vec(), codes: vec![], values: vec![] };
    let arrays: Vec<Option<&ArrayRef>> = columns.iter().map(|name| batch.keys.array(name).ok()).collect();
    for row in 0..batch.rows.len() {
        let values: Vec<String> =
            arrays.iter().zip(cuts).map(|(array, cut)| array.map_or(String::new(), |array| cut.value(array, row))).collect();
        let next = places.len() as u32;
        let code = *places.entry(values).or_insert_with_key(|values| {
            told.values.push(values.clone());
            next
        });
        told.codes.push(code);
    }
    told
}

/// Searches the test rows for slices of larger loss. Sensitive columns are looked at, too. None when nobody asked or there are too few rows.
///
/// # Errors
/// When the recipe names a column that is not there; those of measures.
pub(crate) fn slices(
    plan: &SlicePlan,
    schema: &Schema,
    field: &Field,
    rulers: &[Ruler],
    test: &Batch,
    judged: Judged<'_>,
    sampling: Sampling,
) -> Result<Option<SliceReport>> {
    let sensitive = schema.keys(Key::Sensitive).filter_map(|field| test.keys.iter().find(|(name, _)| **name == field.name));
    let looked_at: Vec<(&str, &Column)> = test.inputs.iter().chain(sensitive).map(|(name, column)| (&**name, column)).collect();
    if let SlicePlan::Columns(columns) = plan {
        check(columns, &looked_at)?;
    }
    let Some((name, losses)) = losses(field, judged).filter(|_| *plan != SlicePlan::None) else { return Ok(None) };
    let step = losses.len().div_ceil(ROWS_SEARCHED).max(1);
    let rows: Vec<u64> = (0..losses.len()).step_by(step).map(|row| row as u64).collect();
    let rows_min = SLICE_ROWS_MIN.max(rows.len() / SLICE_SHARE_MIN);
    if rows.len() < 4 * rows_min || rulers.is_empty() {
        return Ok(None);
    }
    let taken: Vec<f64> = rows.iter().map(|&row| losses[row as usize]).collect();
    let cut = |(name, column): &(&str, &Column)| plan.takes(name).then(|| SliceColumn::new(name, &column.take(&rows))).flatten();
    let columns: Vec<SliceColumn> = looked_at.iter().filter_map(cut).take(COLUMNS_SEARCHED).collect();
    let search = Search { level: LEVEL, rows_min, found_max: SLICES_MAX, draw: sampling.draw.stream("slices") };
    let found = cupola_metrics::slices(&taken, &columns, search);
    let measured = |rows: &[u64]| -> Result<Vec<NamedMeasure>> {
        let own = sliced(judged, rows);
        let Some((truth, weights, answer)) = own else { return Ok(vec![]) };
        let none = Columns::default();
        let view = View { truth: Some(&truth), weight: weights.as_deref(), inputs: &none, keys: &none };
        let scores = cupola_metrics::score(field, &answer, view, rulers, Sampling { draws: sampling.draws.min(200), ..sampling })?;
        let named = |score: cupola_metrics::Score| NamedMeasure {
            name: score.name.to_owned(),
            measure: Measure::new(score.value, score.low, score.high),
        };
        Ok(scores.into_iter().map(named).collect())
    };
    let main = rulers[0].0.name;
    let all: Vec<u64> = (0..losses.len() as u64).collect();
    let overall = measured(&all)?.into_iter().find(|measure| measure.name == main).map_or(Measure::undefined(), |measure| measure.measure);
    let told = |slice: cupola_metrics::Slice| -> Result<WorstSlice> {
        let part = |[column, cell]: &[usize; 2]| [columns[*column].name.clone(), columns[*column].cells[*cell].clone()];
        let own: Vec<u64> = slice.rows.iter().map(|&place| rows[place as usize]).collect();
        Ok(WorstSlice {
            parts: slice.parts.iter().map(part).collect(),
            rows: own.len() as u64,
            loss: slice.loss,
            rest: slice.rest,
            p_value: slice.p_value,
            measures: measured(&own)?,
        })
    };
    let report = SliceReport {
        loss: name.to_owned(),
        measure: main.to_owned(),
        overall,
        tried: found.tried as u64,
        rows_min: rows_min as u64,
        level: LEVEL,
        p_value: found.p_value,
        slices: found.slices.into_iter().map(told).collect::<Result<_>>()?,
    };
    Ok(Some(report))
}

pub(crate) fn check(columns: &[String], known: &[(&str, &Column)]) -> Result<()> {
    match columns.iter().find(|name| known.iter().all(|(known, _)| known != name)) {
        None => Ok(()),
        Some(name) => {
            let error = Error::recipe("recipe", format!("eval.slices names column {name}, which is no input"));
            Err(match nearest(name, known.iter().map(|(name, _)| *name)) {
                Some(near) => error.with_hint(format!("did you mean {near}?")),
                None => error.with_hint("auto looks at all inputs"),
            })
        }
    }
}

/// The loss of each row: minus the logarithm of the truth's probability, or the absolute error.
pub(crate) fn losses(field: &Field, judged: Judged<'_>) -> Option<(&'static str, Vec<f64>)> {
    let truth = judged.view.truth?;
    match judged.answer {
        Answer::Scores { classes, values } if field.kind.classes().is_some() => {
            let truth = truths(classes.names(), truth).ok()?;
            Some(("log_loss", log_losses(Rows { classes: classes.len(), values, truth: &truth, weights: None })))
        }
        Answer::Numbers { values, .. } => {
            let numbers = truth.array()?.as_primitive_opt::<Float64Type>()?;
            Some(("mae", numbers.iter().zip(values).map(|(truth, value)| (truth.unwrap_or(*value) - value).abs()).collect()))
        }
        _ => None,
    }
}

/// Truth, weights and answer of some rows.
fn sliced(judged: Judged<'_>, rows: &[u64]) -> Option<(Column, Option<Vec<f64>>, Answer)> {
    let truth = judged.view.truth?.take(rows);
    let weights = judged.view.weight.map(|weights| rows.iter().map(|&row| weights[row as usize]).collect());
    Some((truth, weights, judged.answer.take(rows)?))
}
