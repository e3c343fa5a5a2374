//! Models held against each other on the same test rows: which difference is more than chance, and what else differs.
//!
//! Rows are those that are test rows of every run, so none of them taught any of the models. For each pair and measure the difference has its
//! interval by the paired bootstrap; the p-value is that of a randomisation test, in which the two answers of each row change places by the toss
//! of a coin (Noreen 1989; Yeh, COLING 2000), so it serves every measure. With several pairs p-values are Holm's (1979). For classes McNemar's
//! exact test (Dietterich 1998) says whether one model is right more often.

use crate::compare_folds::{FoldDifferences, by_folds};
use crate::eval::LabelledFile;
use crate::evaluate::rulers;
use crate::fit::{columns, read_all};
use crate::journal::heard_by;
use crate::recipe::Recipe;
use crate::report::{Better, Measure};
use crate::training::{answer_of, divide};
use crate::{Artifact, Error, EvalPlan, LeakGate, Plan, Result, load};
use arrow_array::cast::AsArray;
use cupola_data::{Input, ReadOptions, split};
use cupola_metrics::{Ruler, Sampling};
use cupola_task::{Answer, Batch, Columns, Draw, Event, Field, Flow, Predictions, Run, Side, Task, View};
use cupola_watch::Correction;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// With more rows than this, fewer tosses tell as much.
const ROWS_TOSSED_MAX: usize = 20_000;
const TOSSES_OF_MANY: usize = 400;

/// A model that takes part.
pub struct Contender {
    /// As it was named.
    pub name: String,
    /// Its file.
    pub model: PathBuf,
    /// The folder of its run, when it lies in one.
    pub folder: Option<PathBuf>,
    /// The opened file.
    pub artifact: Artifact,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The models, in the order named.
    pub models: Vec<Model>,
    /// How many rows all of them answered.
    pub rows: u64,
    /// Which rows, as a phrase.
    pub rows_of: String,
    /// Target by target.
    pub targets: Vec<ComparedTarget>,
    /// Recipe keys whose values differ.
    pub recipe: Vec<Differs>,
    /// What differs in data and split.
    pub data: Vec<Differs>,
    /// What one should know.
    pub warnings: Vec<String>,
    /// The level of intervals; a difference is real when its p-value is below one minus it.
    pub level: f64,
}

/// One model's facts.
#[derive(Clone, Debug, Serialize)]
pub struct Model {
    /// As it was named.
    pub name: String,
    /// The registry names of its models.
    pub model: String,
    /// BLAKE3 of its file.
    pub hash: String,
    /// The file's size.
    pub bytes: u64,
    /// Training rows, when its run tells.
    pub rows_train: Option<u64>,
    /// How long its run took.
    pub train_seconds: Option<f64>,
    /// How long it took to answer the rows now.
    pub answer_seconds: f64,
}

/// One target.
#[derive(Clone, Debug, Serialize)]
pub struct ComparedTarget {
    /// The column.
    pub name: String,
    /// Every measure with one value a model; the first decides.
    pub scores: Vec<ComparedScore>,
    /// Every two models.
    pub pairs: Vec<Pair>,
}

/// One measure of all models.
#[derive(Clone, Debug, Serialize)]
pub struct ComparedScore {
    /// Its name.
    pub name: String,
    /// Its direction.
    pub better: Better,
    /// A value for each model.
    pub values: Vec<Measure>,
}

/// Two models.
#[derive(Clone, Debug, Serialize)]
pub struct Pair {
    /// The place of the one.
    pub first: usize,
    /// The place of the other.
    pub second: usize,
    /// Differences, first minus second, measure by measure.
    pub differences: Vec<MeasuredDifference>,
    /// Who is right where the other is not; classes only.
    pub mcnemar: Option<McNemar>,
    /// Differences over folds, where both were cross-validated on the same ones.
    pub folds: Option<FoldDifferences>,
}

