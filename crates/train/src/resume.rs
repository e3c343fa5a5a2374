//! Going on with a run that was cut off: the recipe and the data it began with stand in its folder.

use crate::journal::{Journal, heard_by};
use crate::recipe::{self, Recipe};
use crate::runs::write_file;
use crate::training::{Divided, Outcome, check_models, divide, in_folder};
use crate::{Error, Plan, Result, runs, tune};
use cupola_task::{Event, Run, Start};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The recipe as it was when the run began.
const RECIPE: &str = "recipe.toml";
/// What it began with.
const BEGIN: &str = "begin.json";

/// What must be the same when the run goes on.
#[derive(Debug, Serialize, Deserialize)]
struct Begin {
    cupola: String,
    binary: String,
    /// The hash of each file, by path.
    data: BTreeMap<String, Option<String>>,
}

impl Begin {
    fn of(divided: &Divided, binary: &str) -> Begin {
        let data = divided.loaded.files.iter().map(|file| (file.path.clone(), file.hash.clone())).collect();
        Begin { cupola: env!("CARGO_PKG_VERSION").to_owned(), binary: binary.to_owned(), data }
    }
}

/// Notes in a new run folder what going on would need.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn note(plan: &Plan, divided: &Divided, folder: &Path, binary: &str) -> Result<()> {
    let head = "The recipe this run began with. `cupola resume` goes on from here; run.toml, written at the end, has every setting.";
    write_file(&folder.join(RECIPE), recipe::write(&plan.recipe, head, &BTreeMap::new()).as_bytes())?;
    let begin = serde_json::to_vec_pretty(&Begin::of(divided, binary)).expect("a record is plain data");
    write_file(&folder.join(BEGIN), &begin)
}

/// The plan of a run that has not ended.
///
/// # Errors
/// When the folder is no run's, or its run has ended.
pub fn plan_of(folder: &Path) -> Result<Plan> {
    let path = folder.join(RECIPE);
    if !path.is_file() {
        let text = format!("{} is no run that could go on: it holds no {RECIPE}", folder.display());
        return Err(Error::Runs(text, Some("`cupola runs ls` lists the runs".into())));
    }
    if folder.join("report.json").is_file() && !was_stopped(folder) {
        let text = format!("run {} has ended: there is nothing to go on with", folder.display());
        return Err(Error::Runs(text, Some(format!("`cupola train {}/run.toml` trains it again", folder.display()))));
    }
    Plan::check(Recipe::open(&path)?)
}

/// Whether the report says that somebody stopped the run.
fn was_stopped(folder: &Path) -> bool {
    let report = std::fs::read(folder.join("report.json")).unwrap_or_default();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap_or_default();
    report["warnings"].as_array().into_iter().flatten().any(|text| text.as_str().is_some_and(|text| text.contains(runs::STOPPED)))
}

/// Goes on with a run in its own folder. What was learned since its last checkpoint is learned again, to the same bytes.
///
/// # Errors
/// Those of [`train`](crate::train), and when the data are not those that the run began with.
pub fn resume(plan: &Plan, run: &Run<'_>, folder: &Path, binary: &str) -> Result<Outcome> {
    if tune::is_study(folder) {
        return tune::resume(plan, run, folder, binary);
    }
    let journal = Journal::new(run);
    let listener = |event: &Event| journal.hear(event);
    let mut run = heard_by(run, &listener);
    run.start = Start::Resume;
    let divided = divide(plan, &run)?;
    check_models(plan, divided.loaded.schema())?;
    check_begin(&divided, &run, folder, binary)?;
    journal.open(folder)?;
    in_folder(plan, &run, &journal, &divided, folder, binary, None)
}

/// Holds the data against what they were when the run began.
///
/// # Errors
/// When they differ, or the record cannot be read.
pub(crate) fn check_begin(divided: &Divided, run: &Run<'_>, folder: &Path, binary: &str) -> Result<()> {
    let path = folder.join(BEGIN);
    let bytes = std::fs::read(&path).map_err(|source| Error::io(format!("read {}", path.display()), source))?;
    let begin: Begin = serde_json::from_slice(&bytes).map_err(|error| Error::artifact(path.display(), error, "what the run began with"))?;
    let now = Begin::of(divided, binary);
    if let Some((path, _)) = now.data.iter().find(|(path, hash)| begin.data.get(*path) != Some(*hash)) {
        let text = format!("{path} is not what it was when run {} began", folder.display());
        return Err(Error::Data(text, Some("train anew, or bring the data back".into())));
    }
    if begin.binary != now.binary || begin.cupola != now.cupola {
        run.tell(Event::Warning {
            text: "the program is not the one that the run began with: the model may not be the same to the last bit".into(),
        });
    }
    Ok(())
}
