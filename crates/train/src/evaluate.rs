//! Answers against truth: every measure with its interval, against the baseline, and what plots need.

use crate::Result;
use crate::report::{self, Better, Bin, Calibration, ClassScore, Confusion, Curve, Measure, Point, TargetReport, Threshold};
use arrow_array::StringArray;
use arrow_array::cast::AsArray;
use cupola_metrics::{METRICS, Ruler, Sampling, plain, ruler};
use cupola_task::{Answer, Column, Columns, Field, Kind, MetricDef, Rule, Settings, Task, Value, View};
use std::sync::Arc;

/// Beyond these many classes, curves and per-class rows are those of the commonest.
const CLASSES_SHOWN_MAX: usize = 20;
/// Bins of the calibration plot.
const CALIBRATION_BINS: usize = 10;

/// Rows with truth and answer.
#[derive(Clone, Copy)]
pub struct Judged<'a> {
    /// Raw truth, weights, keys.
    pub view: View<'a>,
    /// What the model said.
    pub answer: &'a Answer,
}

/// The measures to take for a target: those asked for that suit its task, or all that do. The first decides.
pub fn rulers(field: &Field, task: Task, asked: Option<&[&'static MetricDef]>, costs: Option<&[f64]>) -> Vec<Ruler> {
    let suits = |def: &&MetricDef| def.tasks.contains(&task);
    let mut defs: Vec<MetricDef> = match asked {
        Some(asked) => asked.iter().copied().filter(suits).copied().collect(),
        // Where nobody says what mistakes cost, their expected cost is one minus the accuracy.
        None => METRICS.iter().filter(suits).filter(|def| def.name != EXPECTED_COST || costs.is_some()).copied().collect(),
    };
    if asked.is_none() {
        let main = main_measure(field, task);
        // What mistakes cost stands beside the measure that headlines: somebody took the trouble to say it.
        defs.sort_by_key(|def| (def.name != main, def.name != EXPECTED_COST));
    }
    defs.into_iter().map(|def| (def, costed(&def, costs))).collect()
}

/// The measure that takes costs as a setting.
const EXPECTED_COST: &str = "expected_cost";

fn costed(def: &MetricDef, costs: Option<&[f64]>) -> Settings {
    match costs.filter(|_| def.name == EXPECTED_COST) {
        Some(costs) => {
            let costs = Value::List(costs.iter().copied().map(Value::Real).collect());
            Settings::check(def.name, def.settings, [("costs", &costs)]).expect("costs are numbers")
        }
        None => plain(def),
    }
}

/// The measure that headlines when none is asked for.
pub fn main_measure(field: &Field, task: Task) -> &'static str {
    match (task, field.kind.classes().map_or(0, |classes| classes.len())) {
        (Task::Classify, 0..=2) => "roc_auc",
        (Task::Classify, _) => "accuracy",
        _ => "rmse",
    }
}

