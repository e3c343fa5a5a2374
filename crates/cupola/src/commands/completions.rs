//! `cupola completions`: a completion script for a shell.

use crate::arguments::Arguments;
use anyhow::Result;
use clap::CommandFactory;
use std::process::ExitCode;

pub fn run(shell: clap_complete::Shell) -> Result<ExitCode> {
    clap_complete::generate(shell, &mut Arguments::command(), "cupola", &mut std::io::stdout());
    Ok(ExitCode::SUCCESS)
}
