//! `cupola init`: a recipe from data, with what was guessed and why.

use super::recipe;
use crate::arguments::InitArguments;
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_train::Plan;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

pub fn run(arguments: &InitArguments, screen: &Screen) -> Result<ExitCode> {
    let plan = Plan::check(recipe(&arguments.arguments, false)?).context("failed to check the recipe")?;
    let text = cupola_train::draft(&plan).context("failed to write a recipe from the data")?;
    if arguments.output == Path::new("-") {
        screen.text(text.trim_end());
        screen.object(&json!({ "recipe": text }));
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.output.exists() && !arguments.force {
        let error = cupola_train::Error::recipe(arguments.output.display(), "is there already");
        return Err(
            anyhow::Error::from(error.with_hint("pass --force to replace it, or -o another name")).context("failed to write the recipe")
        );
    }
    cupola_train::runs::write_file(&arguments.output, text.as_bytes()).context("failed to write the recipe")?;
    screen.object(&json!({ "written": arguments.output }));
    screen.text(&format!("wrote {}\nnext: cupola check {0} && cupola train {0}", arguments.output.display()));
    Ok(ExitCode::SUCCESS)
}
