//! Test rows as small pictures: some at random, and those that the model was most surely wrong about.

use super::report::{Picture, Pictures};
use crate::Result;
use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use cupola_data::{Thumbnail, thumbnail};
use cupola_task::{Answer, Batch, Column, Field, Images};

/// How many pictures of each sort.
const SAMPLES: usize = 18;
const MISTAKES: usize = 18;
/// Sides that are tried in turn until all pictures fit.
const SIDES: [u32; 4] = [128, 96, 64, 32];

/// A row that may be shown.
pub(super) struct Shown {
    pub row: usize,
    pub truth: String,
    pub answer: String,
    pub probability: f64,
    pub loss: f64,
    pub is_wrong: bool,
}

/// The test rows of a target as pictures of its first column of images, together at most `bytes_max` large. None without such a column, or
/// where the answers are neither classes nor numbers. `place` says where a row stands.
///
/// # Errors
/// When an image cannot be drawn.
pub(crate) fn pictures(
    field: &Field,
    test: &Batch,
    answer: &Answer,
    place: &dyn Fn(u64) -> String,
    bytes_max: usize,
) -> Result<Option<Pictures>> {
    let images = test.inputs.iter().find_map(|(name, column)| Some((name, column.images()?)));
    let (Some((name, images)), Some(truth)) = (images, test.targets.get(&field.name)) else { return Ok(None) };
    let Some(rows) = rows(truth, answer) else { return Ok(None) };
    let samples: Vec<&Shown> = rows.iter().step_by(rows.len().div_ceil(SAMPLES).max(1)).collect();
    let mistakes = worst(&rows, MISTAKES);
    for side in SIDES {
        let draw = |rows: &[&Shown]| rows.iter().map(|row| picture(row, images, test, place, side)).collect::<Result<Vec<Picture>>>();
        let drawn = Pictures { column: name.to_string(), wrong: count_wrong(&rows), samples: draw(&samples)?, mistakes: draw(&mistakes)? };
        let bytes: usize = drawn.samples.iter().chain(&drawn.mistakes).map(|picture| picture.png.len()).sum();
        if bytes <= bytes_max {
            return Ok(Some(drawn));
        }
    }
    Ok(None)
}

/// The wrong answers of the highest loss, the worst first.
pub(super) fn worst(rows: &[Shown], most: usize) -> Vec<&Shown> {
    let mut mistakes: Vec<&Shown> = rows.iter().filter(|row| row.is_wrong).collect();
    mistakes.sort_by(|a, b| b.loss.total_cmp(&a.loss).then(a.row.cmp(&b.row)));
    mistakes.truncate(most);
    mistakes
}

pub(super) fn count_wrong(rows: &[Shown]) -> u64 {
    rows.iter().filter(|row| row.is_wrong).count() as u64
}

fn picture(shown: &Shown, images: &Images, test: &Batch, place: &dyn Fn(u64) -> String, side: u32) -> Result<Picture> {
    let small: Thumbnail = thumbnail(images, shown.row, side)?;
    Ok(Picture {
        place: place(test.rows[shown.row]),
        truth: shown.truth.clone(),
        answer: shown.answer.clone(),
        probability: shown.probability,
        loss: shown.loss,
        png: small.png()?,
    })
}

