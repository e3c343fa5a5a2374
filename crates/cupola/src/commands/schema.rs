//! `cupola schema`: the JSON Schema of recipes.

use crate::screen::Screen;
use anyhow::Result;
use std::process::ExitCode;

pub fn run(screen: &Screen) -> Result<ExitCode> {
    let schema = cupola_train::recipe::json_schema();
    match screen.json {
        true => screen.object(&schema),
        false => screen.text(&serde_json::to_string_pretty(&schema)?),
    }
    Ok(ExitCode::SUCCESS)
}
