//! Fits a model on columns of raw numbers and prints how long that took: our side of `duel/lightgbm` and `duel/explain`.
//!
//! `gbdt_speed FOLDER MODEL [key=value ...]`, with `threads=N` for the pool, and `explain=N` to explain the first N test rows, too: against training,
//! against the 100 rows behind them, and by the interactions of pairs. The folder holds `columns.txt`, one line a column:
//! `number`, `category CLASSES` or, last, `target CLASSES` (0 classes: a number); and `train.f64` and `test.f64`, the columns one
//! after another, little-endian, classes as their codes, NaN where missing. The answers for the test rows go to
//! `answers.f64` (of classes the probability of the last one).

#![expect(clippy::print_stdout, reason = "a program's answer goes to standard output")]

use arrow_array::{ArrayRef, Float64Array, UInt32Array};
use cupola_task::{
    Against, Answer, Ask, Column, Columns, Dataset, Error, Field, Kind, Make, Predictor, Result, Role, Run, Schema, Settings, Side, Source,
    Splits, Table, Task, Value,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, model, pairs @ ..] = arguments.as_slice() else { return Err("usage: gbdt_speed FOLDER MODEL [key=value ...]".into()) };
    let pairs: Vec<(&str, Value)> =
        pairs.iter().filter_map(|pair| pair.split_once('=')).map(|(key, value)| (key, Value::parse(value))).collect();
    let threads = pairs.iter().find(|(key, _)| *key == "threads").and_then(|(_, value)| value.to_string().parse().ok()).unwrap_or(1);
    let explained = pairs.iter().find(|(key, _)| *key == "explain").and_then(|(_, value)| value.to_string().parse().ok()).unwrap_or(0);
    let settings = pairs.iter().filter(|(key, _)| !["threads", "explain"].contains(key)).map(|(key, value)| (*key, value));
    rayon::ThreadPoolBuilder::new().num_threads(threads).build()?.install(|| race(Path::new(folder), model, settings, explained))?;
    Ok(())
}

fn race<'a>(folder: &Path, model: &str, given: impl Iterator<Item = (&'a str, &'a Value)>, explained: u64) -> Result<()> {
    let schema = schema(&text(&folder.join("columns.txt"))?);
    let (train, test) = (table(&schema, &folder.join("train.f64"))?, table(&schema, &folder.join("test.f64"))?);
    let model = cupola_classic::MODELS.iter().find(|known| known.name == model).ok_or_else(|| Error::setting("model", model, "a model"))?;
    let Make::Learner(make) = model.make else { return Err(Error::setting("model", model.name, "a classic model")) };
    let mut learner = make(&Settings::check("model", model.settings, given)?, &schema)?;
    let splits = Splits::new(Arc::new(train.clone()), &vec![Side::Train; train.len() as usize]);
    let (start, cpu) = (Instant::now(), cpu_seconds()?);
    let fitted = learner.fit(Source::Data { train: splits.train(), valid: &**splits.valid() }, &Run::quiet(1))?;
    let (fit_s, fit_cpu_s) = (start.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    let start = Instant::now();
    let answers = fitted.predict(test.columns(), &Ask::default())?;
    let predict_s = start.elapsed().as_secs_f64();
    let one = test.columns().take(&[0]);
    let start = Instant::now();
    for _ in 0..1000 {
        std::hint::black_box(fitted.predict(&one, &Ask::default())?);
    }
    let one_us = start.elapsed().as_secs_f64() * 1e3;
    save(&folder.join("answers.f64"), &answers.0[0].1)?;
    let [path_s, rows_s, pairs_s] = explain_seconds(&*fitted, test.columns(), explained)?;
    println!(
        "{{\"cpu_s\": {fit_cpu_s:.3}, \"wall_s\": {fit_s:.3}, \"predict_s\": {predict_s:.4}, \"one_row_us\": {one_us:.2}, \
         \"explain_s\": {path_s:.5}, \"explain_rows_s\": {rows_s:.5}, \"interactions_s\": {pairs_s:.5}}}"
    );
    Ok(())
}

/// How long it takes to explain so many rows against training, against the 100 rows behind them, and by pairs: the faster of two calls.
fn explain_seconds(fitted: &dyn Predictor, columns: &Columns, rows: u64) -> Result<[f64; 3]> {
    let some = columns.take(&(0..rows).collect::<Vec<_>>());
    let behind = columns.take(&(rows..rows + if rows > 0 { 100 } else { 0 }).collect::<Vec<_>>());
    let mut seconds = [f64::INFINITY; 3];
    for _ in 0..2 {
        for (seconds, against) in seconds.iter_mut().zip([Some(Against::Training), Some(Against::Rows(&behind)), None]) {
            let start = Instant::now();
            match against {
                _ if rows == 0 => {}
                Some(against) => drop(std::hint::black_box(fitted.explain(&some, against).transpose()?)),
                None => drop(std::hint::black_box(fitted.interactions(&some, 0).transpose()?)),
            }
            *seconds = seconds.min(start.elapsed().as_secs_f64());
        }
    }
    Ok(seconds)
}

fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| Error::io(format!("read {}", path.display()), error))
}

/// User and system time of this process, from the kernel's own counters (1/100 s).
fn cpu_seconds() -> Result<f64> {
    let stat = text(Path::new("/proc/self/stat"))?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(ticks / 100.0)
}

fn schema(text: &str) -> Schema {
    let field = |(number, line): (usize, &str)| {
        let (word, classes) = line.split_once(' ').unwrap_or((line, "0"));
        let classes: usize = classes.trim().parse().unwrap_or(0);
        let kind = match classes {
            0 => Kind::Number,
            _ => Kind::Category { classes: (0..classes).map(|class| Arc::from(class.to_string())).collect() },
        };
        let task = if classes == 0 { Task::Regress } else { Task::Classify };
        Field { name: format!("c{number}").into(), kind, role: if word == "target" { Role::Target(task) } else { Role::Input } }
    };
    Schema { fields: text.lines().enumerate().map(field).collect() }
}

fn table(schema: &Schema, path: &Path) -> Result<Table> {
    let bytes = std::fs::read(path).map_err(|error| Error::io(format!("read {}", path.display()), error))?;
    let rows = bytes.len() / 8 / schema.fields.len();
    let columns = schema.fields.iter().zip(bytes.chunks_exact(rows * 8)).map(|(field, bytes)| {
        let values = bytes.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes));
        let array: ArrayRef = match field.kind {
            Kind::Number => Arc::new(Float64Array::from_iter_values(values)),
            _ => Arc::new(values.map(|code| (!code.is_nan()).then_some(code as u32)).collect::<UInt32Array>()),
        };
        (field.name.clone(), Column::Array(array))
    });
    Table::new(schema.clone(), Columns::new(columns.collect()))
}

fn save(path: &Path, answer: &Answer) -> Result<()> {
    let values: Vec<f64> = match answer {
        Answer::Scores { classes, values } => values.iter().skip(classes.len() - 1).step_by(classes.len()).copied().collect(),
        Answer::Numbers { values, .. } => values.clone(),
        _ => Vec::new(),
    };
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(path, bytes).map_err(|error| Error::io(format!("write {}", path.display()), error))
}
