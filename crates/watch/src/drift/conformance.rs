//! What every statistic of the registry must do.

use super::{DRIFTS, DriftDef, Moved, Test, column};
use crate::fixtures::{hashes, numbers, reference, table, window};
use crate::reference::{Keep, Reference};
use crate::window::Window;
use cupola_task::{Columns, Draw, Field, Kind, Predictions, Role, Schema};

/// What a statistic says of each column of a window, or of its rows.
fn measure(def: &DriftDef, reference: &Reference, window: &Window) -> Vec<Option<Moved>> {
    match def.test {
        Test::Rows(test) => vec![test(reference, window)],
        _ => {
            let pairs = reference.columns.iter().zip(&window.columns).filter(|(column, _)| def.suits(column.content));
            pairs.map(|(own, other)| column(def, own, &other.tallies)).collect()
        }
    }
}

fn is_alarm(def: &DriftDef, moved: &Option<Moved>) -> bool {
    moved.is_some_and(|moved| moved.effect >= def.threshold && moved.p.is_none_or(|p| p < 0.05))
}

#[test]
fn unchanged_data_alarm_seldom_and_p_values_are_even() {
    let mut wrong = Vec::new();
    for rows in [100, 1000] {
        for def in DRIFTS {
            let rounds = if matches!(def.test, Test::Rows(_)) { 100 } else { 200 };
            let mut ps = Vec::new();
            let mut alarms = 0;
            for round in 0..rounds {
                let reference =
                    Reference::new(&crate::fixtures::schema(), &table(round * 2 + 1000, 1500, 0.0), None, Keep::Rows(Draw::new(1)));
                let reference = reference.unwrap();
                let window = window(&reference, round, &table(round * 2 + 1001, rows, 0.0));
                for moved in measure(def, &reference, &window) {
                    alarms += usize::from(is_alarm(def, &moved));
                    ps.push(moved.unwrap().p.unwrap());
                }
            }
            let small = |level: f64| ps.iter().filter(|p| **p < level).count() as f64 / ps.len() as f64;
            println!(
                "{} of {rows} rows: {} of {} alarm, p < 0.05 {:.3}, p < 0.01 {:.3}",
                def.name,
                alarms,
                ps.len(),
                small(0.05),
                small(0.01)
            );
            // Three standard errors above 0.05.
            let most = 0.05 + 3.0 * (0.05 * 0.95 / ps.len() as f64).sqrt();
            if small(0.05) > most || small(0.01) > 0.01 + 4.0 * (0.01 / ps.len() as f64).sqrt() || alarms as f64 > most * ps.len() as f64 {
                wrong.push((def.name, rows));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_same_rows_have_not_moved() {
    let reference = reference(1000);
    for def in DRIFTS.iter().filter(|def| !matches!(def.test, Test::Rows(_))) {
        for moved in measure(def, &reference, &window(&reference, 1, &table(1, 1000, 0.0))) {
            let moved = moved.unwrap();
            // Wasserstein's distance takes the window's values as even between edges, where the reference's are known to be at them.
            let most = if def.name == "wasserstein" { 0.005 } else { 1e-6 };
            assert!(moved.effect < most && moved.p.unwrap() > 0.999, "{}: {moved:?}", def.name);
        }
    }
}

#[test]
fn shifted_data_alarm_and_further_ones_more() {
    let reference = reference(3000);
    for def in DRIFTS {
        let mut last: Vec<f64> = vec![-1.0; 5];
        for shift in [0.0, 0.5, 1.0, 2.0, 4.0] {
            let moved = measure(def, &reference, &window(&reference, 7, &table(7, 1000, shift)));
            println!("{} {shift}: {moved:?}", def.name);
            for (moved, last) in moved.iter().zip(&mut last) {
                assert_eq!(is_alarm(def, moved), shift > 0.0, "{} at {shift}: {moved:?}", def.name);
                let effect = moved.unwrap().effect;
                assert!(effect > *last || effect > 0.9, "{} at {shift}: {effect} after {last}", def.name);
                *last = effect;
            }
        }
    }
}

#[test]
fn windows_without_rows_with_one_or_without_values_do_not_alarm() {
    let reference = reference(500);
    let absent = Columns::new(vec![("number".into(), numbers(vec![f64::NAN; 300]))]);
    for (inputs, rows) in [(table(3, 0, 0.0), 0), (table(3, 1, 9.0), 1), (absent, 300)] {
        let window = window(&reference, 3, &inputs);
        assert_eq!(window.rows, rows);
        // That nothing is there any more is a reason to tell rows apart.
        for def in DRIFTS.iter().filter(|def| rows < 300 || !matches!(def.test, Test::Rows(_))) {
            let moved = measure(def, &reference, &window);
            assert!(moved.iter().all(|moved| !is_alarm(def, moved)), "{} of {rows} rows: {moved:?}", def.name);
        }
    }
}

#[test]
fn a_constant_that_changes_alarms_and_one_that_stays_does_not() {
    let field = Field { name: "constant".into(), kind: Kind::Number, role: Role::Input };
    let constant = |value: f64, rows: u64| Columns::new(vec![("constant".into(), numbers(vec![value; rows as usize]))]);
    let schema = Schema { fields: vec![field] };
    let reference = Reference::new(&schema, &constant(3.0, 500), None, Keep::Rows(Draw::new(1))).unwrap();
    let unknown = Reference::new(&schema, &constant(f64::NAN, 500), None, Keep::Rows(Draw::new(1))).unwrap();
    for def in DRIFTS.iter().filter(|def| !matches!(def.test, Test::Names(_))) {
        for (value, is_moved) in [(3.0, false), (5.0, true), (-1.0, true)] {
            let moved = measure(def, &reference, &window(&reference, 1, &constant(value, 300)));
            assert_eq!(is_alarm(def, &moved[0]), is_moved, "{}: {moved:?}", def.name);
        }
        if !matches!(def.test, Test::Rows(_)) {
            assert_eq!(measure(def, &unknown, &window(&unknown, 1, &constant(1.0, 300))), [None], "{}", def.name);
        }
    }
}

#[test]
fn columns_that_only_hang_together_otherwise_are_found_by_the_classifier() {
    let schema = Schema { fields: ["a", "b"].map(|name| Field { name: name.into(), kind: Kind::Number, role: Role::Input }).to_vec() };
    let pair = |seed: u64, sign: f64| {
        let draw = Draw::new(seed);
        let a: Vec<f64> = (0..1000).map(|row| draw.normal(row)).collect();
        let b = a.iter().zip(1000..).map(|(a, row)| sign * a + 0.5 * draw.normal(row)).collect::<Vec<_>>();
        Columns::new(vec![("a".into(), numbers(a)), ("b".into(), numbers(b))])
    };
    let reference = Reference::new(&schema, &pair(1, 1.0), None, Keep::Rows(Draw::new(1))).unwrap();
    let def = super::find("domain_classifier").unwrap();
    let at = |sign: f64| {
        let mut window = Window::new(&reference);
        window.push(&reference, &hashes(5, 1000), &pair(5, sign), &Predictions::default()).unwrap();
        measure(&def, &reference, &window).remove(0)
    };
    assert!(!is_alarm(&def, &at(1.0)) && at(-1.0).unwrap().statistic > 0.8, "{:?} {:?}", at(1.0), at(-1.0));
    let counts = Reference::new(&schema, &pair(1, 1.0), None, Keep::Counts).unwrap();
    let mut window = Window::new(&counts);
    window.push(&counts, &hashes(5, 1000), &pair(5, 1.0), &Predictions::default()).unwrap();
    assert_eq!(measure(&def, &counts, &window), [None], "without rows there is nothing to tell apart");
}
