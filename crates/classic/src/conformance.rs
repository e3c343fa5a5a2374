//! What every model of the registry must do, whatever it is.

use crate::MODELS;
use crate::fixtures::{Sketch, answers, fit, opened, saved};
use cupola_task::{Against, Column, Columns, Draw, Event, Exit, Fault, Flow, Math, ModelDef, Parts, Run, Table, Task};
use std::sync::Arc;
use std::time::Duration;

/// Settings that make every model quick, and the lassos less strict than they are by default.
fn quick(model: &ModelDef) -> &'static str {
    match model.name {
        // There alpha is a quantile.
        "gbdt" => "n_estimators=20 min_data_in_leaf=5",
        _ => "n_estimators=20 min_data_in_leaf=5 alpha=0.01",
    }
}

/// Every model with every kind of target it learns: two classes, three classes, a number.
fn cases() -> impl Iterator<Item = (&'static ModelDef, usize)> {
    MODELS.iter().flat_map(|model| {
        let classes = |task: &Task| if *task == Task::Classify { vec![2, 3] } else { vec![0] };
        model.tasks.iter().flat_map(classes).map(move |classes| (model, classes))
    })
}

fn check(mut holds: impl FnMut(&'static ModelDef, usize) -> Result<(), String>) {
    let broken: Vec<String> = cases()
        .filter_map(|(model, classes)| holds(model, classes).err().map(|why| format!("{} with {classes} classes: {why}", model.name)))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

fn is_sound(answers: &[f64], classes: usize) -> bool {
    let is_row =
        |row: &[f64]| classes == 0 || ((row.iter().sum::<f64>() - 1.0).abs() < 1e-9 && row.iter().all(|p| (0.0..=1.0).contains(p)));
    answers.iter().all(|value| value.is_finite()) && answers.chunks(classes.max(1)).all(is_row)
}

fn difference(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>() / a.len() as f64
}

#[test]
fn names_and_auto_settings_are_right() {
    for model in MODELS {
        assert_eq!(MODELS.iter().filter(|other| other.name == model.name).count(), 1, "{} is there once", model.name);
        model.settings.iter().for_each(|setting| assert_eq!(setting.range.admit(&setting.default_value()), Some(setting.default_value())));
        for cupola_task::Try { settings: tried, rows_max } in model.tries() {
            let known = |pair: &str| model.settings.iter().any(|setting| pair.starts_with(&format!("{}=", setting.name)));
            assert!(tried.split_whitespace().all(known), "{}: {tried}", model.name);
            assert!(rows_max.is_none_or(|most| most >= 1000), "{}: {rows_max:?}", model.name);
            let table = Sketch::new(model.needs, if model.tasks.contains(&Task::Regress) { 0 } else { 2 }, 40, 1).table();
            assert!(fit(model, &tried, &table, 0, &Run::quiet(1)).is_ok(), "{}: {tried}", model.name);
        }
    }
}

#[test]
fn same_seed_same_bytes_for_any_number_of_threads() {
    check(|model, classes| {
        // Enough rows for several blocks of everything; the time of some models grows with their square.
        let rows = if model.tries().any(|tried| tried.rows_max.is_some_and(|most| most < 20_000)) { 3_000 } else { 20_000 };
        let table = Sketch::new(model.needs, classes, rows, 2).table();
        let fit = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let predictor = fit(model, "n_estimators=5", &table, 5, &Run::quiet(7)).unwrap();
                (saved(&*predictor), answers(&*predictor, &table).unwrap())
            })
        };
        let one = fit(1);
        ensure(one == fit(1) && one == fit(2), || "a second fit or a second thread changed it".into())
    });
}

#[test]
fn it_learns_and_the_order_of_rows_does_not_matter_to_answers() {
    check(|model, classes| {
        let sketch = Sketch::new(model.needs, classes, 900, 3);
        let predictor = fit(model, quick(model), &sketch.table(), 0, &Run::quiet(1)).unwrap();
        let straight = answers(&*predictor, &sketch.table()).unwrap();
        ensure(is_sound(&straight, classes), || "answers are not sound".into())?;
        let order: Vec<usize> = Draw::new(1).permutation(900).into_iter().map(|row| row as usize).collect();
        let mixed = answers(&*predictor, &sketch.take(&order).table()).unwrap();
        let width = classes.max(1);
        let same = order.iter().zip(mixed.chunks(width)).all(|(row, mixed)| *mixed == straight[row * width..][..width]);
        ensure(same, || "the order of rows changed answers".into())?;
        let errors = |answers: &[f64]| match classes {
            0 => difference(answers, &sketch.target.0),
            _ => {
                cupola_task::argmax(answers, classes).zip(&sketch.target.0).filter(|(class, truth)| *class as f64 != **truth).count() as f64
                    / 900.0
            }
        };
        let baseline = MODELS.iter().find(|model| model.name == "baseline").unwrap();
        let guess = answers(&*fit(baseline, "", &sketch.table(), 0, &Run::quiet(1)).unwrap(), &sketch.table()).unwrap();
        let learned = model.name == "baseline" || errors(&straight) < 0.9 * errors(&guess);
        ensure(learned, || format!("error {} on its own rows, {} for a guess", errors(&straight), errors(&guess)))
    });
}

