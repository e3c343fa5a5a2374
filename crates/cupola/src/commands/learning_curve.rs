//! `cupola learning-curve`: how much more data would help.

use super::{aligned, number, recipe, rows, train};
use crate::arguments::CurveArguments;
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_train::Plan;
use cupola_train::curve_slices::{Gain, SliceCurves};
use cupola_train::learning_curve::{LearningCurve, learning_curve};
use serde_json::json;
use std::process::ExitCode;

/// Classes that are printed.
const CLASSES_SHOWN: usize = 10;

pub fn run(arguments: &CurveArguments, screen: &Screen) -> Result<ExitCode> {
    let plan = Plan::check(recipe(&arguments.recipe.arguments, arguments.recipe.tiny)?).context("failed to check the recipe")?;
    let curve = train::with_run(&plan, screen, |run| learning_curve(&plan, run))?.context("failed to draw the learning curve")?;
    screen.finish();
    if let Some(path) = &arguments.html {
        cupola_train::runs::write_file(path, cupola_train::report::learning_curve_page(&curve).as_bytes())
            .context("failed to write the page")?;
    }
    screen.object(&json!({ "event": "learning_curve", "curve": curve }));
    screen.text(&text(&curve));
    for warning in &curve.warnings {
        screen.note(&format!("warning: {warning}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn text(curve: &LearningCurve) -> String {
    let repeats = curve.points.first().map_or(0, |point| point.values.len());
    let mut parts = vec![format!("{} of {} by {}, on {}", curve.measure, curve.target, curve.model, rows(curve.rows_test))];
    let lines: Vec<Vec<String>> = (curve.points.iter())
        .map(|point| {
            let interval = format!("{} to {}", number(point.low), number(point.high));
            vec![point.rows.to_string(), number(point.mean), interval, number(point.fitted)]
        })
        .collect();
    let head = ["training rows", &*format!("mean of {repeats}"), "95 % interval", "law"];
    parts.push(aligned(&head, &lines));
    let law = curve.law;
    parts.push(format!("law: loss = {:.4} + {:.4} n^-{:.3}", law.a, law.b, law.c));
    let lines: Vec<Vec<String>> = (curve.ahead.iter())
        .map(|ahead| {
            let interval = format!("{} to {}", number(ahead.low), number(ahead.high));
            vec![format!("{:.0} times, {} rows", ahead.times, ahead.rows), number(ahead.value), interval, format!("{:+.4}", ahead.gain)]
        })
        .collect();
    parts.push(aligned(&["with", &curve.measure, "95 % band", "gain"], &lines));
    if !curve.classes.is_empty() {
        parts.push(classes(curve));
    }
    if let Some(found) = &curve.slices {
        parts.push(slices(curve, found));
    }
    parts.push("What lies beyond the last row is a guess: laws hold until they do not.".to_owned());
    parts.join("\n\n")
}

fn classes(curve: &LearningCurve) -> String {
    let lines: Vec<Vec<String>> = (curve.classes.iter().take(CLASSES_SHOWN))
        .map(|class| {
            let band = format!("{:+.4} to {:+.4}", class.gain_low, class.gain_high);
            vec![
                class.class.clone(),
                class.rows.to_string(),
                number(class.recall),
                format!("{:+.4}", class.gain),
                band,
                format!("{:+.2}", class.per_thousand),
            ]
        })
        .collect();
    let head = ["class", "rows", "recall", "gain", "95 % band", "rows of 1000"];
    format!("What {} more labels of a class bring to its recall, where they pay most first\n{}", curve.labels, aligned(&head, &lines))
}

fn slices(curve: &LearningCurve, found: &SliceCurves) -> String {
    let band = |gain: Gain| format!("{:+.4} to {:+.4}", gain.low, gain.high);
    let line = |slice: &cupola_train::curve_slices::SliceCurve| {
        let (rows, share) = (slice.rows.to_string(), format!("{:.1} %", slice.share * 100.0));
        vec![
            slice.phrase(),
            rows,
            share,
            number(slice.loss),
            format!("{:+.4}", slice.gain.value),
            format!("{:+.4}", slice.gain_all.value),
            band(slice.gain_all),
        ]
    };
    let mut lines: Vec<Vec<String>> = found.slices.iter().map(line).collect();
    let rows = curve.points.last().map_or(String::new(), |point| point.rows.to_string());
    let any = found.everywhere;
    let (value, overall) = (format!("{:+.4}", any.value), number(found.overall));
    lines.push(vec!["rows as they come".to_owned(), rows, "100.0 %".to_owned(), overall, value.clone(), value, band(any)]);
    let head = ["slice", "rows", "of test rows", &*found.loss, "its gain", "gain of all", "95 % band"];
    let mut text = format!(
        "What {} more labels of a slice take off the loss, by trainings without a part of its rows, where they pay most first\n{}",
        curve.labels,
        aligned(&head, &lines)
    );
    for left_out in &found.left_out {
        text.push_str(&format!("\nnot told: {left_out}"));
    }
    text
}
