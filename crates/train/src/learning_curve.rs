//! How much more data would help: the model trained on parts of the training rows, measured on the test rows, and a law through the points.
//!
//! The law is `loss = a + b n^-c` (Hestness et al., arXiv 1712.00409; Rosenfeld et al., ICLR 2020), the loss being how far the measure is from its best value. For
//! each c of a grid a and b are the least squares that are not negative; the c of the least rest wins, and a finer grid around it again. The band comes from the
//! bootstrap over the repeats. A law that fits what was seen need not hold beyond it: the further from the last point, the more it is a guess.
//!
//! Parts are nested (each holds the smaller ones), have each class in its share, and keep groups whole. Validation and test rows are the same for all.

use crate::crossval::Fold;
use crate::curve_slices::{self, SliceCurves, SlicesAsked};
use crate::evaluate::{Judged, main_measure};
use crate::fit::{fit, read_all};
use crate::journal::heard_by;
use crate::plan::settings;
use crate::report::Better;
use crate::training::{Divided, check_measures, check_models, divide};
use crate::{Choice, Error, Plan, Result, audit, resampled};
use arrow_array::cast::AsArray;
use cupola_metrics::plain;
use cupola_task::{
    Answer, Batch, Draw, Event, Field, Flow, Key, MetricDef, ModelDef, Range, Run, Schema, Setting, Settings, Side, Task, View,
};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// The keys of `[curve]`.
pub const CURVE: &[Setting] = &[
    Setting {
        name: "points",
        alias: &["train_sizes"],
        default: "6",
        range: Range::Integer { min: 3, max: 20 },
        doc: "How many parts of the training rows are learned from, each larger by the same factor.",
    },
    Setting {
        name: "repeats",
        alias: &["seeds"],
        default: "5",
        range: Range::Integer { min: 2, max: 100 },
        doc: "How often, each time with other rows and another seed.",
    },
    Setting {
        name: "smallest",
        alias: &[],
        default: "auto",
        range: Range::Any(&[Range::Choice(&["auto"]), Range::Integer { min: 2, max: i64::MAX }]),
        doc: "Rows of the smallest part; auto: a thirty-second of all, 50 at least, and 10 a class.",
    },
    Setting {
        name: "labels",
        alias: &[],
        default: "1000",
        range: Range::Integer { min: 1, max: i64::MAX },
        doc: "New labels of a class or a slice whose worth is estimated.",
    },
    Setting {
        name: "slices",
        alias: &[],
        default: "3",
        range: Range::Integer { min: 0, max: 20 },
        doc: "Of the worst slices of test rows, and of the groups of sensitive columns, how many are asked what labels of theirs are worth, by training without part of their rows: two trainings a repeat for each.",
    },
];

/// How many draws the bands are made of.
const DRAWS: u64 = 400;
/// Of the last size, multiples at which the law is read.
const AHEAD: [f64; 2] = [10.0, 100.0];
/// Most classes told.
const CLASSES_MAX: usize = 50;

/// A curve.
#[derive(Clone, Debug, Serialize)]
pub struct LearningCurve {
    /// The column.
    pub target: String,
    /// The model.
    pub model: String,
    /// The measure.
    pub measure: String,
    /// Its direction.
    pub better: Better,
    /// Test rows.
    pub rows_test: u64,
    /// The sizes, the smallest first.
    pub points: Vec<CurvePoint>,
    /// The law.
    pub law: Law,
    /// The value that losses are counted from: the best there is where more is better, else 0.
    pub best: f64,
    /// What the law says further on.
    pub ahead: Vec<Ahead>,
    /// Where labels pay, the best first; classes only.
    pub classes: Vec<ClassCurve>,
    /// Where labels pay by slices of rows; none where that was not asked for or there is no loss of single rows.
    pub slices: Option<SliceCurves>,
    /// New labels of a class or slice that the gains are for.
    pub labels: u64,
    /// What one should know.
    pub warnings: Vec<String>,
}

/// One size.
#[derive(Clone, Debug, Serialize)]
pub struct CurvePoint {
    /// Training rows.
    pub rows: u64,
    /// The measure of each repeat.
    pub values: Vec<f64>,
    /// Their mean.
    pub mean: f64,
    /// Lower end of the mean's 95 % interval by Student's t.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// What the law says there.
    pub fitted: f64,
}