/// A difference.
#[derive(Clone, Debug, Serialize)]
pub struct MeasuredDifference {
    /// The measure.
    pub name: String,
    /// First minus second, with its interval by the paired bootstrap.
    pub difference: Measure,
    /// The chance of one as large when the two answer alike, by tosses; only of the measure that decides.
    pub p: Option<f64>,
    /// The same after Holm's correction for the number of pairs.
    pub p_holm: Option<f64>,
    /// Whether it is more than chance: by the corrected p-value, or, where there is none, by an interval without 0.
    pub is_real: bool,
}

/// McNemar's test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct McNemar {
    /// Rows that only the first decides rightly.
    pub first_only: u64,
    /// Rows that only the second decides rightly.
    pub second_only: u64,
    /// The exact two-sided p-value.
    pub p: f64,
}

/// A key with one value a model; none where the model's run does not tell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Differs {
    /// What.
    pub key: String,
    /// Its values.
    pub values: Vec<Option<String>>,
}

/// Rows that a contender answers: truth, weights and keys beside the inputs.
struct Rows {
    batch: Batch,
    weights: Option<Vec<f64>>,
}

/// Compares models on a labelled file, or on rows that are test rows of all runs.
///
/// # Errors
/// When there are not two, they share no target or no test row, or the data of a run are not what they were.
pub fn compare(contenders: &[Contender], file: Option<(&Input, &ReadOptions)>, asked: &EvalPlan, run: &Run<'_>) -> Result<Comparison> {
    if contenders.len() < 2 {
        return Err(
            Error::recipe("command line", "found one model, wanted two or more").with_hint("cupola compare runs/0001-a runs/0002-b")
        );
    }
    let mut warnings = Vec::new();
    let (rows, rows_of) = match file {
        Some((input, options)) => of_file(contenders, input, options, &mut warnings)?,
        None => of_runs(contenders, &mut warnings, run)?,
    };
    let count = rows[0].batch.rows.len() as u64;
    let (mut answers, mut seconds) = (Vec::new(), Vec::new());
    for (contender, rows) in contenders.iter().zip(&rows) {
        let began = (run.clock)();
        answers.push(contender.artifact.answer(&columns(&rows.batch)).map_err(|error| unsuited(contender, error))?);
        seconds.push((run.clock)().saturating_sub(began).as_secs_f64());
    }
    let targets = common_targets(contenders)?;
    let sampling = Sampling { level: asked.level, draws: asked.draws, draw: Draw::new(asked.seed).stream("compare") };
    let targets = targets.iter().map(|(field, task)| target(field, *task, &rows[0], &answers, asked, sampling));
    let mut targets = targets.collect::<Result<Vec<_>>>()?;
    by_folds(&mut targets, contenders, asked.level);
    Ok(Comparison {
        models: contenders.iter().zip(seconds).map(|(contender, seconds)| model(contender, seconds)).collect(),
        rows: count,
        rows_of,
        targets,
        recipe: recipe_differences(contenders)?,
        data: data_differences(contenders),
        warnings,
        level: asked.level,
    })
}

fn unsuited(contender: &Contender, error: Error) -> Error {
    Error::Data(format!("{} cannot answer these rows: {error}", contender.name), Some("compare on a file: data=FILE".into()))
}

fn of_file(contenders: &[Contender], input: &Input, options: &ReadOptions, warnings: &mut Vec<String>) -> Result<(Vec<Rows>, String)> {
    let file = LabelledFile::read(input, options)?;
    warnings.extend(file.warning());
    let rows = |contender: &Contender| {
        let labelled = file.rows(&contender.artifact, "compare needs the truth")?;
        Ok(Rows { batch: labelled.batch, weights: labelled.weights })
    };
    Ok((contenders.iter().map(rows).collect::<Result<_>>()?, format!("rows of {}", file.raw.name)))
}

/// A run's own test rows as its recipe types them, with what tells a row from others.
struct Own {
    rows: Rows,
    keys: Vec<u128>,
    /// Hashes of the files, and rows of the table: with both the same, a row's number says which row it is.
    origin: (Vec<Option<String>>, u64, bool),
    numbers: Vec<u64>,
}

