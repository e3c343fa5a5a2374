//! `cupola doctor`: what is wrong with a run's model, and what helps.

use super::train::with_run;
use super::{named, runs_folder};
use crate::arguments::DoctorArguments;
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_train::doctor;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// The time that remedies are tried for when nothing is said.
const TIME: Duration = Duration::from_secs(60);

pub fn run(arguments: &DoctorArguments, screen: &Screen) -> Result<ExitCode> {
    let [time] = named(&arguments.pairs, ["time"], "cupola doctor runs/latest time=5m")?;
    let time = match time {
        None => TIME,
        Some(text) => cupola_train::duration_of(&text)
            .ok_or_else(|| {
                let found = format!("time: found {text:?}, wanted seconds, or a number with s, m, h or d");
                cupola_train::Error::recipe("command line", found)
            })
            .context("failed to read the command line")?,
    };
    let given = Path::new(&arguments.run);
    let folder = match given.is_dir() {
        true => given.to_owned(),
        false => {
            cupola_train::runs::find(&runs_folder(), arguments.run.trim_start_matches("runs/")).context("failed to find the run")?.path
        }
    };
    let plan = doctor::plan(&folder).context("failed to read the run")?;
    let checkup = with_run(&plan, screen, |run| doctor::doctor(&folder, run, time))?.context("failed to look at the run")?;
    screen.finish();
    screen.object(&serde_json::to_value(&checkup).context("failed to write what was found")?);
    screen.text(doctor::text(&checkup, &folder.display().to_string()).trim_end());
    Ok(ExitCode::SUCCESS)
}
