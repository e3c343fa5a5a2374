//! Tables in the run folder: every measure of every side, and what the model answered to each test row.

use crate::report::{Measure, Score};
use crate::runs::write_file;
use crate::{Error, Made, Result, answers};
use arrow_array::{ArrayRef, Float64Array, StringArray};
use cupola_data::{OutputFormat, WholeFile, Writer};
use cupola_task::{Batch, Column, Columns, Predictions};
use std::path::Path;
use std::sync::Arc;

/// Writes `results.csv`: target, measure, side, value, low, high. A cell without a number is empty.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write_results(folder: &Path, targets: &[(&str, &[Score])]) -> Result<()> {
    let mut rows: Vec<([String; 3], Measure)> = Vec::new();
    for (target, scores) in targets {
        for score in *scores {
            let sides = [("test", Some(score.test)), ("valid", score.valid), ("train", score.train), ("baseline", score.baseline)];
            let taken = sides.into_iter().filter_map(|(side, measure)| Some((side, measure?)));
            rows.extend(taken.map(|(side, measure)| ([(*target).to_owned(), score.name.clone(), side.to_owned()], measure)));
        }
    }
    let texts = |place: usize| Arc::new(StringArray::from_iter_values(rows.iter().map(|(words, _)| &words[place]))) as ArrayRef;
    let numbers = |number: fn(&Measure) -> f64| {
        let finite = rows.iter().map(|(_, measure)| Some(number(measure)).filter(|number| number.is_finite()));
        Arc::new(finite.collect::<Float64Array>()) as ArrayRef
    };
    let table = Columns::new(vec![
        ("target".into(), Column::Array(texts(0))),
        ("measure".into(), Column::Array(texts(1))),
        ("side".into(), Column::Array(texts(2))),
        ("value".into(), Column::Array(numbers(|measure| measure.value))),
        ("low".into(), Column::Array(numbers(|measure| measure.low))),
        ("high".into(), Column::Array(numbers(|measure| measure.high))),
    ]);
    let mut writer = Writer::new(Vec::new(), OutputFormat::Csv);
    writer.write(&table)?;
    write_file(&folder.join("results.csv"), &writer.finish()?)
}

/// Writes `eval/predictions.parquet`: for each test row its number among the rows that were kept (from 0), the truth of
/// each target as `<target>`, and the answers as `cupola predict` names them.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write_predictions(folder: &Path, test: &Batch, made: &Made, predictions: &Predictions) -> Result<()> {
    let numbers = Float64Array::from_iter_values(test.rows.iter().map(|&row| row as f64));
    let mut table = Columns::new(vec![("row".into(), Column::Array(Arc::new(numbers)))]);
    for (name, column) in test.targets.iter().chain(answers::answers(made, predictions).iter()) {
        // A target may be called like one of ours: the first of a name is kept, and the next gets a mark.
        let mut free = name.to_string();
        while table.get(&free).is_some() {
            free.push('\'');
        }
        table.insert(free.into(), column.clone());
    }
    let folder = folder.join("eval");
    std::fs::create_dir_all(&folder).map_err(|source| Error::io(format!("make folder {}", folder.display()), source))?;
    write_table(&folder.join("predictions.parquet"), &table)
}

/// Writes a table as Parquet, whole or not at all.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write_table(path: &Path, table: &Columns) -> Result<()> {
    let mut file = WholeFile::create(path)?;
    let mut writer = Writer::new(&mut file, OutputFormat::Parquet);
    writer.write(table)?;
    writer.finish()?;
    Ok(file.commit()?)
}