fn own(contender: &Contender, folder: &Path, run: &Run<'_>) -> Result<Own> {
    let recipe = folder.join("run.toml");
    let mut plan = Plan::check(Recipe::open(&recipe)?)?;
    plan.leaks = LeakGate::Off;
    let deaf = |_: &Event| Flow::Go;
    let mut quiet = heard_by(run, &deaf);
    quiet.seed = plan.seed;
    let divided = divide(&plan, &quiet)?;
    let lock: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("run.lock")).unwrap_or_default()).unwrap_or_default();
    for file in &divided.loaded.files {
        let known = lock["data"].as_array().into_iter().flatten().find(|known| known["path"] == file.path.as_str());
        if known.is_some_and(|known| known["hash"].as_str() != file.hash.as_deref()) {
            let text = format!("{} is not what it was when {} was trained", file.path, contender.name);
            return Err(Error::Data(text, Some("bring the data back, or compare on a file: data=FILE".into())));
        }
    }
    let test = divided.splits.test();
    let batch = read_all(&**test)?;
    let keys = match &divided.loaded.test {
        Some(table) => split::row_keys(table)?,
        None => divided.keys.iter().zip(&divided.cut.sides).filter(|(_, side)| **side == Side::Test).map(|(key, _)| *key).collect(),
    };
    let weights = load::weights(test.schema(), &batch)?;
    let hashes = divided.loaded.files.iter().map(|file| file.hash.clone()).collect();
    let rows_of = divided.loaded.test.as_ref().unwrap_or(&divided.loaded.table);
    let origin = (hashes, cupola_task::Dataset::len(rows_of), plan.test.is_some());
    let numbers = batch.rows.to_vec();
    Ok(Own { rows: Rows { batch, weights }, keys, origin, numbers })
}

fn of_runs(contenders: &[Contender], warnings: &mut Vec<String>, run: &Run<'_>) -> Result<(Vec<Rows>, String)> {
    let own: Vec<Option<Own>> = contenders
        .iter()
        .map(|contender| contender.folder.as_ref().map(|folder| own(contender, folder, run)).transpose())
        .collect::<Result<_>>()?;
    let Some(first) = own.iter().position(Option::is_some) else {
        let error = Error::recipe("command line", "model files alone do not tell which rows are test rows");
        return Err(error.with_hint("name the rows: data=FILE; or name run folders"));
    };
    for (contender, own) in contenders.iter().zip(&own) {
        if own.is_none() {
            warnings.push(format!("{} is a file without a run: some of these rows may have taught it", contender.name));
        }
    }
    let lead = own[first].as_ref().expect("the first one that is there");
    let with_runs: Vec<&Own> = own.iter().flatten().collect();
    let is_same = with_runs.iter().all(|other| other.origin == lead.origin);
    let places = if is_same {
        shared(&with_runs.iter().map(|own| own.numbers.iter().map(|number| u128::from(*number)).collect()).collect::<Vec<_>>())
    } else {
        shared(&with_runs.iter().map(|own| own.keys.clone()).collect::<Vec<_>>())
    };
    let count = places[0].len();
    if count == 0 {
        let error = Error::Data("the runs share no test row, so each may have learned from the other's".into(), None);
        return Err(
            error.with_hint("train with data.split.keep=RUN/data/sides.parquet and the same columns, or compare on new rows: data=FILE")
        );
    }
    if with_runs.iter().any(|own| own.numbers.len() != count) {
        let all: Vec<String> = with_runs.iter().map(|own| own.numbers.len().to_string()).collect();
        warnings.push(format!("only {count} rows are test rows of every run, of {}", all.join(" and ")));
    }
    let mut taken = with_runs.iter().zip(&places).map(|(own, places)| own.rows.take(places));
    let rows = own.iter().map(|own| match own {
        Some(_) => taken.next().expect("one a run"),
        None => lead.rows.take(&places[0]),
    });
    Ok((rows.collect(), "rows that are test rows of every run".to_owned()))
}