/// `loss = a + b n^-c`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Law {
    /// What is left with all the data in the world.
    pub a: f64,
    /// What a single row would lack.
    pub b: f64,
    /// How fast it falls.
    pub c: f64,
}

/// The law at another size.
#[derive(Clone, Debug, Serialize)]
pub struct Ahead {
    /// Training rows.
    pub rows: u64,
    /// How many times the present ones.
    pub times: f64,
    /// The measure to be expected.
    pub value: f64,
    /// Lower end of the 95 % band.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// What is gained against the last size; positive is better.
    pub gain: f64,
}

/// One class.
#[derive(Clone, Debug, Serialize)]
pub struct ClassCurve {
    /// The class.
    pub class: String,
    /// Its training rows.
    pub rows: u64,
    /// Its recall on test rows with all of them, mean over the repeats.
    pub recall: f64,
    /// What the law of its recall over its rows says that so many labels more bring.
    pub gain: f64,
    /// Lower end of the band.
    pub gain_low: f64,
    /// Upper end.
    pub gain_high: f64,
    /// Test rows of a thousand that would be right which are not: the gain times the class's share.
    pub per_thousand: f64,
}

impl LearningCurve {
    /// What the law says of so many training rows, as the measure.
    pub fn value_at(&self, rows: f64) -> f64 {
        match self.better {
            Better::Higher => self.best - self.law.at(rows),
            Better::Lower => self.law.at(rows),
        }
    }
}

/// The settings of `[curve]`.
struct CurveOptions {
    points: usize,
    repeats: u64,
    smallest: Option<u64>,
    labels: u64,
    slices: usize,
}

impl CurveOptions {
    fn check(plan: &Plan) -> Result<CurveOptions> {
        let settings = settings(&plan.recipe, &["curve"])?;
        Ok(CurveOptions {
            points: settings.integer("points") as usize,
            repeats: settings.integer("repeats").unsigned_abs(),
            smallest: settings.try_integer("smallest").map(i64::unsigned_abs),
            labels: settings.integer("labels").unsigned_abs(),
            slices: settings.integer("slices") as usize,
        })
    }
}

/// What one training gave.
pub(crate) struct Trained {
    value: f64,
    /// Recall of each class.
    recalls: BTreeMap<String, f64>,
    /// The loss of each test row, and its name.
    pub losses: Option<(&'static str, Vec<f64>)>,
}

/// Trains on parts of the training rows and measures on the test rows. Nothing is kept.
///
/// # Errors
/// As [`train`](crate::train); when there are several targets, or too few rows for parts.
pub fn learning_curve(plan: &Plan, run: &Run<'_>) -> Result<LearningCurve> {
    let options = CurveOptions::check(plan)?;
    let divided = divide(plan, run)?;
    let schema = divided.loaded.schema();
    check_models(plan, schema)?;
    check_measures(schema, plan.metrics.as_deref(), &[])?;
    let targets: Vec<(&Field, Task)> = schema.targets().collect();
    let [(target, task)] = targets.as_slice() else {
        let error = Error::recipe("recipe", format!("a learning curve is of one target, and there are {}", targets.len()));
        return Err(error.with_hint("put the other targets into ignore=[...]"));
    };
    let mut warnings = Vec::new();
    if plan.time.is_some() {
        warnings.push("a learning curve has no time limit: parts that had to stop early would say nothing about their size".into());
    }
    let (def, settings) = model(plan, *task, &mut warnings)?;
    let metric = measure(plan, target, *task, &divided)?;
    let train = read_all(divided.splits.train().data())?;
    let classes = class_counts(&train, target);
    let sizes = sizes(&options, train.rows.len() as u64, classes.len() as u64)?;
    if divided.splits.test().is_empty() {
        return Err(Error::Data("there is no test row to measure on".into(), Some("data.split.ratio=[0.8,0.1,0.1] makes some".into())));
    }
    let curve = Curve { plan, divided: &divided, target, def, settings: &settings, metric: &metric };
    let Some(trained) = curve.trained(&options, &sizes, &train, run)? else { return Err(cupola_task::Error::Interrupted.into()) };
    let asked = SlicesAsked { slices: options.slices, labels: options.labels, sizes: &sizes };
    let slices = curve_slices::slices(&curve, &asked, &train, &trained, run)?;
    Ok(LearningCurve { slices, ..told(&curve, &options, &sizes, &trained, &classes, warnings, run) })
}

/// The model that is named; in place of a leaderboard, gradient boosting stands for all.
fn model(plan: &Plan, task: Task, warnings: &mut Vec<String>) -> Result<(&'static ModelDef, Settings)> {
    match &plan.model {
        Choice::Named(def, settings) => Ok((*def, settings.clone())),
        Choice::Auto => {
            let def = crate::model("gbdt")?;
            if !def.tasks.contains(&task) {
                return Err(Error::recipe("recipe", "no model is named").with_hint("name one: model=gbdt"));
            }
            warnings.push("no model is named: gbdt stands for it, since a leaderboard for each part would take long".into());
            Ok((def, Settings::check("model", def.settings, [])?))
        }
    }
}

fn measure(plan: &Plan, target: &Field, task: Task, divided: &Divided) -> Result<MetricDef> {
    match plan.metrics.iter().flatten().find(|metric| metric.tasks.contains(&task)) {
        Some(asked) => Ok(**asked),
        None => {
            let classes = class_counts(&read_all(divided.splits.train().data())?, target).len();
            // The raw schema knows no classes yet, so the rows say whether there are two.
            let name = if task == Task::Classify && classes > 2 { "accuracy" } else { main_measure(target, task) };
            Ok(cupola_metrics::find(name).expect("the registry has it"))
        }
    }
}

/// Training rows of each class; empty for numbers.
pub(crate) fn class_counts(rows: &Batch, target: &Field) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let texts = rows.targets.array(&target.name).ok().and_then(|array| array.as_string_opt::<i32>());
    for text in texts.into_iter().flatten().flatten() {
        *counts.entry(text.to_owned()).or_default() += 1;
    }
    counts
}

