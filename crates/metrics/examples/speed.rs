//! How long it takes to score an answer of the size of Adult's test file, and to compare two such answers:
//! `cargo run --release -p cupola-metrics --example speed`.

#![expect(clippy::print_stdout, reason = "a program for people")]

use arrow_array::StringArray;
use cupola_metrics::{METRICS, Sampling, paired, score};
use cupola_task::{Answer, Column, Columns, Draw, Field, Kind, MetricDef, Role, Settings, Task, View};
use std::sync::Arc;
use std::time::Instant;

const ROWS: u64 = 16_281;

fn answer(classes: &Arc<[Arc<str>]>, truth: &[bool], draw: Draw) -> Answer {
    let chance = |(row, &truth): (usize, &bool)| {
        let logit = if truth { 0.8 } else { -1.8 } + 1.3 * draw.normal(row as u64);
        1.0 / (1.0 + (-logit).exp())
    };
    let values = truth.iter().enumerate().map(chance).flat_map(|chance| [1.0 - chance, chance]).collect();
    Answer::Scores { classes: classes.into(), values }
}

fn main() -> cupola_task::Result<()> {
    let classes: Arc<[Arc<str>]> = ["<=50K".into(), ">50K".into()].into();
    let field = Field { name: "income".into(), kind: Kind::Category { classes: classes.clone() }, role: Role::Target(Task::Classify) };
    let draw = Draw::new(1);
    let is_positive: Vec<bool> = (0..ROWS).map(|row| draw.uniform(row) < 0.24).collect();
    let names: StringArray = is_positive.iter().map(|&positive| Some(if positive { ">50K" } else { "<=50K" })).collect();
    let truth = Column::Array(Arc::new(names));
    let none = Columns::default();
    let view = View { truth: Some(&truth), weight: None, inputs: &none, keys: &none };
    let [first, second] = ["first", "second"].map(|name| answer(&classes, &is_positive, draw.stream(name)));
    let settings = |def: &MetricDef| Settings::check(def.name, def.settings, []).map(|settings| (*def, settings));
    let all = METRICS.iter().filter(|def| def.tasks.contains(&Task::Classify)).map(settings).collect::<Result<Vec<_>, _>>()?;
    let begin = Instant::now();
    let scores = score(&field, &first, view, &all, Sampling::default())?;
    println!("score, {} measures: {:.1} ms", all.len(), begin.elapsed().as_secs_f64() * 1e3);
    for score in scores {
        println!("  {:18} {:.4} in {:.4}..{:.4}", score.name, score.value, score.low, score.high);
    }
    let begin = Instant::now();
    paired(&field, [&first, &second], view, &all, Sampling::default())?;
    println!("paired, {} measures, 1000 draws: {:.1} ms", all.len(), begin.elapsed().as_secs_f64() * 1e3);
    for measure in &all {
        let begin = Instant::now();
        paired(&field, [&first, &second], view, std::slice::from_ref(measure), Sampling::default())?;
        println!("  {:18} {:.1} ms", measure.0.name, begin.elapsed().as_secs_f64() * 1e3);
    }
    Ok(())
}