/// For each list the places of what all lists hold, in the first list's order; what is there twice is matched twice.
fn shared(lists: &[Vec<u128>]) -> Vec<Vec<u64>> {
    let mut waiting: Vec<HashMap<u128, Vec<u64>>> = lists[1..]
        .iter()
        .map(|list| {
            let mut places: HashMap<u128, Vec<u64>> = HashMap::new();
            list.iter().enumerate().rev().for_each(|(place, key)| places.entry(*key).or_default().push(place as u64));
            places
        })
        .collect();
    let mut places = vec![Vec::new(); lists.len()];
    for (place, key) in lists[0].iter().enumerate() {
        if waiting.iter().all(|places| places.get(key).is_some_and(|places| !places.is_empty())) {
            places[0].push(place as u64);
            for (waiting, places) in waiting.iter_mut().zip(&mut places[1..]) {
                places.extend(waiting.get_mut(key).and_then(Vec::pop));
            }
        }
    }
    places
}

impl Rows {
    fn take(&self, places: &[u64]) -> Rows {
        let weights = self.weights.as_ref().map(|weights| places.iter().map(|place| weights[*place as usize]).collect());
        Rows { batch: self.batch.take(places), weights }
    }

    fn view(&self, target: &str) -> View<'_> {
        self.batch.view(target, self.weights.as_deref())
    }
}

/// The targets that all models answer, with the first one's classes.
fn common_targets(contenders: &[Contender]) -> Result<Vec<(Field, Task)>> {
    let answers = |contender: &Contender, name: &str, task: Task| {
        contender.artifact.raw().targets().any(|(field, other)| &*field.name == name && other == task)
    };
    let first = contenders[0].artifact.raw().targets();
    let common: Vec<(Field, Task)> = first
        .filter(|(field, task)| contenders.iter().all(|contender| answers(contender, &field.name, *task)))
        .map(|(field, task)| (field.clone(), task))
        .collect();
    if common.is_empty() {
        let all: Vec<String> = contenders
            .iter()
            .map(|contender| {
                let names: Vec<&str> = contender.artifact.raw().targets().map(|(field, _)| &*field.name).collect();
                format!("{} answers {}", contender.name, names.join(", "))
            })
            .collect();
        return Err(Error::Data(format!("the models answer no target in common: {}", all.join("; ")), None));
    }
    Ok(common)
}

fn target(field: &Field, task: Task, rows: &Rows, answers: &[Predictions], asked: &EvalPlan, sampling: Sampling) -> Result<ComparedTarget> {
    let answers: Vec<&Answer> = answers.iter().map(|answers| answer_of(answers, &field.name)).collect::<Result<_>>()?;
    let view = rows.view(&field.name);
    // Tosses take rows again and again, and no measure asks for all that the models looked at.
    let bare = Rows { batch: Batch { inputs: Columns::default(), ..rows.batch.clone() }, weights: rows.weights.clone() };
    let rulers = rulers(field, task, asked.metrics.as_deref(), None);
    let measured =
        answers.iter().map(|answer| Ok(cupola_metrics::score(field, answer, view, &rulers, sampling)?)).collect::<Result<Vec<_>>>()?;
    let score = |(place, (def, _)): (usize, &Ruler)| ComparedScore {
        name: def.name.to_owned(),
        better: if def.is_score { Better::Higher } else { Better::Lower },
        values: measured.iter().map(|scores| Measure::new(scores[place].value, scores[place].low, scores[place].high)).collect(),
    };
    let mut pairs = Vec::new();
    for first in 0..answers.len() {
        for second in first + 1..answers.len() {
            pairs.push(pair(field, [first, second], &answers, &bare, &rulers, sampling)?);
        }
    }
    holm(&mut pairs, 1.0 - sampling.level);
    Ok(ComparedTarget { name: field.name.to_string(), scores: rulers.iter().enumerate().map(score).collect(), pairs })
}

