//! What training settles about targets before columns have types: which of them list labels, which labels are learned, and how classes are
//! spelled. [`Made`] keeps it.

use crate::load::{Loaded, Typed};
use crate::made::{self, Made, counted};
use crate::plan::{LABELS, LabelsPlan};
use crate::report::ColumnSummary;
use crate::{Error, Golden, Plan, Result};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray};
use cupola_data::labels::{Labels, ListForm, YES};
use cupola_data::lags::{History, Lags};
use cupola_data::prepare::{Spelling, respelled, unified};
use cupola_data::split::By;
use cupola_data::{ColumnType, Notation};
use cupola_task::{Column, Columns, Field, Kind, Role, Schema, Side, Table, Task};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What was settled, and sentences about what looked odd.
#[derive(Clone, Default)]
pub(crate) struct Making {
    pub made: Made,
    pub warnings: Vec<String>,
    /// Why a column was taken for one of lists.
    pub reasons: BTreeMap<Arc<str>, String>,
    /// The classes of targets in the one spelling.
    classes: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    /// Series whose last rows found no room.
    lost: usize,
    /// What the report says was made.
    pub told: Vec<String>,
}

/// Settles it for the plan's data, and gives the columns so made and the plan with a target for each label. Which labels are learned is said by
/// [`settle`], once training rows are known.
///
/// # Errors
/// A cell that is no list, or settings that do not suit lists.
pub(crate) fn make<'a>(
    plan: Cow<'a, Plan>,
    columns: &mut Columns,
    place: &(dyn Fn(usize) -> String + Sync),
) -> Result<(Cow<'a, Plan>, Making)> {
    let mut making = Making::default();
    let mut targets = Vec::new();
    for target in &plan.targets {
        let array = columns.get(target).and_then(Column::array).cloned();
        let said = plan.outputs.get(target).map(|output| output.labels.clone()).unwrap_or_default();
        let found = array.as_ref().map(|array| form(&plan, target, &said, array)).transpose()?.flatten();
        match (array, found) {
            (Some(array), Some((form, reason))) => {
                let spelling = plan.spelling(target);
                let (labels, cells) = Labels::learn(target, &array, form, spelling, place)?;
                making.warnings.extend(made::spelled(target, cells));
                let expanded = labels.expand(&array, place)?;
                *columns = columns.select(|name| name != target);
                for (name, array) in expanded.columns {
                    if columns.get(&name).is_some() {
                        let text = format!("target {target}: the label's column would be called {name}, and there is one of that name");
                        return Err(Error::Data(text, Some("rename that column".into())));
                    }
                    targets.push(name.to_string());
                    columns.insert(name, Column::Array(array));
                }
                making.reasons.insert(labels.column.clone(), reason);
                making.made.labels.push(labels);
            }
            (array, _) => {
                targets.push(target.clone());
                let texts = array.and_then(|array| array.as_string_opt::<i32>().cloned());
                if let Some(texts) = texts {
                    spell(&plan, target, &texts, columns, &mut making);
                }
            }
        }
    }
    let plan = if making.made.labels.is_empty() { plan } else { Cow::Owned(with_labels(&plan, targets, &making.made)?) };
    Ok((plan, making))
}

/// How a target's cells list labels, where they do.
fn form(plan: &Plan, target: &str, said: &LabelsPlan, array: &ArrayRef) -> Result<Option<(ListForm, String)>> {
    if let Some(form) = &said.form {
        return Ok(Some((form.clone(), "set by the recipe".to_owned())));
    }
    let is_open = plan.outputs.get(target).is_none_or(|output| output.column_type.is_none()) && plan.task != Some(Task::Regress);
    let found = if said.is_said || is_open { ListForm::found(array) } else { None };
    match (found, said.is_said) {
        (None, true) => {
            let error = Error::Data(format!("target {target}: found no separator that makes lists of labels out of its cells"), None);
            Err(error.with_hint(format!("say it: outputs.{target}.separator=\";\", or json for JSON lists")))
        }
        (found, _) => Ok(found),
    }
}