fn sizes(options: &CurveOptions, rows: u64, classes: u64) -> Result<Vec<u64>> {
    let smallest = options.smallest.unwrap_or((rows / 32).max(50).max(10 * classes));
    if smallest * 2 > rows {
        let text = format!("{rows} training rows are too few for parts of {smallest} and more");
        return Err(Error::Data(text, Some("curve.smallest=N begins with fewer".into())));
    }
    let factor = (rows as f64 / smallest as f64).powf(1.0 / (options.points as f64 - 1.0));
    let mut sizes: Vec<u64> = (0..options.points).map(|place| (smallest as f64 * factor.powi(place as i32)).round() as u64).collect();
    *sizes.last_mut().expect("there are three points or more") = rows;
    sizes.dedup();
    Ok(sizes)
}

pub(crate) struct Curve<'a> {
    pub plan: &'a Plan,
    pub divided: &'a Divided,
    pub target: &'a Field,
    def: &'static ModelDef,
    settings: &'a Settings,
    metric: &'a MetricDef,
}

impl Curve<'_> {
    /// For each repeat and size; none when the run was stopped.
    fn trained(&self, options: &CurveOptions, sizes: &[u64], train: &Batch, run: &Run<'_>) -> Result<Option<Vec<Vec<Trained>>>> {
        run.tell(Event::Stage { name: "learning curve".into() });
        let total = Some(options.repeats * sizes.len() as u64);
        let mut all = Vec::new();
        for repeat in 0..options.repeats {
            let draw = draw_of(run, repeat);
            let places = places(self.divided.loaded.schema(), train, self.target, draw);
            let mut one = Vec::new();
            for size in sizes {
                let done = repeat * sizes.len() as u64 + one.len() as u64;
                let progress = |done: u64| Event::Progress { done, total, unit: "trainings".into(), score: None };
                let sides: Vec<Side> = places.iter().map(|place| if place < size { Side::Train } else { Side::Out }).collect();
                // What a training tells is no news of the run's; but that it is to stop is heard, and then it says nothing about its size.
                let quiet = |_: &Event| run.tell(progress(done));
                let trained = self.train(&sides, draw, &heard_by(run, &quiet));
                if run.tell(progress(done + 1)) == Flow::Stop {
                    return Ok(None);
                }
                one.push(trained?);
            }
            all.push(one);
        }
        Ok(Some(all))
    }

    /// Trains on some of the rows and measures on the test rows.
    ///
    /// # Errors
    /// Those of fitting.
    pub fn train(&self, sides: &[Side], draw: Draw, run: &Run<'_>) -> Result<Trained> {
        let splits = self.divided.splits.train().split(sides).with_valid(self.divided.splits.valid().clone());
        let mut inner = heard_by(run, run.events);
        inner.seed = draw.bits(0);
        let fit = fit(self.def, self.settings, self.target, splits.train(), &**splits.valid(), self.plan, &inner)?;
        let tested = Fold::answered(&fit.pipeline, &**self.divided.splits.test())?;
        let value = tested.value(fit.pipeline.field()?, &(*self.metric, plain(self.metric)))?;
        let view = tested.view(&self.target.name);
        let losses = audit::losses(fit.pipeline.field()?, Judged { view, answer: &tested.answer });
        Ok(Trained { value, recalls: recalls(view, &tested.answer), losses })
    }
}