/// Rows whose truth is known, in order. The loss is that of training: minus the logarithm of the truth's probability, or the squared error.
pub(super) fn rows(truth: &Column, answer: &Answer) -> Option<Vec<Shown>> {
    match answer {
        Answer::Scores { classes, values } if !classes.is_empty() => {
            let texts = truth.array()?.as_string_opt::<i32>()?;
            let row = |(row, scores): (usize, &[f64])| {
                let truth = texts.is_valid(row).then(|| texts.value(row))?;
                let best = classes.choose(scores);
                let own = classes.iter().position(|class| **class == *truth).map_or(0.0, |class| scores[class]);
                let loss = -own.max(f64::MIN_POSITIVE).ln();
                let answer = classes[best].to_string();
                Some(Shown { row, truth: truth.to_owned(), is_wrong: answer != truth, answer, probability: scores[best], loss })
            };
            Some(values.chunks_exact(classes.len()).enumerate().filter_map(row).collect())
        }
        Answer::Numbers { values, .. } => {
            let truths = truth.array()?.as_primitive_opt::<Float64Type>()?;
            let row = |(row, &value): (usize, &f64)| {
                let truth = truths.is_valid(row).then(|| truths.value(row)).filter(|truth| truth.is_finite())?;
                let (told, answer) = (format!("{truth:.4}"), format!("{value:.4}"));
                Some(Shown { row, truth: told, is_wrong: true, answer, probability: f64::NAN, loss: (truth - value).powi(2) })
            };
            Some(values.iter().enumerate().filter_map(row).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Float64Array, StringArray};
    use cupola_task::{Columns, Kind, Role, Task};
    use std::sync::Arc;

    fn batch(target: Column, side: u32) -> Batch {
        let rows = target.len();
        let pixels = (0..rows * (side * side) as usize).map(|place| (place * 7919 % 251) as u8).collect();
        let images = Images::packed(pixels, vec![[side, side, 1]; rows]);
        Batch {
            rows: (100..100 + rows as u64).collect(),
            inputs: Columns::new(vec![("photo".into(), Column::Images(images))]),
            targets: Columns::new(vec![("kind".into(), target)]),
            keys: Columns::default(),
        }
    }

    fn field() -> Field {
        Field { name: "kind".into(), kind: Kind::Number, role: Role::Target(Task::Classify) }
    }

    #[test]
    fn the_surest_mistakes_come_first() {
        let truth = StringArray::from(vec![Some("cat"), Some("dog"), None, Some("dog"), Some("cat"), Some("newt")]);
        let answer = Answer::Scores {
            classes: ["cat".into(), "dog".into()].into(),
            values: vec![0.9, 0.1, 0.8, 0.2, 0.5, 0.5, 0.99, 0.01, 0.4, 0.6, 0.7, 0.3],
        };
        let batch = batch(Column::Array(Arc::new(truth)), 4);
        let found = pictures(&field(), &batch, &answer, &|row| format!("row {row}"), 100_000).unwrap().unwrap();
        let told: Vec<String> =
            found.mistakes.iter().map(|picture| format!("{} {} {}", picture.place, picture.truth, picture.answer)).collect();
        assert_eq!(told, ["row 105 newt cat", "row 103 dog cat", "row 101 dog cat", "row 104 cat dog"]);
        assert_eq!((found.samples.len(), found.wrong, found.column.as_str()), (5, 4, "photo"));
        assert!((found.samples[0].probability - 0.9).abs() < 1e-12 && (found.mistakes[1].loss - -(0.01f64.ln())).abs() < 1e-12);
    }

    #[test]
    fn numbers_are_shown_by_error_and_pictures_shrink_to_fit() {
        let truth = Column::Array(Arc::new(Float64Array::from(vec![1.0, f64::NAN, 3.0])));
        let answer = Answer::Numbers { values: vec![1.5, 2.0, 9.0], range: None };
        let batch = batch(truth, 200);
        let place = |row: u64| row.to_string();
        let found = pictures(&field(), &batch, &answer, &place, 1_000_000).unwrap().unwrap();
        assert_eq!((found.mistakes[0].answer.as_str(), found.mistakes[0].truth.as_str()), ("9.0000", "3.0000"));
        let large: usize = found.samples.iter().chain(&found.mistakes).map(|picture| picture.png.len()).sum();
        let small = pictures(&field(), &batch, &answer, &place, large - 1).unwrap().unwrap();
        assert!(small.samples[0].png.len() < found.samples[0].png.len());
        assert!(pictures(&field(), &batch, &answer, &place, 10).unwrap().is_none());
    }
}
