//! What is worth knowing of a table nobody prepared: what is missing, what the dates gave, which rows are answered worst.

use super::audit::WorstSlice;
use super::names::{plural, shown};
use super::numbers::{count, fixed, percent};
use super::report::{Report, TargetReport};
use super::verdict::{Level, Remark, Topic};

const NAME: usize = 60;
/// Columns that are named.
const COLUMNS_MAX: usize = 6;
/// A column that lacks more of its values needs a look.
const MISSING_MUCH: f64 = 0.5;
/// A slice is told when its loss is so many times that of the rest, and a log loss is felt at all.
const LOSS_RATIO: f64 = 1.2;
const LOSS_FELT: f64 = 0.05;

/// Columns that lack values, those that lack most first.
pub(super) fn missing(report: &Report) -> Option<Remark> {
    let rows: u64 = report.data.files.iter().filter(|file| file.purpose != "test").map(|file| file.rows_read).sum();
    let mut found: Vec<(&str, f64)> = (report.data.columns.iter())
        .filter(|column| column.missing > 0 && column.role == "input")
        .map(|column| (column.name.as_str(), column.missing as f64 / rows.max(1) as f64))
        .collect();
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    let worst = found.first()?.1;
    let named: Vec<String> =
        found.iter().take(COLUMNS_MAX).map(|(name, share)| format!("{} {}", shown(name, NAME), percent(*share))).collect();
    let more = if found.len() > COLUMNS_MAX { format!(", and {} more", count((found.len() - COLUMNS_MAX) as u64)) } else { String::new() };
    let evidence = format!("{}{more}", named.join(", "));
    let columns = plural(found.len() as u64, "input");
    Some(match worst > MISSING_MUCH {
        true => {
            Remark::new(Topic::Missing, Level::Warn, format!("Values are missing in {columns}, in one of them more than half."), evidence)
                .advise("see whether that a value is missing says something by itself, or leave the column out")
                .key("data.clean.missing")
        }
        false => Remark::new(
            Topic::Missing,
            Level::Note,
            format!("Values are missing in {columns}; they were filled in, or left to the model."),
            evidence,
        ),
    })
}

/// What was made of each date, and what it is worth.
pub(super) fn dates(report: &Report) -> Option<Remark> {
    let target = report.targets.first()?;
    let dates = report.data.columns.iter().filter(|column| column.kind == "date" && column.role == "input");
    let told: Vec<String> = dates
        .take(COLUMNS_MAX)
        .map(|column| {
            let prepared = column.prepared.as_ref().map_or(String::new(), |prepared| format!(": {}", shown(prepared, 160)));
            format!("{}{prepared}{}", shown(&column.name, NAME), worth(target, &column.name))
        })
        .collect();
    let columns = plural(told.len() as u64, "date");
    (!told.is_empty())
        .then(|| Remark::new(Topic::Dates, Level::Note, format!("{columns} became numbers that a model can read."), told.join("; ")))
}

/// What shuffling a column costs, and its place among all.
fn worth(target: &TargetReport, column: &str) -> String {
    let Some(permutation) = &target.permutation else { return String::new() };
    match permutation.columns.iter().position(|known| known.column == column) {
        Some(place) => format!(
            "; shuffled, {} loses {} (place {} of {})",
            permutation.measure,
            fixed(permutation.columns[place].drop.value, 4),
            place + 1,
            permutation.columns.len()
        ),
        None => String::new(),
    }
}

/// The slice that stands out most.
pub(super) fn slices(target: &TargetReport) -> Option<Remark> {
    let found = target.slices.as_ref()?;
    // A loss that is next to nothing is no trouble, whatever it is held against.
    let is_felt = |slice: &&WorstSlice| slice.loss >= LOSS_RATIO * slice.rest && (found.loss != "log_loss" || slice.loss >= LOSS_FELT);
    let worst = found.slices.first().filter(is_felt)?;
    let evidence = format!(
        "{} {} there, {} elsewhere, {}; p {} after correction for {} slices",
        found.loss,
        fixed(worst.loss, 3),
        fixed(worst.rest, 3),
        plural(worst.rows, "row"),
        fixed(worst.p_value, 3),
        count(found.tried)
    );
    Some(
        Remark::new(
            Topic::Slices,
            Level::Note,
            format!("Rows with {} are answered worse than all others.", shown(&worst.phrase(), 120)),
            evidence,
        )
        .advise("look at these rows: more of them, or columns that tell them apart, help most"),
    )
}