fn spell(plan: &Plan, target: &str, texts: &StringArray, columns: &mut Columns, making: &mut Making) {
    let spelling = plan.spelling(target);
    if spelling == Spelling::Keep || plan.task == Some(Task::Regress) {
        return;
    }
    let (unified, cells, spellings) = unified(texts, spelling);
    if cells > 0 {
        let text = format!(
            "target {target}: {} of {} taken as the class that is spelled so most often (categories={})",
            counted(cells, "cell"),
            counted(spellings, "other spelling"),
            spelling.word()
        );
        making.warnings.push(text);
    }
    let mut classes: Vec<Arc<str>> = unified.iter().flatten().map(Arc::from).collect();
    classes.sort();
    classes.dedup();
    making.classes.insert(target.into(), classes);
    making.made.spellings.insert(target.into(), spelling);
    columns.insert(target.into(), Column::Array(Arc::new(unified)));
}

/// The plan with a target for each label; what is said about a list is said about each of its labels of which nothing else is said.
fn with_labels(plan: &Plan, targets: Vec<String>, made: &Made) -> Result<Plan> {
    let mut own = Plan { targets, ..plan.clone() };
    for labels in &made.labels {
        let list = own.outputs.remove(&*labels.column);
        if let Some(list) = list {
            if let Some(positive) = &list.positive {
                let text = format!(
                    "outputs.{}.positive = {positive}, and the column lists labels, each of which is positive for itself",
                    labels.column
                );
                return Err(Error::recipe("recipe", text).with_hint("leave it out"));
            }
            for target in labels.targets() {
                own.outputs.entry(target.to_string()).or_insert_with(|| list.clone());
            }
        }
    }
    Ok(own)
}

impl Making {
    /// Puts lists in the place of their labels in what is told of columns.
    pub fn tell_lists(&self, columns: &mut Vec<ColumnSummary>) {
        columns.retain(|column| self.made.label_of(&column.name).is_none());
        columns.extend(self.made.labels.iter().map(|labels| ColumnSummary {
            name: labels.column.to_string(),
            kind: LABELS.to_owned(),
            role: "target".to_owned(),
            reason: self.reasons.get(&labels.column).cloned().unwrap_or_default(),
            missing: 0,
            distinct: Some(labels.names.len() as u64),
            prepared: None,
        }));
    }

    /// Makes columns of what rows before held, beside those that were typed, and keeps the last rows.
    ///
    /// # Errors
    /// When a column that is asked for is not there or of another kind, or earlier values of a target are asked for and the split does not go
    /// by time: test rows could stand before training rows then.
    pub fn lag(&mut self, plan: &Plan, columns: &mut Columns, typed: &mut Typed, place: &(dyn Fn(usize) -> String + Sync)) -> Result<()> {
        let time = typed.split.key.as_deref().filter(|_| typed.split.by == By::Time);
        let Some(mut lags) = Lags::open(&plan.lag, &typed.schema, time)? else { return Ok(()) };
        let is_target = |name: &str| typed.schema.targets().any(|(field, _)| *field.name == *name);
        if let Some(target) = lags.sources().find(|field| is_target(&field.name))
            && time != Some(&*lags.time().name)
        {
            let text = format!("data.lag looks at earlier values of target {}, so the split must go by time as well", target.name);
            let hint = format!("write data.split.by=time data.split.key={}", lags.time().name);
            return Err(Error::recipe("recipe", text).with_hint(hint));
        }
        let lagged = lags.apply(columns, &typed.notation, place)?;
        self.warnings.extend(made::lag_warnings(&lags, &lagged));
        for ((name, array), (_, what)) in lagged.columns.into_iter().zip(lags.described()) {
            typed.schema.fields.push(Field { name: name.clone(), kind: Kind::Number, role: Role::Input });
            let (kind, role) = (ColumnType::Number.to_string(), "input".to_owned());
            let missing = array.null_count() as u64;
            typed.columns.push(ColumnSummary { name: name.to_string(), kind, role, reason: what, missing, distinct: None, prepared: None });
            columns.insert(name, Column::Array(array));
        }
        self.lost = lags.remember(columns, &typed.notation, place)?;
        self.made.lags = Some(lags);
        Ok(())
    }