#[test]
fn poor_tables_have_answers() {
    check(|model, classes| {
        let whole = Sketch::new(model.needs, classes, 300, 4);
        let constant = Sketch { numbers: vec![vec![3.0; 300], whole.numbers[0].clone()], ..whole.clone() };
        let only_constant = Sketch { numbers: vec![vec![3.0; 300]], codes: vec![], ..whole.clone() };
        let one_answer = Sketch { target: (vec![f64::from(u8::from(classes > 1)); 300], classes), ..whole.clone() };
        let huge = Sketch { numbers: vec![whole.numbers[0].iter().map(|value| value * 1e100).collect()], codes: vec![], ..whole.clone() };
        let mut poor = vec![
            ("constant column", constant),
            ("nothing but a constant", only_constant),
            ("one answer", one_answer),
            ("huge numbers", huge),
        ];
        poor.extend([("one row", whole.take(&[0])), ("two rows", whole.take(&[0, 1]))]);
        if whole.numbers[1].iter().any(|value| value.is_nan()) {
            let missing = vec![f64::NAN; 300];
            poor.push((
                "nothing but missing values",
                Sketch { numbers: vec![missing], codes: vec![(vec![None; 300], 2)], ..whole.clone() },
            ));
        }
        if classes == 2 {
            poor.push(("one class", Sketch { target: (vec![0.0; 300], 1), ..whole.clone() }));
        }
        for (what, sketch) in poor {
            let table = sketch.table();
            let predictor = fit(model, quick(model), &table, 0, &Run::quiet(1)).map_err(|error| format!("{what}: {error}"))?;
            let answers = answers(&*predictor, &table).map_err(|error| format!("{what}: {error}"))?;
            ensure(answers.len() == sketch.len() * sketch.target.1.max(1) && is_sound(&answers, sketch.target.1), || what.into())?;
        }
        Ok(())
    });
}

#[test]
fn reopened_models_answer_the_same_and_damage_is_refused() {
    check(|model, classes| {
        let table = Sketch::new(model.needs, classes, 400, 5).table();
        let predictor = fit(model, quick(model), &table, 4, &Run::quiet(1)).unwrap();
        let (parts, before) = (saved(&*predictor), answers(&*predictor, &table).unwrap());
        let again = opened(model, &parts, &table).map_err(|error| error.to_string())?;
        let after = answers(&*again, &table).unwrap();
        let tolerance = if let Math::Rounded(tolerance) = model.math { tolerance } else { 0.0 };
        let same = before.iter().zip(&after).all(|(a, b)| (a - b).abs() <= tolerance * a.abs());
        ensure(same && saved(&*again) == parts, || "it changed on the way".into())?;
        ensure(opened(model, &Parts::default(), &table).is_err(), || "no parts were accepted".into())?;
        for (name, bytes) in &parts.0 {
            let with = |bytes: Vec<u8>| {
                Parts(parts.0.iter().map(|(other, old)| (other.clone(), if other == name { bytes.clone() } else { old.clone() })).collect())
            };
            ensure(opened(model, &with(bytes[..bytes.len() / 2].to_vec()), &table).is_err(), || format!("half of {name} was accepted"))?;
            ensure(opened(model, &with(vec![0xff; bytes.len()]), &table).is_err(), || format!("noise for {name} was accepted"))?;
        }
        let other = Sketch::new(model.needs, if classes == 0 { 3 } else { 0 }, 10, 1).table();
        ensure(opened(model, &parts, &other).is_err(), || "a schema with another task was accepted".into())
    });
}

#[test]
fn a_model_file_with_changed_bytes_is_refused_or_asked_without_a_panic() {
    check(|model, classes| {
        let table = Sketch::new(model.needs, classes, 60, 11).table();
        let few = table.columns().take(&[0, 1, 2, 3, 4]);
        let parts = saved(&*fit(model, quick(model), &table, 4, &Run::quiet(1)).unwrap());
        let mut opens = 0;
        for (name, bytes) in &parts.0 {
            for trial in 0..300 {
                let (draw, mut bytes) = (Draw::new(12).at(trial), bytes.clone());
                let place = draw.below(0, bytes.len() as u64) as usize;
                bytes[place] = [0, 1, 0x7f, 0xff, b'9', draw.bits(1) as u8][draw.below(2, 6) as usize];
                let mut changed = parts.clone();
                changed.0.insert(name.clone(), bytes);
                let Ok(predictor) = opened(model, &changed, &table) else { continue };
                opens += 1;
                // An error is an answer, too.
                drop(answers(&*predictor, &table));
                drop(predictor.explain(&few, Against::Training));
                drop(predictor.explain(&few, Against::Rows(&few)));
                drop(predictor.interactions(&few, 0));
            }
        }
        ensure(opens > 0, || "no change was accepted, so nothing was tried".into())
    });
}