/// What a repeat is drawn by: its order of rows, and the seed of its trainings.
pub(crate) fn draw_of(run: &Run<'_>, repeat: u64) -> Draw {
    run.draw("learning curve").at(repeat)
}

/// The share of each class's rows that are taken for it.
fn recalls(view: View<'_>, answer: &Answer) -> BTreeMap<String, f64> {
    let truth = view.truth.and_then(|truth| truth.array()).and_then(|array| array.as_string_opt::<i32>());
    let (Some(truth), Answer::Scores { classes, values }) = (truth, answer) else { return BTreeMap::new() };
    let mut counts: BTreeMap<&str, [f64; 2]> = BTreeMap::new();
    for (row, class) in classes.chosen(values).enumerate() {
        let count = counts.entry(truth.value(row)).or_default();
        count[0] += 1.0;
        count[1] += f64::from(u8::from(&*classes[class] == truth.value(row)));
    }
    counts.into_iter().map(|(class, [rows, right])| (class.to_owned(), right / rows)).collect()
}

/// Each row's place in an order of which every beginning is a fair part: classes in their shares, groups whole.
pub(crate) fn places(schema: &Schema, rows: &Batch, target: &Field, draw: Draw) -> Vec<u64> {
    let count = rows.rows.len();
    let texts = |columns: &cupola_task::Columns, name: &str| -> Option<Vec<String>> {
        let array = columns.array(name).ok()?;
        let shown = arrow_cast::cast(array, &arrow_schema::DataType::Utf8).ok()?;
        Some(shown.as_string_opt::<i32>()?.iter().map(|text| text.unwrap_or_default().to_owned()).collect())
    };
    let rank = |row: usize| draw.bits(row as u64 + 1);
    let mut order: Vec<usize> = (0..count).collect();
    let group = schema.keys(Key::Group).next().and_then(|field| texts(&rows.keys, &field.name));
    if let Some(groups) = group {
        let mut seen: HashMap<&str, u64> = HashMap::new();
        for (row, group) in groups.iter().enumerate() {
            seen.entry(group).or_insert_with(|| rank(row));
        }
        order.sort_by_key(|row| (seen[groups[*row].as_str()], *row));
    } else {
        let labels = match rows.targets.array(&target.name).ok().and_then(|array| array.as_string_opt::<i32>()) {
            Some(labels) => labels.iter().map(|text| text.unwrap_or_default().to_owned()).collect(),
            None => vec![String::new(); count],
        };
        order.sort_by_key(|row| (&labels[*row], rank(*row)));
        let mut within: HashMap<&str, (u64, u64)> = HashMap::new();
        labels.iter().for_each(|label| within.entry(label).or_default().1 += 1);
        let mut share = vec![0.0; count];
        for row in &order {
            let (before, all) = within.get_mut(labels[*row].as_str()).expect("every label was counted");
            share[*row] = (*before as f64 + 0.5) / *all as f64;
            *before += 1;
        }
        order.sort_by(|one, other| share[*one].total_cmp(&share[*other]).then(rank(*one).cmp(&rank(*other))));
    }
    let mut places = vec![0; count];
    order.iter().enumerate().for_each(|(place, row)| places[*row] = place as u64);
    places
}