    /// Settles what the model file keeps of the last rows, and says it.
    pub fn finish(&mut self, plan: &Plan) -> Option<String> {
        let lags = self.made.lags.as_mut()?;
        let is_kept = plan.lag.flag("history") && plan.golden != Golden::Off;
        if !is_kept {
            lags.history = History::default();
        }
        let names: Vec<Arc<str>> = lags.names().collect();
        let made = format!("data.lag: {} of what rows before held, by {}", counted(names.len() as u64, "column"), lags.time().name);
        let kept = match is_kept {
            true => format!(
                "the model file keeps the last {} of {} for rows that follow",
                counted(lags.history.rows() as u64, "row"),
                if lags.history.series() == 1 { "the series".to_owned() } else { format!("{} series", lags.history.series()) }
            ),
            false => "the model file keeps no rows, so rows to answer must come with those before them".to_owned(),
        };
        if self.lost > 0 && is_kept {
            self.warnings.push(format!("data.lag: the last rows of {} series found no room in the model file", self.lost));
        }
        self.told.push(format!("{made}; {kept}"));
        self.told.last().cloned()
    }

    /// The columns of a test file, made as those of the training file.
    ///
    /// # Errors
    /// A cell that is no list.
    pub fn remake(&mut self, columns: &Columns, notation: &Notation, place: &(dyn Fn(usize) -> String + Sync)) -> Result<Columns> {
        let hint = "a test file has the columns of the training file";
        let (mut columns, notes) = self.made.whole_rows(columns, &Schema::default(), notation, place, hint)?;
        self.warnings.extend(notes.into_iter().map(|note| format!("test file: {note}")));
        if let Some(lags) = &mut self.made.lags {
            self.lost = lags.remember(&columns, notation, place)?;
        }
        for (target, spelling) in &self.made.spellings {
            let texts = columns.get(target).and_then(Column::array).and_then(|array| array.as_string_opt::<i32>().cloned());
            if let (Some(texts), Some(classes)) = (texts, self.classes.get(target)) {
                let (texts, cells) = respelled(&texts, classes, *spelling);
                self.warnings.extend(made::spelled(target, cells).map(|note| format!("test file: {note}")));
                columns.insert(target.clone(), Column::Array(Arc::new(texts)));
            }
        }
        Ok(columns)
    }
}

/// Leaves out the labels that training rows do not teach: those that too few of them have, that all of them have, and those beyond the most
/// frequent ones. Gives what is to be told, notes first and then warnings.
///
/// # Errors
/// When no label of a list is left.
pub(crate) fn settle(plan: &Plan, loaded: &mut Loaded, sides: &[Side]) -> Result<(Vec<String>, Vec<String>)> {
    let (mut notes, mut warnings) = (Vec::new(), Vec::new());
    let mut lists = std::mem::take(&mut loaded.making.made.labels);
    for labels in &mut lists {
        let said = plan.outputs.get(&*labels.column).map(|output| output.labels.clone()).unwrap_or_default();
        let rows: Vec<[u64; 2]> = labels.targets().map(|target| rows_with(loaded, &target, sides)).collect();
        let train = sides.iter().filter(|side| **side == Side::Train).count() as u64;
        let mut order: Vec<usize> = (0..rows.len()).filter(|at| rows[*at][0] >= said.rows_min && rows[*at][0] < train).collect();
        order.sort_by_key(|at| std::cmp::Reverse(rows[*at][0]));
        order.truncate(said.labels_max);
        order.sort_unstable();
        let left: Vec<usize> = (0..rows.len()).filter(|at| !order.contains(at)).collect();
        if order.is_empty() {
            let text =
                format!("target {}: found no label that at least {} training rows have and others have not", labels.column, said.rows_min);
            return Err(Error::Data(text, Some(format!("outputs.{}.min_rows=1 takes rarer ones", labels.column))));
        }
        notes.push(format!(
            "target {}: its cells list labels ({}); {} are learned, each by a model of its own (binary relevance)",
            labels.column,
            loaded.making.reasons.get(&labels.column).map_or("", String::as_str),
            order.len()
        ));
        loaded.making.told.extend(notes.last().cloned());
        warnings.extend(left_out(labels, &rows, &left, &said, train));
        let gone: Vec<Arc<str>> = left.iter().map(|at| labels.target(&labels.names[*at])).collect();
        loaded.without(&gone)?;
        labels.names = order.iter().map(|at| labels.names[*at].clone()).collect();
        if let Some(column) = loaded.columns.iter_mut().find(|column| *column.name == *labels.column) {
            column.distinct = Some(labels.names.len() as u64);
        }
    }
    loaded.making.made.labels = lists;
    Ok((notes, warnings))
}

