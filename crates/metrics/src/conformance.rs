//! What every entry of the registry must do. A new measure is checked by being listed.

use crate::fixtures::{Case, NONE, measure, numbers, texts};
use crate::{METRICS, Sampling, Score, find, paired, score};
use cupola_task::{Answer, Classes, Draw, Kind, MetricDef, Settings, Task, View};
use proptest::prelude::*;

fn each(mut check: impl FnMut(&(MetricDef, Settings), Task)) {
    for def in METRICS {
        for task in def.tasks {
            check(&measure(def.name), *task);
        }
    }
}

fn score_one(case: &Case, measure: &(MetricDef, Settings)) -> Score {
    score(&case.field, &case.answer, case.view(), std::slice::from_ref(measure), Sampling::default()).unwrap().remove(0)
}

fn is_same(a: f64, b: f64) -> bool {
    (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-12 * a.abs().max(1.0)
}

#[test]
fn entries_are_documented_and_settings_are_in_range() {
    for def in METRICS {
        assert!(def.doc.ends_with('.') && def.doc.len() > 20, "{}", def.name);
        assert_eq!(METRICS.iter().filter(|other| other.name == def.name).count(), 1, "{}", def.name);
        assert_eq!(find(def.name).map(|found| found.doc), Some(def.doc));
        for setting in def.settings {
            setting.default_value();
            assert!(setting.doc.ends_with('.'), "{}.{}", def.name, setting.name);
        }
    }
}

#[test]
fn perfect_answers_have_the_best_value_and_an_interval_that_ends_there() {
    each(|measure, task| {
        for classes in [2, 4] {
            for case in [Case::random(task, 80, classes, 1).perfect(), Case::random(task, 80, classes, 2).perfect().weighted(3)] {
                let Score { value, low, high, .. } = score_one(&case, measure);
                let best = measure.0.best;
                assert!((value - best).abs() < 1e-12, "{}: {value}", measure.0.name);
                assert!(low <= value && value <= high, "{}: {low} {value} {high}", measure.0.name);
            }
        }
    });
}

#[test]
fn intervals_hold_the_value_and_shrink_with_the_rows() {
    each(|measure, task| {
        for classes in [2, 3, 6] {
            for is_weighted in [false, true] {
                let width = |rows: usize| {
                    let case = Case::random(task, rows, classes, 5);
                    let case = if is_weighted { case.weighted(6) } else { case };
                    let Score { value, low, high, .. } = score_one(&case, measure);
                    assert!(low < value && value < high, "{}, {rows} rows: {low} {value} {high}", measure.0.name);
                    high - low
                };
                assert!(width(4000) < 0.6 * width(400), "{}, {classes} classes", measure.0.name);
            }
        }
    });
}

#[test]
fn nothing_measured_is_an_error() {
    each(|measure, task| {
        let case = Case::random(task, 3, 2, 1);
        assert!((measure.0.new)(&case.field, &measure.1).unwrap().value(None).is_err(), "{}", measure.0.name);
        let empty = case.take(&[]);
        assert!(score(&empty.field, &empty.answer, empty.view(), std::slice::from_ref(measure), Sampling::default()).is_err());
    });
}

#[test]
fn one_row_has_a_value_and_no_interval() {
    each(|measure, task| {
        let Score { low, high, .. } = score_one(&Case::random(task, 1, 3, 1), measure);
        assert!(low.is_nan() && high.is_nan(), "{}: {low} {high}", measure.0.name);
    });
}

#[test]
fn wrong_kinds_and_lengths_are_errors() {
    each(|measure, task| {
        let good = Case::random(task, 5, 3, 1);
        let other = Case::random(if task == Task::Regress { Task::Classify } else { Task::Regress }, 5, 3, 1);
        assert!((measure.0.new)(&other.field, &measure.1).is_err(), "{}: target", measure.0.name);
        let mut none = good.field.clone();
        none.kind = Kind::Category { classes: [].into() };
        assert!((measure.0.new)(&none, &measure.1).is_err(), "{}: no classes", measure.0.name);
        let empty_answer = match &good.answer {
            Answer::Scores { values, .. } => Answer::Scores { classes: Classes::from([]), values: values.clone() },
            _ => Answer::Texts(vec![String::new(); 5]),
        };
        let not_finite = match good.answer.clone() {
            Answer::Scores { classes, mut values } => {
                values[4] = f64::NAN;
                Answer::Scores { classes, values }
            }
            _ => Answer::Numbers { values: vec![f64::INFINITY; 5], range: None },
        };
        let null = arrow_array::new_null_array(good.truth.array().unwrap().data_type(), 5);
        let short = good.take(&[0, 1]);
        let view = good.view();
        let wrong: [(&str, View<'_>, &Answer); 10] = [
            ("answer's kind", view, &other.answer),
            ("answer of texts", view, &Answer::Texts(vec![String::new(); 5])),
            ("answer without classes", view, &empty_answer),
            ("answer that is no number", view, &not_finite),
            ("truth's kind", View { truth: Some(&other.truth), ..view }, &good.answer),
            ("truth missing", View { truth: None, ..view }, &good.answer),
            ("truth null", View { truth: Some(&cupola_task::Column::Array(null)), ..view }, &good.answer),
            ("truth's length", View { truth: Some(&short.truth), ..view }, &good.answer),
            ("weights' length", View { weight: Some(&[1.0]), ..view }, &good.answer),
            ("weights' sign", View { weight: Some(&[1.0, 1.0, -1.0, 1.0, 1.0]), ..view }, &good.answer),
        ];
        for (what, view, answer) in wrong {
            let mut metric = (measure.0.new)(&good.field, &measure.1).unwrap();
            assert!(metric.update(view, answer).is_err(), "{}: {what}", measure.0.name);
            assert_eq!(metric.items(), 0, "{}: {what} left rows behind", measure.0.name);
        }
    });
}

#[test]
fn measures_made_differently_do_not_merge() {
    let two = Case::random(Task::Classify, 5, 2, 1);
    let number = Case::random(Task::Regress, 5, 2, 1);
    for (a, b) in [
        ("accuracy", "mcc"),
        ("roc_auc", "average_precision"),
        ("f1 average=macro", "f1 average=micro"),
        ("calibration_error bins=3", "calibration_error bins=4"),
    ] {
        assert!(two.metric(&measure(a)).merge(&*two.metric(&measure(b))).is_err(), "{a} and {b}");
        assert!(two.metric(&measure(a)).merge(&*number.metric(&measure("r2"))).is_err(), "{a} and r2");
        assert!(
            two.metric(&measure(a)).merge(&*Case::random(Task::Classify, 5, 3, 1).metric(&measure(a))).is_err() || a.starts_with("f1"),
            "{a} of other classes"
        );
    }
    assert!(number.metric(&measure("mse")).merge(&*number.metric(&measure("mae"))).is_err());
}

#[test]
fn binary_average_of_three_classes_is_an_error() {
    let (def, settings) = measure("f1 average=binary");
    assert!((def.new)(&Case::random(Task::Classify, 5, 3, 1).field, &settings).is_err());
}

#[test]
fn a_class_the_model_never_saw_is_wrong_and_matched_by_name() {
    let field = crate::fixtures::classify(&["no", "yes"]);
    let answer = Answer::Scores { classes: crate::fixtures::names(&["yes", "no"]).into(), values: vec![0.9, 0.1, 0.2, 0.8, 0.7, 0.3] };
    let case = Case { field, answer, truth: texts(["yes", "no", "maybe"]), weight: None };
    assert_eq!(case.value(&measure("accuracy")), 2.0 / 3.0);
    let log_loss = case.value(&measure("log_loss"));
    assert!((log_loss - (-(0.9f64.ln()) - 0.8f64.ln() - f64::EPSILON.ln()) / 3.0).abs() < 1e-12, "{log_loss}");
    let confusion = crate::confusion(&case.field, &case.answer, case.view()).unwrap();
    assert_eq!(confusion.classes.iter().map(|name| &**name).collect::<Vec<_>>(), ["no", "yes", "(other)"]);
    assert_eq!(confusion.values, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(case.metric(&measure("accuracy")).detail().rows(), 3);
}

#[test]
fn paired_tells_a_better_answer_from_the_same_one() {
    each(|measure, task| {
        let case = Case::random(task, 400, 3, 9).weighted(4);
        let differ = |second: &Answer| {
            paired(&case.field, [&case.answer, second], case.view(), std::slice::from_ref(measure), Sampling::default()).unwrap().remove(0)
        };
        let same = differ(&case.answer);
        assert_eq!((same.value, same.low, same.high), (0.0, 0.0, 0.0), "{}", measure.0.name);
        let worse = differ(&case.take(&Draw::new(1).permutation(400)).answer);
        assert!(worse.low <= worse.value && worse.value <= worse.high, "{}", measure.0.name);
        let is_better = if measure.0.is_score { worse.low > 0.0 } else { worse.high < 0.0 };
        assert!(is_better, "{}: {worse:?}", measure.0.name);
    });
}

#[test]
fn scores_do_not_depend_on_the_number_of_threads() {
    let case = Case::random(Task::Classify, 300, 3, 9);
    let measures: Vec<_> = METRICS.iter().filter(|def| def.tasks.contains(&Task::Classify)).map(|def| measure(def.name)).collect();
    let other = case.take(&Draw::new(1).permutation(300)).answer;
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let scores = score(&case.field, &case.answer, case.view(), &measures, Sampling::default()).unwrap();
            let differences =
                paired(&case.field, [&case.answer, &other], case.view(), &measures, Sampling { draws: 70, ..Sampling::default() }).unwrap();
            (scores, differences)
        })
    };
    assert_eq!(run(1), run(2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn batches_merge_to_the_whole_and_order_does_not_matter(
        rows in 2usize..60, classes in 2usize..5, seed in any::<u64>(), cut in 0.0f64..1.0, is_weighted in any::<bool>(),
    ) {
        each(|measure, task| {
            let case = Case::random(task, rows, classes, seed);
            let case = if is_weighted { case.weighted(seed) } else { case };
            let middle = (cut * rows as f64) as u64;
            let [head, tail] = [(0..middle).collect::<Vec<_>>(), (middle..rows as u64).collect()].map(|part| case.take(&part));
            let whole = case.value(measure);
            let mut merged = head.metric(measure);
            merged.merge(&*tail.metric(measure)).unwrap();
            let mut continued = head.metric(measure);
            continued.update(tail.view(), &tail.answer).unwrap();
            let permuted = case.take(&Draw::new(seed).permutation(rows as u64)).value(measure);
            for (what, value) in [("merged", merged.value(None).unwrap()), ("continued", continued.value(None).unwrap()), ("permuted", permuted)] {
                assert!(is_same(value, whole), "{} {what}: {value}, whole {whole}", measure.0.name);
            }
        });
    }

    #[test]
    fn a_draw_equals_the_rows_repeated(rows in 1usize..30, classes in 2usize..5, seed in any::<u64>(), is_weighted in any::<bool>()) {
        each(|measure, task| {
            let case = Case::random(task, rows, classes, seed);
            let case = if is_weighted { case.weighted(seed) } else { case };
            let counts: Vec<u32> = (0..rows as u64).map(|row| Draw::new(seed).below(row, 3) as u32).collect();
            let repeated: Vec<u64> = (0..rows as u64).flat_map(|row| std::iter::repeat_n(row, counts[row as usize] as usize)).collect();
            let drawn = case.metric(measure).value(Some(&counts)).unwrap();
            // R2 of one row is undefined by its number, not by the draw's.
            if repeated.is_empty() {
                assert!(drawn.is_nan() || measure.0.name == "r2", "{}: {drawn}", measure.0.name);
            } else if repeated.len() > 1 && rows > 1 {
                let wanted = case.take(&repeated).value(measure);
                assert!(is_same(drawn, wanted), "{}: {drawn}, wanted {wanted}", measure.0.name);
            }
        });
    }
}

#[test]
fn curves_end_where_they_should_and_hold_their_area() {
    let case = Case::random(Task::Classify, 5000, 2, 3);
    let roc = crate::roc_curve(&case.field, &case.answer, case.view(), "b").unwrap();
    let pairs = roc.windows(2);
    let area: f64 = pairs
        .map(|p| (p[1].false_positive_rate - p[0].false_positive_rate) * (p[1].true_positive_rate + p[0].true_positive_rate) / 2.0)
        .sum();
    assert!((area - case.value(&measure("roc_auc"))).abs() < 2e-3, "{area}");
    assert!(roc.len() <= 200 && roc[0].threshold.is_none());
    let last = roc.last().unwrap();
    assert_eq!((last.false_positive_rate, last.true_positive_rate), (1.0, 1.0));
    let recall = crate::precision_recall_curve(&case.field, &case.answer, case.view(), "b").unwrap();
    assert!(recall.len() <= 200 && recall.last().unwrap().recall == 1.0);
    let area: f64 = recall.windows(2).map(|p| (p[1].recall - p[0].recall) * p[1].precision).sum();
    assert!((area - case.value(&measure("average_precision"))).abs() < 0.01, "{area}");
    let calibration = crate::calibration_curve(&case.field, &case.answer, case.view(), "b", 10).unwrap();
    assert!((calibration.iter().map(|point| point.weight).sum::<f64>() - 5000.0).abs() < 1e-9);
    assert!(crate::roc_curve(&case.field, &case.answer, case.view(), "B").is_err());
}

#[test]
fn residuals_sum_up() {
    let case = Case { truth: numbers(vec![1.0, 2.0, 3.0, 8.0]), ..Case::random(Task::Regress, 4, 2, 1) };
    let answer = Answer::Numbers { values: vec![1.0, 1.0, 1.0, 1.0], range: None };
    let found =
        crate::residuals(&case.field, &answer, View { truth: Some(&case.truth), weight: None, inputs: &NONE, keys: &NONE }).unwrap();
    assert_eq!((found.mean, found.quantiles[0], found.quantiles[3], found.quantiles[6]), (2.5, 0.0, 1.0, 7.0));
    assert_eq!((found.points.len(), found.bars.len(), found.bars[0][1], found.bars[39][1]), (4, 40, 1.0, 1.0));
}
