//! `cupola data preview`: what a network is shown of its images.

use crate::arguments::PreviewArguments;
use crate::commands::{recipe, runs_folder, use_machine};
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_train::{Plan, SheetSize};
use serde_json::json;
use std::process::ExitCode;

/// Where the sheet goes when nothing is said, in the folder of runs.
const SHEET_FILE: &str = "preview.png";

pub fn run(arguments: &PreviewArguments, screen: &Screen) -> Result<ExitCode> {
    let plan = Plan::check(recipe(&arguments.recipe.arguments, arguments.recipe.tiny)?).context("failed to check the recipe")?;
    use_machine(&plan)?;
    let size = SheetSize { images: arguments.rows.into(), epochs: arguments.views.into() };
    let sheet = cupola_train::sheet(&plan, size).context("failed to draw the images")?;
    let path = arguments.output.clone().unwrap_or_else(|| runs_folder().join(SHEET_FILE));
    cupola_train::runs::write_file(&path, &sheet.png).context("failed to write the sheet")?;
    let [height, width, channels] = sheet.shape;
    let rows: Vec<_> = sheet.rows.iter().map(|(place, label)| json!({ "place": place, "target": label })).collect();
    screen.object(&json!({
        "written": path, "column": sheet.column, "height": height, "width": width, "channels": channels, "prepared": sheet.prepared,
        "epochs": arguments.views, "rows": rows,
    }));
    for (number, (place, label)) in sheet.rows.iter().enumerate() {
        let label = label.as_ref().map_or(String::new(), |label| format!("{label}  "));
        screen.text(&format!("row {:>2}: {label}({place})", number + 1));
    }
    screen.text(&format!("column {}: {}", sheet.column, sheet.prepared));
    screen.text(&format!("wrote {}: the prepared image, then {} epochs", path.display(), arguments.views));
    if sheet.is_plain {
        screen
            .note("nothing is changed at random: augment.policy=standard does what is usual, `cupola schema` lists all keys of [augment]");
    }
    Ok(ExitCode::SUCCESS)
}