/// How many training rows, and how many others that are used, have a label.
fn rows_with(loaded: &Loaded, target: &str, sides: &[Side]) -> [u64; 2] {
    let is_on = |table: &Table| -> Vec<bool> {
        let array = table.columns().get(target).and_then(Column::array).and_then(|array| array.as_string_opt::<i32>());
        array.map_or(vec![], |texts| texts.iter().map(|text| text == Some(YES)).collect())
    };
    let mut rows = [0; 2];
    for (_, side) in is_on(&loaded.table).iter().zip(sides).filter(|(is_on, side)| **is_on && **side != Side::Out) {
        rows[usize::from(*side != Side::Train)] += 1;
    }
    rows[1] += loaded.test.as_ref().map_or(0, |test| is_on(test).iter().filter(|is_on| **is_on).count() as u64);
    rows
}

/// How many labels that are left out a sentence names.
const NAMED: usize = 5;

fn left_out(labels: &Labels, rows: &[[u64; 2]], left: &[usize], said: &LabelsPlan, train: u64) -> Vec<String> {
    let named = |which: &[usize]| {
        let told: Vec<String> = which
            .iter()
            .take(NAMED)
            .map(|at| format!("{} ({}, {} in other rows)", labels.names[*at], counted(rows[*at][0], "training row"), rows[*at][1]))
            .collect();
        let more = if which.len() > NAMED { format!(" and {} more", which.len() - NAMED) } else { String::new() };
        format!("{}{more}", told.join(", "))
    };
    let of = |is: &dyn Fn(usize) -> bool| left.iter().copied().filter(|at| is(*at)).collect::<Vec<usize>>();
    let rare = of(&|at| rows[at][0] < said.rows_min);
    let all = of(&|at| rows[at][0] >= said.rows_min && rows[at][0] >= train);
    let others = of(&|at| rows[at][0] >= said.rows_min && rows[at][0] < train);
    [
        (rare, format!("fewer than {} training rows have them (min_rows)", said.rows_min)),
        (all, "every training row has them".to_owned()),
        (others, format!("{} others are more frequent (max_labels)", said.labels_max)),
    ]
    .into_iter()
    .filter(|(which, _)| !which.is_empty())
    .map(|(which, why)| {
        format!("target {}: {} not learned, since {why}: {}", labels.column, counted(which.len() as u64, "label"), named(&which))
    })
    .collect()
}

impl Loaded {
    /// Takes targets away.
    fn without(&mut self, targets: &[Arc<str>]) -> Result<()> {
        if targets.is_empty() {
            return Ok(());
        }
        let is_kept = |name: &str| targets.iter().all(|target| **target != *name);
        let less = |table: &Table| -> Result<Table> {
            use cupola_task::Dataset;
            let fields = table.schema().fields.iter().filter(|field| is_kept(&field.name) || !matches!(field.role, Role::Target(_)));
            Ok(Table::new(Schema { fields: fields.cloned().collect() }, table.columns().select(is_kept))?)
        };
        self.table = less(&self.table)?;
        self.test = self.test.as_ref().map(less).transpose()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