#[test]
fn wrong_inputs_are_refused() {
    check(|model, classes| {
        let sketch = Sketch::new(model.needs, classes, 200, 6);
        let table = sketch.table();
        let predictor = fit(model, quick(model), &table, 0, &Run::quiet(1)).unwrap();
        let texts = Column::Array(Arc::new(arrow_array::StringArray::from(vec!["a"; 200])));
        let replaced = |name: &str, with: Option<Column>| {
            let columns = table.columns().clone().into_iter().filter(|(known, _)| with.is_some() || **known != *name);
            Columns::new(
                columns
                    .map(|(known, column)| if *known == *name { (known, with.clone().unwrap_or(column)) } else { (known, column) })
                    .collect(),
            )
        };
        for (what, columns) in [("a missing column", replaced("n2", None)), ("texts for numbers", replaced("n2", Some(texts)))] {
            if model.name == "baseline" {
                continue; // It looks at no input, so none can be wrong.
            }
            let asked = predictor.predict(&columns, &Default::default());
            ensure(asked.is_err_and(|error| error.exit() == Exit::Data && error.to_string().contains("n2")), || what.into())?;
        }
        let empty = sketch.take(&[]);
        ensure(fit(model, quick(model), &empty.table(), 0, &Run::quiet(1)).is_err(), || "no rows were learned from".into())?;
        ensure(answers(&*predictor, &empty.table()).is_ok_and(|answers| answers.is_empty()), || "no rows had answers".into())
    });
}

#[test]
fn a_weight_of_two_counts_like_a_second_row() {
    check(|model, classes| {
        let sketch = Sketch::new(model.needs, classes, 1500, 8);
        let heavy = |row: usize| sketch.numbers[0][row] > 0.5;
        let weighted = Sketch { weight: Some((0..1500).map(|row| if heavy(row) { 2.0 } else { 1.0 }).collect()), ..sketch.clone() };
        let doubled = sketch.take(&(0..1500).chain((0..1500).filter(|&row| heavy(row))).collect::<Vec<_>>());
        let answers = |table: &Table| {
            answers(&*fit(model, "n_estimators=50 min_data_in_leaf=20", table, 0, &Run::quiet(1)).unwrap(), &sketch.table()).unwrap()
        };
        let apart = difference(&answers(&weighted.table()), &answers(&doubled.table()));
        ensure(apart < if classes == 0 { 0.2 } else { 0.07 }, || format!("answers are {apart} apart"))
    });
}

#[test]
fn rows_without_weight_teach_nothing() {
    check(|model, classes| {
        let sketch = Sketch::new(model.needs, classes, 300, 9);
        let fit =
            |sketch: &Sketch| answers(&*fit(model, quick(model), &sketch.table(), 0, &Run::quiet(1)).unwrap(), &sketch.table()).unwrap();
        let none = Sketch { weight: Some(vec![0.0; 300]), ..sketch.clone() };
        ensure(super::fixtures::fit(model, quick(model), &none.table(), 0, &Run::quiet(1)).is_err() || model.name == "baseline", || {
            "rows without weight were learned from".into()
        })?;
        let some = |last: f64| {
            let mut changed = sketch.clone();
            changed.target.0[299] = last;
            Sketch { weight: Some((0..300).map(|row| f64::from(u8::from(row < 299))).collect()), ..changed }
        };
        ensure(fit(&some(0.0)) == fit(&some(1.0)), || "a row without weight changed answers".into())
    });
}

#[test]
fn a_stop_or_a_late_clock_still_gives_a_model() {
    check(|model, classes| {
        let table = Sketch::new(model.needs, classes, 500, 10).table();
        let stopped = Run { events: &|_: &Event| Flow::Stop, ..Run::quiet(1) };
        let late = Run { until: Some(Duration::ZERO), ..Run::quiet(1) };
        for run in [stopped, late] {
            match fit(model, "", &table, 5, &run) {
                Ok(predictor) => ensure(is_sound(&answers(&*predictor, &table).unwrap(), classes), || "answers are not sound".into())?,
                Err(error) => ensure(error.exit() == Exit::Interrupted, || error.to_string())?,
            }
        }
        Ok(())
    });
}
