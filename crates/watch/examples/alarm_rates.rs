//! How often watching alarms when nothing changed, how surely it finds what moved, and after how many windows somebody is told.
//!
//! ```sh
//! cargo run --release -p cupola-watch --example alarm_rates
//! ```
#![expect(clippy::print_stdout, reason = "an example is there to show")]

use arrow_array::{Float64Array, StringArray};
use cupola_task::{Answer, Column, Columns, Draw, Field, Kind, Predictions, Role, Schema, Task};
use cupola_watch::{AlarmKind, Alarms, Held, Keep, MonitorOptions, Reference, Report, Result, Verdict, Window, examine, row_hash};
use std::sync::Arc;

const REFERENCE_ROWS: u64 = 5000;
/// A reference is a sample too: each serves so many windows, then another is drawn.
const WINDOWS_OF_A_REFERENCE: u64 = 10;
const NAMES: [&str; 5] = ["ash", "birch", "cedar", "elm", "oak"];

fn main() -> Result<()> {
    println!("Windows of unchanged data, 6 inputs, a class, a fifth of the rows labelled; alpha is {}.", MonitorOptions::default().alpha);
    println!("{:>6}  {:>7}  {:>13}  {:>11}", "rows", "windows", "with an alarm", "told");
    for rows in [100, 300, 1000] {
        let rates = unchanged(rows, 1000)?;
        println!("{rows:>6}  {:>7}  {:>13}  {:>11}", 1000, rates.alarming, rates.told);
    }
    println!("\nWindows in which one number moved by so many deviations: how many of 200 alarm, and for that column.");
    println!("{:>6}  {:>6}  {:>6}  {:>6}", "rows", "shift", "any", "column");
    for rows in [100, 300, 1000] {
        for shift in [0.1, 0.2, 0.3, 0.5, 1.0] {
            let [any, column] = shifted(rows, shift, 200)?;
            println!("{rows:>6}  {shift:>6}  {any:>6}  {column:>6}");
        }
    }
    println!("\nRows until somebody is told after a number moved by half a deviation, two windows in a row being asked for (mean of 50).");
    for rows in [100, 200, 500, 1000] {
        println!("windows of {rows:>5}: {:.0}", delay(rows, 50)?);
    }
    Ok(())
}

/// How many of the windows alarm, and how often somebody is told.
struct Rates {
    alarming: u64,
    told: u64,
}

fn unchanged(rows: u64, windows: u64) -> Result<Rates> {
    let options = MonitorOptions { cooldown_us: 0, ..MonitorOptions::default() };
    let mut rates = Rates { alarming: 0, told: 0 };
    for turn in 0..windows / WINDOWS_OF_A_REFERENCE {
        let reference = reference(turn)?;
        let mut alarms = Alarms::default();
        for place in 0..WINDOWS_OF_A_REFERENCE {
            let report = report(&reference, 1_000_000 + turn * WINDOWS_OF_A_REFERENCE + place, rows, 0.0, &options)?;
            rates.alarming += u64::from(!report.alarms.is_empty());
            let events = alarms.step(&report, &options, place as i64);
            rates.told += u64::from(events.iter().any(|event| event.kind == AlarmKind::Raised));
        }
    }
    Ok(rates)
}

/// Of so many windows, how many alarm at all, and for the column that moved.
fn shifted(rows: u64, shift: f64, windows: u64) -> Result<[u64; 2]> {
    let options = MonitorOptions::default();
    let (mut any, mut column) = (0, 0);
    for turn in 0..windows / WINDOWS_OF_A_REFERENCE {
        let reference = reference(turn)?;
        for place in 0..WINDOWS_OF_A_REFERENCE {
            let report = report(&reference, 2_000_000 + turn * WINDOWS_OF_A_REFERENCE + place, rows, shift, &options)?;
            any += u64::from(!report.alarms.is_empty());
            column += u64::from(is_found(&report));
        }
    }
    Ok([any, column])
}

fn is_found(report: &Report) -> bool {
    report.tests.iter().any(|test| test.column == "income" && test.test == "ks" && test.verdict == Verdict::Alarm)
}

/// The mean number of rows from the shift until somebody is told.
fn delay(rows: u64, turns: u64) -> Result<f64> {
    let options = MonitorOptions { cooldown_us: 0, ..MonitorOptions::default() };
    let mut seen = 0;
    for turn in 0..turns {
        let reference = reference(turn)?;
        let mut alarms = Alarms::default();
        for place in 0.. {
            seen += rows;
            let report = report(&reference, 3_000_000 + turn * 100 + place, rows, 0.5, &options)?;
            alarms.step(&report, &options, place as i64);
            if alarms.raised().any(|key| key == "input.income.ks") || place == 99 {
                break;
            }
        }
    }
    Ok(seen as f64 / turns as f64)
}