/// Everything about a target that test rows (and, for comparison, training and validation rows and the baseline) tell.
///
/// # Errors
/// When a measure does not suit the target or there are no test rows.
pub fn target_report(
    field: &Field,
    task: Task,
    rulers: &[Ruler],
    sides: [Option<Judged<'_>>; 3],
    baseline: Option<&Answer>,
    sampling: Sampling,
) -> Result<TargetReport> {
    let [train, valid, test] = sides;
    let mut target = TargetReport::new(&*field.name, task);
    target.main = rulers.first().map_or(String::new(), |(def, _)| def.name.to_owned());
    let Some(test) = test else { return Ok(target) };
    target.scores = scores(field, rulers, [train, valid, Some(test)], baseline, sampling)?;
    match &field.kind {
        Kind::Category { classes } => about_classes(&mut target, field, classes, test, valid, sampling)?,
        _ => target.residuals = Some(cupola_metrics::residuals(field, test.answer, test.view)?.into()),
    }
    Ok(target)
}

fn measures(field: &Field, rulers: &[Ruler], judged: Option<Judged<'_>>, sampling: Sampling) -> Result<Vec<Option<Measure>>> {
    let Some(judged) = judged.filter(|judged| !judged.answer.is_empty()) else { return Ok(vec![None; rulers.len()]) };
    let scores = cupola_metrics::score(field, judged.answer, judged.view, rulers, sampling)?;
    Ok(scores.into_iter().map(|score| Some(Measure::new(score.value, score.low, score.high))).collect())
}

fn scores(
    field: &Field,
    rulers: &[Ruler],
    [train, valid, test]: [Option<Judged<'_>>; 3],
    baseline: Option<&Answer>,
    sampling: Sampling,
) -> Result<Vec<report::Score>> {
    let test_rows = test.expect("the caller has test rows");
    let base = baseline.map(|answer| Judged { answer, ..test_rows });
    let columns = [
        measures(field, rulers, test, sampling)?,
        measures(field, rulers, train, sampling)?,
        measures(field, rulers, valid, sampling)?,
        measures(field, rulers, base, sampling)?,
    ];
    let differences = match baseline {
        Some(baseline) => {
            let pairs = cupola_metrics::paired(field, [test_rows.answer, baseline], test_rows.view, rulers, sampling)?;
            pairs.into_iter().map(|pair| Some(Measure::new(pair.value, pair.low, pair.high))).collect()
        }
        None => vec![None; rulers.len()],
    };
    let score = |(place, (def, _)): (usize, &Ruler)| report::Score {
        name: def.name.to_owned(),
        better: if def.is_score { Better::Higher } else { Better::Lower },
        best: def.best,
        test: columns[0][place].unwrap_or(Measure::undefined()),
        train: columns[1][place],
        valid: columns[2][place],
        baseline: columns[3][place],
        difference: differences[place],
    };
    Ok(rulers.iter().enumerate().map(score).collect())
}

fn about_classes(
    target: &mut TargetReport,
    field: &Field,
    classes: &Arc<[Arc<str>]>,
    test: Judged<'_>,
    valid: Option<Judged<'_>>,
    sampling: Sampling,
) -> Result<()> {
    target.classes = classes.iter().map(|class| class.to_string()).collect();
    let shown = shown_classes(classes, test.view);
    target.confusion = Some(confusion(field, test)?);
    target.per_class = shown.iter().map(|class| class_score(class, test, sampling)).collect::<Result<_>>()?;
    let is_binary = classes.len() == 2;
    if is_binary {
        target.positive = target.classes.last().cloned();
        target.thresholds = thresholds(field, &classes[1], test, valid)?;
    }
    let curves: Vec<Arc<str>> = if is_binary { vec![classes[1].clone()] } else { shown };
    for class in &curves {
        let (one, truth, answer) = one_against_rest(class, test);
        let view = View { truth: Some(&truth), ..test.view };
        let areas = cupola_metrics::score(&one, &answer, view, &[ruler("roc_auc"), ruler("average_precision")], sampling)?;
        let area = |place: usize| Measure::new(areas[place].value, areas[place].low, areas[place].high);
        let roc = cupola_metrics::roc_curve(field, test.answer, test.view, class)?;
        let roc = roc.iter().map(|point| Point { x: point.false_positive_rate, y: point.true_positive_rate }).collect();
        target.roc.push(Curve { class: class.to_string(), area: area(0), points: roc });
        let recall = cupola_metrics::precision_recall_curve(field, test.answer, test.view, class)?;
        let recall = recall.iter().map(|point| Point { x: point.recall, y: point.precision }).collect();
        target.precision_recall.push(Curve { class: class.to_string(), area: area(1), points: recall });
        let bins = cupola_metrics::calibration_curve(field, test.answer, test.view, class, CALIBRATION_BINS)?;
        let bins = bins.iter().map(|bin| Bin { predicted: bin.probability, observed: bin.rate, rows: bin.weight.round() as u64 }).collect();
        target.calibration.push(Calibration { class: class.to_string(), bins });
    }
    Ok(())
}

fn truths<'a>(view: &View<'a>) -> Option<&'a StringArray> {
    view.truth.and_then(Column::array).and_then(|array| array.as_string_opt::<i32>())
}