fn told(
    curve: &Curve<'_>,
    options: &CurveOptions,
    sizes: &[u64],
    trained: &[Vec<Trained>],
    classes: &BTreeMap<String, u64>,
    warnings: Vec<String>,
    run: &Run<'_>,
) -> LearningCurve {
    let metric = curve.metric;
    let best = if metric.is_score { metric.best } else { 0.0 };
    let loss = |value: f64| if metric.is_score { best - value } else { value };
    let draw = run.draw("learning curve bands");
    let rows: Vec<f64> = sizes.iter().map(|size| *size as f64).collect();
    let losses: Vec<Vec<f64>> = trained.iter().map(|one| one.iter().map(|trained| loss(trained.value)).collect()).collect();
    let (law, laws) = laws(&rows, &losses, draw);
    let read = |law: &Law, rows: f64| loss(law.at(rows));
    let point = |(place, size): (usize, &u64)| {
        let values: Vec<f64> = trained.iter().map(|one| one[place].value).collect();
        let (mean, reach) = mean_and_reach(&values);
        // No measure is better than its best value, whatever the deviation of a few repeats says.
        let (low, high) = match metric.is_score {
            true => (mean - reach, (mean + reach).min(best)),
            false => ((mean - reach).max(best), mean + reach),
        };
        CurvePoint { rows: *size, values, mean, low, high, fitted: read(&law, *size as f64) }
    };
    let last = *rows.last().expect("there are three sizes or more");
    let ahead = AHEAD.iter().map(|times| {
        let [value, now] = [read(&law, last * times), read(&law, last)];
        let [low, high] = band(laws.iter().map(|law| read(law, last * times)).collect());
        let gain = if metric.is_score { value - now } else { now - value };
        Ahead { rows: (last * times) as u64, times: *times, value, low: low.min(value), high: high.max(value), gain }
    });
    LearningCurve {
        target: curve.target.name.to_string(),
        model: curve.def.name.to_owned(),
        measure: metric.name.to_owned(),
        better: if metric.is_score { Better::Higher } else { Better::Lower },
        rows_test: curve.divided.splits.test().len(),
        points: sizes.iter().enumerate().map(point).collect(),
        law,
        best,
        ahead: ahead.collect(),
        classes: class_curves(options, sizes, trained, classes, draw),
        slices: None,
        labels: options.labels,
        warnings,
    }
}

/// For each class the law of its missed share over its own rows.
fn class_curves(
    options: &CurveOptions,
    sizes: &[u64],
    trained: &[Vec<Trained>],
    classes: &BTreeMap<String, u64>,
    draw: Draw,
) -> Vec<ClassCurve> {
    let all: u64 = classes.values().sum();
    let mut curves: Vec<ClassCurve> = classes
        .iter()
        .filter_map(|(class, count)| {
            let share = *count as f64 / all as f64;
            let rows: Vec<f64> = sizes.iter().map(|size| *size as f64 * share).collect();
            let missed = |one: &Vec<Trained>| {
                one.iter().map(|trained| trained.recalls.get(class).map(|recall| 1.0 - recall)).collect::<Option<Vec<f64>>>()
            };
            let losses: Vec<Vec<f64>> = trained.iter().map(missed).collect::<Option<_>>()?;
            let (law, laws) = laws(&rows, &losses, draw.stream(class));
            let (now, then) = (*count as f64, (*count + options.labels) as f64);
            let gain = |law: &Law| law.at(now) - law.at(then);
            let [low, high] = band(laws.iter().map(gain).collect());
            let last: Vec<f64> = losses.iter().map(|one| 1.0 - one.last().copied().unwrap_or(f64::NAN)).collect();
            let gained = gain(&law);
            Some(ClassCurve {
                class: class.clone(),
                rows: *count,
                recall: mean_and_reach(&last).0,
                gain: gained,
                gain_low: low.min(gained),
                gain_high: high.max(gained),
                per_thousand: 1000.0 * gained * share,
            })
        })
        .collect();
    curves.sort_by(|one, other| other.per_thousand.total_cmp(&one.per_thousand).then(one.class.cmp(&other.class)));
    curves.truncate(CLASSES_MAX);
    curves
}

/// The law of the repeats' means, and the laws of repeats drawn with replacement.
pub(crate) fn laws(rows: &[f64], losses: &[Vec<f64>], draw: Draw) -> (Law, Vec<Law>) {
    let mean = |chosen: &dyn Fn(usize) -> usize| -> Vec<f64> {
        (0..rows.len())
            .map(|place| (0..losses.len()).map(|repeat| losses[chosen(repeat)][place]).sum::<f64>() / losses.len() as f64)
            .collect()
    };
    let law = Law::through(rows, &mean(&|repeat| repeat));
    let drawn = |step: u64| {
        let draw = draw.at(step);
        Law::through(rows, &mean(&|repeat| draw.below(repeat as u64, losses.len() as u64) as usize))
    };
    (law, (0..DRAWS).map(drawn).collect())
}

