//! `cupola data lock`: a manifest of files by their content, and whether it still holds.

use crate::arguments::LockArguments;
use crate::commands::{counted, use_threads};
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_data::lock::{Checked, Lock, Trust};
use cupola_task::Exit;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Files of each sort that are named on the terminal.
const SHOWN: usize = 20;

pub fn run(arguments: &LockArguments, screen: &Screen) -> Result<ExitCode> {
    use_threads(None);
    let own = &arguments.output;
    let base = own.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_owned);
    if arguments.check {
        return check(arguments, &base, screen);
    }
    if arguments.paths.is_empty() {
        let error = cupola_train::Error::recipe("command line", "found no path, wanted files or folders to lock");
        return Err(error.with_hint("cupola data lock data/, or --check to hold what was locked against the disk").into());
    }
    super::check_free(own, arguments.force || Lock::open(own).is_ok())?;
    let lock = Lock::take(&base, &arguments.paths, own).context("failed to read the files")?;
    lock.save(own).context("failed to write the lock")?;
    let told = lock.told();
    screen.object(&json!({ "written": own, "root": told.root, "files": told.files, "bytes": told.bytes }));
    screen.text(&format!("wrote {}: {}, {} bytes, root {}", own.display(), counted(told.files, "file"), told.bytes, &told.root[..16]));
    Ok(ExitCode::SUCCESS)
}

fn check(arguments: &LockArguments, base: &Path, screen: &Screen) -> Result<ExitCode> {
    let own = &arguments.output;
    let mut lock = Lock::open(own).context("failed to read the lock")?;
    let trust = if arguments.full { Trust::Nothing } else { Trust::Stamp };
    let (checked, is_renewed) = lock.check(base, own, trust).context("failed to check the files")?;
    if is_renewed && checked.holds() {
        // Files that were copied or touched need not be read again next time.
        lock.save(own).context("failed to renew the lock")?;
    }
    screen.object(&json!({
        "holds": checked.holds(), "root": checked.root, "files": checked.files, "read": checked.read, "changed": checked.changed,
        "added": checked.added, "removed": checked.removed,
    }));
    screen.text(&told(&checked));
    Ok(if checked.holds() { ExitCode::SUCCESS } else { ExitCode::from(Exit::Data as u8) })
}

fn told(checked: &Checked) -> String {
    let mut text = String::new();
    for (word, paths) in [("changed", &checked.changed), ("added", &checked.added), ("removed", &checked.removed)] {
        paths.iter().take(SHOWN).for_each(|path| text += &format!("{word:<8} {path}\n"));
        if paths.len() > SHOWN {
            text += &format!("{word:<8} and {} more\n", paths.len() - SHOWN);
        }
    }
    let read = format!("{} read", checked.read);
    text + &match checked.holds() {
        true => format!("unchanged: {} ({read}), root {}", counted(checked.files, "file"), &checked.root[..16]),
        false => {
            let [changed, added, removed] = [&checked.changed, &checked.added, &checked.removed].map(Vec::len);
            format!("{changed} changed, {added} added, {removed} removed of {} ({read})", counted(checked.files, "file"))
        }
    }
}