/// All classes in order, or the commonest of many, in order.
fn shown_classes(classes: &[Arc<str>], view: View<'_>) -> Vec<Arc<str>> {
    if classes.len() <= CLASSES_SHOWN_MAX {
        return classes.to_vec();
    }
    let mut counts = std::collections::HashMap::<&str, u64>::new();
    for truth in truths(&view).into_iter().flatten().flatten() {
        *counts.entry(truth).or_default() += 1;
    }
    let mut order: Vec<usize> = (0..classes.len()).collect();
    order.sort_by_key(|&class| std::cmp::Reverse(counts.get(&*classes[class]).copied().unwrap_or(0)));
    order.truncate(CLASSES_SHOWN_MAX);
    order.sort_unstable();
    order.into_iter().map(|class| classes[class].clone()).collect()
}

/// The question "this class or not?": its field, truth, and the class's probability as answer.
fn one_against_rest(class: &Arc<str>, judged: Judged<'_>) -> (Field, Column, Answer) {
    let rest: Arc<str> = if &**class == "rest" { "all others".into() } else { "rest".into() };
    let classes: Arc<[Arc<str>]> = [rest.clone(), class.clone()].into();
    let truth: StringArray = truths(&judged.view)
        .into_iter()
        .flatten()
        .map(|truth| truth.map(|truth| if truth == &**class { &**class } else { &*rest }))
        .collect();
    let values = match judged.answer {
        Answer::Scores { classes, values } => {
            let place = classes.iter().position(|known| known == class);
            let score = |row: &[f64]| place.map_or(0.0, |place| row[place]);
            values.chunks_exact(classes.len()).flat_map(|row| [1.0 - score(row), score(row)]).collect()
        }
        _ => vec![],
    };
    let role = cupola_task::Role::Target(Task::Classify);
    let field = Field { name: class.clone(), kind: Kind::Category { classes: classes.clone() }, role };
    (field, Column::Array(Arc::new(truth)), Answer::Scores { classes: classes.into(), values })
}

fn class_score(class: &Arc<str>, test: Judged<'_>, sampling: Sampling) -> Result<ClassScore> {
    let (field, truth, answer) = one_against_rest(class, test);
    // Precision and recall ask what was decided, not what was likely: the class counts where it is the most probable one.
    let decided = match (test.answer, answer) {
        (Answer::Scores { classes: all, values }, Answer::Scores { classes, .. }) => {
            let values = all.chosen(values).flat_map(|best| if all[best] == *class { [0.0, 1.0] } else { [1.0, 0.0] }).collect();
            Answer::Scores { classes, values }
        }
        (_, answer) => answer,
    };
    let view = View { truth: Some(&truth), ..test.view };
    let scores = cupola_metrics::score(&field, &decided, view, &[ruler("precision"), ruler("recall"), ruler("f1")], sampling)?;
    let measure = |place: usize| Measure::new(scores[place].value, scores[place].low, scores[place].high);
    let rows = truths(&view).into_iter().flatten().filter(|truth| *truth == Some(&**class)).count() as u64;
    Ok(ClassScore { class: class.to_string(), rows, precision: measure(0), recall: measure(1), f1: measure(2) })
}

fn confusion(field: &Field, test: Judged<'_>) -> Result<Confusion> {
    let found = cupola_metrics::confusion(field, test.answer, test.view)?;
    let side = found.classes.len();
    Ok(Confusion {
        classes: found.classes.iter().map(|class| class.to_string()).collect(),
        counts: found.values.chunks(side.max(1)).map(<[f64]>::to_vec).collect(),
    })
}

fn thresholds(field: &Field, positive: &Arc<str>, test: Judged<'_>, valid: Option<Judged<'_>>) -> Result<Vec<Threshold>> {
    let used = match test.answer {
        Answer::Scores { classes, .. } => classes.decision().map(|decision| &decision.rule),
        _ => None,
    };
    let is_default = matches!(used, None | Some(Rule::Probable));
    let mut thresholds = vec![at_threshold("default", 0.5, positive, test, is_default)];
    if let Some(Rule::Threshold(threshold)) = used {
        thresholds.push(at_threshold("the model file's", *threshold, positive, test, true));
    }
    let Some(valid) = valid.filter(|valid| !valid.answer.is_empty()) else { return Ok(thresholds) };
    let f1 = |point: &cupola_metrics::RecallPoint| {
        2.0 * point.precision * point.recall / (point.precision + point.recall).max(f64::MIN_POSITIVE)
    };
    let curve = cupola_metrics::precision_recall_curve(field, valid.answer, valid.view, positive)?;
    if let Some(best) = curve.iter().max_by(|a, b| f1(a).total_cmp(&f1(b))) {
        thresholds.push(at_threshold("best f1 on validation rows", best.threshold, positive, test, false));
    }
    Ok(thresholds)
}