fn report(reference: &Reference, seed: u64, rows: u64, shift: f64, options: &MonitorOptions) -> Result<Report> {
    let (inputs, predictions, truth) = rows_of(seed, rows, shift);
    let hashes: Vec<u64> = (0..rows).map(|row| row_hash(&format!("{seed}-{row}"))).collect();
    let mut window = Window::new(reference);
    window.push(reference, &hashes, &inputs, &predictions)?;
    let labelled: Vec<u64> = (0..rows / 5).collect();
    let (answers, _) = answers(seed, rows / 5);
    window.push_labels(reference, &hashes[..labelled.len()], &inputs.take(&labelled), &answers, &truth.take(&labelled))?;
    examine(reference, &window, options)
}

fn reference(turn: u64) -> Result<Reference> {
    let (train, _, _) = rows_of(10 + 2 * turn, REFERENCE_ROWS, 0.0);
    let (inputs, predictions, truth) = rows_of(11 + 2 * turn, REFERENCE_ROWS, 0.0);
    let held = Held { inputs: &inputs, predictions: &predictions, truth: &truth };
    Reference::new(&schema(), &train, Some(held), Keep::Rows(Draw::new(turn)))
}

fn schema() -> Schema {
    let category = || Kind::Category { classes: NAMES.map(Arc::from).to_vec().into() };
    let kinds = [
        ("income", Kind::Number),
        ("age", Kind::Number),
        ("wait", Kind::Number),
        ("children", Kind::Number),
        ("tree", category()),
        ("town", category()),
    ];
    let mut fields: Vec<Field> = kinds.into_iter().map(|(name, kind)| Field { name: name.into(), kind, role: Role::Input }).collect();
    let classes: Arc<[Arc<str>]> = ["no".into(), "yes".into()].into();
    fields.push(Field { name: "paid".into(), kind: Kind::Category { classes }, role: Role::Target(Task::Classify) });
    Schema { fields }
}

/// Inputs, answers and truths of a seed; `shift` moves the first input.
fn rows_of(seed: u64, rows: u64, shift: f64) -> (Columns, Predictions, Columns) {
    let draw = |name: &str| Draw::new(seed).stream(name);
    let numbers = |value: &dyn Fn(u64) -> f64| Column::Array(Arc::new((0..rows).map(value).collect::<Float64Array>()));
    let names = |stream: &str, power: f64| {
        let name = |row: u64| Some(NAMES[((draw(stream).uniform(row).powf(power) * 5.0) as usize).min(4)]);
        Column::Array(Arc::new((0..rows).map(name).collect::<StringArray>()))
    };
    let income = draw("income");
    let inputs = Columns::new(vec![
        ("income".into(), numbers(&|row| income.normal(row) + shift)),
        ("age".into(), numbers(&|row| 40.0 + 12.0 * (draw("age").normal(row) + income.normal(row)))),
        ("wait".into(), numbers(&|row| -(1.0 - draw("wait").uniform(row)).ln())),
        ("children".into(), numbers(&|row| (draw("children").uniform(row).powi(2) * 5.0).floor())),
        ("tree".into(), names("tree", 1.0)),
        ("town".into(), names("town", 2.0)),
    ]);
    let (predictions, truth) = answers(seed, rows);
    (inputs, predictions, truth)
}

/// Scores that hold, and what came of them.
fn answers(seed: u64, rows: u64) -> (Predictions, Columns) {
    let draw = |name: &str| Draw::new(seed).stream(name);
    let score = |row: u64| draw("score").uniform(row);
    let classes: Arc<[Arc<str>]> = ["no".into(), "yes".into()].into();
    let values = (0..rows).flat_map(|row| [1.0 - score(row), score(row)]).collect();
    let truth = (0..rows).map(|row| Some(if draw("truth").uniform(row) < score(row) { "yes" } else { "no" })).collect::<StringArray>();
    let truth = Columns::new(vec![("paid".into(), Column::Array(Arc::new(truth)))]);
    (Predictions(vec![("paid".into(), Answer::Scores { classes: classes.into(), values })]), truth)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred windows, of which one is promised at most: five or more would come by chance in 4 of 1,000 runs.
    #[test]
    fn unchanged_windows_alarm_no_more_often_than_promised() {
        let rates = unchanged(300, 100).unwrap();
        assert!(rates.alarming < 5 && rates.told == 0, "{} alarm, {} told", rates.alarming, rates.told);
    }

    #[test]
    fn half_a_deviation_in_a_thousand_rows_is_found() {
        let [_, found] = shifted(1000, 0.5, 50).unwrap();
        assert_eq!(found, 50);
    }

    #[test]
    fn somebody_is_told_after_two_windows() {
        assert!(delay(1000, 5).unwrap() <= 2000.0);
    }
}
