//! Prints what the leak checks find in every CSV of a folder, the last column being the target. `duel/leaks/clean_tables.py`
//! writes such a folder of real tables, none of which may be stopped. A file `x.test.csv` holds the test rows of `x.csv`.
//!
//! ```sh
//! cargo run --release -p cupola-data --example leaks -- FOLDER
//! ```
#![expect(clippy::print_stdout, reason = "an example is there to show")]

use arrow_array::{Float64Array, StringArray};
use cupola_data::{leaks, split};
use cupola_task::{Column, Columns, Dataset, Draw, Field, Kind, Role, Schema, Settings, Table, Task};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("a folder of CSVs is wanted")?;
    let mut paths: Vec<_> = std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.retain(|path| !path.to_string_lossy().ends_with(".test.csv"));
    paths.sort();
    let mut stopped = 0;
    for path in &paths {
        let test = path.with_extension("test.csv");
        let table = read(path)?;
        let test = if test.exists() { Some(read(&test)?) } else { None };
        let rows = if test.is_some() { split::TestRows::Given } else { split::TestRows::Cut };
        let given = split::SplitSettings::open(&Settings::check("data.split", split::SETTINGS, [])?, rows)?;
        let mut stops = 0;
        let mut lines = String::new();
        let mut milliseconds = 0;
        for seed in 0..5 {
            let cut = split::sides(&table, &given, Draw::new(seed).stream("split"))?;
            let start = Instant::now();
            let findings = leaks::check(&table, &cut.sides, test.as_ref().map(|test| test as &dyn Dataset))?;
            milliseconds = start.elapsed().as_millis();
            stops += findings.iter().filter(|finding| finding.severity == leaks::Severity::Stop).count();
            for finding in findings.iter().filter(|finding| seed == 0 || finding.severity == leaks::Severity::Stop) {
                lines += &format!("    {:?} {} {:.4}: {}\n", finding.severity, finding.check, finding.value, finding.sentence);
            }
        }
        stopped += usize::from(stops > 0);
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        print!("{name}: {} rows x {} inputs, {milliseconds} ms\n{lines}", table.len(), table.schema().inputs().count());
    }
    println!("{stopped} of {} tables stopped", paths.len());
    Ok(())
}

/// Columns whose cells are all numbers are numbers, others categories; a last column of numbers with many values is to be regressed.
fn read(path: &Path) -> Result<Table, Box<dyn Error>> {
    let mut reader = csv::Reader::from_path(path)?;
    let names: Vec<Arc<str>> = reader.headers()?.iter().map(Arc::from).collect();
    let mut cells: Vec<Vec<Option<String>>> = vec![Vec::new(); names.len()];
    for record in reader.records() {
        record?.iter().zip(&mut cells).for_each(|(cell, column)| column.push(Some(cell.to_owned()).filter(|cell| !cell.is_empty())));
    }
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (place, (name, cells)) in names.iter().zip(&cells).enumerate() {
        let is_target = place + 1 == names.len();
        let numbers: Option<Vec<Option<f64>>> =
            cells.iter().map(|cell| cell.as_ref().map(|cell| cell.parse().ok()).map_or(Some(None), |n| n.map(Some))).collect();
        let distinct = cells.iter().collect::<std::collections::HashSet<_>>().len();
        let (kind, column) = match numbers.filter(|_| !is_target || distinct > 20) {
            Some(numbers) => (Kind::Number, Column::Array(Arc::new(Float64Array::from(numbers)))),
            None => (Kind::Category { classes: Arc::from([]) }, Column::Array(Arc::new(StringArray::from(cells.clone())))),
        };
        let role = match (is_target, &kind) {
            (false, _) => Role::Input,
            (true, Kind::Number) => Role::Target(Task::Regress),
            (true, _) => Role::Target(Task::Classify),
        };
        fields.push(Field { name: name.clone(), kind, role });
        columns.push((name.clone(), column));
    }
    Ok(Table::new(Schema { fields }, Columns::new(columns))?)
}