fn pair(
    field: &Field,
    [first, second]: [usize; 2],
    answers: &[&Answer],
    rows: &Rows,
    rulers: &[Ruler],
    sampling: Sampling,
) -> Result<Pair> {
    let both = [answers[first], answers[second]];
    let view = rows.view(&field.name);
    let found = cupola_metrics::paired(field, both, view, rulers, sampling)?;
    let p = match rulers.first() {
        Some(ruler) => tossed(field, both, rows, ruler, sampling)?,
        None => None,
    };
    let difference = |(place, found): (usize, cupola_metrics::Difference)| {
        let p = p.filter(|_| place == 0);
        let excludes = found.low > 0.0 || found.high < 0.0;
        let difference = Measure::new(found.value, found.low, found.high);
        MeasuredDifference { name: found.name.to_owned(), difference, p, p_holm: p, is_real: excludes }
    };
    let differences = found.into_iter().enumerate().map(difference).collect();
    Ok(Pair { first, second, differences, mcnemar: mcnemar(both, view), folds: None })
}

/// The share of tosses with a difference as large as the true one, both counted (Phipson and Smyth 2010: never 0); none where the difference is
/// not defined or answers cannot change places.
fn tossed(field: &Field, both: [&Answer; 2], rows: &Rows, ruler: &Ruler, sampling: Sampling) -> Result<Option<f64>> {
    let value = |answer: &Answer| cupola_metrics::value(field, answer, rows.view(&field.name), ruler);
    let found = (value(both[0])? - value(both[1])?).abs();
    if !found.is_finite() || both.iter().any(|answer| answer.take(&[]).is_none()) {
        return Ok(None);
    }
    let count = both[0].len();
    let tosses = if count > ROWS_TOSSED_MAX { sampling.draws.min(TOSSES_OF_MANY) } else { sampling.draws };
    let toss = |step: usize| {
        let draw = sampling.draw.stream("toss").at(step as u64);
        let (changed, kept): (Vec<u64>, Vec<u64>) = (0..count as u64).partition(|row| draw.bits(*row) >> 63 == 1);
        // Equal differences must not be lost to rounding.
        Ok(exchanged(field, both, rows, ruler, [&kept, &changed])?.abs() >= found * (1.0 - 1e-12))
    };
    let as_large = (0..tosses).into_par_iter().map(toss).collect::<Result<Vec<bool>>>()?.into_iter().filter(|is| *is).count();
    Ok(Some((as_large as f64 + 1.0) / (tosses as f64 + 1.0)))
}

/// The difference when the answers to the second list of rows have changed places. What changes place is the answer as it was given, so each
/// model's classes and threshold go with its probabilities.
fn exchanged(field: &Field, both: [&Answer; 2], rows: &Rows, ruler: &Ruler, places: [&[u64]; 2]) -> Result<f64> {
    let mut measures = [(ruler.0.new)(field, &ruler.1)?, (ruler.0.new)(field, &ruler.1)?];
    for (part, places) in places.into_iter().enumerate().filter(|(_, places)| !places.is_empty()) {
        let rows = rows.take(places);
        for (side, measure) in measures.iter_mut().enumerate() {
            let answer = both[side ^ part].take(places).expect("answers that can be cut were asked for");
            measure.update(rows.view(&field.name), &answer)?;
        }
    }
    Ok(measures[0].value(None)? - measures[1].value(None)?)
}

/// Whether the one decides rightly more often than the other.
fn mcnemar([first, second]: [&Answer; 2], view: View<'_>) -> Option<McNemar> {
    let truth = view.truth?.array()?.as_string_opt::<i32>()?;
    let right = |answer: &Answer| -> Option<Vec<bool>> {
        let Answer::Scores { classes, values } = answer else { return None };
        Some(classes.chosen(values).enumerate().map(|(row, class)| truth.value(row) == &*classes[class]).collect())
    };
    let (first, second) = (right(first)?, right(second)?);
    let only = |one: &[bool], other: &[bool]| one.iter().zip(other).filter(|(one, other)| **one && !**other).count() as u64;
    let (first_only, second_only) = (only(&first, &second), only(&second, &first));
    Some(McNemar { first_only, second_only, p: binomial(first_only, second_only) })
}

