//! `cupola tune`: searches settings, then trains with the best.

use super::{recipe, runs_folder, train};
use crate::arguments::RecipeArguments;
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_train::Plan;
use std::process::ExitCode;

pub fn run(arguments: &RecipeArguments, screen: &Screen) -> Result<ExitCode> {
    let plan = Plan::check(recipe(&arguments.arguments, arguments.tiny)?).context("failed to check the recipe")?;
    train::watched(&plan, screen, "failed to tune", |run| cupola_train::tune::tune(&plan, run, &runs_folder(), &train::program_hash()))
}
