//! `cupola data split`: the sides of a table as files, cut as `train` cuts them.

use super::{again, check_free, percent, plan, write_table};
use crate::arguments::SplitArguments;
use crate::commands::train::with_run;
use crate::commands::{aligned, rows};
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_data::convert::Types;
use cupola_data::{Input, OutputFormat, ReadOptions, WholeFile, Writer, stream};
use cupola_task::{Columns, Side};
use cupola_train::Parts;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const SIDES: [(Side, &str); 3] = [(Side::Train, "train"), (Side::Valid, "valid"), (Side::Test, "test")];
/// Rows that are copied at once.
const CHUNK: usize = 16_384;

pub fn run(arguments: &SplitArguments, screen: &Screen) -> Result<ExitCode> {
    let (mut plan, _) = plan(&arguments.arguments, &[], "split")?;
    again(&mut plan.train, plan.read.max_bytes)?;
    let format = format(arguments, &plan.train, &plan.read)?;
    let folder = arguments.output.clone().unwrap_or_else(|| PathBuf::from("."));
    let stem = stem(&plan.train);
    let named = |word: &str| folder.join(format!("{stem}.{word}.{}", format.word()));
    SIDES.iter().try_for_each(|(_, word)| check_free(&named(word), arguments.force))?;
    let parts = with_run(&plan, screen, |run| cupola_train::parts(&plan, run))?.context("failed to split the table")?;
    screen.finish();
    parts.warnings.iter().for_each(|warning| screen.note(&format!("warning: {warning}")));
    std::fs::create_dir_all(&folder).with_context(|| format!("failed to make folder {}", folder.display()))?;
    let types = if format.is_typed() { Some(Types::of(&plan.train, &plan.read).context("failed to read the table")?) } else { None };
    let typed = |columns: Columns| match &types {
        Some(types) => types.apply(&columns),
        None => columns,
    };
    let filled = || SIDES.iter().zip(parts.counts).filter(|(_, count)| *count > 0);
    let files: Vec<(&str, PathBuf, u64)> = filled().map(|((_, word), count)| (*word, named(word), count)).collect();
    let outs: Vec<(Side, &Path)> = filled().zip(&files).map(|(((side, _), _), (_, path, _))| (*side, path.as_path())).collect();
    write((&plan.train, &plan.read), &parts.sides, &outs, &typed, format).context("failed to write the sides")?;
    if let Some(path) = &arguments.sides {
        write_table(path, &parts.record)?;
    }
    show(&parts, &files, arguments.sides.as_deref(), screen);
    Ok(ExitCode::SUCCESS)
}

fn show(parts: &Parts, files: &[(&str, PathBuf, u64)], sides: Option<&Path>, screen: &Screen) {
    let classes = parts.classes.as_ref().map(|(target, classes)| {
        let told: Vec<_> = classes
            .iter()
            .map(|(class, [train, valid, test])| json!({ "class": class, "train": train, "valid": valid, "test": test }))
            .collect();
        json!({ "target": target, "rows": told })
    });
    let left_out = parts.sides.iter().filter(|side| **side == Side::Out).count();
    screen.object(&json!({
        "by": parts.by, "key": parts.key, "reason": parts.reason, "left_out": left_out, "classes": classes, "sides": sides,
        "files": files.iter().map(|(side, path, rows)| json!({ "side": side, "path": path, "rows": rows })).collect::<Vec<_>>(),
    }));
    let key = parts.key.as_ref().map_or(String::new(), |key| format!(" of {key}"));
    screen.text(&format!("split by {}{key}: {}", parts.by, parts.reason));
    let total: u64 = parts.counts.iter().sum();
    let lines: Vec<Vec<String>> = files
        .iter()
        .map(|(side, path, rows)| vec![(*side).to_owned(), rows.to_string(), percent(*rows, total), path.display().to_string()])
        .collect();
    screen.text(&aligned(&["side", "rows", "share", "file"], &lines));
    if let Some((target, classes)) = &parts.classes {
        let share = |side: usize, count: u64| percent(count, classes.iter().map(|(_, counts)| counts[side]).sum());
        let line = |(class, counts): &(String, [u64; 3])| {
            let mut cells = vec![class.clone()];
            cells.extend((0..3).filter(|side| parts.counts[*side] > 0).map(|side| share(side, counts[side])));
            cells
        };
        let mut head = vec![&**target];
        head.extend(files.iter().map(|(side, ..)| *side));
        screen.text(&format!("\n{}", aligned(&head, &classes.iter().take(12).map(line).collect::<Vec<_>>())));
    }
    if left_out > 0 {
        screen.note(&format!("{} on no side", rows(left_out as u64)));
    }
}

/// The format that was asked for, or the one that came in, when it is written.
fn format(arguments: &SplitArguments, input: &Input, options: &ReadOptions) -> Result<OutputFormat> {
    match &arguments.format {
        Some(word) => word.parse().context("failed to read the command line"),
        None => {
            let came_in = stream(input, options, 1).context("failed to read the table")?.format();
            Ok(came_in.parse().unwrap_or_default())
        }
    }
}

/// The name of the table's file without its endings.
fn stem(input: &Input) -> String {
    let path = match input {
        Input::Path(path) => Some(path.as_path()),
        Input::Paths(paths) => paths.first().map(PathBuf::as_path),
        Input::Url(url) => Some(Path::new(url.split('?').next().unwrap_or(url))),
        _ => None,
    };
    let name = path.and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem: String = name.split('.').next().unwrap_or_default().chars().filter(|letter| !matches!(letter, '*' | '?')).collect();
    if stem.is_empty() { "data".to_owned() } else { stem }
}

/// Reads the table once and writes the rows of each side into its file; the files appear when all are whole.
fn write(
    (input, options): (&Input, &ReadOptions),
    sides: &[Side],
    outs: &[(Side, &Path)],
    typed: &dyn Fn(Columns) -> Columns,
    format: OutputFormat,
) -> cupola_data::Result<()> {
    let mut files = outs.iter().map(|(_, path)| WholeFile::create(path)).collect::<cupola_data::Result<Vec<_>>>()?;
    let mut writers: Vec<_> = files.iter_mut().map(|file| Writer::new(file, format)).collect();
    let mut start = 0;
    for chunk in stream(input, options, CHUNK)? {
        let columns = chunk?.columns;
        for ((side, _), writer) in outs.iter().zip(&mut writers) {
            let own: Vec<u64> = (0..columns.rows()).filter(|row| sides.get(start + row) == Some(side)).map(|row| row as u64).collect();
            // A chunk without a row of the side still says which columns there are.
            writer.write(&typed(columns.take(&own)))?;
        }
        start += columns.rows();
    }
    for writer in writers {
        writer.finish()?;
    }
    files.into_iter().try_for_each(WholeFile::commit)
}