impl Law {
    /// What it says of so many rows.
    pub fn at(&self, rows: f64) -> f64 {
        self.a + self.b * rows.powf(-self.c)
    }

    /// The law through points.
    pub fn through(rows: &[f64], losses: &[f64]) -> Law {
        let best_of = |rates: &mut dyn Iterator<Item = f64>| {
            rates.map(|c| least(rows, losses, c)).min_by(|one, other| one.1.total_cmp(&other.1)).expect("there is a rate").0
        };
        let coarse = best_of(&mut (1..=40).map(|step| f64::from(step) * 0.05));
        best_of(&mut (-49..=50).map(|step| (coarse.c + f64::from(step) * 0.001).max(0.001)))
    }
}

/// The a and b of a rate, not negative, and the rest that they leave.
fn least(rows: &[f64], losses: &[f64], c: f64) -> (Law, f64) {
    let powers: Vec<f64> = rows.iter().map(|rows| rows.powf(-c)).collect();
    let count = rows.len() as f64;
    let (x, y) = (powers.iter().sum::<f64>() / count, losses.iter().sum::<f64>() / count);
    let (xx, xy) = powers.iter().zip(losses).fold((0.0, 0.0), |(xx, xy), (p, l)| (xx + (p - x) * (p - x), xy + (p - x) * (l - y)));
    let slope = if xx > 0.0 { xy / xx } else { 0.0 };
    let square: f64 = powers.iter().map(|p| p * p).sum();
    let through_zero = powers.iter().zip(losses).map(|(p, l)| p * l).sum::<f64>() / square;
    let candidates = [(y - slope * x, slope), (0.0, through_zero), (y, 0.0)];
    let rest = |a: f64, b: f64| powers.iter().zip(losses).map(|(p, l)| (l - a - b * p).powi(2)).sum::<f64>();
    let able = candidates.into_iter().map(|(a, b)| (a.max(0.0), b.max(0.0)));
    able.map(|(a, b)| (Law { a, b, c }, rest(a, b))).min_by(|one, other| one.1.total_cmp(&other.1)).expect("there are three")
}

/// The mean, and how far its 95 % interval reaches to each side by Student's t.
fn mean_and_reach(values: &[f64]) -> (f64, f64) {
    // Repeats share nothing that their mean had to be corrected for.
    let found = resampled::mean(values, 0.0, 0.95);
    (found.value, found.high - found.value)
}

pub(crate) fn band(mut values: Vec<f64>) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
    [at(0.025), at(0.975)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_law_is_found_again() {
        let rows = [100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0];
        for (a, b, c) in [(0.1, 3.0, 0.5), (0.0, 1.0, 0.25), (0.05, 40.0, 1.1)] {
            let law = Law { a, b, c };
            let losses: Vec<f64> = rows.iter().map(|rows| law.at(*rows)).collect();
            let found = Law::through(&rows, &losses);
            assert!((found.at(32_000.0) - law.at(32_000.0)).abs() < 1e-3 && (found.c - c).abs() < 0.01, "{found:?} for {law:?}");
        }
        let flat = Law::through(&rows, &[0.3; 6]);
        assert!((flat.at(1e6) - 0.3).abs() < 1e-12, "{flat:?}");
        let rising = Law::through(&rows, &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]);
        assert_eq!(rising.b, 0.0, "more rows never harm a law");
    }

    #[test]
    fn parts_have_each_class_in_its_share() {
        use arrow_array::StringArray;
        use cupola_task::{Column, Columns, Kind, Role};
        use std::sync::Arc;
        let labels: Vec<&str> = (0..100).map(|row| if row < 80 { "a" } else { "b" }).collect();
        let field = Field { name: "y".into(), kind: Kind::Category { classes: vec![].into() }, role: Role::Target(Task::Classify) };
        let schema = Schema { fields: vec![field.clone()] };
        let table = Columns::new(vec![("y".into(), Column::Array(Arc::new(StringArray::from(labels.clone()))))]);
        let batch = Batch::new((0..100).collect(), &table, &schema);
        let places = places(&schema, &batch, &field, Draw::new(1));
        for size in [10, 50, 75] {
            let rare = (0..100).filter(|row| places[*row] < size && labels[*row] == "b").count() as f64;
            assert!((rare - size as f64 * 0.2).abs() <= 1.0, "{rare} of {size}");
        }
    }
}
