//! `cargo run --release -p xtask -- tidy` checks the tree; `docs` rewrites the tables in the documents that come from the registries.

use anyhow::{Result, bail};
use std::io::Write;
use std::process::ExitCode;

fn main() -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match std::env::args().nth(1).as_deref() {
        Some("tidy") => report(&mut out),
        Some("docs") => {
            for path in xtask::write_tables(&xtask::root())? {
                writeln!(out, "wrote {path}")?;
            }
            Ok(ExitCode::SUCCESS)
        }
        other => bail!("read the command line: found {}, wanted tidy or docs", other.unwrap_or("nothing")),
    }
}

fn report(out: &mut impl Write) -> Result<ExitCode> {
    let findings = xtask::tidy(&xtask::Tree::open(&xtask::root())?)?;
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    let checks = xtask::CHECKS.len();
    match findings.len() {
        0 => writeln!(out, "tidy: {checks} checks, nothing found")?,
        found => writeln!(out, "tidy: {checks} checks, {found} found")?,
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