fn at_threshold(purpose: &str, threshold: f64, positive: &Arc<str>, test: Judged<'_>, used: bool) -> Threshold {
    let (_, truth, answer) = one_against_rest(positive, test);
    let Answer::Scores { values, .. } = answer else { unreachable!("one against the rest gives scores") };
    let truth = truth.array().and_then(|array| array.as_string_opt::<i32>()).expect("one against the rest gives texts");
    let mut counts = [[0.0; 2]; 2];
    for (row, scores) in values.chunks_exact(2).enumerate() {
        let weight = test.view.weight.map_or(1.0, |weights| weights[row]);
        counts[usize::from(truth.value(row) == &**positive)][usize::from(scores[1] >= threshold)] += weight;
    }
    let [[_, wrong], [missed, found]] = counts;
    Threshold {
        purpose: purpose.to_owned(),
        threshold,
        precision: found / (found + wrong),
        recall: found / (found + missed),
        f1: 2.0 * found / (2.0 * found + wrong + missed),
        used,
    }
}

/// What a permuted column costs: see [`importance`].
pub struct Shuffle<'a> {
    /// Raw inputs.
    pub inputs: &'a Columns,
    /// How often each column is shuffled.
    pub repeats: u32,
    /// Seeds the shuffles.
    pub draw: cupola_task::Draw,
}

/// Permutation importance (Breiman 2001; Fisher, Rudin, Dominici 2019): how much worse the measure gets when one raw
/// column is shuffled among the rows, mean over the repeats, with the range of the repeats as its interval.
///
/// # Errors
/// Those of `answer` and of the measure.
pub fn importance(
    field: &Field,
    ruler: &Ruler,
    view: View<'_>,
    shuffle: &Shuffle<'_>,
    answer: &dyn Fn(&Columns) -> Result<Answer>,
) -> Result<report::Permutation> {
    let measure = |answer: &Answer| -> Result<f64> { Ok(cupola_metrics::value(field, answer, view, ruler)?) };
    let whole = measure(&answer(shuffle.inputs)?)?;
    let sign = if ruler.0.is_score { 1.0 } else { -1.0 };
    let mut columns = Vec::new();
    // A picture shuffled among rows is a row shuffled: that the model looks at it, its score has said already.
    let (images, scalars): (Vec<_>, Vec<_>) = shuffle.inputs.iter().enumerate().partition(|(_, (_, column))| column.images().is_some());
    let left_out = images.into_iter().map(|(_, (name, _))| name.to_string()).collect();
    for (place, (name, column)) in scalars {
        let mut drops = Vec::new();
        for repeat in 0..shuffle.repeats {
            let order = shuffle.draw.at((place as u64) << 32 | u64::from(repeat)).permutation(shuffle.inputs.rows() as u64);
            let mut shuffled = shuffle.inputs.clone();
            shuffled.insert(name.clone(), column.take(&order));
            drops.push(sign * (whole - measure(&answer(&shuffled)?)?));
        }
        let mean = drops.iter().sum::<f64>() / drops.len() as f64;
        let low = drops.iter().copied().fold(f64::INFINITY, f64::min);
        let high = drops.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        columns.push(report::Importance { column: name.to_string(), drop: Measure::new(mean, low, high) });
    }
    columns.sort_by(|a, b| b.drop.value.total_cmp(&a.drop.value));
    Ok(report::Permutation { measure: ruler.0.name.to_owned(), repeats: shuffle.repeats, side: "test".to_owned(), columns, left_out })
}