/// Two-sided p-value of so many heads and tails of a fair coin.
fn binomial(heads: u64, tails: u64) -> f64 {
    let (tosses, few) = ((heads + tails) as f64, heads.min(tails));
    let log_choose = |k: f64| libm::lgamma(tosses + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(tosses - k + 1.0);
    let tail: f64 = (0..=few).map(|k| (log_choose(k as f64) - tosses * std::f64::consts::LN_2).exp()).sum();
    (2.0 * tail).min(1.0)
}

/// Holm's correction over the pairs, of the measure that decides.
fn holm(pairs: &mut [Pair], alpha: f64) {
    let deciding = pairs.iter_mut().filter_map(|pair| pair.differences.first_mut());
    let (mut told, ps): (Vec<&mut MeasuredDifference>, Vec<f64>) =
        deciding.filter_map(|difference| difference.p.map(|p| (difference, p))).unzip();
    for (difference, p) in told.iter_mut().zip(Correction::Holm.apply(&ps)) {
        difference.p_holm = Some(p);
        difference.is_real = p < alpha;
    }
}

fn model(contender: &Contender, answer_seconds: f64) -> Model {
    let report = contender.folder.as_ref().and_then(|folder| std::fs::read(folder.join("report.json")).ok());
    let report: serde_json::Value = report.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let timings: Vec<f64> = report["timings"].as_array().into_iter().flatten().filter_map(|timing| timing["seconds"].as_f64()).collect();
    let names: Vec<&str> = contender.artifact.pipelines().iter().map(|pipeline| pipeline.model.name).collect();
    Model {
        name: contender.name.clone(),
        model: names.join(", "),
        hash: contender.artifact.hash().to_owned(),
        bytes: std::fs::metadata(&contender.model).map_or(0, |metadata| metadata.len()),
        rows_train: report["data"]["rows"]["train"].as_u64().or_else(|| contender.artifact.extra()["rows"]["train"].as_u64()),
        train_seconds: (!timings.is_empty()).then(|| timings.iter().sum()),
        answer_seconds,
    }
}

/// Keys of the resolved recipes that are not the same everywhere.
fn recipe_differences(contenders: &[Contender]) -> Result<Vec<Differs>> {
    let mut keys: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
    for (place, contender) in contenders.iter().enumerate() {
        let Some(recipe) = contender.folder.as_ref().map(|folder| folder.join("run.toml")).filter(|path| path.is_file()) else { continue };
        for (path, entry) in Recipe::open(&recipe)?.iter() {
            keys.entry(path.join(".")).or_insert_with(|| vec![None; contenders.len()])[place] = Some(entry.value.to_string());
        }
    }
    let has_recipe: Vec<bool> = contenders.iter().map(|contender| contender.folder.is_some()).collect();
    let differs = |(_, values): &(String, Vec<Option<String>>)| {
        let mut told = values.iter().zip(&has_recipe).filter(|(_, has)| **has).map(|(value, _)| value);
        let first = told.next();
        told.any(|value| Some(value) != first)
    };
    Ok(keys.into_iter().filter(differs).filter(|(key, _)| key != "name").map(|(key, values)| Differs { key, values }).collect())
}

/// Files, split and seed of the locks that are not the same everywhere.
fn data_differences(contenders: &[Contender]) -> Vec<Differs> {
    let facts = |contender: &Contender| -> Option<BTreeMap<String, String>> {
        let lock: serde_json::Value = serde_json::from_slice(&std::fs::read(contender.folder.as_ref()?.join("run.lock")).ok()?).ok()?;
        let mut facts = BTreeMap::new();
        for file in lock["data"].as_array().into_iter().flatten() {
            let word = |key: &str| file[key].as_str().unwrap_or_default().to_owned();
            let hash: String = word("hash").chars().take(12).collect();
            facts.insert(word("purpose"), format!("{}, {} rows, {hash}", word("path"), file["rows"]));
        }
        let split = blake3::hash(lock["split"].to_string().as_bytes()).to_hex();
        facts.insert("split".into(), split[..12].to_owned());
        facts.insert("seed".into(), lock["seed"].to_string());
        facts.insert("program".into(), lock["binary"].as_str().unwrap_or_default().chars().take(12).collect());
        Some(facts)
    };
    let all: Vec<Option<BTreeMap<String, String>>> = contenders.iter().map(facts).collect();
    let names: std::collections::BTreeSet<&String> = all.iter().flatten().flat_map(BTreeMap::keys).collect();
    let row = |name: &String| {
        let values: Vec<Option<String>> = all.iter().map(|facts| facts.as_ref().and_then(|facts| facts.get(name).cloned())).collect();
        let told: Vec<&String> = values.iter().flatten().collect();
        let is_same = told.iter().all(|value| *value == told[0]);
        (!is_same).then(|| Differs { key: name.clone(), values })
    };
    names.into_iter().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_are_those_of_tables() {
        // scipy.stats.binomtest(k, n).pvalue.
        for (heads, tails, wanted) in [(5, 15, 0.041_389_465_332_031_25), (0, 0, 1.0), (3, 3, 1.0), (0, 10, 0.001_953_125)] {
            assert!((binomial(heads, tails) - wanted).abs() < 1e-12, "{heads} {tails}: {}", binomial(heads, tails));
        }
        let difference =
            |p: f64| MeasuredDifference { name: "x".into(), difference: Measure::undefined(), p: Some(p), p_holm: None, is_real: false };
        let mut pairs: Vec<Pair> = [0.01, 0.04, 0.03]
            .iter()
            .map(|p| Pair { first: 0, second: 1, differences: vec![difference(*p)], mcnemar: None, folds: None })
            .collect();
        holm(&mut pairs, 0.05);
        let found: Vec<(f64, bool)> = pairs.iter().map(|pair| (pair.differences[0].p_holm.unwrap(), pair.differences[0].is_real)).collect();
        assert_eq!(found, [(0.03, true), (0.06, false), (0.06, false)]);
    }

    #[test]
    fn what_a_threshold_decides_changes_places_with_the_answer() {
        use arrow_array::StringArray;
        use cupola_task::{Column, Decision, Kind, Role, Rule, Schema};
        use std::sync::Arc;
        let classes: Arc<[Arc<str>]> = ["no".into(), "yes".into()].into();
        let field = Field { name: "y".into(), kind: Kind::Category { classes: classes.clone() }, role: Role::Target(Task::Classify) };
        let column = Column::Array(Arc::new(StringArray::from(vec!["no", "yes", "yes", "no", "yes", "no"])));
        let batch = Batch::new((0..6).collect(), &Columns::new(vec![("y".into(), column)]), &Schema { fields: vec![field.clone()] });
        let rows = Rows { batch, weights: None };
        let answer = |threshold: f64| {
            let decision = Decision { rule: Rule::Threshold(threshold), set: None };
            let values = [0.1, 0.8, 0.4, 0.2, 0.9, 0.3].iter().flat_map(|p| [1.0 - p, *p]).collect();
            Answer::Scores { classes: cupola_task::Classes::from(&classes).decided_by(Some(Arc::new(decision))), values }
        };
        let (one, other) = (answer(0.35), answer(0.5));
        // They differ in the third row alone, so every toss gives a difference of one row.
        let p = tossed(&field, [&one, &other], &rows, &cupola_metrics::ruler("accuracy"), Sampling::default()).unwrap();
        assert_eq!(p, Some(1.0));
        assert_eq!(mcnemar([&one, &other], rows.view("y")), Some(McNemar { first_only: 1, second_only: 0, p: 1.0 }));
    }

    #[test]
    fn rows_that_all_have_are_found_with_their_repeats() {
        let places = shared(&[vec![5, 7, 7, 9, 1], vec![7, 1, 5, 7, 7], vec![1, 7, 5]]);
        assert_eq!(places, [vec![0, 1, 4], vec![2, 0, 1], vec![2, 1, 0]]);
    }
}
