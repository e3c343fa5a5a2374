//! `cupola verify`: all golden rows of a model file.

use super::open;
use crate::screen::Screen;
use anyhow::{Context, Result};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

pub fn run(model: &Path, screen: &Screen) -> Result<ExitCode> {
    let (path, artifact) = open(model)?;
    let verified = artifact.verify().with_context(|| format!("failed to verify {}", path.display()))?;
    screen.object(&json!({ "model": path, "hash": artifact.hash(), "rows": verified.rows, "difference_max": verified.difference_max }));
    screen.text(&match verified.of {
        0 => format!("{}: whole ({}), but it holds no golden rows: trained with golden=off", path.display(), &artifact.hash()[..16]),
        _ => format!(
            "{}: whole ({}), {} golden rows answer as saved, largest difference {:e}",
            path.display(),
            &artifact.hash()[..16],
            verified.rows,
            verified.difference_max
        ),
    });
    Ok(ExitCode::SUCCESS)
}
