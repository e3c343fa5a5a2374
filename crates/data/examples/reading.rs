//! Reads a table as training does, with types found out, and prints how long each part of it took.
//!
//! ```sh
//! cargo run --release -p cupola-data --example reading -- table.csv target
//! ```
#![expect(clippy::print_stdout, reason = "an example is there to show")]

use cupola_data::{Input, ReadOptions, Wanted, conform, infer, read_numbers, schema};
use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let [path, target] = std::env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "a file and a target are wanted")?;
    let began = Instant::now();
    let raw = read_numbers(&Input::parse(&path), &ReadOptions::default(), &[&*target].into())?;
    let read_at = began.elapsed();
    let inferred = infer(&raw.columns, &BTreeMap::new(), &[&target], &|row| raw.place(row))?;
    let inferred_at = began.elapsed();
    let (schema, notation) = schema(&inferred);
    let table = conform(&raw.columns, &schema, &notation, &|row| raw.place(row), Wanted::All)?;
    let conformed_at = began.elapsed();
    for column in &inferred {
        println!("{}: {} ({})", column.name, column.column_type, column.reason);
    }
    println!(
        "{} rows; read {:.3} s, types {:.3} s, columns {:.3} s, all {:.3} s",
        table.columns.rows(),
        read_at.as_secs_f64(),
        (inferred_at - read_at).as_secs_f64(),
        (conformed_at - inferred_at).as_secs_f64(),
        conformed_at.as_secs_f64()
    );
    Ok(())
}
